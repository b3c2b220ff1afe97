"""HTTP framing as strict as RFC 9112 asks, and a server with explicit limits, on cheroot's plumbing.

cheroot alone takes the last of two `Content-Length` headers, takes `Transfer-Encoding` beside one,
takes chunk sizes such as `-1`, leaves trailers in the stream, and keeps a connection open on which an
unread body would be taken for the next request.  Whatever leaves a doubt about where a request ends is
refused here with 400 and the connection is closed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, Final, Protocol
from uuid import uuid4

import cheroot.server
import cheroot.wsgi

from tvault.errors import VaultError
from tvault.server.connections import Connection
from tvault.server.door import Door
from tvault.server.headers import HeaderReader
from tvault.server.seldom import Seldom
from tvault.server.streams import HEADER_BYTES, PATIENCE_SECONDS, Reader, TlsSocket
from tvault.wire import PROBLEM_TYPE, REQUEST_ID, STATUS, encode_json, problem, sane_request_id

LISTEN_BACKLOG: Final = 256

FREE_THREADS: Final = 2
"""Threads that wait on no connection, but for whatever comes."""

STOP_SECONDS: Final = 10
FINISH_SECONDS: Final = 1.0
"""How long the rest of an answer may take once the server stops."""

ABANDON: Final = "tvault.abandon"
"""In the environment of a request: a function after which nothing more is read of its connection."""

STREAM: Final = "tvault.stream"
"""In the environment of a request: the `Reader` of its connection."""

HANG_UP: Final = "tvault.hang_up"
"""In the environment of a request: a function for another thread, after which nothing more comes."""

_REQUEST_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/[0-9]\.[0-9]\r\n")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n]*)?\r\n")
_CHUNK_LINE_BYTES: Final = 256
_TRAILER_LINES: Final = 32

_log = logging.getLogger("tvault.server")
_tell = Seldom(_log)


class FramingError(ValueError):
    """The bytes on the wire are not a request's body as HTTP/1.1 frames it, or they end too early."""


class ByteStream(Protocol):
    """What is read of a connection."""

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end of the stream."""

    def readline(self, size: int) -> bytes:
        """Up to a line feed, at most `size` bytes."""


class LengthBody:
    """A body of which the length is known: `wsgi.input` of such a request."""

    def __init__(self, stream: ByteStream, length: int) -> None:
        self._stream = stream
        self._left = length

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        return self._left == 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the body, or of the stream."""
        part = self._stream.read(min(size, self._left)) if self._left else b""
        self._left -= len(part)
        return part


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
        whole = bytearray()  # a list would hold an object for each chunk
        while len(whole) < size and not self.ended:
            if self._left == 0:
                self._begin_chunk()
            else:
                whole += self._take(min(self._left, size - len(whole)))
        return bytes(whole)

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
        line = self._stream.readline(_CHUNK_LINE_BYTES)
        if not line:
            raise FramingError("the body ends too early")
        match = _CHUNK_SIZE.fullmatch(line)
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


