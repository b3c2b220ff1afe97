"""What a `.env` file comes to for programs and for shells."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.model.env_examples import VAULT, content_of, names
from tests.unit.model.test_envfile import theirs
from tvault.errors import VaultError
from tvault.model.envfile_pairs import Pair, as_shell, for_environment, only, pairs

SHELLS = [place for name in ("dash", "bash", "ksh", "busybox") if (place := shutil.which(name))]
"""Those that this machine has."""

READABLE = [
    name
    for name in names()
    if (expanded := content_of(name, "expanded")) is not None and not theirs(expanded)[1]
]

NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")

PRINT = (
    "import os,sys;sys.stdout.buffer.write(b'\\0'.join(b'%b=%b'%each for each in os.environb.items()))"
)


def sourced(shell: str, script: Path) -> dict[str, str]:
    """The environment that a program has after the shell has read the script."""
    applet = ["sh"] if shell.endswith("busybox") else []
    ran = subprocess.run(
        [shell, *applet, "-c", '. "$1"; exec "$2" -c "$3"', "sh", str(script), sys.executable, PRINT],
        env={"PATH": os.defpath},
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == b""
    found = (each.partition(b"=") for each in ran.stdout.split(b"\0"))
    return {name.decode(): value.decode() for name, _, value in found}


def test_of_several_definitions_the_last_one_holds_and_one_without_value_unsets() -> None:
    assert pairs("A=1\nB=2\nA=3\nC=4\nC\nD") == [("A", "3"), ("B", "2")]


def test_lines_that_cannot_be_read_are_named_and_not_shown() -> None:
    with pytest.raises(VaultError) as caught:
        pairs("A=1\nhunter 2\n\nB='hunter2\n")
    assert [each.index for each in caught.value.errors] == [1, 3]
    assert "Lines 2, 4 " in caught.value.detail
    assert "hunter" not in caught.value.detail


def test_only_the_lines_of_some_names_are_given_as_they_stand() -> None:
    content = "\ufeffA=1\n# comment\n  export B='two\nlines' # b\r\nset -a\nC\nA=3"
    assert only(content, {"A"}) == "A=1\nA=3"
    assert only(content, ["B", "C", "Z"]) == "export B='two\nlines' # b\r\nC\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_gets_every_value_exactly(shell: str, tmp_path: Path) -> None:
    given_pairs = [(f"V_{name}", value) for name, value in VAULT.items() if "\0" not in value]
    script = tmp_path / "env.sh"
    script.write_bytes(as_shell(given_pairs).encode())
    found = sourced(shell, script)
    assert {name: found[name] for name, _ in given_pairs} == dict(given_pairs)


@pytest.mark.parametrize("name", READABLE)
def test_a_shell_gets_what_every_golden_content_comes_to(name: str, tmp_path: Path) -> None:
    expanded = content_of(name, "expanded")
    assert expanded is not None
    found = [(key, value) for key, value in pairs(expanded) if NAME.fullmatch(key) and "\0" not in value]
    script = tmp_path / "env.sh"
    script.write_bytes(as_shell(found).encode())
    there = sourced("sh", script)
    assert [(key, there[key]) for key, _ in found] == found


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (("A.B", "x"), "no such names"),
        (("1A", "x"), "no such names"),
        (("", "x"), "no such names"),
        (("Ä", "x"), "no such names"),
        (("'A\\n'", "x"), "no such names"),
        (("A;id", "x"), "no such names"),
        (("OPTIND", "x"), "themselves"),
        (("_", "x"), "themselves"),
        (("BASHOPTS", "x"), "themselves"),
        (("NUL", "a\0b"), "NUL"),
    ],
)
def test_what_a_shell_cannot_set_is_refused_by_name(odd: Pair, why: str) -> None:
    with pytest.raises(VaultError) as caught:
        as_shell([("GOOD", "hunter2"), odd])
    assert caught.value.code == "invalid_value"
    assert f": {odd[0]}." in caught.value.detail
    assert why in caught.value.detail
    assert "GOOD" not in caught.value.detail
    assert "hunter2" not in caught.value.detail


def test_what_an_environment_cannot_hold_is_refused_by_name() -> None:
    assert for_environment([("A", "1"), ("a.b", "")]) == {"A": "1", "a.b": ""}
    with pytest.raises(VaultError, match=r": A, C\.") as caught:
        for_environment([("A", "hunter2\0"), ("B", "b"), ("C", "\0")])
    assert "hunter2" not in caught.value.detail
    with pytest.raises(VaultError, match=r": D=E\."):
        for_environment([("D=E", "d")])
