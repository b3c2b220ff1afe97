"""A terminal for a command to write its messages to, and a reader in no hurry for its output."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

INTERRUPT = b"\x03"
PIECE_BYTES = 4096
PACE_SECONDS = 0.03
"""So long it takes to read a piece of the output: the command waits for its reader, and its progress
can be seen."""


@dataclass
class Terminal:
    """What stands on it so far, as it was sent, and the command that writes to it."""

    process: subprocess.Popen[bytes]
    master: int
    output: int
    seen: bytes = b""
    got: bytes = field(default=b"", repr=False)
    _answered: int = 0

    def read_until(self, text: bytes) -> None:
        """Read until the command has written `text` to the terminal."""
        while text not in self.seen:
            assert self._read(), f"the command ended without {text!r}"

    def read_to_end(self) -> int:
        """Read until the command ends; its exit code."""
        while self._read():
            pass
        return self.process.wait()

    def _read(self) -> bool:
        """Take a piece of the output, and what comes to the terminal in the meantime."""
        piece = os.read(self.output, PIECE_BYTES)
        self.got += piece
        while select.select([self.master], [], [], PACE_SECONDS if piece else 0)[0]:
            try:
                shown = os.read(self.master, PIECE_BYTES)
            except OSError:  # the other side is closed; the output may hold more
                break
            self.seen += shown
        return bool(piece)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.master, keys)

    def answer(self, prompt: bytes, keys: bytes) -> None:
        """Wait until this prompt is the last that stands on the terminal, and press keys."""
        while not self.seen[self._answered :].endswith(prompt):
            self.seen += os.read(self.master, PIECE_BYTES)
        self._answered = len(self.seen)
        self.type(keys)

    @property
    def lines(self) -> list[str]:
        """What stood in the line one after the other, each of it drawn over the one before."""
        return self.seen.decode().split("\r\x1b[K")


@contextmanager
def terminal(
    args: Sequence[str], columns: int, *, stdin: IO[bytes] | None = None, kind: str = "xterm"
) -> Iterator[Terminal]:
    """A command whose stderr is a terminal, and its stdin as well unless it is given."""
    master, slave = pty.openpty()
    output, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIECE_BYTES)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "tvault", *args]
    if stdin is None:
        command = ["setsid", "--ctty", *command]  # keys typed there reach it as signals
    process = subprocess.Popen(
        command,
        stdin=stdin or slave,
        stdout=writing,
        stderr=slave,
        env={**os.environ, "TERM": kind},
    )
    os.close(slave)
    os.close(writing)
    try:
        yield Terminal(process, master, output)
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(output)
