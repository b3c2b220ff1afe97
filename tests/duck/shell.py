"""`tvault duckdb-attach` for tests: run to its end, or typed at."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa

from tests.cluster.cluster import Cluster
from tests.unit.cli.running import CommandLine

VALUES = [f"value {number}" for number in range(40)]
"""What the tokens in the usual database stand for."""

UNKNOWN = "tv1_1_" + "0" * 32
PROMPT = b"tvault> "
SECONDS = 60.0
PIECE = 65_536


@dataclass(frozen=True)
class Shell:
    """Starts the command on a cluster, as A, with `folder` as its current one."""

    cluster: Cluster
    folder: Path
    changed: Mapping[str, str]

    def __call__(self, *args: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end; it never shows a traceback."""
        ran = subprocess.run(
            self.command(*args),
            env=self.environment,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        assert "nanobind" not in ran.stderr, ran.stderr
        return ran

    def start(self, *args: object, stdout: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """Start it, with pipes."""
        return subprocess.Popen(
            self.command(*args),
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    @staticmethod
    def command(*args: object) -> list[str]:
        return [sys.executable, "-m", "tvault", "duckdb-attach", *map(str, args)]

    @property
    def environment(self) -> dict[str, str]:
        told = {"TVAULT_CONFIG": str(self.cluster.config), "TVAULT_API_KEY": self.cluster.keys["A"]}
        return {**os.environ, **told, **self.changed}

    @contextmanager
    def typed(self, *args: object, stdout: IO[bytes] | None = None) -> Iterator[Typed]:
        """Start it on a terminal; its stdout is that, too, unless it is given."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            ["setsid", "--ctty", *self.command(*args)],
            env=self.environment | {"TERM": "xterm"},
            cwd=self.folder,
            stdin=slave,
            stdout=stdout or slave,
            stderr=slave,
        )
        os.close(slave)
        try:
            yield Typed(process, master)
        finally:
            process.kill()
            process.wait()
            os.close(master)


@dataclass(frozen=True)
class Inside:
    """Runs the command in this process, which spares its start."""

    run: CommandLine

    def __call__(self, *args: object) -> subprocess.CompletedProcess[str]:
        ran = self.run("duckdb-attach", *args)
        return subprocess.CompletedProcess([], ran.code, ran.out.decode(), ran.err)


@dataclass
class Typed:
    """A terminal with the command on it."""

    process: subprocess.Popen[bytes]
    master: int
    seen: bytes = b""
    _answered: int = 0

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def until(self, text: bytes) -> str:
        """Read until `text` comes after what was last read so; all up to it."""
        deadline = time.monotonic() + SECONDS
        while text not in self.seen[self._answered :]:
            assert time.monotonic() < deadline, self.seen[self._answered :]
            assert self._read(), self.seen[self._answered :]
        end = self.seen.index(text, self._answered) + len(text)
        read, self._answered = self.seen[self._answered : end], end
        return read.decode()

    def ask(self, line: str) -> str:
        """Type a line at the prompt; all that stands there until the next one."""
        self.type(line + "\n")
        return self.until(PROMPT)

    def interrupt(self) -> None:
        """Press Ctrl-C until the prompt comes: one that falls between the prompt and the reading of
        keys is not heard."""
        for _ in range(round(SECONDS)):
            self.type("\x03")
            again = time.monotonic() + 3.0
            while time.monotonic() < again:
                if PROMPT in self.seen[self._answered :]:
                    self.until(PROMPT)
                    return
                assert self._read()
        raise AssertionError(self.seen[self._answered :])

    def ended(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(SECONDS)

    def _read(self) -> bool:
        if not select.select([self.master], [], [], 1.0)[0]:
            return True
        try:
            piece = os.read(self.master, PIECE)
        except OSError:  # the other side is closed
            return False
        self.seen += piece
        return bool(piece)


def make_database(file: Path, **tables: dict[str, list[object]]) -> Path:
    """A DuckDB file with these tables of columns."""
    with duckdb.connect(str(file)) as connection:
        for name, columns in tables.items():
            connection.register("given", pa.table(columns))
            connection.execute(f'CREATE TABLE "{name}" AS FROM given')
            connection.unregister("given")
    return file


@contextmanager
def silent() -> Iterator[tuple[str, socket.socket]]:
    """A node that takes requests and never answers: its address, and where a request shows."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", listening
