"""The peer API: what nodes, and operators with the cluster's secret, may ask of a node."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import bottle  # type: ignore[import-untyped]
import msgspec

from tvault.errors import VaultError
from tvault.replication import codec
from tvault.replication.messages import Envelope
from tvault.server.framing import ABANDON, HANG_UP, FramingError
from tvault.server.hello import HEADER, Hello, check_credential, decode_hello, encode_hello
from tvault.server.links import LENGTH
from tvault.wire import (
    JSON_TYPE,
    PEER_HELLO,
    PEER_STATUS,
    PEER_STREAM,
    PROBLEM_TYPE,
    encode_json,
    problem,
)

_log = logging.getLogger("tvault.peers")

FRAME_BYTES = 64 * 1024 * 1024
"""No frame is longer."""

Environ = dict[str, Any]


class PeerApi:
    """The peer API as a WSGI application, `app`.

    `deliver` takes each envelope that arrives; `lost` is told the node whose stream has ended or
    begins anew, `refused` why a peer was turned away, `differs` the node whose owners are others.
    """

    def __init__(
        self,
        hello: Hello,
        credential: str,
        *,
        deliver: Callable[[Envelope], None],
        lost: Callable[[str], None],
        status: Callable[[], dict[str, Any]],
        refused: Callable[[str], None],
        differs: Callable[[str], None],
    ) -> None:
        self._hello = hello
        self._credential = credential
        self._deliver = deliver
        self._lost = lost
        self._status = status
        self._refused = refused
        self._differs = differs
        self._told_to_differ: dict[str, str] = {}
        self._refusals: dict[str, str | None] = {}
        self._stopping = False
        self._streams: set[Callable[[], None]] = set()
        self.app = bottle.Bottle()
        self.app.config["catchall"] = False
        self.app.default_error_handler = _no_route
        self.app.route(PEER_HELLO, "GET", self._checked(self._greet))
        self.app.route(PEER_STREAM, "POST", self._checked(self._take_stream))
        self.app.route(PEER_STATUS, "GET", self._checked(self._tell_status))

    def stop(self) -> None:
        """End the streams that come in, also of peers that stand still."""
        self._stopping = True
        for hang_up in tuple(self._streams):
            hang_up()

    def _checked(self, handler: Callable[[Environ], Any]) -> Callable[[], Any]:
        """The handler behind the cluster's credential; its refusals as problem documents."""

        def run() -> Any:
            environ: Environ = bottle.request.environ
            try:
                self._check_secret(environ)
                return handler(environ)
            except VaultError as error:
                return _refusal(error)

        return run

    def _greet(self, environ: Environ) -> Any:
        self._peer(environ)
        return bottle.HTTPResponse(b"", 200, headers={HEADER: encode_hello(self._hello)})

    def _take_stream(self, environ: Environ) -> Any:
        """Deliver frame after frame until the peer ends the stream or it breaks."""
        peer = self._peer(environ)
        stream = environ["wsgi.input"]
        # What the peer sent between the end of its last stream and this one is lost as well: who waits
        # for an outcome from it would wait until the deadline.
        self._lost(peer.node)
        hang_up = environ[HANG_UP]
        self._streams.add(hang_up)
        try:
            while not self._stopping and (frame := _read_frame(stream)) is not None:
                if frame:
                    self._deliver(_envelope_of(peer, frame))
        except (OSError, FramingError) as error:
            _log.info("the stream from %s broke: %s", peer.node, error)
        self._streams.discard(hang_up)
        self._lost(peer.node)
        environ[ABANDON]()
        return bottle.HTTPResponse(b"", 200)

    def _tell_status(self, _: Environ) -> Any:
        return bottle.HTTPResponse(encode_json(self._status()), 200, headers={"Content-Type": JSON_TYPE})

    def _check_secret(self, environ: Environ) -> None:
        """Raise `VaultError` `unauthorized` without the cluster's credential.  Whoever it is has a name
        only by its own word."""
        try:
            check_credential(environ.get("HTTP_AUTHORIZATION"), self._credential)
        except VaultError:
            with suppress(VaultError):
                claimed = decode_hello(environ.get("HTTP_TVAULT_HELLO")).node
                where = environ.get("REMOTE_ADDR", "")
                why = f"somebody at {where} who says to be node {claimed} has another cluster secret"
                self._tell_refusal(claimed, f"{why} than node {self._hello.node}")
            raise

    def _tell_refusal(self, node: str, reason: str | None) -> None:
        """Once for each node and reason; of names that nobody in the ensemble bears only the last."""
        key = node if node in self._hello.ensemble else ""
        if reason is not None and self._refusals.get(key) != reason:
            self._refused(reason)
        self._refusals[key] = reason

    def _peer(self, environ: Environ) -> Hello:
        """The other node, if it belongs here.  Raises `VaultError`."""
        peer = decode_hello(environ.get("HTTP_TVAULT_HELLO"))
        reason = self._hello.refusal(peer)
        self._tell_refusal(peer.node, reason)
        if reason is not None:
            raise VaultError("malformed", reason)
        if self._told_to_differ.get(peer.node, self._hello.owners) != peer.owners:
            self._told_to_differ[peer.node] = peer.owners
            if peer.owners != self._hello.owners:
                self._differs(peer.node)
        return peer


def _read_frame(stream: Any) -> bytes | None:
    """The next frame, empty for a sign of life, None at the end of the stream.

    Raises `FramingError` for a frame that is cut short or too long, `OSError` when the peer is silent
    or gone.
    """
    head = stream.read(LENGTH.size)
    if not head:
        return None
    length = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else FRAME_BYTES + 1
    if length > FRAME_BYTES:
        raise FramingError("a frame has no sane length")
    frame: bytes = stream.read(length)
    if len(frame) < length:
        raise FramingError("a frame is cut short")
    return frame


def _envelope_of(peer: Hello, frame: bytes) -> Envelope:
    """The envelope in a frame; the stream ends when it is none, or is not of the peer's present life."""
    try:
        envelope = codec.decode(frame)
    except msgspec.DecodeError:
        raise FramingError("a frame holds no message") from None
    life = (envelope.sender, envelope.incarnation, envelope.boot, envelope.life)
    if life != (peer.node, peer.incarnation, peer.boot, peer.life):
        raise FramingError("a message names another sender")
    return envelope


def _refusal(error: VaultError) -> Any:
    document = problem(error)
    headers = {"Content-Type": PROBLEM_TYPE, "Connection": "close"}
    return bottle.HTTPResponse(encode_json(document), document["status"], headers=headers)


def _no_route(_: Any) -> Any:
    return _refusal(VaultError("not_found", "There is nothing here."))
