"""The engine of a gateway: the nodes' own engines, asked one after the other until one answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

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
from tvault.errors import Code, VaultError
from tvault.model.commands import Mint, Rotate, WriteSecrets
from tvault.model.records import LookTooLong, Places
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.server.engine_wire import (
    ActiveEpoch,
    AskEpoch,
    AskFind,
    AskHistory,
    AskLookUp,
    AskNames,
    AskSecrets,
    AskWaitFor,
    FoundPlaces,
    Question,
    Reply,
    TooLong,
    Waited,
    unpacked,
)
from tvault.server.lines import Broken, Lines, NotSent
from tvault.server.trace import current

HEALTH_SECONDS = 0.5
"""How long a node may take to tell its health, before the next one is asked."""

_PASSED_ON = {"unavailable", "overloaded", "internal"}
_UNSURE = {"unavailable", "internal"}
_TURNED_AWAY: tuple[Code, str] = "unavailable", "No node answers this gateway; its log says why."

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
        if isinstance(reply, Written):
            current().saw(reply.seq)
        if isinstance(reply, StaleEpoch):
            self._hints[command.owner] = reply.newest
        if isinstance(reply, Written | StaleEpoch | TokensExist):
            return checked_repeat(reply, is_unsure=is_unsure)
        raise _out_of_place(reply)

    def rotate(self, command: Rotate, deadline: float) -> Written | EpochRefused:
        reply, _ = self._ask(command, deadline, is_write=True, is_repeatable=False)
        if isinstance(reply, Written | EpochRefused):
            current().saw(reply.seq)
            self._hints[command.owner] = command.to if isinstance(reply, Written) else reply.newest
            return reply
        raise _out_of_place(reply)

    def look_up(self, owner: str, epoch: int, digests: bytes, deadline: float) -> Places:
        return self._look(AskLookUp(owner, epoch, digests), deadline)[0]

    def find(self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float) -> list[Places]:
        return self._look(AskFind(owner, tuple(asked)), deadline)

    def write_secrets(self, command: WriteSecrets, deadline: float) -> Written | Overtaken:
        # Sent twice it is carried out once: the second time its request is known.
        reply, _ = self._ask(command, deadline, is_write=True)
        if isinstance(reply, Written | Overtaken):
            current().saw(reply.seq)
            return reply
        raise _out_of_place(reply)

    def peek_secrets(
        self, owner: str, wanted: Sequence[Wanted], request: bytes | None, deadline: float
    ) -> FoundSecrets:
        return self._look_at(AskSecrets(owner, tuple(wanted), request, is_glance=True), deadline)

    def read_secrets(
        self, owner: str, wanted: Sequence[Wanted], request: bytes | None, deadline: float
    ) -> FoundSecrets:
        return self._look_at(AskSecrets(owner, tuple(wanted), request, is_glance=False), deadline)

    def read_history(self, owner: str, name: str, deadline: float) -> FoundHistory:
        return self._read(AskHistory(owner, name), deadline, FoundHistory)

    def read_names(self, owner: str, deadline: float) -> FoundNames:
        return self._read(AskNames(owner), deadline, FoundNames)

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
            with suppress(NotSent, Broken, VaultError):
                status = self._lines.status(node, HEALTH_SECONDS)
                if status.health != "unavailable":
                    return status.health
        return "unavailable"

    def _look(self, question: AskLookUp | AskFind, deadline: float) -> list[Places]:
        reply, _ = self._ask(question, deadline)
        if isinstance(reply, TooLong):
            raise LookTooLong
        if isinstance(reply, FoundPlaces):
            return [unpacked(packed) for packed in reply.places]
        raise _out_of_place(reply)

    def _look_at(self, question: AskSecrets, deadline: float) -> FoundSecrets:
        reply, _ = self._ask(question, deadline)
        if isinstance(reply, TooLong):
            raise LookTooLong
        if isinstance(reply, FoundSecrets):
            return reply
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
        # What was caught is not kept: it would hold the request, and whoever raises it again adds to it.
        refusal: tuple[Code, str] = "unavailable", "No node can be reached now; try again."
        order = list(self._lines.in_turn())
        for node in order:
            try:
                reply = self._lines.ask(node, question, deadline, is_last=node == order[-1])
            except NotSent:
                continue
            except Broken:
                is_unsure = True
            except VaultError as error:
                refusal = _told(error, is_write=is_write)
                is_unsure |= is_write and error.code in _UNSURE
            else:
                return reply, is_unsure
            if is_unsure and not is_repeatable:
                break
        if is_write and is_unsure:
            raise unknown_outcome()
        if self._clock() >= deadline:
            refusal = "unavailable", "The request took too long; try again."
        raise VaultError(*refusal)


def _told(error: VaultError, *, is_write: bool) -> tuple[Code, str]:
    """What a client is told of a node's refusal.  That nothing was written, as `overloaded` says, holds
    for the question alone: the request may have written before it read."""
    if error.code == "overloaded" and not is_write:
        return "unavailable", error.detail
    return (error.code, error.detail) if error.code in _PASSED_ON else _TURNED_AWAY


def _out_of_place(reply: Reply) -> VaultError:
    return VaultError("internal", f"A node answered {type(reply).__name__}, which is out of place.")
