"""Outgoing connections: one long-lived framed stream to each other node.

A stream is the body of one chunked `POST`: it keeps its order, costs little for a message, and a broken
one is noticed at once.  Whoever sends puts it on the wire itself, as far as that does not make it wait;
the link's own thread does the waiting.  What was queued for a broken stream is dropped: the protocol
asks again for what is missing.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from tvault.errors import VaultError
from tvault.replication import codec
from tvault.replication.messages import Envelope
from tvault.server.hello import HEADER, Hello, decode_hello, encode_hello
from tvault.trust import distrust
from tvault.wire import PEER_HELLO, PEER_STREAM

LENGTH = struct.Struct(">I")
"""Each frame is its length and as many bytes; length 0 says that the sender is alive."""

CHUNK_BYTES = 256 * 1024
QUEUE_BYTES = 64 * 1024 * 1024
ALIVE_SECONDS = 1.0
CONNECT_SECONDS = 3.0
PAUSE_SECONDS = (0.05, 0.5)


class Overflow(Exception):
    """The peer takes messages slower than they come: begin anew."""


class Gone(Exception):
    """The peer's port refuses connections."""


class Peer(NamedTuple):
    """Another node: its name and where its peer port is."""

    node: str
    url: str

    def __str__(self) -> str:
        return f"node {self.node} at {self.url}"