class _Request(cheroot.server.HTTPRequest):
    """A request whose refusals by the HTTP layer are problem documents like all others."""

    header_reader = HeaderReader()
    conn: Connection

    def __init__(self, server: Any, conn: Any, *_: object) -> None:
        super().__init__(server, conn)
        self.scheme = b"https" if isinstance(conn.socket, ssl.SSLSocket) else b"http"

    def parse_request(self) -> None:
        """Parse the head, which is there."""
        head = self.conn.rfile.take_head()
        if len(head) > HEADER_BYTES:
            self.simple_response("413 Request Entity Too Large")
            return
        self.rfile = io.BytesIO(head)
        self.ready = self.read_request_line() and self.read_request_headers()

    def read_request_line(self) -> bool:
        if not _REQUEST_LINE.match(self.rfile.getvalue()):
            self.simple_response("400 Bad Request", "The request line is malformed.")
            return False
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
        if b"Host" not in self.inheaders and self.response_protocol == "HTTP/1.1":
            self.simple_response("400 Bad Request", "HTTP/1.1 needs a Host header.")
            return False
        self.conn.wfile.flush()  # "100 Continue", where it was asked for
        return True

    def respond(self) -> None:
        """Have the request answered, and send as much of that as the client takes at once."""
        if self.chunked_read:
            self.rfile = ChunkedBody(self.conn.rfile)
        else:
            self.rfile = LengthBody(self.conn.rfile, int(self.inheaders.get(b"Content-Length", 0)))
        self.server.gateway(self).respond()
        if self.ready:
            self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")
        self.conn.wfile.flush()

    def simple_response(self, status: object, msg: str = "", seconds: float = PATIENCE_SECONDS) -> None:
        refusal = _refusal(str(status)[:3], msg)
        sent = self.inheaders.get(b"Request-Id", b"").decode("latin-1")
        request_id = sent if sane_request_id(sent) else uuid4().hex
        self.close_connection = True
        self.conn.drain_first = True
        body = encode_json(problem(refusal))
        head = (
            f"HTTP/1.1 {STATUS[refusal.code]} {refusal.code}\r\n"
            f"Content-Type: {PROBLEM_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"Cache-Control: no-store\r\n{REQUEST_ID}: {request_id}\r\nConnection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            self.conn.wfile.write(head.encode("ascii") + body)
            self.conn.wfile.flush(seconds)


def _refusal(status: str, text: str) -> VaultError:
    if status in {"413", "414"}:
        members = {"limit": HEADER_BYTES, "limit_name": "header_bytes"}
        return VaultError("too_large", "The request line and headers are too long.", members=members)
    if status == "408":
        return VaultError("malformed", "The request did not arrive in time.")
    if status == "500":
        return VaultError("internal", "The request failed inside the server.")
    return VaultError("malformed", text or "The request is not HTTP/1.1 as this server takes it.")


class _Connection(Connection):
    RequestHandlerClass = _Request


class _Wsgi(cheroot.wsgi.Gateway_10):
    """Closes where the application's answer says so, and where it left some of the body unread: that
    must not be taken for the next request."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        reader: Reader = self.req.conn.rfile
        environ[STREAM] = reader
        environ[ABANDON] = self._abandon
        environ[HANG_UP] = self._hang_up
        return environ

    def _hang_up(self) -> None:
        """Whoever reads of the connection finds its end."""
        with contextlib.suppress(OSError):
            self.req.conn.socket.shutdown(socket.SHUT_RD)

    def _abandon(self) -> None:
        """Close the connection after the answer, whatever the other side still sends."""
        self._is_abandoned = True
        self.req.close_connection = True

    _is_abandoned = False

    def start_response(
        self, status: str, headers: Sequence[tuple[str, str]], exc_info: Any = None
    ) -> Any:
        if ("Connection", "close") in headers or not self.req.rfile.ended:
            self.req.close_connection = True
            self.req.conn.drain_first = not self._is_abandoned
        return super().start_response(status, headers, exc_info)


class Server(cheroot.wsgi.Server):
    """A WSGI server: `prepare()` binds, `serve()` serves until `stop()` is called by another thread.

    `stop` lets requests in flight end.  It must not be called by a signal handler of the thread that
    serves.
    """

    ConnectionClass = _Connection
    tls: ssl.SSLContext | None = None
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
        self._connections.close()
        self._connections: Door = Door(self.socket, self._open, self.process_conn, self.tls)

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

    def stop(self) -> None:
        """End; requests in flight are answered.  Every connection is closed then."""
        was_ready = self.ready
        super().stop()
        if was_ready:
            self._connections.close_rest()

    def put_conn(self, conn: Connection) -> None:
        """Take a connection back from the thread that served it."""
        if self.ready:
            self._connections.put(conn)
        else:
            conn.finish(FINISH_SECONDS)

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        self._connections.forget(connection)

    def _open(self, accepted: socket.socket) -> Connection:
        return _Connection(self, accepted)

    @property
    def port(self) -> int:
        """The port it listens on, once prepared; the one asked for may have been 0."""
        return int(self.bind_addr[1])

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002
        """Log what went wrong and where.  cheroot's text may quote the request, so it is dropped
        whenever it tells of an exception.
        """
        error = sys.exc_info()[1]
        _tell.tell(level, f"http server: {msg if error is None else describe_failure(error)}")


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


def make_server(
    app: Callable[..., Any], host: str, port: int, threads: int, tls: ssl.SSLContext | None = None
) -> Server:
    """A server of the WSGI application `app` that is not listening yet.

    `threads` is how many requests it reads, works on or answers at once; connections beyond wait.  With
    `tls` it speaks nothing else.
    """
    server = Server(
        (host, port),
        app,
        numthreads=threads,
        max=threads,
        server_name="tvault",
        request_queue_size=LISTEN_BACKLOG,
        shutdown_timeout=STOP_SECONDS,
    )
    server.gateway = _Wsgi
    if tls is not None:
        tls.sslsocket_class = TlsSocket
        tls.options |= ssl.OP_NO_RENEGOTIATION
        server.tls = tls
    return server
