"""`tvault secret` against a real client API."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.cli.terminal import INTERRUPT, terminal
from tests.unit.client.canned import Canned, canned
from tests.unit.server.serving import KEYS, Node, serving
from tvault.wire import Limits

SENTINEL = "sentinel-4711"
ODD = "é \U0001f511 \x00 \x1b[0m\t\r\n'\"$`\\\ufeff\n\n"
"""A value that comes back as it went in, or something on the way is not exact."""

EDGE = "2000-01-01T00:00:00Z"


def secret(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, whose stdin is no terminal."""
    return subprocess.run(
        [sys.executable, "-m", "tvault", "secret", *args],
        input=stdin,
        capture_output=True,
        check=False,
        env=dict(os.environ),
    )


def put(name: str, value: str, *args: str) -> subprocess.CompletedProcess[bytes]:
    """Put a value that is taken to the byte."""
    ran = secret("put", name, "--file", "-", *args, stdin=value.encode())
    assert SENTINEL.encode() not in ran.stdout + ran.stderr
    return ran


def held(tvault: CommandLine, name: str) -> str:
    """The value that the secret has."""
    ran = tvault("secret", "get", name)
    assert (ran.code, ran.err) == (0, "")
    return ran.out.decode()


def shows_keys(terminal_at: int) -> bool:
    """Whether the terminal shows what is typed."""
    return bool(termios.tcgetattr(terminal_at)[3] & termios.ECHO)


@pytest.mark.usefixtures("node")
def test_a_value_from_stdin_comes_back_without_the_newline_that_echo_adds(tvault: CommandLine) -> None:
    for number, (given, kept) in enumerate(
        [
            (b"s3cret\n", "s3cret"),
            (b"s3cret\r\n", "s3cret"),
            (b"s3cret", "s3cret"),
            (b"s3cret\n\n", "s3cret\n"),
            (b"s3cret\r", "s3cret\r"),
            (b" a b ", " a b "),
        ]
    ):
        ran = secret("put", f"ECHO{number}", stdin=given)
        assert (ran.returncode, ran.stdout) == (0, f"ECHO{number} version 1\n".encode())
        assert held(tvault, f"ECHO{number}") == kept


@pytest.mark.usefixtures("node")
def test_a_file_and_what_is_named_as_one_are_taken_to_the_byte(tvault: CommandLine) -> None:
    Path("value").write_bytes(ODD.encode())
    assert secret("put", "EXACT.file", "--file", "value").returncode == 0
    assert held(tvault, "EXACT.file") == ODD
    assert put("EXACT-stdin", ODD).returncode == 0
    assert held(tvault, "EXACT-stdin") == ODD


@pytest.mark.usefixtures("node")
def test_a_newline_that_is_dropped_from_a_longer_text_and_an_empty_value_are_mentioned(
    tvault: CommandLine,
) -> None:
    key = b"-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
    ran = secret("put", "PEM", stdin=key)
    assert (ran.returncode, held(tvault, "PEM")) == (0, key.decode()[:-1])
    assert b"'--file -' keeps it" in ran.stderr
    for stdin in (b"", b"\n"):
        ran = secret("put", "EMPTY", stdin=stdin)
        assert (ran.returncode, held(tvault, "EMPTY")) == (0, "")
        assert ran.stderr == b"note: the value is empty\n"
    assert secret("put", "PLAIN", stdin=b"x\n").stderr == b""


