"""What a node does with a client's request about secrets: the production vault over the production
engine, in the steps of the world."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.sim.desk import clock_of, engine_of, pause_of, seconds
from tests.sim.engine import NotDone, Unavailable, Waits
from tests.sim.script import Script
from tests.sim.secret_calls import (
    EndSecret,
    GetSecret,
    GetSecrets,
    PutSecret,
    PutSecrets,
    ReadHistory,
    ReadNames,
    Refusal,
    SecretCall,
    SecretWrite,
)
from tvault.errors import VaultError
from tvault.server.secret_vault import Missing, Request, SecretVault

if TYPE_CHECKING:
    from tests.sim.process import Process

MOST_BYTES = 1 << 20


class SecretApi:
    """One request's way through one node, with at most `patience_ms`."""

    def __init__(self, life: Process, patience_ms: int) -> None:
        self._ledger = ledger = life.world.secrets
        self._script = Script()
        self._deadline = seconds(life) + patience_ms / 1000
        self._vault = SecretVault(
            engine_of(life, self._script),
            ledger.ring,
            ledger.masters,
            life.world.dice.randbytes,
            MOST_BYTES,
            clock=clock_of(life, self._script),
            pause=pause_of(life, self._script),
        )

    def serve(self, asked: SecretCall) -> Waits:
        """The request with its result, which is seen to be one that there can be."""
        since = self._ledger.last
        request: Request | None = None
        if isinstance(asked, SecretWrite):
            request = self._vault.request(asked.owner, asked.key, repr(asked).encode())
            self._ledger.expect(asked, request)
        try:
            result = yield from self._script.run(partial(self._carry_out, asked, request))
        except Missing as missing:
            result = Refusal("unresolved", names=missing.names)
        except VaultError as error:
            if error.code == "unavailable":
                raise Unavailable from None
            if error.code == "overloaded":
                raise NotDone from None
            result = Refusal(error.code, version=error.members.get("version"))
        answered = replace(asked, result=result)
        self._ledger.judge(answered, request, since)
        return answered

    def _carry_out(self, asked: SecretCall, request: Request | None) -> Any:
        vault, owner, deadline = self._vault, asked.owner, self._deadline
        match asked:
            case GetSecret():
                return vault.get(owner, asked.wanted, deadline)
            case GetSecrets():
                return tuple(vault.current(owner, asked.names, deadline).items())
            case ReadHistory():
                return vault.history(owner, asked.name, deadline).versions
            case ReadNames():
                return tuple(vault.names(owner, deadline))
        assert request is not None, "every write has a name"
        match asked:
            case PutSecret():
                name, value = asked.name, asked.value
                return vault.put(owner, name, value, asked.condition, request, deadline)
            case EndSecret():
                return vault.delete(owner, asked.name, asked.condition, request, deadline)
            case PutSecrets():
                values = dict(asked.values)
                versions = vault.write_many(owner, values, asked.needed, request, deadline)
                return tuple(versions.items())
