"""An engine of one node that keeps everything in RAM and commits at once: real rules, no chain."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence

from tvault.engine import EpochRefused, Health, Overtaken, StaleEpoch, TokensExist, Written
from tvault.model import verdicts
from tvault.model.commands import Command, Mint, Rotate, WriteSecrets, encode_rows
from tvault.model.records import Places
from tvault.model.rules import Judge
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.replication.entry import Kind, follow
from tvault.store.memory import MemoryStore


def wall_clock() -> int:
    """The time in microseconds since 1970, as a node has it."""
    return time.time_ns() // 1000


class LoneEngine:
    """Fills `tvault.engine.Engine`.  `calls` names its calls, in order; `clock` is the judge's."""

    def __init__(self, owners: Collection[str], clock: Callable[[], int] = wall_clock) -> None:
        self.store = MemoryStore()
        self.calls: list[str] = []
        self.hints: dict[str, int] = {}
        self.is_writable = True
        self.is_short = False
        self._judge = Judge(self.store, owners, clock=clock)
        self._lock = threading.Lock()

    def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
        self._note("mint", deadline)
        match self.judge(command):
            case verdicts.Admitted():
                return Written(self.store.last().seq)
            case verdicts.StaleEpoch(newest):
                self.hints[command.owner] = newest
                return StaleEpoch(newest)
            case verdicts.TokensExist(seq):
                return TokensExist(seq)
            case verdict:
                raise AssertionError(verdict)

    def rotate(self, command: Rotate, deadline: float) -> Written | EpochRefused:
        self._note("rotate", deadline)
        match self.judge(command):
            case verdicts.Admitted():
                return Written(self.store.last().seq)
            case verdicts.EpochRefused(newest, seq):
                return EpochRefused(newest, seq)
            case verdict:
                raise AssertionError(verdict)

    def look_up(self, owner: str, epoch: int, digests: bytes, deadline: float) -> Places:
        self._note("look_up", deadline)
        return self.store.find(owner, epoch, digests)

    def find(self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float) -> list[Places]:
        found = [self.look_up(owner, epoch, digests, deadline) for epoch, digests in asked]
        if not all(places.is_whole for places in found):
            self.confirm(deadline)
        return found

    def confirm(self, deadline: float) -> None:
        """What was not found was not there: at once, since nobody else writes."""
        self._note("confirm", deadline)

    def write_secrets(self, command: WriteSecrets, deadline: float) -> Written | Overtaken:
        self._note("write_secrets", deadline)
        match self.judge(command):
            case verdicts.Admitted(stamp):
                return Written(self.store.last().seq, stamp)
            case verdicts.Overtaken(seq):
                return Overtaken(seq)
            case verdict:
                raise AssertionError(verdict)

    def peek_secrets(
        self, owner: str, wanted: Sequence[Wanted], request: bytes | None, deadline: float
    ) -> FoundSecrets:
        self._note("peek_secrets", deadline)
        return self.store.secrets(owner, wanted, request)

    def read_secrets(
        self, owner: str, wanted: Sequence[Wanted], request: bytes | None, deadline: float
    ) -> FoundSecrets:
        self._note("read_secrets", deadline)
        return self.store.secrets(owner, wanted, request)

    def read_history(self, owner: str, name: str, deadline: float) -> FoundHistory:
        self._note("read_history", deadline)
        return self.store.history(owner, name)

    def read_names(self, owner: str, deadline: float) -> FoundNames:
        self._note("read_names", deadline)
        return self.store.names(owner)

    def hint_epoch(self, owner: str) -> int:
        return self.hints.get(owner) or self.store.newest_epoch(owner)[0]

    def read_epoch(self, owner: str, deadline: float) -> int:
        self._note("read_epoch", deadline)
        return self.store.newest_epoch(owner)[0]

    def wait_for(self, seq: int, deadline: float) -> None:
        self._note("wait_for", deadline)
        assert 0 <= seq <= self.store.last().seq

    def health(self) -> Health:
        if not self.is_writable:
            return "unavailable"
        return "degraded" if self.is_short else "ok"

    def share(self, other: LoneEngine) -> None:
        """Hold the journal of another engine from now on, as another node of its chain does."""
        self.store, self._judge, self._lock = other.store, other._judge, other._lock

    def judge(self, command: Command) -> verdicts.Verdict:
        """Judge the command and write its rows if it is admitted, as if from another node."""
        with self._lock:
            verdict = self._judge.admit(command)
            if isinstance(verdict, verdicts.Admitted):
                body = encode_rows(self._judge.take())
                entry = follow(self.store.last(), 1, Kind.ROWS, body)
                self.store.write(None, [entry], committed=entry.seq)
            return verdict

    def _note(self, call: str, deadline: float) -> None:
        assert deadline > 0
        self.calls.append(call)