@pytest.mark.usefixtures("node")
def test_a_put_makes_a_version_unless_the_value_is_the_one_there_is(tvault: CommandLine) -> None:
    assert put("VERSIONS", "one").stdout == b"VERSIONS version 1\n"
    assert put("VERSIONS", "one").stdout == b"VERSIONS version 1, as before\n"
    made = put("VERSIONS", "two", "--json")
    assert held(tvault, "VERSIONS") == "two"
    assert tvault("secret", "get", "VERSIONS", "--version", "1").out == b"one"
    history = tvault("secret", "history", "VERSIONS", "--json").document
    first, second = history["versions"]
    assert (history["name"], first["version"], second["version"]) == ("VERSIONS", 1, 2)
    assert first["valid_to"] == second["valid_from"] > first["valid_from"]
    assert (second["valid_to"], second["key_id"]) == (None, first["key_id"])
    assert json.loads(made.stdout) == {
        "name": "VERSIONS",
        "version": 2,
        "valid_from": second["valid_from"],
        "created": True,
    }
    assert tvault("secret", "get", "VERSIONS", "--at", first["valid_from"]).out == b"one"
    assert tvault("secret", "get", "VERSIONS", "--at", second["valid_from"]).out == b"two"
    told = tvault("secret", "get", "VERSIONS", "--version", "1", "--json").document
    assert told == {
        "name": "VERSIONS",
        "value": "one",
        "version": 1,
        "valid_from": first["valid_from"],
        "valid_to": first["valid_to"],
    }


@pytest.mark.usefixtures("node")
def test_a_history_for_people_is_a_table_with_the_moments_in_full(tvault: CommandLine) -> None:
    put("TABLE", "one")
    put("TABLE", "two")
    first, second = tvault("secret", "history", "TABLE", "--json").document["versions"]
    lines = tvault("secret", "history", "TABLE").out.decode().splitlines()
    assert lines[0].split() == ["version", "valid", "from", "valid", "to", "master", "key"]
    assert lines[1].split() == ["1", first["valid_from"], first["valid_to"], first["key_id"]]
    assert lines[2].split() == ["2", second["valid_from"], "-", second["key_id"]]


@pytest.mark.usefixtures("node")
def test_conditions_are_kept_and_the_refusal_names_the_current_version(tvault: CommandLine) -> None:
    assert put("COND", "one", "--create").returncode == 0
    ran = put("COND", SENTINEL, "--create")
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert put("COND", "two", "--if-match", "1").stdout == b"COND version 2\n"
    ran = put("COND", SENTINEL, "--if-match", "1")
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert b"2" in ran.stderr
    assert tvault("secret", "delete", "COND", "--if-match", "1").code == 1
    assert held(tvault, "COND") == "two"
    assert put("COND", "x", "--if-match", "2", "--create").returncode == 2
    assert put("COND", "x", "--if-match", "0").returncode == 2


@pytest.mark.usefixtures("node")
def test_a_deleted_secret_has_no_value_keeps_its_versions_and_goes_on_counting(
    tvault: CommandLine,
) -> None:
    put("GONE", "one")
    ran = tvault("secret", "delete", "GONE", "--json")
    ended = ran.document
    assert (ran.code, ended["name"], ended["version"]) == (0, "GONE", 1)
    assert "GONE" not in tvault("secret", "list").out.decode().split()
    for args in (("get",), ("delete",), ("delete", "--yes")):
        ran = tvault("secret", args[0], "GONE", *args[1:])
        assert (ran.code, ran.out, ran.err) == (3, b"", "tvault: not found: GONE\n")
    assert tvault("secret", "get", "GONE", "--version", "1").out == b"one"
    assert tvault("secret", "history", "GONE").out.decode().split()[-2] == ended["valid_to"]
    assert put("GONE", "one").stdout == b"GONE version 2\n"
    assert tvault("secret", "delete", "GONE").out.startswith(b"GONE version 2, valid until 20")


