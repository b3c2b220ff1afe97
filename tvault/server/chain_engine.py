"""The engine of the API over a node of the chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from tvault.engine import (
    EpochRefused,
    Health,
    Overtaken,
    StaleEpoch,
    TokensExist,
    Written,
    checked_repeat,
    unknown_outcome,
)
from tvault.errors import VaultError
from tvault.model.commands import Command, Mint, Rotate, WriteSecrets
from tvault.model.records import Places, refuse_long_look
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.ordering import Declined, Verdict
from tvault.replication.account import Condition
from tvault.replication.state import State
from tvault.server.health import health_of
from tvault.server.trace import current
from tvault.store.failures import JournalDamaged, StoreBroken, StoreClosed
from tvault.store.ports import Store

CONFIRMED = -1
"""The vantage of an outsider that knows the journal as far as a member has confirmed it."""

LOOK_AGAIN_SECONDS = 0.25
"""How long a row that is not committed is waited for before it is looked at again: a new view may have
cut it."""

BEHIND_SECONDS = 1.0
"""How long an outsider may take to know what others have committed; one that takes longer is far behind,
and another node is to be asked."""

T = TypeVar("T")
L = TypeVar("L", "_Epoch", FoundSecrets, FoundHistory, FoundNames)


class _Epoch(NamedTuple):
    """An owner's newest epoch, and the entry that began it."""

    epoch: int
    seq: int


class Desk(Protocol):
    """What the engine needs of a node: see `server.node.Node`."""

    @property
    def state(self) -> State:
        """What the node said of itself last."""

    @property
    def committed(self) -> int:
        """How far the journal is known to be committed."""

    @property
    def can_write(self) -> bool:
        """Whether the node can take writes now."""

    @property
    def is_cut_off(self) -> bool:
        """Whether there has been no chain for so long that to wait for one is idle."""

    def submit(self, command: Command, deadline: float, request: str) -> Verdict | None:
        """The verdict on a command of the request with this id, None when the deadline passed first."""

    def confirm(self, looked_in: int, deadline: float) -> bool:
        """Whether a round that began after the call confirmed this view."""

    def ask_index(self, deadline: float) -> int | None:
        """Up to which entry an outsider must know the journal."""

    def wait_for(self, seq: int, deadline: float) -> bool:
        """Whether the entry was known to be committed before the deadline."""

    def wait_for_chain(self, deadline: float) -> bool:
        """Whether there was, after a moment, a chain that takes writes."""

    def wait_for_vantage(self, deadline: float) -> bool:
        """Whether there was, after a moment, somebody who could confirm a read."""

    def note_damage(self, why: str) -> None:
        """What was read from the disk is not what was written there."""


