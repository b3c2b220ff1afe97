"""`tvault env encrypt` and `expand` against a real client API."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.cli.terminal import terminal
from tests.unit.client.canned import Canned, canned
from tests.unit.server.serving import KEYS, Node
from tvault.cli.env_file import read_source
from tvault.cli.env_output import write_back
from tvault.client.vault import Vault
from tvault.errors import VaultError

SENTINEL = "sentinel-4711"
ODD = "é \U0001f511 \x1b[0m\t\r\n'\"$HOME `id` $(id) #\\n\\ \ufeff\n\n"

BEFORE = (
    b"\xef\xbb\xbf# k\xc3\xb6pf\r\n\r\nexport FILE_A = 'sentinel-4711'  # why\r\n"
    b'URL="postgres://u:enc(FILE_A)@h"\r\nPLAIN=$x\n\n   LAST=enc(FILE_A)'
)
AFTER = BEFORE.replace(b"sentinel-4711", b"secret(FILE_A)").replace(b"enc(", b"secret(")

pytestmark = pytest.mark.usefixtures("node")


def mode_of(file: str) -> int:
    return stat.S_IMODE(Path(file).stat().st_mode)


def command(*args: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tvault", "env", *args],
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, **environ},
    )


def put(**values: str) -> None:
    with Vault.from_env() as vault:
        for name, value in values.items():
            vault.put_secret(name, value)


def held(name: str) -> str:
    with Vault.from_env() as vault:
        return vault.get_secret(name).value


def test_marked_values_become_secrets_and_every_other_byte_stays(tvault: CommandLine) -> None:
    Path(".env").write_bytes(BEFORE)
    ran = tvault("env", "encrypt", ".env")
    assert (ran.code, ran.out) == (0, AFTER)
    assert ran.err.startswith("stored: FILE_A (version ")
    assert held("FILE_A") == SENTINEL
    assert Path(".env").read_bytes() == BEFORE, "FILE stays as it is"
    assert os.listdir() == [".env"]  # noqa: PTH208
    from_stdin = command("encrypt", "-", stdin=BEFORE)
    assert (from_stdin.returncode, from_stdin.stdout) == (0, AFTER)


def test_what_was_encrypted_expands_to_the_same_values(tvault: CommandLine) -> None:
    Path(".env").write_bytes(BEFORE)
    assert tvault("env", "encrypt", ".env", "-o", "out.env").code == 0
    assert (mode_of("out.env"), Path("out.env").read_bytes()) == (0o600, AFTER)
    ran = tvault("env", "expand", "out.env", "--format", "json")
    assert ran.document == {
        "FILE_A": SENTINEL,
        "URL": f"postgres://u:{SENTINEL}@h",
        "PLAIN": "$x",
        "LAST": SENTINEL,
    }
    assert tvault("env", "expand", "out.env").out == command("expand", "-", stdin=AFTER).stdout


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_in_place_the_file_keeps_its_mode_and_is_written_through_a_link(
    tvault: CommandLine, mode: int
) -> None:
    Path("d").mkdir()
    Path("d/real.env").write_bytes(BEFORE)
    Path("d/real.env").chmod(mode)
    Path(".env").symlink_to("d/real.env")
    ran = tvault("env", "encrypt", ".env", "--in-place")
    assert (ran.code, ran.out) == (0, b"")
    assert Path(".env").is_symlink()
    assert (Path("d/real.env").read_bytes(), mode_of("d/real.env")) == (AFTER, mode)
    assert os.listdir("d") == ["real.env"]  # noqa: PTH208


def test_in_place_the_file_keeps_its_owner(tvault: CommandLine) -> None:
    if os.getuid() != 0:  # only root can give a file away
        return
    Path(".env").write_bytes(BEFORE)
    os.chown(".env", 1234, 2345)
    assert tvault("env", "encrypt", ".env", "--in-place").code == 0
    found = Path(".env").stat()
    assert (found.st_uid, found.st_gid) == (1234, 2345)


def test_in_place_a_second_time_changes_nothing_and_writes_nothing(tvault: CommandLine) -> None:
    Path(".env").write_bytes(BEFORE)
    assert tvault("env", "encrypt", ".env", "--in-place").code == 0
    before = Path(".env").stat()
    again = tvault("env", "encrypt", ".env", "--in-place")
    assert (again.code, again.err) == (0, ".env holds no enc(NAME): nothing is stored\n")
    after = Path(".env").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_in_place_a_file_with_other_names_is_refused_as_they_would_keep_the_values(
    tvault: CommandLine, node: Node
) -> None:
    Path(".env").write_bytes(BEFORE)
    Path("other").hardlink_to(".env")
    node.events.clear()
    ran = tvault("env", "encrypt", ".env", "--in-place")
    assert ran.code == 2
    assert "it has 2 names" in ran.err
    assert Path(".env").read_bytes() == BEFORE
    assert node.events == [], "nothing is asked of the vault"


def test_a_file_that_was_changed_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    Path(".env").write_bytes(BEFORE)
    source = read_source(".env")
    changes: list[Callable[[], object]] = [
        lambda: Path(".env").write_bytes(b"A=other\n"),
        lambda: os.replace(tmp_path / "new", ".env"),  # noqa: PTH105
    ]
    Path("new").write_bytes(BEFORE)
    for change in changes:
        change()
        now = Path(".env").read_bytes()
        with pytest.raises(VaultError, match="it was changed meanwhile"):
            write_back(source, "A=secret(A)\n")
        assert Path(".env").read_bytes() == now
        assert os.listdir() == [".env"] or sorted(os.listdir()) == [".env", "new"]  # noqa: PTH208


@pytest.mark.parametrize("where", [["--in-place"], ["-o", "out"], []])
def test_when_a_name_has_no_value_nothing_is_written_and_nothing_stored(
    tvault: CommandLine, where: list[str]
) -> None:
    content = b"A=enc(NOT_THERE_1)\nGOOD_1=sentinel-4711\nB=enc(GOOD_1)\nC=secret(NOT_THERE_2)\n"
    Path(".env").write_bytes(content)
    Path("out").write_bytes(b"old")
    ran = tvault("env", "encrypt", ".env", *where)
    assert (ran.code, ran.out) == (1, b"")
    assert ran.err == "tvault: .env: no value for NOT_THERE_1 (line 1), NOT_THERE_2 (line 4)\n"
    assert (Path(".env").read_bytes(), Path("out").read_bytes()) == (content, b"old")
    assert sorted(os.listdir()) == [".env", "out"]  # noqa: PTH208
    with pytest.raises(VaultError):
        held("GOOD_1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_the_file_whole(number: int) -> None:
    Path(".env").write_bytes(BEFORE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        args = [sys.executable, "-m", "tvault", "env", "encrypt", ".env", "--in-place"]
        with subprocess.Popen(args, env={**os.environ, "TVAULT_URL": url}) as process:
            connection, _ = silent.accept()
            process.send_signal(number)
            process.wait(10)
            connection.close()
    assert process.returncode in {128 + number, -number}
    assert (Path(".env").read_bytes(), os.listdir()) == (BEFORE, [".env"])  # noqa: PTH208


def test_a_full_disk_leaves_the_file_as_it_was_and_says_so(tvault: CommandLine) -> None:
    Path(".env").write_bytes(BEFORE)
    put(FILE_A=SENTINEL)
    ran = command("expand", "-", "-o", "/dev/full", stdin=AFTER)
    assert ran.returncode == 1
    assert ran.stderr.startswith(b"tvault: cannot write /dev/full: No space left")
    refused = tvault("env", "encrypt", ".env", "-o", "none/out")
    assert (refused.code, Path(".env").read_bytes()) == (1, BEFORE)


def test_nothing_is_written_over_the_file_itself_unless_it_is_asked_for(tvault: CommandLine) -> None:
    Path(".env").write_bytes(BEFORE)
    Path("link").symlink_to(".env")
    for verb, hint in (("encrypt", "give --in-place"), ("expand", "would be lost")):
        for out in (".env", "link", "./.env"):
            ran = tvault("env", verb, ".env", "-o", out)
            assert ran.code == 2
            assert hint in ran.err
    assert tvault("env", "encrypt", ".env", "-o", "x", "--in-place").code == 2
    assert tvault("env", "encrypt", "-", "--in-place").code == 2
    assert tvault("env", "encrypt", os.devnull, "--in-place").code == 2
    assert Path(".env").read_bytes() == BEFORE


def test_values_come_from_a_file_the_environment_or_a_prompt_and_never_from_arguments() -> None:
    Path(".env").write_bytes(b"A=enc(FROM_FILE)\nB=enc(FROM_ENV)\nFROM_FILE=loses\n")
    Path("values.json").write_text(json.dumps({"FROM_FILE": ODD, "UNUSED_1": "x"}))
    args = ["encrypt", ".env", "--values", "values.json", "--value-from-env", "FROM_ENV"]
    ran = command(*args, FROM_ENV=SENTINEL)
    assert (ran.returncode, ran.stdout) == (
        0,
        b"A=secret(FROM_FILE)\nB=secret(FROM_ENV)\nFROM_FILE=secret(FROM_FILE)\n",
    )
    assert (held("FROM_FILE"), held("FROM_ENV")) == (ODD, SENTINEL)


def test_a_value_that_is_asked_for_is_typed_twice_and_not_shown() -> None:
    Path(".env").write_bytes(b"A=enc(TYPED_1)\n")
    with terminal(["env", "encrypt", ".env", "--in-place", "--ask", "TYPED_1"], 80) as screen:
        screen.answer(b"Value of TYPED_1: ", SENTINEL.encode() + b"\n")
        screen.answer(b"The same again: ", SENTINEL.encode() + b"\n")
        assert screen.read_to_end() == 0
        assert SENTINEL.encode() not in screen.seen
    without = ["setsid", sys.executable, "-m", "tvault", "env", "encrypt", ".env", "--ask", "TYPED_1"]
    ran = subprocess.run(without, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert (ran.returncode, ran.stderr) == (2, b"tvault: --ask: there is no terminal to ask on\n")
    assert (held("TYPED_1"), Path(".env").read_bytes()) == (SENTINEL, b"A=secret(TYPED_1)\n")


BAD_VALUES = [
    '["sentinel-4711"]',
    '{"A":"sentinel-4711","B":1}',
    '{"A":"sentinel-4711","B":null}',
    '{"A":"sentinel-4711"',
    '{"A":"1","A":"sentinel-4711"}',
    '{"A":"sentinel-4711","B":' + "[" * 200_000,
]


@pytest.mark.parametrize("content", BAD_VALUES, ids=range(len(BAD_VALUES)))
def test_a_bad_file_of_values_is_refused_without_showing_it(content: str, tvault: CommandLine) -> None:
    Path(".env").write_bytes(b"A=enc(A)\n")
    Path("v").write_text(content)
    ran = tvault("env", "encrypt", ".env", "--values", "v")
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err == "tvault: --values: v is no JSON object of texts, each name once\n"
    Path("v").write_bytes(b"\xff" + content.encode())
    assert tvault("env", "encrypt", ".env", "--values", "v").err == "tvault: v line 1 is not UTF-8\n"


def test_a_variable_that_is_not_set_gives_no_value(tvault: CommandLine) -> None:
    Path(".env").write_bytes(b"A=enc(A)\n")
    ran = tvault("env", "encrypt", ".env", "--value-from-env", "NOT_SET_1")
    assert (ran.code, ran.err) == (2, "tvault: --value-from-env: not set: NOT_SET_1\n")


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("args", [("--value-from-env", "KEY=shown"), ("--values", '{"KEY":"shown"}')])
def test_a_value_in_the_place_of_a_name_is_not_shown(tvault: CommandLine, args: tuple[str, str]) -> None:
    Path(".env").write_bytes(BEFORE)
    ran = tvault("env", "encrypt", ".env", *args)
    assert ran.code == 2
    assert "shown" not in ran.err
    assert "change it" in ran.err


@pytest.mark.usefixtures("node")
def test_nothing_is_stored_when_its_file_cannot_be_written(tvault: CommandLine) -> None:
    Path(".env").write_bytes(b"A=enc(NEVER)\nNEVER=x\n")
    ran = tvault("env", "encrypt", ".env", "-o", "no/such/folder")
    assert ran.code == 1
    assert "cannot write no/such/folder" in ran.err
    assert tvault("secret", "get", "NEVER").code == 3


def test_expanded_values_are_for_their_owner_alone(tvault: CommandLine) -> None:
    put(X=SENTINEL)
    Path(".env").write_bytes(b"A=secret(X)\n")
    assert tvault("env", "expand", ".env", "-o", "new").err == ""
    assert (mode_of("new"), Path("new").read_bytes()) == (0o600, b"A=sentinel-4711\n")
    Path("old").touch(0o644)
    Path("old").chmod(0o644)
    assert "others can read it (mode 0644)" in tvault("env", "expand", ".env", "-o", "old").err


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_a_shell_gets_the_same_values_by_sourcing(shell: str, tvault: CommandLine) -> None:
    put(ODD=ODD, EMPTY="")
    Path(".env").write_bytes(b'A=secret(ODD)\nB="secret(ODD)x"\nC=secret(EMPTY)\nD=it\'s\n')
    assert tvault("env", "expand", ".env", "--format", "sh", "-o", "vars.sh").code == 0
    look = "import os, sys; sys.stdout.buffer.write(b'|'.join(os.environb[n.encode()] for n in 'ABCD'))"
    ran = subprocess.run(
        [shell, "-c", '. ./vars.sh; "$0" -c "$1"', sys.executable, look],
        capture_output=True,
        check=True,
    )
    assert ran.stdout.decode() == f"{ODD}|{ODD}x||it's"


def test_what_a_shell_cannot_hold_is_refused_by_name_and_json_holds_it(tvault: CommandLine) -> None:
    put(NUL="a\0b")
    Path(".env").write_bytes(b"A=secret(NUL)\nB.c=1\n")
    ran = tvault("env", "expand", ".env", "--format", "sh")
    assert (ran.code, ran.out) == (1, b"")
    assert "B.c" in ran.err
    assert tvault("env", "expand", ".env", "--format", "json").document == {"A": "a\0b", "B.c": "1"}


def test_nothing_is_expanded_when_a_name_has_no_value(tvault: CommandLine) -> None:
    put(X=SENTINEL)
    Path(".env").write_bytes(b"A=secret(X)\nB=secret(NOT_THERE_1)\nC=enc(X)\n")
    Path("out").write_bytes(b"old")
    ran = tvault("env", "expand", ".env", "-o", "out")
    assert (ran.code, ran.out, Path("out").read_bytes()) == (1, b"", b"old")
    assert "NOT_THERE_1 (line 2)" in ran.err
    assert SENTINEL not in ran.err


@pytest.mark.parametrize("verb", ["encrypt", "expand"])
def test_what_is_wrong_in_a_file_is_told_with_its_line(verb: str, tvault: CommandLine) -> None:
    for content, told in (
        (b"A=1\r\nB=\xff\r\n", "f.env line 2 is not UTF-8"),
        (b"\xff", "f.env line 1 is not UTF-8"),
        (b"A=1\n\nB=secret(no name)\n", "f.env: line 3: "),
    ):
        Path("f.env").write_bytes(content)
        ran = tvault("env", verb, "f.env")
        assert (ran.code, ran.out) == (1, b"")
        assert told in ran.err
    assert tvault("env", verb, "none").err == "tvault: cannot read none: No such file or directory\n"
    assert tvault("env", verb, ".").code == 2


def test_without_a_cluster_the_exit_code_is_4(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_bytes(BEFORE)
    with canned([Canned(200, b"<html>")]) as strange:
        monkeypatch.setenv("TVAULT_URL", strange.url)
        assert tvault("env", "encrypt", ".env", "--in-place").code == 4
    assert Path(".env").read_bytes() == BEFORE
    assert KEYS["alice"] not in Path(".env").read_text()