def test_names_are_listed_sorted_one_a_line_and_only_ones_own(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
        assert (tvault("secret", "list").code, tvault("secret", "list").out) == (0, b"")
        assert tvault("secret", "list", "--json").document == {"names": []}
        for name in ("b", "a", "_", "B.1-x"):
            put(name, "x")
        assert tvault("secret", "list").out == b"B.1-x\n_\na\nb\n"
        assert tvault("secret", "list", "--json").document == {"names": ["B.1-x", "_", "a", "b"]}
        Path("bob.key").write_text(KEYS["bob"])
        assert tvault("secret", "list", "--api-key-file", "bob.key").out == b""


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("args", "which"),
    [
        (("get", "NEVER"), "NEVER"),
        (("get", "NEVER", "--json"), "NEVER"),
        (("get", "NEVER", "--version", "1"), "NEVER, version 1"),
        (("get", "KNOWN", "--version", "99"), "KNOWN, version 99"),
        (("get", "KNOWN", "--at", EDGE), f"KNOWN, at {EDGE}"),
        (("get", "a b/c"), "a b/c"),
        (("history", "NEVER"), "NEVER"),
        (("delete", "NEVER"), "NEVER"),
    ],
)
def test_what_is_not_there_makes_exit_code_3_and_no_output(
    tvault: CommandLine, args: tuple[str, ...], which: str
) -> None:
    put("KNOWN", "x")
    ran = tvault("secret", *args)
    assert (ran.code, ran.out, ran.err) == (3, b"", f"tvault: not found: {which}\n")


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    "args",
    [
        ("A", SENTINEL),
        ("A", "--", f"-{SENTINEL}"),
        ("A", "--file", "-", SENTINEL, "more"),
        (f"A={SENTINEL}",),
        (f"{SENTINEL}!",),
        ("A", f"--value={SENTINEL}"),
        ("A", f"--{SENTINEL}"),
        ("A", f"-{SENTINEL}", "--create"),
    ],
)
def test_a_value_among_the_arguments_is_refused_with_the_reason_and_not_shown(
    tvault: CommandLine, args: tuple[str, ...]
) -> None:
    ran = secret("put", *args, stdin=b"x")
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert SENTINEL.encode() not in ran.stderr
    assert b"give the value on stdin, by --file, or when asked" in ran.stderr
    assert tvault("secret", "get", "A").code == 3, "nothing was stored"


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("stdin", "args", "code", "said"),
    [
        (SENTINEL.encode() + b"\xff", (), 1, "stdin is not UTF-8 (byte 14)"),
        (SENTINEL.encode("utf-16"), ("--file", "-"), 1, "stdin is not UTF-8 (byte 1)"),
        (b"\xed\xa0\x80" + SENTINEL.encode(), (), 1, "stdin is not UTF-8 (byte 1)"),
        (b"x" * (Limits.body_bytes + 1), (), 1, f"stdin is longer than {Limits.body_bytes} bytes"),
        (b"x", ("--file", "none"), 2, "cannot read none: No such file or directory"),
        (b"x", ("--file", "."), 2, "cannot read .: Is a directory"),
    ],
)
def test_what_cannot_be_a_value_is_refused_without_showing_it(
    tvault: CommandLine, stdin: bytes, args: tuple[str, ...], code: int, said: str
) -> None:
    ran = secret("put", "BAD", *args, stdin=stdin)
    assert (ran.returncode, ran.stdout) == (code, b"")
    assert ran.stderr.decode().startswith(f"tvault: {said}")
    assert SENTINEL.encode() not in ran.stderr
    assert tvault("secret", "get", "BAD").code == 3, "nothing was stored"


@pytest.mark.usefixtures("node")
def test_a_value_that_is_too_long_for_a_node_is_refused_by_it_with_the_limit(
    tvault: CommandLine,
) -> None:
    most = Limits.secret_bytes
    assert put("LONGEST", "x" * most).returncode == 0
    assert len(held(tvault, "LONGEST")) == most
    ran = put("LONGEST", "x" * (most + 1))
    assert (ran.returncode, str(most) in ran.stderr.decode()) == (1, True)


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    "args",
    [
        ("get", "A", "--at", "yesterday"),
        ("get", "A", "--at", "\udcff"),
        ("get", "A", "--at", EDGE, "--version", "1"),
        ("get", "A", "--version", "0"),
        ("get",),
        ("get", "A", "B"),
        ("delete", "A", "--if-match", "x"),
        ("unknown",),
    ],
)
def test_mistakes_of_usage_make_exit_code_2(tvault: CommandLine, args: tuple[str, ...]) -> None:
    ran = tvault("secret", *args)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err


