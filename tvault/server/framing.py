"""HTTP framing as strict as RFC 9112 asks, and a server with explicit limits, on cheroot's plumbing.

cheroot alone takes the last of two `Content-Length` headers, takes `Transfer-Encoding` beside one,
takes chunk sizes such as `-1`, leaves trailers in the stream, and keeps a connection open on which an
unread body would be taken for the next request.  Whatever leaves a doubt about where a request ends is
refused here with 400 and the connection is closed.
"""

from __future__ import annotations

import contextlib
import logging
import re
import select
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, Final, Protocol
from uuid import uuid4

import cheroot.server
import cheroot.wsgi

from tvault.errors import VaultError
from tvault.server.streams import open_stream
from tvault.wire import PROBLEM_TYPE, REQUEST_ID, STATUS, encode_json, problem

LISTEN_BACKLOG: Final = 256
KEPT_ALIVE: Final = 512
"""Most idle connections that are kept open."""

SOCKET_SECONDS: Final = 10
"""Longest wait for the next bytes of a request; an idle connection is closed after as long."""

LINGER_MS: Final = 10
"""How long a thread waits on a connection for the next request, as long as threads are free: to hand the
connection back, and be woken again, costs about as much as a small request."""

FREE_THREADS: Final = 2
"""Threads that wait on no connection, but for whatever comes."""

STOP_SECONDS: Final = 10
HEADER_BYTES: Final = 32 * 1024
"""Most bytes of a request line and its headers together."""

DRAIN_BYTES: Final = 32 * 1024 * 1024
DRAIN_SECONDS: Final = 2.0
"""How much of a refused body is still taken off the wire, and for how long, before the connection is
closed.  Closing at once resets it, and a client that is still sending never sees why."""

ABANDON: Final = "tvault.abandon"
"""In the environment of a request: a function after which nothing more is read of its connection."""

HANG_UP: Final = "tvault.hang_up"
"""In the environment of a request: a function for another thread, after which nothing more comes."""

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n]*)?\r\n")
_CHUNK_LINE_BYTES: Final = 256
_TRAILER_LINES: Final = 32
_SINGLE: Final = frozenset(
    {b"Authorization", b"Content-Length", b"Content-Type", b"Host", b"Transfer-Encoding"}
)

_log = logging.getLogger("tvault.server")


class FramingError(ValueError):
    """The bytes on the wire are not a request's body as HTTP/1.1 frames it, or they end too early."""