class Link:
    """The stream to one node, kept up by a thread of its own until `stop`.

    `lost` is called each time an established stream ends; `gone` each time the peer's port is found to
    refuse connections: its process has ended; `refused` with the reason whenever the peer refuses this
    node, or is refused by it, for another reason than before.  With `trusted` the peer must speak TLS,
    with a certificate that this context verifies.
    """

    def __init__(
        self,
        peer: Peer,
        hello: Hello,
        credential: str,
        *,
        lost: Callable[[], None],
        gone: Callable[[], None],
        refused: Callable[[str], None],
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._peer = peer
        self._trusted = trusted
        parts = urlsplit(peer.url)
        self._address = (parts.hostname or "", parts.port or 0)
        self._hello = hello
        self._headers = {"Authorization": f"Bearer {credential}", HEADER: encode_hello(hello)}
        self._lost = lost
        self._gone = gone
        self._refused = refused
        self._is_in_doubt = False
        self._reason: str | None = None
        self._frames: deque[bytes] = deque()
        self._queued_bytes = 0
        self._left = memoryview(b"")  # of a chunk that did not go out whole
        self._awaited = select.POLLOUT  # what the wire must be ready for before it goes on
        self._stream: socket.socket | None = None
        self._failure: OSError | Overflow | None = None
        self._was_used = False
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"link to {peer.node}", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def doubt(self) -> None:
        """The peer's own stream has ended: see at once whether its process is still there."""
        with self._changed:
            self._is_in_doubt = True
            self._changed.notify()

    def stop(self) -> None:
        """End the stream, whole frames only, and wait for it, but not long."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(CONNECT_SECONDS)

    def send(self, frame: bytes) -> bool:
        """Queue one frame for the next `flush`.  It is dropped, and False returned, while there is no
        stream, and from the moment on at which more waits than may: then the stream ends, and begins
        anew."""
        with self._changed:
            if self._stream is None or self._failure is not None:
                return False
            if self._queued_bytes + len(frame) > QUEUE_BYTES:
                self._fail(Overflow())
                return False
            self._frames.append(frame)
            self._queued_bytes += len(frame)
            return True

    def flush(self) -> None:
        """Put what is queued on the wire, or leave that to the link's thread where it would wait."""
        if not self._frames:
            return
        with self._changed:
            if not self._left:  # else the thread is at it
                self._push()
                if self._left:
                    self._changed.notify()

    def _push(self) -> None:
        """Send until nothing is queued or the wire takes no more."""
        while self._stream is not None and self._failure is None and (self._left or self._frames):
            self._was_used = True
            self._left = self._left or memoryview(self._next_chunk())
            try:
                self._left = self._left[self._stream.send(self._left) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                # With TLS part of it may be on its way: the same bytes must come next, as they do.
                self._awaited = select.POLLOUT
                return
            except ssl.SSLWantReadError:
                self._awaited = select.POLLIN
                return
            except OSError as error:
                self._fail(error)

    def _next_chunk(self) -> bytes:
        """Frames that wait, as one chunk of the body."""
        parts: list[bytes] = []
        size = 0
        while self._frames and size < CHUNK_BYTES:
            frame = self._frames.popleft()
            self._queued_bytes -= len(frame)
            size += LENGTH.size + len(frame)
            parts += (LENGTH.pack(len(frame)), frame)
        return b"%x\r\n%b\r\n" % (size, b"".join(parts))

    def _fail(self, error: OSError | Overflow) -> None:
        self._failure = error
        self._changed.notify()

    def _run(self) -> None:
        pause = PAUSE_SECONDS[0]
        while not self._stopping:
            began = time.monotonic()
            was_up = False
            try:
                with suppress(HTTPException, Overflow, OSError):
                    self._check_presence()
                    with closing(self._connection()) as connection:
                        if self._is_welcome(connection):
                            was_up = True
                            self._keep_up(connection)
            except Gone:
                self._gone()
            if was_up:
                self._lost()
            settled = time.monotonic() - began > PAUSE_SECONDS[1]
            pause = PAUSE_SECONDS[0] if settled else min(pause * 2, PAUSE_SECONDS[1])
            if was_up and settled:
                continue  # see at once whether its process is still there
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._is_in_doubt, pause)

    def _check_presence(self) -> None:
        """Raise `Gone` when nobody listens at the peer's port."""
        self._is_in_doubt = False
        try:
            socket.create_connection(self._address, CONNECT_SECONDS).close()
        except ConnectionRefusedError:
            raise Gone from None

    def _connection(self) -> HTTPConnection:
        """A connection that is not there yet."""
        host, port = self._address
        if self._trusted is None:
            return HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        return HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=self._trusted)

    def _is_welcome(self, connection: HTTPConnection) -> bool:
        """Whether the peer talks to this node, and this node to it."""
        reason = self._greeting(connection)
        if reason is not None and reason != self._reason:
            self._refused(reason)
        self._reason = reason
        return reason is None

    def _greeting(self, connection: HTTPConnection) -> str | None:
        """Say who this node is, to the peer and nobody else.  Why they do not talk, if they do not."""
        try:
            connection.connect()
        except ssl.SSLError as error:
            reason = distrust(error)
            if reason is None:
                raise
            return f"{self._peer}: {reason}"
        connection.request("GET", PEER_HELLO, headers=self._headers)
        return self._refusal(connection.getresponse())

    def _refusal(self, answer: HTTPResponse) -> str | None:
        body = answer.read()
        if answer.status == HTTPStatus.OK:
            try:
                return self._hello.refusal(decode_hello(answer.headers.get(HEADER)))
            except VaultError:
                return f"{self._peer} is no peer port of tvault"
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return f"{self._peer} has another cluster secret than node {self._hello.node}"
        return f"{self._peer} refuses node {self._hello.node}: {_detail(answer.status, body)}"

    def _keep_up(self, connection: HTTPConnection) -> None:
        """Begin the stream, and keep it up until it fails or is to end.  Raises what ended it."""
        connection.putrequest("POST", PEER_STREAM, skip_accept_encoding=True)
        for name, text in (*self._headers.items(), ("Transfer-Encoding", "chunked")):
            connection.putheader(name, text)
        connection.endheaders()
        stream: socket.socket = connection.sock
        stream.settimeout(0)  # never waits
        try:
            self._open(stream)
            while self._wait(stream):
                pass
        finally:
            self._close()
        stream.settimeout(CONNECT_SECONDS)
        stream.sendall(b"0\r\n\r\n")
        connection.getresponse().read()

    def _open(self, stream: socket.socket) -> None:
        with self._changed:
            self._stream, self._failure = stream, None

    def _wait(self, stream: socket.socket) -> bool:
        """Do what others cannot wait for: send what the wire did not take at once, look after a peer in
        doubt, give signs of life.  False when the stream is to end, and all is sent."""
        with self._changed:
            self._changed.wait_for(self._has_work, ALIVE_SECONDS)
            if self._failure is not None:
                raise self._failure
            if not (self._was_used or self._frames or self._stopping):
                self._frames.append(b"")
            self._was_used = False
            in_doubt, is_stuck = self._is_in_doubt, bool(self._left)
            if self._stopping and not (is_stuck or self._frames):
                self._stream = None
                return False
        if in_doubt:
            self._check_presence()
        if is_stuck:
            _wait_until(stream, self._awaited)
        with self._changed:
            self._push()
        return True

    def _has_work(self) -> bool:
        return bool(self._left or self._stopping or self._is_in_doubt or self._failure is not None)

    def _close(self) -> None:
        """Nothing is queued any more."""
        with self._changed:
            self._stream = None
            self._left = memoryview(b"")
            self._frames.clear()
            self._queued_bytes = 0


class PeerLinks:
    """The streams to all other nodes."""

    def __init__(self, links: Mapping[str, Link]) -> None:
        self._links = links

    def start(self) -> None:
        """Begin to connect to everyone."""
        for link in self._links.values():
            link.start()

    def stop(self) -> None:
        """End all streams."""
        for link in self._links.values():
            link.stop()

    def doubt(self, node: str) -> None:
        """The stream from a node has ended: see whether it is still there."""
        self._links[node].doubt()

    def send(self, to: str, envelope: Envelope) -> bool:
        """Put an envelope on its way with the next `flush`, or drop it (False); never waits."""
        return self._links[to].send(codec.encode(envelope))

    def flush(self) -> None:
        """Let go what is on its way; never waits."""
        for link in self._links.values():
            link.flush()


def _wait_until(stream: socket.socket, awaited: int) -> None:
    """Until the wire is ready for what is awaited.  Raises `TimeoutError`."""
    wire = select.poll()
    wire.register(stream, awaited)
    if not wire.poll(CONNECT_SECONDS * 1000):
        raise TimeoutError


def _detail(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}"
