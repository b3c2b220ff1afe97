"""Confirming reads: a round in which a majority says that nobody has promised a later view.

What a member of a still-current view has not persisted is committed nowhere.  A reader therefore
looks first, then waits for a round that *began after the look*: an earlier one proves nothing about
a write that was acknowledged in between.
"""

from __future__ import annotations

from tvault.replication.memory import Memory
from tvault.replication.messages import Confirm
from tvault.replication.ready import Answer


class Confirmations:
    """The rounds of one node in one view.  Readers that looked before a round begins share it."""

    def __init__(self, memory: Memory, view: int) -> None:
        self._memory = memory
        self._view = view
        self._round = 0
        self._asked_at = 0
        self._asking: list[int] = []
        self._next: list[int] = []
        self._heard: set[str] = set()

    def wait(self, ticket: int, now: int) -> None:
        """A reader has looked, and waits for the next round to begin and end."""
        self._next.append(ticket)
        if not self._asking:
            self._begin(now)

    def on_confirmed(self, sender: str, number: int, now: int) -> None:
        """Count an answer; with a majority the round's readers may answer, and the next begins."""
        if number != self._round or not self._asking:
            return
        self._heard.add(sender)
        if len(self._heard) >= self._memory.majority:
            self._finish(now)

    def tick(self, now: int) -> None:
        """Answers were lost: a retry is a new round, which later readers may share."""
        if self._asking and now - self._asked_at >= self._memory.timing.round_ms:
            self._begin(now)

    def abandon(self) -> None:
        """The view is left: no reader of it may answer."""
        for ticket in self._asking + self._next:
            self._memory.answers.append(Answer(ticket, "lost"))
        self._asking, self._next = [], []

    def _begin(self, now: int) -> None:
        self._round = self._memory.new_round()
        self._asked_at = now
        self._asking += self._next
        self._next = []
        self._heard = {self._memory.me.node} if self._memory.may_vote else set()
        self._memory.say_to_others(self._view, Confirm(self._round))
        if len(self._heard) >= self._memory.majority:
            self._finish(now)

    def _finish(self, now: int) -> None:
        for ticket in self._asking:
            self._memory.answers.append(Answer(ticket, "confirmed"))
        self._asking = []
        if self._next:
            self._begin(now)
