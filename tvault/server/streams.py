"""What is read and written of a connection: little Python code for each request, one packet an answer.

cheroot's own reader and writer are in Python, and send the head of an answer before its body.
"""

from __future__ import annotations

import io
import socket
from typing import Any, Final

READ_BYTES: Final = 16 * 1024
"""What is taken off the wire at once, unless more is asked for: a small request with its head."""


class _Source(socket.SocketIO):
    """The connection below a `Reader`: `is_held` makes it look as if nothing had come."""

    is_held = False

    def readinto(self, buffer: Any) -> int | None:
        return None if self.is_held else super().readinto(buffer)


class Reader(io.BufferedReader):
    """What comes in."""

    def __init__(self, connection: socket.socket) -> None:
        self._source = _Source(connection, "r")
        super().__init__(self._source, READ_BYTES)

    def has_data(self) -> bool:
        """Whether there is something that came together with what was read before.  Never waits."""
        self._source.is_held = True
        try:
            return bool(self.peek(1))
        finally:
            self._source.is_held = False


class Writer:
    """What goes out: kept until `flush`, so that head and body of an answer leave together."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._kept: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep `data` for the next `flush`."""
        self._kept.append(data)
        return len(data)

    def flush(self) -> None:
        """Send what was kept.  Raises `OSError`; the connection is then of no more use."""
        if not self._kept:
            return
        left = memoryview(b"".join(self._kept))
        self._kept.clear()
        while left:
            left = left[self._connection.send(left) :]


def open_stream(connection: socket.socket, mode: str, _: int = 0) -> Reader | Writer:
    """The reader (mode `rb`) or writer of a connection, as cheroot asks for them."""
    return Reader(connection) if "r" in mode else Writer(connection)