class ChainEngine:
    """Fills `tvault.engine.Engine` with one node and its store.

    A row that is found is an answer only once it is committed.  Whether it is, is judged by what was
    known *before* the look: an uncommitted entry may be cut, and another committed in its place.

    A change of the chain costs a request time, not its answer: whatever is safe to do again is done
    again until the deadline.
    """

    def __init__(self, node: Desk, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._store = store
        self._clock = clock

    def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
        verdict, is_unsure = self._submit(command, deadline, is_repeatable=True)
        if isinstance(verdict, Written | StaleEpoch | TokensExist):
            return checked_repeat(verdict, is_unsure=is_unsure)
        raise _out_of_place(verdict)

    def rotate(self, command: Rotate, deadline: float) -> Written | EpochRefused:
        verdict, _ = self._submit(command, deadline, is_repeatable=False)
        if isinstance(verdict, Written | EpochRefused):
            return verdict
        raise _out_of_place(verdict)

    def write_secrets(self, command: WriteSecrets, deadline: float) -> Written | Overtaken:
        # Sent twice it is carried out once: the second time its request is known.
        verdict, _ = self._submit(command, deadline, is_repeatable=True)
        if isinstance(verdict, Written | Overtaken):
            return verdict
        raise _out_of_place(verdict)

    def peek_secrets(
        self,
        owner: str,
        wanted: Sequence[Wanted],
        request: bytes | None,
        deadline: float,  # noqa: ARG002 - it does not wait
    ) -> FoundSecrets:
        return self._read(lambda: self._store.secrets(owner, wanted, request))

    def read_secrets(
        self, owner: str, wanted: Sequence[Wanted], request: bytes | None, deadline: float
    ) -> FoundSecrets:
        # Of the newest version no look knows whether it is so still.
        may_settle = request is None and all(each.is_numbered_or_dated for each in wanted)

        def is_final(found: FoundSecrets) -> bool:
            return may_settle and found.has_ended

        return self._look(lambda: self._store.secrets(owner, wanted, request), deadline, is_final)

    def read_history(self, owner: str, name: str, deadline: float) -> FoundHistory:
        return self._look(lambda: self._store.history(owner, name), deadline)

    def read_names(self, owner: str, deadline: float) -> FoundNames:
        return self._look(lambda: self._store.names(owner), deadline)

    def _look(
        self, look: Callable[[], L], deadline: float, is_final: Callable[[L], bool] | None = None
    ) -> L:
        """What a look finds, all of it committed; confirmed, unless no later entry can change it."""
        began = self._clock()
        vantage = self.vantage()
        while True:
            committed = self._node.committed
            found = self._read(look)
            if found.seq > committed:
                self._wait_a_little(found.seq, began, deadline)
                continue
            self._trace(found.seq)
            if is_final is not None and is_final(found):
                return found
            again = self.confirm(vantage, deadline)
            if again is None:
                return found
            vantage = again

    def look_up(self, owner: str, epoch: int, digests: bytes, deadline: float) -> Places:
        began = self._clock()
        while True:
            committed = self._node.committed
            places = self._read(lambda: self._store.find(owner, epoch, digests))
            if places.seq <= committed:
                self._trace(places.seq)
                return places
            self._wait_a_little(places.seq, began, deadline)

    def find(self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float) -> list[Places]:
        vantage: int | None = self.vantage()
        while vantage is not None:
            found = self._look_up_all(owner, asked, deadline)
            is_whole = all(places.is_whole for places in found)
            vantage = None if is_whole else self.confirm(vantage, deadline)
        return found

    def _look_up_all(
        self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float
    ) -> list[Places]:
        found: list[Places] = []
        blocks = size = 0
        for epoch, digests in asked:
            if self._clock() > deadline:
                raise VaultError("unavailable", "The request took too long; try again.")
            found.append(self.look_up(owner, epoch, digests, deadline))
            blocks += len(found[-1].blocks)
            size += found[-1].size
            refuse_long_look(blocks, size)
        return found

    def hint_epoch(self, owner: str) -> int:
        return self._store.newest_epoch(owner)[0]

    def read_epoch(self, owner: str, deadline: float) -> int:
        return self._look(lambda: _Epoch(*self._store.newest_epoch(owner)), deadline).epoch

    def vantage(self) -> int:
        """From where this node looks now: to be taken before a look, and given to `confirm` after it."""
        return self._node.state.readable

    def confirm(self, vantage: int, deadline: float) -> int | None:
        """None once it is certain that a look made after `vantage` was taken, and before this call,
        missed nothing that was acknowledged before the look.  Else another vantage: look again from
        there, and have that confirmed.
        """
        if vantage == CONFIRMED or (vantage and self._node.confirm(vantage, deadline)):
            return None
        while not self._node.is_cut_off and self._node.wait_for_vantage(deadline):
            state = self._node.state
            if state.readable:
                return state.readable
            if state.condition is Condition.FULL:
                break
            seq = self._node.ask_index(deadline)
            if seq is not None:
                if self._node.wait_for(seq, min(deadline, self._clock() + BEHIND_SECONDS)):
                    return CONFIRMED
                break
        raise VaultError(
            "unavailable", "This node cannot confirm now that its answer is up to date; try another one."
        )

    def wait_for(self, seq: int, deadline: float) -> None:
        began, view = self._clock(), self._node.state.view
        while self._node.state.view == view:
            if self._wait_a_little(seq, began, deadline):
                return

    def health(self) -> Health:
        return health_of(self._node.state, can_write=self._node.can_write)

    def _submit(self, command: Command, deadline: float, *, is_repeatable: bool) -> tuple[Verdict, bool]:
        """The verdict on a command, and whether an earlier try may have been ordered all the same.  It
        is sent again when the chain changed, if it is certain that nothing was ordered, or if it does
        no harm to order it twice."""
        is_unsure = False
        while True:
            verdict = self._node.submit(command, deadline, current().request_id)
            if verdict is None:
                raise unknown_outcome()
            if not isinstance(verdict, Declined):
                if isinstance(verdict, Written):
                    self._trace(verdict.seq)
                return verdict, is_unsure
            is_unsure |= not verdict.nothing_ordered
            may_repeat = is_repeatable or verdict.nothing_ordered
            is_passing = verdict.code == "unavailable" and verdict.is_passing
            if not (may_repeat and is_passing and self._node.wait_for_chain(deadline)):
                raise unknown_outcome() if is_unsure else VaultError(verdict.code, verdict.detail)

    def _trace(self, seq: int) -> None:
        current().saw(seq, self._node.state.view)

    def _wait_a_little(self, seq: int, began: float, deadline: float) -> bool:
        """Whether the entry has come to be known as committed.  Raises `VaultError` `unavailable` when
        to wait longer is idle; `began` is when the request began to wait."""
        if self._node.wait_for(seq, min(deadline, self._clock() + LOOK_AGAIN_SECONDS)):
            return True
        now, state = self._clock(), self._node.state
        if state.role == "outside" and state.can_write:
            is_full = state.condition is Condition.FULL
            if is_full or now - began >= BEHIND_SECONDS:
                raise VaultError("unavailable", "This node is behind the chain; try another one.")
        if self._node.is_cut_off or now >= deadline:
            raise VaultError("unavailable", "The chain did not commit in time; try again.")
        return False

    def _read(self, look: Callable[[], T]) -> T:
        """What a look at the disk gives.  When it shows damage the node has to know."""
        try:
            return look()
        except (JournalDamaged, StoreBroken) as damage:
            self._node.note_damage(str(damage))
            raise VaultError("unavailable", "This node's disk is damaged; try another node.") from damage
        except StoreClosed:
            raise VaultError("unavailable", "The node is stopping; try another one.") from None


def _out_of_place(verdict: Verdict) -> VaultError:
    return VaultError("internal", f"The head answered {type(verdict).__name__}, which is out of place.")
