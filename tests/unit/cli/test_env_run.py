"""`tvault env run` with real children, against a real client API."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.cli.terminal import INTERRUPT, terminal
from tests.unit.client.canned import Canned, canned
from tests.unit.server.serving import KEYS, Node, serving
from tvault.client.vault import Vault

SENTINEL = "sentinel-4711"
ODD = "é \U0001f511 \x1b[0m\t\r\n'\"$HOME `id` $(id) #\\n\\ \ufeff\n\n"
"""A value that reaches the child as it is, or something on the way is not exact."""

PRINT = "import os, sys, json; json.dump({k: os.environ.get(k) for k in sys.argv[1:]}, sys.stdout)"
WAIT = """
import os, signal, sys
def tell(number, frame):
    os.write(1, b"got %d\\n" % number)  # `print` may be under way when the signal comes
    sys.exit(number)
for number in map(int, sys.argv[1:]):
    signal.signal(number, tell)
print("ready", os.getpid(), flush=True)
while True:
    signal.pause()
"""
WAIT_ON_SCREEN = """
import os, signal, sys
def tell(number, frame):
    os.write(2, b"got %d\\n" % number)
    sys.exit(number)
signal.signal(signal.SIGINT, tell)
print("ready", file=sys.stderr, flush=True)
print(flush=True)
while True:
    signal.pause()
"""
STARTED = ["touch", "started"]


def tvault_env_run(*args: str) -> list[str]:
    return [sys.executable, "-m", "tvault", "env", "run", *args]


def run(*args: str, stdin: bytes = b"", **environ: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        tvault_env_run(*args),
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, **environ},
    )


def seen_by_child(*args: str, names: str, **environ: Any) -> dict[str, str | None]:
    """The variables of these names in the environment of a child."""
    ran = run(*args, "--", sys.executable, "-c", PRINT, *names.split(","), **environ)
    assert (ran.returncode, ran.stderr) == (0, b"")
    found: dict[str, str | None] = json.loads(ran.stdout)
    return found


def refused(*args: str, code: int = 1, **environ: Any) -> str:
    """What is said by a run that starts no child."""
    ran = run(*args, "--", *STARTED, **environ)
    assert (ran.returncode, ran.stdout) == (code, b"")
    assert not Path("started").exists()
    assert SENTINEL.encode() not in ran.stderr
    return ran.stderr.decode()


@pytest.fixture(scope="module")
def served() -> Iterator[Node]:
    with serving() as node:
        with Vault([node.url], KEYS["alice"]) as vault:
            vault.put_secret("ODD", ODD)
            vault.put_secret("DB", SENTINEL)
            vault.put_secret("EMPTY", "")
            vault.put_secret("NUL", f"{SENTINEL}\0")
            vault.put_secret("LONG", "x" * 200_000)
        yield node


@pytest.fixture
def secrets(served: Node, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node with the secrets ODD, DB, EMPTY, NUL and LONG, which commands find in the environment."""
    monkeypatch.setenv("TVAULT_URL", served.url)
    monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
    return served


@pytest.mark.usefixtures("secrets")
def test_values_reach_the_child_exactly_however_the_file_quotes_them() -> None:
    Path(".env").write_bytes(
        b"\xef\xbb\xbfA=secret(ODD)\r\nexport B='secret(ODD)'\nC=\"<secret(ODD)>\" # c\n"
        b"D=secret(EMPTY)\nE=$HOME\nF\nG='a'\nG=last"
    )
    assert seen_by_child(".env", names="A,B,C,D,E,F,G") == {
        "A": ODD,
        "B": ODD,
        "C": f"<{ODD}>",
        "D": "",
        "E": "$HOME",
        "F": None,
        "G": "last",
    }


def test_everything_is_fetched_by_one_call(secrets: Node) -> None:
    Path(".env").write_text("".join(f"A{n}=secret(DB)\nB{n}=secret(EMPTY)\n" for n in range(100)))
    secrets.events.clear()
    assert seen_by_child(".env", names="A99,B0") == {"A99": SENTINEL, "B0": ""}
    assert [name for name, _ in secrets.events] == ["env-expand"]


def test_a_file_without_references_needs_no_cluster_and_no_key() -> None:
    Path(".env").write_text("A=1\n")
    assert seen_by_child(".env", names="A") == {"A": "1"}


@pytest.mark.usefixtures("secrets")
def test_the_environment_is_the_inherited_one_with_the_variables_of_the_file() -> None:
    Path(".env").write_text("A=secret(DB)\nB=new\n")
    inherited = {"B": "old", "C": "kept", "TVAULT_URL": os.environ["TVAULT_URL"], "X.y": "\udce9"}
    given = {**inherited, "TVAULT_API_KEY": KEYS["alice"]}
    command = [*tvault_env_run(".env", "--"), "env", "-0"]
    ran = subprocess.run(command, capture_output=True, check=True, env=given | path())
    found = dict(line.split(b"=", 1) for line in ran.stdout.split(b"\0") if line)
    expected = inherited | path() | {"A": SENTINEL, "B": "new"}
    assert found == {os.fsencode(name): os.fsencode(value) for name, value in expected.items()}