def test_the_other_exit_codes_are_those_of_every_command(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tvault("secret", "list").code == 2, "no API key"
    monkeypatch.setenv("TVAULT_API_KEY", "k")
    lacking = b'{"code":"key_unavailable","detail":"The master key m1 is not here.","key_id":"m1"}'
    with canned([Canned(503, lacking)]) as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        ran = tvault("secret", "get", "A")
        assert (ran.code, ran.err) == (1, "tvault: The master key m1 is not here.\n")
    with canned([Canned(401, b'{"code":"unauthorized","detail":"No."}')]) as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        assert tvault("secret", "history", "A").code == 1


def test_a_closed_stdin_is_told(node: Node) -> None:  # noqa: ARG001
    ran = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m tvault secret put A <&-"], capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (2, b"tvault: cannot read stdin: Bad file descriptor\n")


@pytest.mark.usefixtures("node")
def test_on_a_terminal_the_value_is_asked_for_twice_and_never_shown(tvault: CommandLine) -> None:
    with terminal(["secret", "put", "TYPED"], 80) as screen:
        screen.answer(b"Value of TYPED: ", SENTINEL.encode() + b"\n")
        screen.answer(b"The same again: ", b"something else\n")
        screen.answer(b"Value of TYPED: ", SENTINEL.encode() + b"\n")
        screen.answer(b"The same again: ", SENTINEL.encode() + b"\n")
        assert screen.read_to_end() == 0
        assert screen.got == b"TYPED version 1\n"
        assert SENTINEL.encode() not in screen.seen
    assert held(tvault, "TYPED") == SENTINEL


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("how", ["key", "signal"])
def test_an_end_at_the_prompt_stores_nothing_and_leaves_a_terminal_that_shows_what_is_typed(
    tvault: CommandLine, how: str
) -> None:
    with terminal(["secret", "put", "HALF"], 80) as screen:
        screen.answer(b"Value of HALF: ", SENTINEL.encode())
        assert not shows_keys(screen.master)
        if how == "key":
            screen.type(INTERRUPT)
        else:
            screen.process.terminate()
        assert screen.read_to_end() == (130 if how == "key" else 143)
        assert shows_keys(screen.master)
    assert tvault("secret", "get", "HALF").code == 3


@pytest.mark.usefixtures("node")
def test_a_deletion_is_confirmed_on_a_terminal_unless_told_otherwise(tvault: CommandLine) -> None:
    put("KEPT", "x")
    with terminal(["secret", "delete", "KEPT"], 80) as screen:
        screen.answer(b"Delete the secret KEPT? [y/N]: ", b"n\n")
        assert (screen.read_to_end(), screen.got) == (1, b"")
    assert held(tvault, "KEPT") == "x"
    with terminal(["secret", "delete", "KEPT"], 80) as screen:
        screen.answer(b"Delete the secret KEPT? [y/N]: ", b"y\n")
        assert screen.read_to_end() == 0
    put("KEPT", "y")
    with terminal(["secret", "delete", "KEPT", "--yes"], 80) as screen:
        assert (screen.read_to_end(), screen.seen) == (0, b"")
    assert tvault("secret", "get", "KEPT").code == 3


@pytest.mark.usefixtures("node")
def test_only_a_terminal_gets_a_newline_after_a_value(tvault: CommandLine) -> None:
    put("SHOWN", "x")
    assert tvault("secret", "get", "SHOWN").out == b"x"
    master, slave = pty.openpty()
    subprocess.run([sys.executable, "-m", "tvault", "secret", "get", "SHOWN"], stdout=slave, check=True)
    assert os.read(master, 100) == b"x\r\n"
    os.close(slave)
    os.close(master)
