"""The engine of a gateway: the nodes' own engines, asked one after the other until one answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from tvault.engine import (
    EpochRefused,
    Health,
    StaleEpoch,
    TokensExist,
    Written,
    checked_repeat,
    unknown_outcome,
)
from tvault.errors import VaultError
from tvault.model.commands import Mint, Rotate
from tvault.model.records import LookTooLong, Places
from tvault.server.engine_wire import (
    ActiveEpoch,
    AskEpoch,
    AskFind,
    AskHealth,
    AskLookUp,
    AskWaitFor,
    FoundPlaces,
    OwnHealth,
    Question,
    Reply,
    TooLong,
    Waited,
    places_of,
)
from tvault.server.lines import Broken, Lines, NotSent

HEALTH_SECONDS = 0.5
"""How long a node may take to tell its health, before the next one is asked."""

_PASSED_ON = {"unavailable", "overloaded", "internal"}
_TURNED_AWAY = VaultError("unavailable", "No node answers this gateway; its log says why.")

R = TypeVar("R")


class RemoteEngine:
    """Fills `tvault.engine.Engine` over the nodes' peer ports.

    Whatever does no harm when it is done twice is asked of the next node when one does not answer.
    """

    def __init__(self, lines: Lines, clock: Callable[[], float] = time.monotonic) -> None:
        self._lines = lines
        self._clock = clock
        self._hints: dict[str, int] = {}

    def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
        reply, is_unsure = self._ask(command, deadline, is_write=True)
        if isinstance(reply, StaleEpoch):
            self._hints[command.owner] = reply.newest
        if isinstance(reply, Written | StaleEpoch | TokensExist):
            return checked_repeat(reply, is_unsure=is_unsure)
        raise _out_of_place(reply)

    def rotate(self, command: Rotate, deadline: float) -> Written | EpochRefused:
        reply, _ = self._ask(command, deadline, is_write=True, is_repeatable=False)
        if isinstance(reply, Written | EpochRefused):
            self._hints[command.owner] = command.to if isinstance(reply, Written) else reply.newest
            return reply
        raise _out_of_place(reply)

    def look_up(self, owner: str, epoch: int, digests: bytes, deadline: float) -> Places:
        return self._look(AskLookUp(owner, epoch, digests), deadline)[0]

    def find(self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float) -> list[Places]:
        return self._look(AskFind(owner, tuple(asked)), deadline)

    def hint_epoch(self, owner: str) -> int:
        return self._hints.get(owner, 1)

    def read_epoch(self, owner: str, deadline: float) -> int:
        epoch = self._read(AskEpoch(owner), deadline, ActiveEpoch).epoch
        self._hints[owner] = epoch
        return epoch

    def wait_for(self, seq: int, deadline: float) -> None:
        self._read(AskWaitFor(seq), deadline, Waited)

    def health(self) -> Health:
        """What the first node that answers says of itself, unless it is `unavailable`."""
        for node in self._lines.in_turn():
            deadline = self._clock() + HEALTH_SECONDS
            with suppress(NotSent, Broken, VaultError):
                reply = self._lines.ask(node, AskHealth(), deadline, is_last=True)
                if isinstance(reply, OwnHealth) and reply.health != "unavailable":
                    return reply.health
        return "unavailable"

    def _look(self, question: AskLookUp | AskFind, deadline: float) -> list[Places]:
        reply, _ = self._ask(question, deadline)
        if isinstance(reply, TooLong):
            raise LookTooLong
        if isinstance(reply, FoundPlaces):
            return [places_of(located) for located in reply.places]
        raise _out_of_place(reply)

    def _read(self, question: Question, deadline: float, kind: type[R]) -> R:
        reply, _ = self._ask(question, deadline)
        if isinstance(reply, kind):
            return reply
        raise _out_of_place(reply)

    def _ask(
        self, question: Question, deadline: float, *, is_write: bool = False, is_repeatable: bool = True
    ) -> tuple[Reply, bool]:
        """The reply of the first node that gives one, and whether an earlier one may have done what was
        asked all the same.

        Raises `VaultError`: the last refusal, `unavailable` when no node was there.
        """
        is_unsure = False
        refusal: VaultError | None = None
        order = list(self._lines.in_turn())
        for node in order:
            try:
                reply = self._lines.ask(node, question, deadline, is_last=node == order[-1])
            except NotSent:
                continue
            except Broken:
                is_unsure = True
            except VaultError as error:
                refusal = error if error.code in _PASSED_ON else _TURNED_AWAY
                is_unsure |= is_write and error.code == "unavailable"
            else:
                return reply, is_unsure
            if is_unsure and not is_repeatable:
                break
        if is_write and is_unsure:
            raise unknown_outcome()
        raise refusal or VaultError("unavailable", "No node can be reached now; try again.")


def _out_of_place(reply: Reply) -> VaultError:
    return VaultError("internal", f"A node answered {type(reply).__name__}, which is out of place.")