def path() -> dict[str, str]:
    return {"PATH": os.environ["PATH"]}


@pytest.mark.usefixtures("secrets")
def test_the_child_gets_the_api_key_only_when_it_is_allowed_by_name() -> None:
    Path(".env").write_text("A=secret(DB)\n")
    name = "TVAULT_API_KEY"
    assert seen_by_child(".env", names=name) == {name: None}
    assert seen_by_child(".env", "--allow", name, names=name) == {name: KEYS["alice"]}
    Path("own.env").write_text(f"{name}=secret(DB)\n")
    assert seen_by_child("own.env", names=name) == {name: SENTINEL}


@pytest.mark.usefixtures("secrets")
def test_no_child_starts_unless_every_name_resolves_and_all_that_do_not_are_told_at_once() -> None:
    Path(".env").write_text("A=secret(DB)\n# c\nB=secret(NONE)\nC=secret(OTHER)secret(NONE)\nD=enc(A)\n")
    told = refused(".env")
    assert told.startswith("tvault: .env: no value for NONE (line 3), OTHER (line 4), A (line 5)")


@pytest.mark.usefixtures("secrets")
def test_only_the_chosen_variables_are_set_and_only_they_must_resolve() -> None:
    Path(".env").write_text("A=secret(DB)\nB=secret(NONE)\nC=1\nPATH=/x\nA=secret(DB)-last\n")
    found = seen_by_child(".env", "--only", "A, C", names="A,B,C")
    assert found == {"A": f"{SENTINEL}-last", "B": None, "C": "1"}
    assert seen_by_child(".env", "--only", "A", "--only", "C", names="A,B,C") == found
    assert refused(".env", "--only", "A,X,Y", code=2) == "tvault: --only: .env sets no X, Y\n"
    assert "no value for NONE (line 2)" in refused(".env", "--only", "B,C")


CHANGERS = ["LD_PRELOAD", "PYTHONPATH", "NODE_OPTIONS", "PATH", "BASH_ENV", "NPM_CONFIG_SHELL", "HOME"]


def test_variables_that_change_how_programs_run_are_refused_by_name_before_any_call() -> None:
    Path(".env").write_text("A=secret(DB)\n" + "".join(f"{name}=x\n" for name in CHANGERS))
    with canned([Canned(200)]) as node:
        environ: dict[str, Any] = {"TVAULT_URL": node.url, "TVAULT_API_KEY": "k"}
        assert f".env: {', '.join(CHANGERS)} would change" in refused(".env", **environ)
        told = refused(".env", "--allow", "PATH,X", "--allow", "LD_PRELOAD", **environ)
        assert ".env: PYTHONPATH, NODE_OPTIONS, BASH_ENV, NPM_CONFIG_SHELL, HOME would" in told
        assert node.seen == []


def test_a_changer_that_is_allowed_by_name_or_not_chosen_is_no_matter() -> None:
    Path(".env").write_text("A=1\nPYTHONPATH=/x\nPYTHONUNBUFFERED=1\n")
    assert seen_by_child(".env", "--only", "A,PYTHONUNBUFFERED", names="A") == {"A": "1"}
    found = seen_by_child(".env", "--allow", "PYTHONPATH", names="PYTHONPATH,PYTHONUNBUFFERED")
    assert found == {"PYTHONPATH": "/x", "PYTHONUNBUFFERED": "1"}


@pytest.mark.usefixtures("secrets")
def test_what_no_environment_can_hold_is_refused_by_name() -> None:
    Path(".env").write_text("A=secret(DB)\nB=secret(NUL)\n'X=Y'=secret(DB)\n")
    assert "X=Y" in refused(".env")
    Path(".env").write_text("A=secret(DB)\nB=secret(NUL)\n")
    assert "NUL character: B" in refused(".env")
    Path(".env").write_text("A=secret(DB)\nB=secret(LONG)\n")
    assert refused(".env", code=126) == "tvault: cannot run touch: no variable may be as long as B\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"A=1\nthis is not one\n", "line 2"),
        (b"A=1\n\nB=secret(\n", "line 3"),
        (b"A=1\nB='\xff'\n", "line 2 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_starts_nothing_and_the_line_is_told(
    content: bytes, told: str
) -> None:
    Path("f.env").write_bytes(content)
    for args in (("f.env",), ("f.env", "--only", "A")):
        said = refused(*args, TVAULT_API_KEY="k", TVAULT_URL="http://127.0.0.1:1")
        assert said.startswith("tvault: f.env")
        assert told in said


def test_a_command_that_is_not_there_or_cannot_be_run_has_the_exit_code_of_a_shell() -> None:
    Path(".env").write_text(f"A={SENTINEL}\n")
    Path("text").write_text("x")
    Path("lost").write_text("#!/no/such/interpreter\n")
    Path("lost").chmod(0o755)
    for command, code, said in (
        ("no-such-command", 127, "not found"),
        ("./none", 127, "not found"),
        ("./lost", 127, "its interpreter is not there"),
        ("./text", 126, "Permission denied"),
        (".", 126, "Permission denied"),
        ("", 127, "not found"),
    ):
        ran = run(".env", "--", command)
        assert (ran.returncode, ran.stdout) == (code, b"")
        assert ran.stderr.decode() == f"tvault: cannot run {command or repr('')}: {said}\n"


