"""How a view comes about: the founding, the pre-vote, and the ballot that decides a chain.

A node in want of a view goes through at most three rounds of questions to all others.  Each round
fails by its deadline or by a refusal; the node then waits, longer when it lost, and begins anew.

    nothing remembered anywhere:   FOUNDING -> BALLOT
    otherwise:                     PRE_VOTE -> BALLOT
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from tvault.replication.entry import ORIGIN, Position
from tvault.replication.memory import Memory
from tvault.replication.messages import (
    FoundingAnswer,
    FoundingAsk,
    Prepare,
    PreVote,
    PreVoteAnswer,
    Promised,
    Refused,
)
from tvault.replication.promise import Standing
from tvault.replication.view import Member, View, next_own_view


class Phase(Enum):
    """Which question is out, if any."""

    IDLE = "idle"
    FOUNDING = "founding"
    PRE_VOTE = "pre-vote"
    BALLOT = "ballot"


@dataclass
class Round:
    """The question that is out: its number or nonce, its deadline, who has said yes."""

    phase: Phase = Phase.IDLE
    number: int = 0
    deadline: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)


def covers(mine: Position, theirs: Position) -> bool:
    """Whether a journal that ends at `mine` may head one that ends at `theirs`: the later view first,
    then the longer journal.  An entry that was committed is held by every journal that covers it."""
    return (mine.view, mine.seq) >= (theirs.view, theirs.seq)


class Election:
    """One node's side of all rounds.  `Replica` tells it whether the node misses its chain."""

    def __init__(self, memory: Memory, now: int, jitter: float) -> None:
        self._memory = memory
        self._round = Round()
        self._seen = memory.promise.promised
        self._remembered = False
        self._next_at = now + self._place_delay() + int(jitter * memory.timing.heartbeat_ms)

    @property
    def may_found(self) -> bool:
        """Whether this node can say that it remembers nothing: an empty journal, nothing set aside, and
        no part yet in a founding that was finished."""
        promise = self._memory.promise
        empty = self._memory.log.end == ORIGIN
        return empty and not promise.set_aside and promise.standing is not Standing.VOTER

    def tick(self, now: int, jitter: float) -> View | None:
        """Give up what took too long, begin what is due.  Called while the node misses its chain.

        Returns the view to open when this node needs nobody else to decide it.
        """
        if self._round.phase is not Phase.IDLE and now >= self._round.deadline:
            self._fail(now, jitter, 1)
        if self._round.phase is Phase.IDLE and now >= self._next_at:
            return self._begin(now)
        return None

    def rest(self, now: int, jitter: float) -> None:
        """The node has a live chain: nothing is out, and nothing due before it falls silent."""
        self._round = Round()
        self._next_at = now + self._place_delay() + int(jitter * self._memory.timing.heartbeat_ms)

    def give_way(self, now: int) -> None:
        """The node has promised to another: leave that one the time to open its view."""
        self._round = Round()
        self._next_at = now + self._memory.timing.suspect_ms + self._place_delay()

    def saw(self, promised: int) -> None:
        """Somebody has promised this view: the next own number must be above it."""
        self._seen = max(self._seen, promised)

    # Questions of others.

    def on_founding_ask(self, sender: str, message: FoundingAsk) -> None:
        """Say whether this node, in this incarnation, remembers nothing."""
        self._memory.say(sender, 0, FoundingAnswer(message.nonce, self.may_found))

    def on_pre_vote(self, sender: str, message: PreVote, *, misses_chain: bool) -> None:
        """Say whether this node would promise; a blank one only says that it is there."""
        memory = self._memory
        granted = misses_chain and memory.may_vote and covers(message.last, memory.log.end)
        promise = memory.promise
        answer = PreVoteAnswer(message.round, granted, promise.standing, promise.promised)
        memory.say(sender, 0, answer)

    def on_prepare(self, sender: Member, view: int, message: Prepare) -> bool:
        """Promise the view, durably before the answer, or refuse it.  True when promised."""
        memory = self._memory
        promise = memory.promise
        standing = promise.standing
        acceptable = view > promise.promised and covers(message.last, memory.log.end)
        if message.founders:
            acceptable = acceptable and self.may_found and memory.me in message.founders
            standing = Standing.FOUNDER
        if not acceptable:
            memory.say(sender.node, view, Refused(promise.promised, memory.log.end))
            return False
        memory.remember(promised=view, standing=standing)
        memory.say(sender.node, view, Promised(standing, memory.log.end))
        return True

    # Answers.

    def on_founding_answer(self, sender: Member, message: FoundingAnswer, now: int) -> View | None:
        """Every node, asked in this one round, must remember nothing."""
        if self._round.phase is not Phase.FOUNDING or message.nonce != self._nonce():
            return None
        if not message.empty:
            self._remembered = True
            self._fail(now, 0.0, 1)
            return None
        self._round.members[sender.node] = sender
        return self._advance(now)

    def on_pre_vote_answer(self, sender: Member, message: PreVoteAnswer, now: int) -> View | None:
        """Go on when all would follow."""
        self.saw(message.promised)
        if self._round.phase is not Phase.PRE_VOTE or message.round != self._round.number:
            return None
        if not message.granted and message.standing is not Standing.BLANK:
            self._fail(now, 0.0, 1)
            return None
        self._count(sender, message.standing)
        return self._advance(now)

    def on_promised(self, sender: Member, view: int, message: Promised, now: int) -> View | None:
        """Count a promise of the view asked for."""
        if self._round.phase is not Phase.BALLOT or view != self._round.number:
            return None
        self._count(sender, message.standing)
        return self._advance(now)

    def on_refused(self, view: int, message: Refused, now: int) -> None:
        """Somebody has promised a later view or has a longer journal: let them go first."""
        self.saw(message.promised)
        if self._round.phase is Phase.BALLOT and view == self._round.number:
            behind = not covers(self._memory.log.end, message.last)
            self._fail(now, 0.0, 4 if behind else 2)

    # Rounds.

    def _begin(self, now: int) -> View | None:
        if self.may_found and not self._remembered:
            return self._ask(Phase.FOUNDING, now)
        self._remembered = False
        if self._memory.may_vote:
            return self._ask(Phase.PRE_VOTE, now)
        self._fail(now, 0.0, 1)
        return None

    def _ask(self, phase: Phase, now: int) -> View | None:
        memory = self._memory
        self._round = Round(phase, memory.new_round(), now + memory.timing.suspect_ms)
        self._count(memory.me, memory.promise.standing)
        if phase is Phase.FOUNDING:
            memory.say_to_others(0, FoundingAsk(self._nonce()))
        else:
            memory.say_to_others(0, PreVote(self._round.number, memory.log.end))
        return self._advance(now)

    def _ballot(self, now: int, founders: tuple[Member, ...]) -> View | None:
        """Promise the next own view number, durably before anybody is asked for theirs."""
        memory = self._memory
        nodes = len(memory.promise.ensemble)
        view = next_own_view(max(self._seen, memory.promise.promised), memory.index, nodes)
        standing = Standing.FOUNDER if founders else memory.promise.standing
        memory.remember(promised=view, standing=standing)
        self._round = Round(Phase.BALLOT, view, now + memory.timing.suspect_ms)
        self._count(memory.me, standing)
        memory.say_to_others(view, Prepare(memory.log.end, founders))
        return self._advance(now)

    def _advance(self, now: int) -> View | None:
        """The next round, or the view, once everyone has answered this one."""
        current = self._round
        if len(current.members) < len(self._memory.promise.ensemble):
            return None
        if current.phase is Phase.FOUNDING:
            return self._ballot(now, self._in_order(current.members))
        voters = sum(standing is not Standing.BLANK for standing in current.standings.values())
        if voters < self._memory.majority:
            self._fail(now, 0.0, 2)
            return None
        if current.phase is Phase.PRE_VOTE:
            return self._ballot(now, ())
        return self._decide()

    def _decide(self) -> View:
        """Decide once: this node at the head, the voters behind it, the blank ones last: they must be
        copied to before anything new can commit."""
        current = self._round
        others = [member for member in self._in_order(current.members) if member != self._memory.me]
        voters = [m for m in others if current.standings[m.node] is not Standing.BLANK]
        blanks = [m for m in others if current.standings[m.node] is Standing.BLANK]
        self._round = Round()
        chain = (self._memory.me, *voters, *blanks)
        return View(current.number, chain, self._memory.log.end.seq + 1)

    def _in_order(self, members: dict[str, Member]) -> tuple[Member, ...]:
        """Members in the order of the ensemble, this node first."""
        ensemble = self._memory.promise.ensemble
        index = self._memory.index
        return tuple(members[node] for node in ensemble[index:] + ensemble[:index])

    def _count(self, member: Member, standing: Standing) -> None:
        self._round.members[member.node] = member
        self._round.standings[member.node] = standing

    def _fail(self, now: int, jitter: float, pauses: int) -> None:
        self._round = Round()
        heartbeat = self._memory.timing.heartbeat_ms
        self._next_at = now + pauses * 2 * heartbeat + self._place_delay() + int(jitter * heartbeat)

    def _place_delay(self) -> int:
        """Nodes begin one after the other, so that they rarely stand against each other."""
        return self._memory.index * self._memory.timing.heartbeat_ms // 2

    def _nonce(self) -> str:
        """Of this round of this life alone."""
        return f"{self._memory.life}/{self._round.number}"
