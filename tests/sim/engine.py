"""The engine of a simulated node: the steps of `server.chain_engine`, each a wait of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from tvault.engine import StaleEpoch, TokensExist, Written
from tvault.model.commands import Command, Mint, Rotate
from tvault.model.records import Places
from tvault.ordering import Declined
from tvault.replication.account import Condition
from tvault.replication.ready import Answer
from tvault.replication.state import State

if TYPE_CHECKING:
    from tests.sim.process import Done, Process

CONFIRMED = -1
LOOK_AGAIN_MS = 250
BEHIND_MS = 1_000
POLL_MS = 20
PATIENCE_TIMES = 3

Step = Callable[["Done"], None]
Waits = Generator[Step, Any, Any]


class Unavailable(Exception):
    """The node cannot answer now; whatever was written may be there or not."""


class NotDone(Exception):
    """Refused: it is certain that nothing was or will be written."""


class SimEngine:
    """`server.chain_engine.ChainEngine` over a simulated life, as generators that yield their waits."""

    def __init__(self, life: Process) -> None:
        self._life = life
        self._store = life.store
        self._world = life.world

    def mint(self, command: Mint) -> Waits:
        verdict, is_unsure = yield from self._submit(command, is_repeatable=True)
        if is_unsure and isinstance(verdict, StaleEpoch):
            raise Unavailable
        if is_unsure and isinstance(verdict, TokensExist):
            return TokensExist(verdict.seq, is_perhaps_own=True)
        return verdict

    def rotate(self, command: Rotate) -> Waits:
        verdict, _ = yield from self._submit(command, is_repeatable=False)
        return verdict

    def look_up(self, owner: str, epoch: int, digests: bytes) -> Waits:
        began = self._world.now
        while True:
            committed = self._life.state.committed
            places: Places = self._store.find(owner, epoch, digests)
            if places.seq <= committed:
                return places
            yield from self._wait_a_little(places.seq, began)

    def hint_epoch(self, owner: str) -> int:
        return self._store.newest_epoch(owner)[0]

    def read_epoch(self, owner: str) -> Waits:
        began = self._world.now
        vantage = self.vantage()
        while True:
            committed = self._life.state.committed
            epoch, seq = self._store.newest_epoch(owner)
            if seq > committed:
                yield from self._wait_a_little(seq, began)
                continue
            yield from self.nap()
            again = yield from self.confirm(vantage)
            if again is None:
                return epoch
            vantage = again

    def vantage(self) -> int:
        return self._life.state.readable

    def confirm(self, vantage: int) -> Waits:
        if vantage == CONFIRMED:
            return None
        if vantage:
            answer = yield partial(self._life.confirm, vantage)
            if isinstance(answer, Answer) and answer.result == "confirmed":
                return None
        while (yield from self.wait_until(lambda state: state.readable > 0 or state.can_write)):
            state = self._life.state
            if state.readable:
                return state.readable
            if state.condition is Condition.FULL:
                break
            answer = yield self._life.ask_index
            if isinstance(answer, Answer) and answer.result == "index":
                if (yield partial(self._life.wait_for, answer.seq, BEHIND_MS)):
                    return CONFIRMED
                break
        raise Unavailable

    def wait_for(self, seq: int) -> Waits:
        began, view = self._world.now, self._life.state.view
        while self._life.state.view == view:
            if (yield from self._wait_a_little(seq, began)):
                return

    def nap(self) -> Waits:
        """A thread may be kept waiting between any two of its steps."""
        if self._world.random() < 0.1:
            yield partial(self._life.sleep, int(self._world.random() * 40))

    def _submit(self, command: Command, *, is_repeatable: bool) -> Waits:
        is_unsure = False
        while True:
            verdict = yield partial(self._life.submit, command)
            if not isinstance(verdict, Declined):
                if isinstance(verdict, Written):
                    self._world.checks.acknowledged(verdict.seq)
                return verdict, is_unsure
            assert verdict.code != "internal", verdict
            is_unsure |= not verdict.nothing_ordered
            may_repeat = is_repeatable or verdict.nothing_ordered
            is_passing = verdict.code == "unavailable" and verdict.is_passing
            if not (may_repeat and is_passing and (yield from self.wait_until(_can_write))):
                raise Unavailable if is_unsure else NotDone

    def _wait_a_little(self, seq: int, began: int) -> Waits:
        if (yield partial(self._life.wait_for, seq, LOOK_AGAIN_MS)):
            return True
        state = self._life.state
        if state.role == "outside" and state.can_write:
            is_full = state.condition is Condition.FULL
            if is_full or self._world.now - began >= BEHIND_MS:
                raise Unavailable
        if self.is_cut_off():
            raise Unavailable
        return False

    def wait_until(self, is_so: Callable[[State], bool]) -> Waits:
        """Wait a moment, then until the state is such; False when there has been no chain for long."""
        yield partial(self._life.sleep, int(self._world.random() * POLL_MS))
        while not is_so(self._life.state):
            if self.is_cut_off():
                return False
            yield partial(self._life.sleep, POLL_MS)
        return True

    def is_cut_off(self) -> bool:
        patience = PATIENCE_TIMES * self._world.timing.suspect_ms
        return self._world.now >= self._life.flowed_at + patience


def _can_write(state: State) -> bool:
    return state.can_write
