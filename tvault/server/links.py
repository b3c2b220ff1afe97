"""Outgoing connections: one long-lived framed stream to each other node.

A stream is the body of one chunked `POST`, made by a generator: it keeps its order, costs little for a
message, and a broken one is noticed at once.  What was queued for a broken stream is dropped: the
protocol asks again for what is missing.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import requests

from tvault.errors import VaultError
from tvault.replication import codec
from tvault.replication.messages import Envelope
from tvault.server.hello import HEADER, Hello, decode_hello, encode_hello
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
    node, or is refused by it, for another reason than before.
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
    ) -> None:
        self._peer = peer
        self._url = peer.url
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
        self._is_up = False
        self._is_overflowing = False
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
        """Queue one frame.  It is dropped, and False returned, while there is no stream, and from the
        moment on at which more waits than may: then the stream ends, and begins anew."""
        with self._changed:
            if self._is_up and self._queued_bytes + len(frame) > QUEUE_BYTES:
                self._is_overflowing = True
            if self._is_up and not self._is_overflowing:
                self._frames.append(frame)
                self._queued_bytes += len(frame)
            self._changed.notify()
            return self._is_up and not self._is_overflowing

    def _run(self) -> None:
        pause = PAUSE_SECONDS[0]
        while not self._stopping:
            began = time.monotonic()
            try:
                with suppress(requests.RequestException, Overflow, OSError):
                    self._check_presence()
                    with requests.Session() as session:
                        session.trust_env = False
                        self._stream(session)
            except Gone:
                self._gone()
            was_up = self._close()
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

    def _stream(self, session: requests.Session) -> None:
        timeout = (CONNECT_SECONDS, CONNECT_SECONDS)
        answer = session.get(self._url + PEER_HELLO, headers=self._headers, timeout=timeout)
        reason = self._refusal(answer)
        if reason is not None:
            if reason != self._reason:
                self._refused(reason)
            self._reason = reason
            return
        self._reason = None
        with self._changed:
            self._is_up = True
        session.post(
            self._url + PEER_STREAM, data=self._chunks(), headers=self._headers, timeout=timeout
        )

    def _refusal(self, answer: requests.Response) -> str | None:
        if answer.status_code == requests.codes.ok:
            try:
                return self._hello.refusal(decode_hello(answer.headers.get(HEADER)))
            except VaultError:
                return f"{self._peer} is no peer port of tvault"
        if answer.status_code == requests.codes.unauthorized:
            return f"{self._peer} has another cluster secret than node {self._hello.node}"
        return f"{self._peer} refuses node {self._hello.node}: {_detail(answer)}"

    def _chunks(self) -> Iterator[bytes]:
        """The body: what is queued, joined; a sign of life when there is nothing."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._frames or self._stopping or self._is_in_doubt, ALIVE_SECONDS
                )
                in_doubt = self._is_in_doubt
                if self._is_overflowing:
                    raise Overflow
                parts: list[bytes] = []
                size = 0
                while self._frames and size < CHUNK_BYTES:
                    frame = self._frames.popleft()
                    size += len(frame)
                    parts += (LENGTH.pack(len(frame)), frame)
                self._queued_bytes -= size
                if self._stopping and not parts:
                    return
            if in_doubt:
                self._check_presence()
            yield b"".join(parts) or LENGTH.pack(0)

    def _close(self) -> bool:
        """Whether there was a stream; nothing is queued any more."""
        with self._changed:
            was_up, self._is_up = self._is_up, False
            self._is_overflowing = False
            self._frames.clear()
            self._queued_bytes = 0
            return was_up


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
        """Put an envelope on its way, or drop it (False); never waits."""
        return self._links[to].send(codec.encode(envelope))


def _detail(answer: requests.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"
