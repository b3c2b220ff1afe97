"""The client API of a node: the table of every call that users have, over an engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tvault.engine import Engine
from tvault.model.fields import Fields
from tvault.model.keys import KeyRing
from tvault.model.owners import OwnerTable
from tvault.model.secrets import MasterKeys
from tvault.server.auth import owner_of_header
from tvault.server.calls import EventSink
from tvault.server.env_calls import EnvCalls
from tvault.server.epoch_calls import EpochCalls
from tvault.server.refusals import Refusals
from tvault.server.secret_calls import NAME, SecretCalls
from tvault.server.secret_vault import SecretVault
from tvault.server.token_calls import TokenCalls
from tvault.server.web import Answer, Call, Route, Served, Web, json_answer, retry_after
from tvault.wire import (
    DETOKENIZE,
    ENV_ENCRYPT,
    ENV_EXPAND,
    EPOCH,
    HEALTH,
    LOOKUP,
    RETOKENIZE,
    ROTATE_EPOCH,
    SECRETS,
    STATUS_PATH,
    TOKENIZE,
    Limits,
)

REQUEST_SECONDS: Final = 5.0

_SECRET: Final = f"{SECRETS}/<{NAME}>"


class ClientApi:
    """The client API as a WSGI application, `app`.

    `status` gives the document of `GET /status`; `nonce` 12 bytes that it never gives again; `random` so
    many bytes that nobody can tell; `clock` seconds of `time.monotonic()`; `request_seconds` is how long
    a request may take inside the engine; `watch` is told of every request once it is answered.
    """

    def __init__(  # noqa: PLR0913  everything that a node wires together
        self,
        *,
        engine: Engine,
        keys: KeyRing,
        masters: MasterKeys,
        fields: Fields,
        owners: OwnerTable,
        limits: Limits,
        status: Callable[[], dict[str, Any]],
        nonce: Callable[[], bytes],
        random: Callable[[int], bytes],
        clock: Callable[[], float],
        record: EventSink,
        request_seconds: float = REQUEST_SECONDS,
        watch: Callable[[Served], None] = lambda _: None,
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
        vault = SecretVault(engine, keys, masters, random, limits.body_bytes)
        self._secrets = SecretCalls(vault, limits, clock, record, request_seconds)
        self._env = EnvCalls(vault, limits, clock, record, request_seconds)
        self.refusals = Refusals(record, clock)

        def watch_all(served: Served) -> None:
            self.refusals.watch(served)
            watch(served)

        self.app = Web(self.routes(), partial(owner_of_header, owners), limits, watch_all)

    def routes(self) -> list[Route]:
        """Every call there is."""
        return [
            Route("POST", TOKENIZE, self._tokens.tokenize),
            Route("POST", DETOKENIZE, self._tokens.detokenize),
            Route("POST", LOOKUP, self._tokens.lookup),
            Route("POST", RETOKENIZE, self._tokens.retokenize),
            Route("GET", EPOCH, self._epochs.tell),
            Route("POST", ROTATE_EPOCH, self._epochs.rotate),
            Route("GET", SECRETS, self._secrets.names),
            Route("PUT", _SECRET, self._secrets.put),
            Route("GET", _SECRET, self._secrets.get),
            Route("DELETE", _SECRET, self._secrets.delete),
            Route("GET", f"{_SECRET}/history", self._secrets.history),
            Route("POST", ENV_ENCRYPT, self._env.encrypt),
            Route("POST", ENV_EXPAND, self._env.expand),
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
