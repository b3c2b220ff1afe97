"""One connection of a client: which part of its life it is in, and how far it gets without waiting.

A connection costs no thread while it says hello (TLS), sends its head, takes a large answer or, refused,
still sends: whoever holds it calls `advance`, and looks again once what that asks for has happened.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import socket
import ssl
import time
from typing import Any, Final, Protocol

import cheroot.server

from tvault.server.seldom import Seldom
from tvault.server.streams import Reader, Writer, open_stream

GREETING_SECONDS: Final = 10.0
"""How long a TLS handshake may take."""

HEAD_SECONDS: Final = 10.0
"""How long a head, with a small body, may take: from the moment the connection is there, or from its
first byte on one that was kept."""

IDLE_SECONDS: Final = 10.0
"""How long a connection is kept on which nothing comes."""

LINGER_MS: Final = 10
"""How long a thread waits on a connection for the next request, as long as threads are free: to hand the
connection back, and be woken again, costs about as much as a small request."""

DRAIN_BYTES: Final = 32 * 1024 * 1024
DRAIN_SECONDS: Final = 2.0
"""How much of a refused body is still taken off the wire, and for how long, before the connection is
closed.  Closing at once resets it, and a client that is still sending never sees why."""

_PIECE_BYTES: Final = 256 * 1024

_tell = Seldom(logging.getLogger("tvault.server"))


class Next(enum.Enum):
    """What it takes for a connection to go on."""

    READ = enum.auto()
    WRITE = enum.auto()
    WORK = enum.auto()
    CLOSE = enum.auto()


class Keeper(Protocol):
    """The server a connection belongs to."""

    @property
    def has_free_threads(self) -> bool:
        """Whether a thread may wait on a connection of its own."""

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""


class Connection(cheroot.server.HTTPConnection):
    """A connection, in the hands of one thread at a time.

    `since` is when it last began to wait, `due` when that has lasted too long, by `time.monotonic()`.
    """

    server: Keeper
    rfile: Reader
    wfile: Writer

    def __init__(self, server: Any, connection: socket.socket, _: object = None) -> None:
        super().__init__(server, connection, open_stream)
        self.ssl_env: dict[str, str] = {}
        self.drain_first = False
        self.is_known = False
        self.since = time.monotonic()
        self._is_greeting = isinstance(connection, ssl.SSLSocket)
        self._is_last = False
        self._is_draining = False
        self._is_closed = False
        self._drained = 0
        self._due = self.since + (GREETING_SECONDS if self._is_greeting else HEAD_SECONDS)
        self._is_asking = True

    @property
    def due(self) -> float:
        """When what it waits for must have happened."""
        return self.wfile.due if self.wfile.left and not self._is_draining else self._due

    @property
    def worth(self) -> tuple[int, float]:
        """What is lost when it is closed now: the least is closed first when there are too many."""
        if self.wfile.left:
            return 2, self.since
        return int(self.is_known and not self._is_draining), self.since

    @property
    def is_late_request(self) -> bool:
        """Whether it is part of a request that it waits for."""
        return not (self.wfile.left or self._is_draining or self._is_greeting) and self.rfile.has_data()

    def advance(self) -> Next:
        """Go on as far as that takes no waiting."""
        try:
            if self._is_greeting:
                return self._greet()
            if self._is_draining:
                return self._drain()
            if not self.wfile.push():
                return Next.WRITE
            if not self._is_last:
                return self._listen()
            return self._begin_to_drain() if self.drain_first else Next.CLOSE
        except OSError:
            return Next.CLOSE

    def communicate(self) -> bool:
        """Serve the request that is there, and those that follow at once, by a worker's thread.

        Whether somebody must `advance` it further.
        """
        while True:
            self._is_last = not super().communicate()  # type: ignore[no-untyped-call]
            self.since = time.monotonic()
            self._due = self.since + IDLE_SECONDS
            self._is_asking = False
            self.is_known = True
            if self._is_last or self.wfile.left:
                return self.drain_first or bool(self.wfile.left)
            if not (self.server.has_free_threads and self._has_next()):
                return True

    def refuse(self, status: str) -> None:
        """Answer, as far as that goes without waiting, that the request is refused; it is the last."""
        self.RequestHandlerClass(self.server, self).simple_response(status, seconds=0)
        self._is_last = True

    def finish(self, seconds: float) -> None:
        """Send what is left of an answer, for so long at most, and close."""
        with contextlib.suppress(OSError):
            self.wfile.flush(seconds)
        self.close()

    def close(self) -> None:
        """Close it, whatever is left."""
        if self._is_closed:
            return
        self._is_closed = True
        self.rfile.close()
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self.socket, ssl.SSLSocket) and not self._is_greeting:
                self.socket.unwrap()  # says goodbye, and does not wait for the same
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.server.forget(self)

    def _greet(self) -> Next:
        assert isinstance(self.socket, ssl.SSLSocket)
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            return Next.READ
        except ssl.SSLWantWriteError:
            return Next.WRITE
        except (ssl.SSLEOFError, ConnectionError):  # whoever only looks whether the port is there
            return Next.CLOSE
        except OSError:
            _tell.info("a connection was closed: no TLS was agreed on with its other side")
            return Next.CLOSE
        self._is_greeting = False
        self._due = time.monotonic() + HEAD_SECONDS
        return self._listen()

    def _listen(self) -> Next:
        reader = self.rfile
        if not reader.has_request():
            reader.fill()
        if reader.has_request():
            return Next.WORK
        if reader.has_ended:
            return Next.CLOSE
        if not self._is_asking and reader.has_data():
            self._is_asking = True
            self._due = time.monotonic() + HEAD_SECONDS
        return Next.READ

    def _has_next(self) -> bool:
        """Whether the next request comes while a thread may wait for it."""
        reader = self.rfile
        with contextlib.suppress(OSError):
            while not reader.has_request():
                if not reader.wait(LINGER_MS):
                    return False
                before = reader.buffered
                reader.fill()
                if reader.buffered == before or not reader.has_head():
                    return reader.has_request()
            return True
        return False

    def _begin_to_drain(self) -> Next:
        self.socket.shutdown(socket.SHUT_WR)
        self._is_draining = True
        self._due = time.monotonic() + DRAIN_SECONDS
        return self._drain()

    def _drain(self) -> Next:
        try:
            # Below TLS, which cannot read once its sending side has ended: nobody wants what comes.
            piece = socket.socket.recv(self.socket, _PIECE_BYTES)
        except BlockingIOError:
            return Next.READ
        self._drained += len(piece)
        return Next.READ if piece and self._drained < DRAIN_BYTES else Next.CLOSE