class ByteStream(Protocol):
    """What is read of a connection."""

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end of the stream."""

    def readline(self, size: int) -> bytes:
        """Up to a line feed, at most `size` bytes."""


class ChunkedBody:
    """A body in the chunked transfer coding: `wsgi.input` of such a request."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._left = 0
        self.ended = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the body, trailers then read as well.

        Raises `FramingError`.
        """
        if 0 < size <= self._left:
            return self._take(size)
        parts: list[bytes] = []
        while size > 0 and not self.ended:
            if self._left == 0:
                self._begin_chunk()
                continue
            part = self._take(min(self._left, size))
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _take(self, size: int) -> bytes:
        """Bytes of the chunk in hand, which has as many."""
        part = self._stream.read(size)
        if len(part) < size:
            raise FramingError("the body ends too early")
        self._left -= size
        if self._left == 0 and self._stream.read(2) != b"\r\n":
            raise FramingError("a chunk does not end where its size says")
        return part

    def _begin_chunk(self) -> None:
        match = _CHUNK_SIZE.fullmatch(self._stream.readline(_CHUNK_LINE_BYTES))
        if match is None:
            raise FramingError("a chunk has no size")
        self._left = int(match[1], 16)
        if self._left:
            return
        for _ in range(_TRAILER_LINES):
            line = self._stream.readline(HEADER_BYTES)
            if line == b"\r\n":
                self.ended = True
                return
            if not line.endswith(b"\r\n"):
                break
        raise FramingError("the trailers do not end")


class _HeaderReader(cheroot.server.HeaderReader):
    """Headers by the grammar of RFC 9112: no folding, no blank before the colon, nothing twice that
    must stand once.  A name with an underscore is dropped: in the environment it would look like
    another header.
    """

    def __call__(self, rfile: Any, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        headers: dict[bytes, bytes] = {} if hdict is None else hdict
        while True:
            line: bytes = rfile.readline()
            if line == b"\r\n":
                _check_body_headers(headers)
                return headers
            if not line.endswith(b"\r\n"):
                raise ValueError("The headers do not end.")
            name, colon, rest = line[:-2].partition(b":")
            value = rest.strip(b" \t")
            if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError("A line among the headers is no header.")
            if b"_" in name:
                continue
            name = name.title()
            if name in headers and name in _SINGLE:
                raise ValueError(f"The header {name.decode('ascii')} stands twice.")
            headers[name] = headers[name] + b", " + value if name in headers else value


def _check_body_headers(headers: dict[bytes, bytes]) -> None:
    length = headers.get(b"Content-Length")
    coding = headers.get(b"Transfer-Encoding")
    if length is not None and coding is not None:
        raise ValueError("Content-Length and Transfer-Encoding exclude each other.")
    if length is not None and not _LENGTH.fullmatch(length):
        raise ValueError("The Content-Length is no number.")
    if coding is not None and coding.lower() != b"chunked":
        raise ValueError("The only Transfer-Encoding is chunked.")


class _Request(cheroot.server.HTTPRequest):
    """A request whose refusals by the HTTP layer are problem documents like all others."""

    header_reader = _HeaderReader()

    def read_request_line(self) -> bool:
        try:
            return bool(super().read_request_line())  # type: ignore[no-untyped-call]
        except ValueError:  # a target that does not split, such as //[
            self.simple_response("400 Bad Request", "The request target is malformed.")
            return False

    def read_request_headers(self) -> bool:
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        if b"Transfer-Encoding" in self.inheaders and self.response_protocol != "HTTP/1.1":
            self.simple_response("400 Bad Request", "HTTP/1.0 has no Transfer-Encoding.")
            return False
        self.conn.wfile.flush()  # "100 Continue", where it was asked for
        return True

    def respond(self) -> None:
        super().respond()
        self.conn.wfile.flush()

    def simple_response(self, status: object, msg: str = "") -> None:
        refusal = _refusal(str(status)[:3], msg)
        self.close_connection = True
        self.conn.drain_first = True
        body = encode_json(problem(refusal))
        head = (
            f"HTTP/1.1 {STATUS[refusal.code]} {refusal.code}\r\n"
            f"Content-Type: {PROBLEM_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"Cache-Control: no-store\r\n{REQUEST_ID}: {uuid4().hex}\r\nConnection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            self.conn.wfile.write(head.encode("ascii") + body)
            self.conn.wfile.flush()


def _refusal(status: str, text: str) -> VaultError:
    if status in {"413", "414"}:
        members = {"limit": HEADER_BYTES, "limit_name": "header_bytes"}
        return VaultError("too_large", "The request line and headers are too long.", members=members)
    if status == "408":
        return VaultError("malformed", "The request did not arrive in time.")
    if status == "500":
        return VaultError("internal", "The request failed inside the server.")
    return VaultError("malformed", text or "The request is not HTTP/1.1 as this server takes it.")


class _Connection(cheroot.server.HTTPConnection):
    """A connection that keeps its thread for a moment after an answer: the next request may follow at
    once.  After a refusal it reads on for a while before it closes."""

    RequestHandlerClass = _Request
    drain_first = False

    def __init__(self, server: Server, connection: socket.socket, _: object) -> None:
        super().__init__(server, connection, open_stream)
        self._coming = select.poll()
        self._coming.register(connection, select.POLLIN)

    def communicate(self) -> bool:
        while super().communicate():  # type: ignore[no-untyped-call]
            if not (self.server.has_free_threads and self._has_next()):
                return True
        return False

    def _has_next(self) -> bool:
        return self.rfile.has_data() or bool(self._coming.poll(LINGER_MS))

    def close(self) -> None:
        if self.drain_first:
            self.drain_first = False
            with contextlib.suppress(OSError):
                _drain(self.socket)
        super().close()


def _drain(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    until = time.monotonic() + DRAIN_SECONDS
    taken = 0
    while taken < DRAIN_BYTES and (left := until - time.monotonic()) > 0:
        connection.settimeout(left)
        piece = connection.recv(256 * 1024)
        if not piece:
            return
        taken += len(piece)


class _Gateway(cheroot.wsgi.Gateway_10):
    """Hands the application a strict chunked body, and closes where its answer says so."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        if self.req.chunked_read:
            environ["wsgi.input"] = ChunkedBody(self.req.conn.rfile)
        environ[ABANDON] = self._abandon
        environ[HANG_UP] = self._hang_up
        return environ

    def _hang_up(self) -> None:
        """Whoever reads of the connection finds its end."""
        with contextlib.suppress(OSError):
            self.req.conn.socket.shutdown(socket.SHUT_RD)

    def _abandon(self) -> None:
        """Close the connection after the answer, whatever the other side still sends."""
        self.req.close_connection = True

    def start_response(
        self, status: str, headers: Sequence[tuple[str, str]], exc_info: Any = None
    ) -> Any:
        if ("Connection", "close") in headers:
            self.req.close_connection = True
            self.req.conn.drain_first = True
        return super().start_response(status, headers, exc_info)


