"""The engine of a node for gateways: `POST /peer/engine`, one question a request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tvault.engine import Engine
from tvault.errors import VaultError
from tvault.model.commands import Mint, Rotate, WriteSecrets
from tvault.model.records import LookTooLong
from tvault.server.calls import EventSink
from tvault.server.engine_wire import (
    MSGPACK_TYPE,
    ActiveEpoch,
    Ask,
    AskEpoch,
    AskFind,
    AskHistory,
    AskLookUp,
    AskNames,
    AskSecrets,
    AskWaitFor,
    FoundPlaces,
    Question,
    Reply,
    SecretQuestion,
    Terms,
    TooLong,
    Waited,
    decode_ask,
    decode_terms,
    encode_reply,
    encode_terms,
    packed,
)
from tvault.server.framing import STREAM
from tvault.server.peer_api import STRANGERS, Handler
from tvault.server.streams import Reader
from tvault.server.trace import traced
from tvault.server.turns import Turns
from tvault.server.web import Answer, Environ, json_answer, read_body
from tvault.wire import PEER_ENGINE, PEER_GATEWAY

ASK_BYTES: Final = 64 * 1024 * 1024
"""The longest question."""


class EngineApi:
    """Answers gateways out of a node's engine.

    Each question keeps a thread of the peer port until it is answered; `turns` bounds how many do, so
    that the streams of the other nodes find theirs.  `status` gives the document for operators;
    `refused` is told why a gateway was turned away, `record` of every question that was answered.
    `request_seconds` is how long a question may take.
    """

    def __init__(  # noqa: PLR0913  all that it is told and tells
        self,
        engine: Engine,
        terms: Terms,
        turns: Turns,
        *,
        status: Callable[[], dict[str, Any]],
        request_seconds: float,
        refused: Callable[[str], None],
        record: EventSink,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._terms = terms
        self._expected = encode_terms(terms)
        self._turns = turns
        self._status = status
        self._request_seconds = request_seconds
        self._refused = refused
        self._record = record
        self._told: set[str] = set()
        self._clock = clock

    def routes(self) -> dict[str, tuple[str, Handler]]:
        """Its paths on the peer port, each with its method and who answers."""
        return {PEER_ENGINE: ("POST", self.answer), PEER_GATEWAY: ("GET", self.tell_status)}

    def tell_status(self, environ: Environ) -> Answer:
        """What the node says of itself: at once, however busy it is.  Raises `VaultError`."""
        self._check_terms(environ)
        return json_answer(self._status())

    def answer(self, environ: Environ) -> Answer:
        """The answer to a request that bears the cluster's credential.  Raises `VaultError`."""
        self._check_terms(environ)
        with self._turns.one():  # while the body comes, too, so that what is in hand has a bound
            ask = decode_ask(_body_of(environ))
            began = self._clock()
            with traced(ask.request) as trace:
                reply = self._reply(ask)
            self._record(
                "asked",
                owner=getattr(ask.question, "owner", ""),
                request_id=ask.request,
                question=str(ask.question.__struct_config__.tag),
                duration_ms=round((self._clock() - began) * 1000, 3),
                view=trace.view,
                seq=trace.seq,
            )
        return Answer(encode_reply(reply), headers=(("Content-Type", MSGPACK_TYPE),))

    def _check_terms(self, environ: Environ) -> None:
        text = environ.get("HTTP_TVAULT_GATEWAY")
        if text == self._expected:
            return
        reason = self._terms.refusal(decode_terms(text))
        if reason is not None:
            where = environ.get("REMOTE_ADDR", "")
            refusal = f"a gateway at {where} {reason} than this node"
            if refusal not in self._told and len(self._told) < STRANGERS:
                self._told.add(refusal)
                self._refused(refusal)
            raise VaultError("malformed", f"The gateway {reason} than the node.")

    def _reply(self, ask: Ask) -> Reply:
        patience = min(self._request_seconds, max(0, ask.patience_ms) / 1000)
        try:
            return self._asked(ask.question, self._clock() + patience)
        except LookTooLong:
            return TooLong()

    def _asked(self, question: Question, deadline: float) -> Reply:
        engine = self._engine
        match question:
            case Mint():
                return engine.mint(question, deadline)
            case Rotate():
                return engine.rotate(question, deadline)
            case AskLookUp(owner, epoch, digests):
                return FoundPlaces((packed(engine.look_up(owner, epoch, digests, deadline)),))
            case AskFind(owner, asked):
                return FoundPlaces(tuple(map(packed, engine.find(owner, asked, deadline))))
            case AskEpoch(owner):
                return ActiveEpoch(engine.read_epoch(owner, deadline))
            case AskWaitFor(seq):
                engine.wait_for(seq, deadline)
                return Waited()
            case _:
                return self._asked_of_secrets(question, deadline)

    def _asked_of_secrets(self, question: SecretQuestion, deadline: float) -> Reply:
        engine = self._engine
        match question:
            case WriteSecrets():
                return engine.write_secrets(question, deadline)
            case AskSecrets(owner, wanted, request, is_glance):
                look = engine.peek_secrets if is_glance else engine.read_secrets
                return look(owner, wanted, request, deadline)
            case AskHistory(owner, name):
                return engine.read_history(owner, name, deadline)
            case AskNames(owner):
                return engine.read_names(owner, deadline)


def _body_of(environ: Environ) -> bytes:
    """The body, which must come at the pace of any other."""
    stream: Reader = environ[STREAM]
    stream.hasten()
    try:
        return read_body(environ, ASK_BYTES)
    finally:
        stream.relax()
