"""What the commands and snippets of a page are typed into: a shell, a Python, and further terminals."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

SECONDS = 60.0
SHOWN_SECONDS = 30.0
END = "--- that was all:"

_PYTHON = f"""
import json, sys, traceback
namespace = {{"__name__": "__main__"}}
for line in sys.stdin:
    snippet = json.loads(line)
    code = 0
    try:
        text = "\\n" * (snippet["line"] - 1) + snippet["text"]
        exec(compile(text, snippet["page"], "exec"), namespace)
    except BaseException:
        traceback.print_exc()
        code = 1
    print("\\n{END}", code, flush=True)
"""


S = TypeVar("S", bound="Session")


class Session:
    """A process that is told one thing after the other, and whose answers end with a mark and a code."""

    def __init__(self, command: list[str], folder: Path, variables: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=variables | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def tell(self, line: str) -> tuple[str, int]:
        """What comes of it: all that is printed, and the code at the end."""
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(line.encode() + b"\n")
        stdin.flush()
        return self._answer()

    def _answer(self) -> tuple[str, int]:
        stdout = self._process.stdout
        assert stdout is not None
        told = b""
        deadline = time.monotonic() + SECONDS
        mark = f"\n{END} ".encode()
        while mark not in told or not told.endswith(b"\n"):
            ready, _, _ = select.select([stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"it did not end within {SECONDS:g} s\n{told.decode()}"
            more = os.read(stdout.fileno(), 65_536)
            assert more, f"the session has ended\n{told.decode()}"
            told += more
        text, code = told.decode().rsplit(mark.decode(), 1)
        return text, int(code)

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, and what it has left running."""
        os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()


class Shell(Session):
    """A bash that goes on from command to command: variables, folders and jobs stay."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        super().__init__(["bash", "--noprofile", "--norc"], folder, variables)
        self.tell(f"end_of_step() {{ printf '\\n{END} %d\\n' $1; return $1; }}; end_of_step 0")

    def type(self, command: str) -> tuple[str, int]:
        """What a command prints, stderr too, and its exit code, which the next one finds in `$?`."""
        return self.tell(f"eval {shlex.quote(command)} </dev/null; end_of_step $?")


class Python(Session):
    """A Python that goes on from snippet to snippet, with warnings as errors."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        super().__init__([sys.executable, "-W", "error", "-c", _PYTHON], folder, variables)

    def run(self, text: str, page: str, line: int) -> tuple[str, int]:
        """What a snippet prints, and 1 if it raised; its lines are those of the page."""
        return self.tell(json.dumps({"text": text, "page": page, "line": line}))


class Terminal:
    """A terminal of its own for a command that goes on running, as `tvault up` does."""

    def __init__(self, command: str, folder: Path, variables: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            shlex.split(command),
            cwd=folder,
            env=variables | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def until(self, is_enough: Callable[[list[str]], bool], what: str) -> None:
        """Read on until the lines that it has printed so far are enough."""
        stdout = self._process.stdout
        assert stdout is not None
        told = b""
        deadline = time.monotonic() + SHOWN_SECONDS
        while not is_enough(told.decode(errors="replace").splitlines()):
            ready, _, _ = select.select([stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{what} did not come within {SHOWN_SECONDS:g} s\n{told.decode()}"
            more = os.read(stdout.fileno(), 65_536)
            assert more, f"it has ended before {what} came\n{told.decode()}"
            told += more

    def end(self) -> None:
        """End it as a supervisor does; it ends well."""
        self._process.terminate()
        try:
            assert self._process.wait(SECONDS) == 0
        finally:
            self._process.kill()
            assert self._process.stdout is not None
            self._process.stdout.close()
