"""The client API of a node: the table of every call that users have, over an engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tvault.engine import Engine
from tvault.model.fields import Fields
from tvault.model.keys import KeyRing
from tvault.model.owners import OwnerTable
from tvault.server.auth import owner_of_header
from tvault.server.calls import EventSink
from tvault.server.epoch_calls import EpochCalls
from tvault.server.token_calls import TokenCalls
from tvault.server.web import Answer, Call, Route, Web, json_answer, retry_after
from tvault.wire import (
    DETOKENIZE,
    EPOCH,
    HEALTH,
    LOOKUP,
    RETOKENIZE,
    ROTATE_EPOCH,
    STATUS_PATH,
    TOKENIZE,
    Limits,
)

REQUEST_SECONDS: Final = 5.0


class ClientApi:
    """The client API as a WSGI application, `app`.

    `status` gives the document of `GET /status`; `nonce` 12 bytes that it never gives again; `clock`
    seconds of `time.monotonic()`; `request_seconds` is how long a request may take inside the engine.
    """

    def __init__(  # noqa: PLR0913  everything that a node wires together
        self,
        *,
        engine: Engine,
        keys: KeyRing,
        fields: Fields,
        owners: OwnerTable,
        limits: Limits,
        status: Callable[[], dict[str, Any]],
        nonce: Callable[[], bytes],
        clock: Callable[[], float],
        record: EventSink,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._engine = engine
        self._status = status
        self._tokens = TokenCalls(
            engine=engine,
            keys=keys,
            fields=fields,
            limits=limits,
            nonce=nonce,
            clock=clock,
            record=record,
            request_seconds=request_seconds,
        )
        self._epochs = EpochCalls(engine, clock, record, request_seconds)
        self.app = Web(self.routes(), partial(owner_of_header, owners), limits)

    def routes(self) -> list[Route]:
        """Every call there is."""
        return [
            Route("POST", TOKENIZE, self._tokens.tokenize),
            Route("POST", DETOKENIZE, self._tokens.detokenize),
            Route("POST", LOOKUP, self._tokens.lookup),
            Route("POST", RETOKENIZE, self._tokens.retokenize),
            Route("GET", EPOCH, self._epochs.tell),
            Route("POST", ROTATE_EPOCH, self._epochs.rotate),
            Route("GET", HEALTH, self._health, has_key=False, is_counted=False),
            Route("GET", STATUS_PATH, self._tell_status, is_counted=False),
        ]

    def _health(self, _: Call) -> Answer:
        health = self._engine.health()
        if health == "unavailable":
            answer = json_answer({"status": health}, 503)
            return Answer(answer.body, answer.status, (*answer.headers, retry_after()))
        return json_answer({"status": health})

    def _tell_status(self, _: Call) -> Answer:
        return json_answer(self._status())
