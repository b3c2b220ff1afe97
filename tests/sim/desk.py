"""What the production engine needs of a node and its store, over a simulated life."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from tests.sim.engine import SimEngine, Waits
from tests.sim.script import Script
from tvault.engine import Written
from tvault.model.commands import Command
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.ordering import Declined, Verdict
from tvault.replication.ready import Answer
from tvault.replication.state import State
from tvault.server.chain_engine import ChainEngine
from tvault.store.ports import Store

if TYPE_CHECKING:
    from tests.sim.process import Process

NAPS = 0.1
T = TypeVar("T")


def engine_of(life: Process, script: Script) -> ChainEngine:
    """The engine that a real node has, whose every question is one of the script's."""
    store = cast(Store, _Looks(life, script))
    return ChainEngine(_Desk(life, script), store, clock_of(life, script))


def seconds(life: Process) -> float:
    """The time of a node's steady clock."""
    return life.world.now / 1000


def clock_of(life: Process, script: Script) -> Callable[[], float]:
    """The node's steady clock, as the script's code sees it."""
    return partial(script.now, partial(seconds, life))


def pause_of(life: Process, script: Script) -> Callable[[float], None]:
    """What makes the script's code wait for so many seconds."""

    def pause(duration: float) -> None:
        script.later(lambda: _one(partial(life.sleep, round(duration * 1000))))

    return pause


class _Desk:
    """Fills `server.chain_engine.Desk`."""

    def __init__(self, life: Process, script: Script) -> None:
        self._life = life
        self._script = script
        self._engine = SimEngine(life)

    @property
    def state(self) -> State:
        return self._script.now(lambda: self._life.state)

    @property
    def committed(self) -> int:
        return self.state.committed

    @property
    def can_write(self) -> bool:
        return self.state.can_write

    @property
    def is_cut_off(self) -> bool:
        return self._script.now(self._engine.is_cut_off)

    def submit(self, command: Command, deadline: float, request: str) -> Verdict | None:  # noqa: ARG002
        verdict: Verdict = self._script.later(partial(self._submit, command))
        return verdict

    def _submit(self, command: Command) -> Waits:
        verdict = yield partial(self._life.submit, command)
        assert not isinstance(verdict, Declined) or verdict.code != "internal", verdict
        if isinstance(verdict, Written):
            self._life.world.checks.acknowledged(verdict.seq)
        return verdict

    def confirm(self, looked_in: int, deadline: float) -> bool:  # noqa: ARG002
        answer = self._script.later(lambda: _one(partial(self._life.confirm, looked_in)))
        return isinstance(answer, Answer) and answer.result == "confirmed"

    def ask_index(self, deadline: float) -> int | None:  # noqa: ARG002
        answer = self._script.later(lambda: _one(self._life.ask_index))
        return answer.seq if isinstance(answer, Answer) and answer.result == "index" else None

    def wait_for(self, seq: int, deadline: float) -> bool:
        limit_ms = max(0, round((deadline - seconds(self._life)) * 1000))
        return bool(self._script.later(lambda: _one(partial(self._life.wait_for, seq, limit_ms))))

    def wait_for_chain(self, deadline: float) -> bool:  # noqa: ARG002
        return self._wait_until(lambda state: state.can_write)

    def wait_for_vantage(self, deadline: float) -> bool:  # noqa: ARG002
        return self._wait_until(lambda state: state.readable > 0 or state.can_write)

    def _wait_until(self, is_so: Callable[[State], bool]) -> bool:
        return bool(self._script.later(lambda: self._engine.wait_until(is_so)))

    def note_damage(self, why: str) -> None:
        raise AssertionError(f"a store in RAM is damaged: {why}")


class _Looks:
    """The looks of the store that the engine makes at secrets, each after a nap, now and then."""

    def __init__(self, life: Process, script: Script) -> None:
        self._life = life
        self._script = script

    def secrets(self, owner: str, wanted: Sequence[Wanted], request: bytes | None) -> FoundSecrets:
        return self._look(lambda: self._life.store.secrets(owner, wanted, request))

    def history(self, owner: str, name: str) -> FoundHistory:
        return self._look(lambda: self._life.store.history(owner, name))

    def names(self, owner: str) -> FoundNames:
        return self._look(lambda: self._life.store.names(owner))

    def _look(self, look: Callable[[], T]) -> T:
        random = self._life.world.random
        if self._script.now(lambda: random() < NAPS):
            self._script.later(lambda: _one(partial(self._life.sleep, int(random() * 40))))
        return self._script.now(look)


def _one(step: Callable[..., None]) -> Waits:
    return (yield step)
