"""The engine of the API over a node of the chain."""

from __future__ import annotations

from collections.abc import Sequence

from tvault.engine import EpochRefused, StaleEpoch, TokensExist, Written
from tvault.errors import VaultError
from tvault.model.commands import Command, Mint, Rotate
from tvault.model.records import Places
from tvault.ordering import Declined, Verdict
from tvault.server.node import Node
from tvault.store.ports import Store


class ChainEngine:
    """Fills `tvault.engine.Engine` with one node and its store.

    A row that is found is an answer only once it is committed.  Whether it is, is judged by what was
    known *before* the look: an uncommitted entry may be cut, and another committed in its place.
    """

    def __init__(self, node: Node, store: Store) -> None:
        self._node = node
        self._store = store

    def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
        verdict = self._submit(command, deadline)
        if isinstance(verdict, Written | StaleEpoch | TokensExist):
            return verdict
        raise _out_of_place(verdict)

    def rotate(self, command: Rotate, deadline: float) -> Written | EpochRefused:
        verdict = self._submit(command, deadline)
        if isinstance(verdict, Written | EpochRefused):
            return verdict
        raise _out_of_place(verdict)

    def look_up(self, owner: str, epoch: int, digests: Sequence[bytes], deadline: float) -> Places:
        while True:
            committed = self._node.committed
            places = self._store.find(owner, epoch, digests)
            if places.seq <= committed:
                return places
            self.wait_for(places.seq, deadline)

    def hint_epoch(self, owner: str) -> int:
        return self._store.newest_epoch(owner)[0]

    def read_epoch(self, owner: str, deadline: float) -> int:
        while True:
            vantage, committed = self.vantage(), self._node.committed
            epoch, seq = self._store.newest_epoch(owner)
            if seq <= committed:
                self.confirm(vantage, deadline)
                return epoch
            self.wait_for(seq, deadline)

    def vantage(self) -> int:
        return self._node.state.readable

    def confirm(self, vantage: int, deadline: float) -> None:
        if not self._node.confirm(vantage, deadline):
            raise VaultError(
                "unavailable", "This node cannot confirm now that its answer is up to date; try again."
            )

    def wait_for(self, seq: int, deadline: float) -> None:
        if not self._node.wait_for(seq, deadline):
            raise VaultError("unavailable", "The chain did not commit in time; try again.")

    def can_write(self) -> bool:
        return self._node.state.can_write

    def is_degraded(self) -> bool:
        return False

    def _submit(self, command: Command, deadline: float) -> Verdict:
        verdict = self._node.submit(command, deadline)
        if verdict is None:
            raise VaultError(
                "unavailable",
                "The write was not acknowledged in time; its outcome is unknown; try again.",
            )
        if isinstance(verdict, Declined):
            raise VaultError(verdict.code, verdict.detail)
        return verdict


def _out_of_place(verdict: Verdict) -> VaultError:
    return VaultError("internal", f"The head answered {type(verdict).__name__}, which is out of place.")
