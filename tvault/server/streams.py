"""What is read and written of a connection: little Python code for each request, one packet an answer,
and no wait without an end.

Sockets never block.  Who waits asks the kernel first, and only for so long: a body, or an answer, that
is carried slower than `SLOW_BYTES` a second after its first `SLOW_SECONDS` is given up.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from typing import Final

READ_BYTES: Final = 16 * 1024
"""What is taken off the wire at once, unless more is asked for: a small request with its head."""

HEADER_BYTES: Final = 32 * 1024
"""Most bytes of a request line and its headers together."""

SMALL_BODY: Final = 16 * 1024
"""A body up to this is waited for together with its head, so that no thread waits for it."""

SILENCE_SECONDS: Final = 10
"""Longest silence in a stream that has no pace."""

SLOW_SECONDS: Final = 10.0
SLOW_BYTES: Final = 64 * 1024

PATIENCE_SECONDS: Final = 0.1
"""How long a thread waits for a client to take its answer; what is left then is sent without one."""

_PIECE_BYTES: Final = 256 * 1024
"""Most that is taken off the wire at once of a body."""

_RECORD_BYTES: Final = 64 * 1024
"""What TLS is given at once: it tells of no progress before all it was given is gone."""

_END_OF_HEAD: Final = b"\r\n\r\n"
_FIRST_BYTES: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\r")


def latest(began: float, carried: int) -> float:
    """When more must have come of something of which `carried` bytes have, by `time.monotonic()`."""
    return began + SLOW_SECONDS + carried / SLOW_BYTES


class TlsSocket(ssl.SSLSocket):
    """A socket under TLS whose `shutdown`, by any thread, leaves it one: the class it derives from goes
    on in plaintext."""

    def shutdown(self, how: int) -> None:
        """Shut down the connection below."""
        socket.socket.shutdown(self, how)


class Reader:
    """What comes in: a head is collected without waiting, a body may be waited for."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._coming = select.poll()
        self._coming.register(connection, select.POLLIN)
        self._kept = b""
        self._at = 0
        self._seen = 0
        self._end_of_head = 0
        self._end_of_small = 0
        self._began: float | None = None
        self.taken = 0
        self.has_ended = False
        self.closed = False

    def close(self) -> None:
        """Nothing more is read."""
        self.closed = True

    @property
    def buffered(self) -> int:
        """How many bytes were taken off the wire and not read yet."""
        return len(self._kept) - self._at

    def has_data(self) -> bool:
        """Whether there is something that came together with what was read before.  Never waits."""
        return self.buffered > 0

    def hasten(self) -> None:
        """From now on what is read must come at the pace of `latest`, until `relax`."""
        self._began = time.monotonic()
        self.taken = 0

    def relax(self) -> None:
        """From now on only silence is too slow."""
        self._began = None

    def fill(self) -> None:
        """Take off the wire what is there, as far as it is needed to see a head.  Never waits.

        Raises `OSError` when the connection is broken.
        """
        try:
            piece = self._connection.recv(READ_BYTES)
            if not isinstance(self._connection, ssl.SSLSocket):
                self._keep(piece)
                return
            while piece:  # what TLS has decrypted no poll would tell of
                self._keep(piece)
                if self.buffered > HEADER_BYTES + SMALL_BODY:
                    return
                piece = self._connection.recv(READ_BYTES)
            self._keep(piece)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return

    def wait(self, milliseconds: int) -> bool:
        """Whether something comes, or the end, so soon."""
        if isinstance(self._connection, ssl.SSLSocket) and self._connection.pending():
            return True
        return bool(self._coming.poll(milliseconds))

    def has_head(self) -> bool:
        """Whether a whole head is there.  Never waits."""
        if self._end_of_head:
            return True
        end = self._kept.find(_END_OF_HEAD, max(self._at, self._seen - 3))
        self._seen = len(self._kept)
        if end < 0:
            return False
        self._end_of_head = end + len(_END_OF_HEAD)
        self._end_of_small = self._end_of_head + _small_length(self._kept[self._at : end + 2])
        return True

    def has_request(self) -> bool:
        """Whether a head is there, and its body if that is small, or what can be no request any more.
        Never waits."""
        if self.has_head():
            return len(self._kept) >= self._end_of_small or self.has_ended
        return self.buffered > 0 and (
            self.has_ended
            or self.buffered > HEADER_BYTES
            or self._kept[self._at] not in _FIRST_BYTES
            or self._kept.count(b"\n", self._at) != self._kept.count(b"\r\n", self._at)
        )

    def take_head(self) -> bytes:
        """The head, or all there is when it is none."""
        end = self._end_of_head or len(self._kept)
        head = self._kept[self._at : end]
        self._at = end
        self._end_of_head = self._seen = 0
        return head

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end of the stream.

        Raises `TimeoutError` when it does not come in time, `OSError` when the connection is broken.
        """
        if size <= self.buffered:
            return self._take(size)
        whole = bytearray(self._take(self.buffered))
        while len(whole) < size:
            piece = self._receive(min(size - len(whole), _PIECE_BYTES))
            if not piece:
                break
            whole += piece
        return bytes(whole)

    def readline(self, size: int) -> bytes:
        """Up to a line feed, at most `size` bytes.  Raises as `read` does."""
        while True:
            end = self._kept.find(b"\n", self._at) + 1
            if end or self.buffered >= size or self.has_ended:
                return self._take(min(size, (end or len(self._kept)) - self._at))
            self._keep(self._receive(READ_BYTES))

    def _keep(self, piece: bytes) -> None:
        self.has_ended = self.has_ended or not piece
        if self._at:
            self._kept = self._kept[self._at :] + piece
            self._seen = max(0, self._seen - self._at)
            self._end_of_head = max(0, self._end_of_head - self._at)
            self._end_of_small = max(0, self._end_of_small - self._at)
            self._at = 0
        else:
            self._kept += piece

    def _take(self, size: int) -> bytes:
        piece = self._kept[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _receive(self, size: int) -> bytes:
        """Some bytes, as soon as there are any; none at the end."""
        while (piece := self._receive_now(size)) is None:
            seconds: float = SILENCE_SECONDS
            if self._began is not None:
                seconds = latest(self._began, self.taken) - time.monotonic()
            if seconds <= 0 or not self._coming.poll(seconds * 1000):
                raise TimeoutError("timed out")
        self.taken += len(piece)
        return piece

    def _receive_now(self, size: int) -> bytes | None:
        """The same without waiting: None when nothing is there."""
        try:
            return self._connection.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None  # TLS, in reading, writes only answers of a few bytes: there is always room
        except ssl.SSLError:
            raise ConnectionResetError(errno.ECONNRESET, "the connection broke") from None


def _small_length(head: bytes) -> int:
    """How long the body of a head is, if it is small, and sent without being asked for."""
    head = head.lower()
    _, found, rest = head.partition(b"\r\ncontent-length:")
    length = rest[:8].partition(b"\r")[0].strip(b" \t")
    if not found or not length.isdigit() or b"\r\nexpect:" in head:
        return 0
    return int(length) if int(length) <= SMALL_BODY else 0


class Writer:
    """What goes out: kept until `flush`, so that head and body of an answer leave together."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._kept: list[bytes] = []
        self._left = memoryview(b"")
        self._piece = _RECORD_BYTES if isinstance(connection, ssl.SSLSocket) else None
        self._began = 0.0
        self._sent = 0

    @property
    def left(self) -> int:
        """How many bytes were to be sent and are not."""
        return len(self._left)

    @property
    def due(self) -> float:
        """When more must have gone, by `time.monotonic()`."""
        return latest(self._began, self._sent)

    def rate(self, now: float) -> float:
        """Bytes of the answer that went in a second, until now."""
        return self._sent / max(now - self._began, 0.001)

    def write(self, data: bytes) -> int:
        """Keep `data` for the next `flush`."""
        self._kept.append(data)
        return len(data)

    def flush(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Send what was kept, for so long at most; then some is `left`, and `push` goes on.

        Raises `OSError`; the connection is then of no more use.
        """
        if self._kept:
            data = [bytes(self._left), *self._kept] if self._left else self._kept
            self._left = memoryview(data[0] if len(data) == 1 else b"".join(data))
            self._kept = []
            self._sent = 0
        if not self._left or self.push():
            return
        self._began = time.monotonic()
        until = self._began + seconds
        going = select.poll()
        going.register(self._connection, select.POLLOUT)
        while (left := until - time.monotonic()) > 0 and going.poll(left * 1000):
            if self.push():
                return

    def push(self) -> bool:
        """Send what goes without waiting.  Whether nothing is left.  Raises `OSError`."""
        try:
            while self._left:
                sent = self._connection.send(self._left[: self._piece])
                self._left = self._left[sent:]
                self._sent += sent
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False
        except ssl.SSLError:
            raise BrokenPipeError(errno.EPIPE, "the connection broke") from None
        return True


def open_stream(connection: socket.socket, mode: str, _: int = 0) -> Reader | Writer:
    """The reader (mode `rb`) or writer of a connection, as cheroot asks for them."""
    return Reader(connection) if "r" in mode else Writer(connection)
