"""The calls about epochs: which one is active, and on to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tvault.engine import Engine, Written
from tvault.errors import VaultError
from tvault.model.commands import Rotate
from tvault.server.bodies import members_of
from tvault.server.calls import Calls, EventSink
from tvault.server.web import Answer, Call, json_answer

ROTATE_ROUNDS: Final = 8
"""How often a rotation is tried when others keep coming between."""

LARGEST_EPOCH: Final = 2**53
"""The largest epoch that a rotation may name: beyond it, many JSON readers lose digits."""


class EpochCalls(Calls):
    """`GET /epoch` and `POST /rotate-epoch`."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float],
        record: EventSink,
        request_seconds: float,
    ) -> None:
        super().__init__(clock, record, request_seconds)
        self._engine = engine

    def tell(self, call: Call) -> Answer:
        """The owner's active epoch."""
        started = self._clock()
        epoch = self._engine.read_epoch(call.owner, self._deadline())
        self._note("epoch", call, started, epoch=epoch)
        return json_answer({"epoch": epoch})

    def rotate(self, call: Call) -> Answer:
        """The owner's active epoch is the one that the body names."""
        document, _ = members_of(call.body, ("to",))
        to = _epoch_in(document.get("to"))
        started = self._clock()
        is_new = self._rotate_to(call.owner, to, self._deadline())
        self._note("rotate", call, started, epoch=to, rotated=int(is_new))
        return json_answer({"epoch": to, "rotated": is_new})

    def _rotate_to(self, owner: str, to: int, deadline: float) -> bool:
        """Whether the owner's epoch has become `to` by this call; False when it was that already."""
        for _ in range(ROTATE_ROUNDS):
            active = self._engine.read_epoch(owner, deadline)
            if active == to:
                return False
            if active + 1 != to:
                raise VaultError(
                    "epoch_conflict",
                    f"The active epoch is {active}; a rotation leads to the next one.",
                    members={"epoch": active},
                )
            verdict = self._engine.rotate(Rotate(owner, to), deadline)
            if isinstance(verdict, Written):
                return True
            self._engine.wait_for(verdict.seq, deadline)
        raise VaultError("unavailable", "Other rotations kept coming between; try again.")


def _epoch_in(there: object) -> int:
    """The epoch that a member names: for a schema of JSON 2.0 is an integer, too."""
    if isinstance(there, float) and there.is_integer():
        there = int(there)
    if not isinstance(there, int) or isinstance(there, bool) or not 1 <= there <= LARGEST_EPOCH:
        raise VaultError("malformed", "The member to must be an epoch, an integer from 1.")
    return there