class Server(cheroot.wsgi.Server):
    """A WSGI server: `prepare()` binds, `serve()` serves until `stop()` is called by another thread.

    `stop` lets requests in flight end.  It must not be called by a signal handler of the thread that
    serves.
    """

    ConnectionClass = _Connection
    max_request_header_size = HEADER_BYTES
    keep_alive_conn_limit = KEPT_ALIVE
    nodelay = True
    version = "tvault"

    def prepare(self) -> None:
        """Bind and listen.

        Raises `VaultError` `configuration`, naming host and port, when that cannot be done.
        """
        host, port = self.bind_addr
        try:
            super().prepare()
        except OSError as error:
            reason = _plain_reason(error)
            raise VaultError("configuration", f"Cannot listen on {host}:{port}: {reason}.") from None

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: tuple[str, int]) -> socket.socket:
        """Bind the socket; close it when that fails, which cheroot forgets."""
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        return socket_

    @property
    def has_free_threads(self) -> bool:
        """Whether a thread may wait on a connection of its own: enough others wait for all."""
        return bool(self.requests.idle >= FREE_THREADS)

    @property
    def port(self) -> int:
        """The port it listens on, once prepared; the one asked for may have been 0."""
        return int(self.bind_addr[1])

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002
        """Log what went wrong and where.  cheroot's text may quote the request, so it is dropped
        whenever it tells of an exception.
        """
        error = sys.exc_info()[1]
        _log.log(level, "http server: %s", msg if error is None else describe_failure(error))


def _plain_reason(error: OSError) -> str:
    # cheroot wraps the error that says why in one that has no number.
    text = str(error)
    for cause in ("Address already in use", "Permission denied", "Cannot assign requested address"):
        if cause in text:
            return cause.lower()
    return "the address cannot be used"


def describe_failure(error: BaseException) -> str:
    """The class of an exception and the line that raised it, without its text: that may hold a value."""
    trace = error.__traceback__
    if trace is None:
        return type(error).__name__
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return (
        f"{type(error).__name__} in {code.co_name} ({PurePath(code.co_filename).name}:{trace.tb_lineno})"
    )


def make_server(app: Callable[..., Any], host: str, port: int, threads: int) -> Server:
    """A server of the WSGI application `app` that is not listening yet.

    `threads` is how many requests it reads, works on or answers at once; connections beyond wait.
    """
    server = Server(
        (host, port),
        app,
        numthreads=threads,
        max=threads,
        server_name="tvault",
        request_queue_size=LISTEN_BACKLOG,
        timeout=SOCKET_SECONDS,
        shutdown_timeout=STOP_SECONDS,
    )
    server.gateway = _Gateway
    return server
