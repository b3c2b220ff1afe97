"""Confirming reads: a round in which a majority says that nobody has promised a later view.

What a member of a still-current view has not persisted is committed nowhere.  A reader therefore
looks first, then waits for a round that *began after the look*: an earlier one proves nothing about
a write that was acknowledged in between.  An outsider cannot look at everything: it asks a member up to
where it must know the journal, and looks once it does.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvault.replication.memory import Memory
from tvault.replication.messages import Confirm, Index, IndexAsk
from tvault.replication.presence import Peers
from tvault.replication.ready import Answer
from tvault.replication.view import View

INDEX_TRIES = 3
"""How many members are asked for an index before the reader is told that none answers."""


@dataclass(frozen=True)
class _Asker:
    """An outsider that waits for a round: its own round, and where this journal ended when it asked."""

    node: str
    round: int
    seq: int


class Confirmations:
    """The rounds of one node in one view.  Readers that looked before a round begins share it."""

    def __init__(self, memory: Memory, view: int) -> None:
        self._memory = memory
        self._view = view
        self._round = 0
        self._asked_at = 0
        self._asking: list[int | _Asker] = []
        self._next: list[int | _Asker] = []
        self._heard: set[str] = set()

    def wait(self, ticket: int, now: int) -> None:
        """A reader has looked, and waits for the next round to begin and end."""
        self._enter(ticket, now)

    def on_index_ask(self, sender: str, message: IndexAsk, now: int) -> None:
        """The outsider's look is at what this member has persisted by now."""
        self._enter(_Asker(sender, message.round, self._memory.log.durable.seq), now)

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
        """The view is left: no reader of it may answer.  Outsiders ask another member in time."""
        for waiting in self._asking + self._next:
            if isinstance(waiting, int):
                self._memory.answers.append(Answer(waiting, "lost"))
        self._asking, self._next = [], []

    def _enter(self, waiting: int | _Asker, now: int) -> None:
        self._next.append(waiting)
        if not self._asking:
            self._begin(now)

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
        for waiting in self._asking:
            if isinstance(waiting, int):
                self._memory.answers.append(Answer(waiting, "confirmed"))
            else:
                index = Index(waiting.round, waiting.seq)
                self._memory.say(waiting.node, self._view, index)
        self._asking = []
        if self._next:
            self._begin(now)


@dataclass
class _Question:
    """One reader's question for an index, the member asked last, and when."""

    ticket: int
    asked_at: int
    tries: int


class Indexes:
    """An outsider's questions: each goes to one member, and to another one if no answer comes."""

    def __init__(self, memory: Memory, peers: Peers) -> None:
        self._memory = memory
        self._peers = peers
        self._out: dict[int, _Question] = {}

    def ask(self, ticket: int, view: View | None, now: int) -> None:
        """Ask a member of the live `view` on behalf of a reader."""
        self._ask(_Question(ticket, now, 0), view, now)

    def on_index(self, message: Index) -> int | None:
        """The reader may look once this node knows the answer's `seq` to be committed."""
        question = self._out.pop(message.round, None)
        if question is None:
            return None
        self._memory.answers.append(Answer(question.ticket, "index", message.seq))
        return message.seq

    def tick(self, view: View | None, now: int) -> None:
        """Ask again what got no answer in time: a new round, since the old answer may still come."""
        late = [
            number
            for number, question in self._out.items()
            if now - question.asked_at >= self._memory.timing.round_ms
        ]
        for number in late:
            self._ask(self._out.pop(number), view, now)

    def abandon(self) -> None:
        """The node is an outsider no more: whoever waits must look as a member does."""
        for question in self._out.values():
            self._memory.answers.append(Answer(question.ticket, "lost"))
        self._out.clear()

    def _ask(self, question: _Question, view: View | None, now: int) -> None:
        members = self._peers.teachers(view, now) if view is not None else []
        if not members or question.tries >= INDEX_TRIES:
            self._memory.answers.append(Answer(question.ticket, "lost"))
            return
        number = self._memory.new_round()
        self._out[number] = _Question(question.ticket, now, question.tries + 1)
        self._memory.say(members[question.tries % len(members)], 0, IndexAsk(number))
