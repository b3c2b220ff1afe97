"""What a node does with a client's request: the steps of the server, each a wait of its own.

The same as `server.tokenize`, `server.reading` and the rotation of `server.client_api`, written as
generators that yield what they wait for; calls about secrets run the production code (`secret_api`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from tests.history.identity import epoch_named_by
from tests.history.operations import Conflict, Detokenize, ReadEpoch, Rotate, Tokenize
from tests.sim.engine import NotDone, SimEngine, Unavailable, Waits
from tests.sim.secret_api import SecretApi
from tests.sim.secret_calls import AnyCall, SecretCall
from tvault.engine import EpochRefused, StaleEpoch, TokensExist, Written
from tvault.model import commands
from tvault.model.commands import Block, Mint
from tvault.model.records import Places

if TYPE_CHECKING:
    from tests.sim.process import Process, Result

REQUEST_MS = 3_000
ROUNDS = 16
ROTATE_ROUNDS = 4


class Caller(Protocol):
    """Who made a request, at the other end of the connection."""

    def replied(self, answer: AnyCall | None, *, is_done: bool) -> None:
        """The answer; None for `unavailable`.  `is_done`: it may have been done."""

    def give_up(self) -> None:
        """The connection broke."""


class Handler:
    """The thread of one request.  Its caller is told how it ended, once."""

    def __init__(
        self,
        life: Process,
        asked: AnyCall,
        caller: Caller,
    ) -> None:
        self._life = life
        self._caller = caller
        self._steps = Api(life).serve(asked)
        self._number = life.ticket()
        self._is_over = False
        life.handlers[self._number] = self
        life.world.post(REQUEST_MS, life.when_awake, self._expire)
        self._go(None)

    def reset(self) -> None:
        """The process died: its streams break."""
        if not self._is_over:
            self._is_over = True
            self._caller.give_up()

    def _wake(self, result: Result) -> None:
        world = self._life.world
        world.post(int(world.random() * 2), self._life.when_awake, self._go, result)

    def _go(self, result: Result) -> None:
        if self._is_over:
            return
        try:
            step = self._steps.send(result)
        except StopIteration as end:
            self._finish(end.value)
        except NotDone:
            self._finish(None, is_done=False)
        except Unavailable:
            self._finish(None)
        else:
            step(self._wake)

    def _expire(self) -> None:
        if not self._is_over:
            self._finish(None)

    def _finish(self, answer: AnyCall | None, *, is_done: bool = True) -> None:
        self._is_over = True
        self._steps.close()
        del self._life.handlers[self._number]
        self._caller.replied(answer, is_done=is_done)


class Api:
    """One request's way through one node."""

    def __init__(self, life: Process) -> None:
        self._life = life
        self._engine = SimEngine(life)
        self._padding = life.world.padding

    def serve(self, asked: AnyCall) -> Waits:
        """The request with its result."""
        if isinstance(asked, SecretCall):
            return SecretApi(self._life, REQUEST_MS).serve(asked)
        if isinstance(asked, Tokenize):
            return self._tokenize(asked)
        if isinstance(asked, Detokenize):
            return self._detokenize(asked)
        if isinstance(asked, ReadEpoch):
            return self._epoch(asked)
        return self._rotate(asked)

    def _tokenize(self, asked: Tokenize) -> Waits:
        owner, engine = asked.owner, self._engine
        values = [value for value in dict.fromkeys(asked.values) if isinstance(value, bytes)]
        epoch = engine.hint_epoch(owner)
        may_be_done = False
        for _ in range(ROUNDS):
            digests = [digest_of(owner, epoch, value) for value in values]
            places = yield from engine.look_up(owner, epoch, b"".join(digests))
            for at, found in _found(places):
                assert found == values[at], f"{owner}: token of {values[at]!r} holds {found!r}"
            missing = places.missing()
            if missing:
                sealed = b"|".join([*(values[at] for at in missing), self._padding])
                block = Block(owner, epoch, b"".join(digests[at] for at in missing), sealed)
                verdict = yield from engine.mint(Mint(owner, epoch, (block,)))
            else:
                active = yield from engine.read_epoch(owner)
                verdict = Written(0) if active == epoch else StaleEpoch(active)
            if isinstance(verdict, Written):
                token_of = {v: token_text(epoch, d) for v, d in zip(values, digests, strict=True)}
                tokens = tuple(token_of[v] if isinstance(v, bytes) else None for v in asked.values)
                return replace(asked, result=(epoch, tokens))
            if isinstance(verdict, StaleEpoch):
                if may_be_done:
                    raise Unavailable
                epoch = verdict.newest
            else:
                assert isinstance(verdict, TokensExist)
                may_be_done |= verdict.is_perhaps_own
                yield from engine.wait_for(verdict.seq)
        raise Unavailable

    def _detokenize(self, asked: Detokenize) -> Waits:
        vantage: int | None = self._engine.vantage()
        while vantage is not None:
            values = yield from self._look(asked)
            yield from self._engine.nap()
            vantage = (yield from self._engine.confirm(vantage)) if None in values else None
        return replace(asked, result=tuple(values))

    def _look(self, asked: Detokenize) -> Waits:
        """The newest epoch first: an epoch gets no tokens once a later one has begun."""
        values: list[bytes | None] = [None] * len(asked.tokens)
        by_epoch: dict[int, list[int]] = {}
        for at, token in enumerate(asked.tokens):
            by_epoch.setdefault(epoch_named_by(token or "") or 1, []).append(at)
        for epoch, positions in sorted(by_epoch.items(), reverse=True):
            digests = b"".join(_digest_in(asked.tokens[at]) for at in positions)
            places = yield from self._engine.look_up(asked.owner, epoch, digests)
            for at, found in _found(places):
                values[positions[at]] = found
            yield from self._engine.nap()
        return values

    def _epoch(self, asked: ReadEpoch) -> Waits:
        active = yield from self._engine.read_epoch(asked.owner)
        return replace(asked, result=active)

    def _rotate(self, asked: Rotate) -> Waits:
        for _ in range(ROTATE_ROUNDS):
            active = yield from self._engine.read_epoch(asked.owner)
            if active == asked.to:
                return replace(asked, result="already")
            if active + 1 != asked.to:
                return replace(asked, result=Conflict(active))
            verdict = yield from self._engine.rotate(commands.Rotate(asked.owner, asked.to))
            if isinstance(verdict, Written):
                return replace(asked, result="rotated")
            assert isinstance(verdict, EpochRefused)
            yield from self._engine.wait_for(verdict.seq)
        raise Unavailable


def _found(places: Places) -> list[tuple[int, bytes]]:
    """Positions that were found, and the values there."""
    return [
        (at, places.blocks[block].sealed.split(b"|")[places.place_of[at]])
        for at, block in enumerate(places.block_of)
        if block >= 0
    ]


def _digest_in(token: str | None) -> bytes:
    return bytes.fromhex(token[-32:]) if token and epoch_named_by(token) else bytes(16)


def token_text(epoch: int, digest: bytes) -> str:
    """A token as clients see it."""
    return f"tv1_{epoch}_{digest.hex()}"


@lru_cache(maxsize=1 << 14)
def digest_of(owner: str, epoch: int, value: bytes) -> bytes:
    """A token of the simulated vault: like the real one, of nothing but owner, epoch and value."""
    return hashlib.blake2b(value, digest_size=16, key=f"{owner}/{epoch}".encode()).digest()