@pytest.mark.parametrize("code", [0, 1, 3, 42, 255])
def test_the_exit_code_is_that_of_the_child(code: int) -> None:
    Path(".env").write_text(f"A={code}\n")
    assert run(".env", "--", "sh", "-c", 'exit "$A"').returncode == code


def test_a_child_killed_by_a_signal_ends_so_for_the_caller_too() -> None:
    Path(".env").write_text("A=1\n")
    assert run(".env", "--", "sh", "-c", "kill -KILL $$").returncode == -signal.SIGKILL
    command = " ".join(tvault_env_run(".env", "--", "sh", "-c", "'kill -TERM $$'"))
    assert subprocess.run(["sh", "-c", f"{command}; exit $?"], check=False).returncode == 143


SIGNALS = [
    "SIGINT",
    "SIGTERM",
    "SIGHUP",
    "SIGQUIT",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
    "SIGTSTP",
    "SIGCONT",
]


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_reach_the_child(name: str) -> None:
    number = signal.Signals[name]
    Path(".env").write_text("A=1\n")
    command = tvault_env_run(".env", "--", sys.executable, "-c", WAIT, str(int(number)))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"ready {process.pid}\n".encode(), "it took our place"
        process.send_signal(number)
        assert process.stdout.readline() == f"got {int(number)}\n".encode()
        assert process.wait(10) == number


def test_keys_of_the_terminal_reach_the_child() -> None:
    Path(".env").write_text("A=1\n")
    with terminal(["env", "run", ".env", "--", sys.executable, "-c", WAIT_ON_SCREEN], 80) as screen:
        screen.read_until(b"ready")
        screen.type(INTERRUPT)
        assert screen.read_to_end() == signal.SIGINT
        assert b"got 2" in screen.seen


@pytest.mark.parametrize("trap", ["", "trap '' HUP INT; "])
def test_the_child_heeds_and_ignores_the_signals_that_the_caller_would_have_it(trap: str) -> None:
    Path(".env").write_text("A=1\n")
    look = "grep Sig[BI] /proc/self/status"  # what is blocked and ignored
    through = " ".join(tvault_env_run(".env", "--", look))
    direct, ours = (
        subprocess.run(["sh", "-c", trap + command], capture_output=True, check=True).stdout
        for command in (look, through)
    )
    assert ours == direct


@pytest.mark.usefixtures("secrets")
def test_values_stand_in_the_environment_of_the_child_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / ".env").write_text("A=secret(DB)\n")
    environ = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = tvault_env_run(".env", "--", sys.executable, "-c", WAIT, "15")
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, cwd=folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        place = Path(f"/proc/{process.pid}")
        assert SENTINEL in (place / "environ").read_text()
        assert SENTINEL not in (place / "cmdline").read_text()
        assert sorted(os.listdir(place / "fd"), key=int) == ["0", "1", "2"]  # noqa: PTH208
        assert os.listdir(folder) == [".env"]  # noqa: PTH208
        process.terminate()
    assert (folder / ".env").read_text() == "A=secret(DB)\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_while_it_waits_starts_nothing(number: int) -> None:
    Path(".env").write_text("A=secret(DB)\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = tvault_env_run(".env", "--", *STARTED)
        environ = {**os.environ, "TVAULT_URL": url, "TVAULT_API_KEY": "k"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environ) as process:
            connection, _ = silent.accept()
            process.send_signal(number)
            _, err = process.communicate(timeout=10)
            connection.close()
    assert process.returncode in {-number, 128 + number}
    assert b"Traceback" not in err
    assert not Path("started").exists()


def test_a_file_from_stdin_leaves_the_child_none_of_it_and_another_file_all(secrets: Node) -> None:
    ran = run("-", "--", "sh", "-c", 'echo "$A"; cat', stdin=b"A=secret(DB)\n")
    assert (ran.returncode, ran.stdout.decode()) == (0, f"{SENTINEL}\n")
    Path(".env").write_text("A=1\n")
    assert run(".env", "--", "cat", stdin=b"for the child").stdout == b"for the child"
    assert secrets.url


def test_mistakes_of_usage_start_nothing(tvault: CommandLine) -> None:
    Path(".env").write_text("A=secret(B)\n")
    assert tvault("env", "run", ".env").code == 2
    assert refused("none.env", code=2) == "tvault: cannot read none.env: No such file or directory\n"
    assert "no API key" in refused(".env", code=2)
    assert refused(".env", "--only", " ,", code=2) == "tvault: --only names no variable\n"
    assert refused("/dev/zero") == "tvault: /dev/zero is longer than 16777216 bytes\n"
    assert shutil.which("touch")
