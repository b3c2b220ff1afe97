"""The peer API: what nodes, gateways and operators with the cluster's secret may ask of a node.

Nothing else is answered, read or looked at without the secret: no path, no method, no body.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from tvault.errors import VaultError
from tvault.replication.messages import Envelope
from tvault.server.frames import Nonsense, envelope_of, read_frame
from tvault.server.framing import ABANDON, HANG_UP, FramingError
from tvault.server.hello import HEADER, Hello, check_credential, decode_hello, encode_hello
from tvault.server.web import Answer, Environ, carries_body, is_body_read, json_answer, refused
from tvault.wire import PEER_HELLO, PEER_STATUS, PEER_STREAM

STREAMS_A_PEER: Final = 3
"""Streams of one node that are read at once: a new one ends those before it, which takes a moment."""

STRANGERS: Final = 32
"""Of so many who do not know the secret, at most, people are told, each once."""

Handler = Callable[[Environ], Answer]

_ENDED: Final = Answer(b"")
"""To a stream: nothing more is read of its connection."""

_log = logging.getLogger("tvault.peers")


@dataclass(eq=False)
class _Stream:
    """A stream that comes in; `is_over`: a newer one is in its place."""

    hang_up: Callable[[], None]
    is_over: bool = False


class PeerApi:
    """The peer API as a WSGI application, `app`.

    `deliver` takes each envelope that arrives; `lost` is told the node whose stream has ended or
    begins anew, `refused` why a peer was turned away, `differs` the node whose owners are others.
    `more` are further paths, each with its method and who answers; `weaker` has, by path, a credential
    that opens this path and no other.
    """

    def __init__(  # noqa: PLR0913  everything that a node wires together
        self,
        hello: Hello,
        credential: str,
        *,
        deliver: Callable[[Envelope], None],
        lost: Callable[[str], None],
        status: Callable[[], dict[str, Any]],
        refused: Callable[[str], None],
        differs: Callable[[str], None],
        more: Mapping[str, tuple[str, Handler]] | None = None,
        weaker: Mapping[str, str] | None = None,
    ) -> None:
        self._hello = hello
        self._credential = credential
        self._weaker = dict(weaker or {})
        self._deliver = deliver
        self._lost = lost
        self._status = status
        self._refused = refused
        self._differs = differs
        self._told_to_differ: dict[str, str] = {}
        self._refusals: dict[str, str | None] = {}
        self._strangers: set[tuple[str, str]] = set()
        self._senseless: dict[str, int] = {}
        self._refused_requests = 0
        self._stopping = False
        self._lock = threading.Lock()
        self._streams: dict[str, list[_Stream]] = {}
        self._routes: dict[str, tuple[str, Handler]] = {
            PEER_HELLO: ("GET", self._greet),
            PEER_STREAM: ("POST", self._take_stream),
            PEER_STATUS: ("GET", self._tell_status),
        }
        self._routes.update(more or {})

    def app(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        try:
            self._check_secret(environ)
            answer = self._handler(environ)(environ)
        except VaultError as error:
            answer = refused(error)
        headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
        if answer is not _ENDED and carries_body(environ) and not is_body_read(environ):
            # What is left of the body must not be taken for the next request.
            headers.append(("Connection", "close"))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [answer.body]

    @property
    def account(self) -> tuple[int, int]:
        """Streams that come in, and requests that were refused for their credential.  Any thread."""
        with self._lock:
            return sum(map(len, self._streams.values())), self._refused_requests

    def stop(self) -> None:
        """End the streams that come in, also of peers that stand still."""
        self._stopping = True
        with self._lock:
            for streams in self._streams.values():
                for stream in streams:
                    stream.hang_up()

    def _handler(self, environ: Environ) -> Handler:
        method, handler = self._routes.get(environ["PATH_INFO"], ("", None))
        if handler is None:
            raise VaultError("not_found", "There is nothing here.")
        if environ["REQUEST_METHOD"] != method:
            raise VaultError("method_not_allowed", f"The path takes {method} alone.")
        return handler

    def _greet(self, environ: Environ) -> Answer:
        self._peer(environ)
        return Answer(b"", headers=((HEADER, encode_hello(self._hello)),))

    def _tell_status(self, _: Environ) -> Answer:
        return json_answer({**self._status(), "refused_messages": self._senseless})

    # Streams.

    def _take_stream(self, environ: Environ) -> Answer:
        """Deliver frame after frame until the peer ends the stream or it breaks."""
        peer = self._peer(environ)
        with self._newest(peer.node, environ[HANG_UP]) as stream:
            # What the peer sent between the end of its last stream and this one is lost as well: who
            # waits for an outcome from it would wait until the deadline.
            self._lost(peer.node)
            try:
                self._read(environ["wsgi.input"], peer, stream)
            except Nonsense as error:
                self._tell_nonsense(peer.node, error)
            except (OSError, FramingError) as error:
                _log.info("the stream from %s broke: %s", peer.node, error)
            if not stream.is_over:  # else that which began the newer one was told
                self._lost(peer.node)
        environ[ABANDON]()
        return _ENDED

    def _read(self, source: Any, peer: Hello, stream: _Stream) -> None:
        while not self._stopping and (frame := read_frame(source)) is not None:
            if stream.is_over:
                return
            if frame:
                self._deliver(envelope_of(peer, frame))

    @contextmanager
    def _newest(self, node: str, hang_up: Callable[[], None]) -> Iterator[_Stream]:
        """Be the stream from a node: those before are ended.  Raises `VaultError` `overloaded` when too
        many of them have not ended yet."""
        mine = _Stream(hang_up)
        with self._lock:
            streams = self._streams.setdefault(node, [])
            for older in streams:
                older.is_over = True
                older.hang_up()
            if len(streams) >= STREAMS_A_PEER:
                raise VaultError("overloaded", f"Too many streams of node {node} have not ended yet.")
            streams.append(mine)
        try:
            yield mine
        finally:
            with self._lock:
                streams.remove(mine)

    # Who may talk, and what people are told of those who may not.

    def _check_secret(self, environ: Environ) -> None:
        """Raise `VaultError` `unauthorized` without the cluster's credential, or the weaker one of the
        path.  Whoever it is has a name only by its own word."""
        weaker = self._weaker.get(environ["PATH_INFO"], self._credential)
        try:
            check_credential(environ.get("HTTP_AUTHORIZATION"), self._credential, weaker)
        except VaultError:
            with self._lock:
                self._refused_requests += 1
            self._tell_stranger(environ)
            raise

    def _tell_stranger(self, environ: Environ) -> None:
        with suppress(VaultError):
            claimed = decode_hello(environ.get("HTTP_TVAULT_HELLO")).node
            stranger = claimed, environ.get("REMOTE_ADDR", "")
            if stranger not in self._strangers and len(self._strangers) < STRANGERS:
                self._strangers.add(stranger)
                somebody = f"somebody at {stranger[1]} who says to be node {claimed}"
                self._refused(f"{somebody} has another cluster secret than node {self._hello.node}")

    def _tell_refusal(self, node: str, reason: str | None) -> None:
        """Once for each node and reason; of names that nobody in the ensemble bears only the last."""
        key = node if node in self._hello.ensemble else ""
        if reason is not None and self._refusals.get(key) != reason:
            self._refused(reason)
        self._refusals[key] = reason

    def _tell_nonsense(self, node: str, error: Nonsense) -> None:
        """Once for each node: one that is broken tries again and again."""
        self._senseless[node] = self._senseless.get(node, 0) + 1
        if self._senseless[node] == 1:
            what = f"node {node} sends what no node of this version says ({error})"
            self._refused(f"{what}; node {self._hello.node} ends its stream each time")

    def _peer(self, environ: Environ) -> Hello:
        """The other node, if it belongs here.  Raises `VaultError`."""
        try:
            peer = decode_hello(environ.get("HTTP_TVAULT_HELLO"))
        except VaultError as error:
            self._tell_refusal("", error.detail)
            raise
        reason = self._hello.refusal(peer)
        self._tell_refusal(peer.node, reason)
        if reason is not None:
            raise VaultError("malformed", reason)
        if self._told_to_differ.get(peer.node, self._hello.owners) != peer.owners:
            self._told_to_differ[peer.node] = peer.owners
            if peer.owners != self._hello.owners:
                self._differs(peer.node)
        return peer
