"""How a view comes about: the founding, the pre-vote, and the ballot that decides a chain.

A node in want of a view goes through at most three rounds of questions to all others.  Each round
fails by its deadline or by a refusal; the node then waits, longer when it lost, and begins anew.

    nothing remembered anywhere:          FOUNDING -> BALLOT
    no live chain:                        PRE_VOTE -> BALLOT
    a head that forms its chain anew:                 BALLOT

A founding needs every node, in its ballot and in its chain, too: what is committed in the first view is
on every disk, so that no founding that broke off can have left a part of it behind.  A pre-vote and any
other ballot need a majority of nodes that may vote; with that a ballot waits a little longer for the
others that are known to be there, and decides once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from tvault.replication.account import Account, Condition
from tvault.replication.arrangement import Candidate, arrange
from tvault.replication.entry import Position
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
from tvault.replication.presence import Peers
from tvault.replication.promise import Standing
from tvault.replication.view import Member, View, next_own_view

FOUNDING = "all nodes are there for the first time"
"""Why the first view is asked for."""

GRACE_HEARTBEATS = 3
"""How long, at least, a ballot that has its majority waits for the others that were heard lately."""


class Phase(Enum):
    """Which question is out, if any."""

    IDLE = "idle"
    FOUNDING = "founding"
    PRE_VOTE = "pre-vote"
    BALLOT = "ballot"


@dataclass
class Round:
    """The question that is out: its number, its deadline, who has answered what.

    `expected` are those that a ballot waits for until `grace`, which begins once it has promises of
    `needed` voters, of which its chain must have as many.
    """

    phase: Phase = Phase.IDLE
    number: int = 0
    deadline: int = 0
    founders: dict[str, Member] = field(default_factory=dict)
    granted: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    promised: dict[str, Candidate] = field(default_factory=dict)
    needed: int = 0
    expected: frozenset[str] = frozenset()
    grace: int | None = None


def covers(mine: Position, theirs: Position) -> bool:
    """Whether a journal that ends at `mine` may head one that ends at `theirs`: the later view first,
    then the longer journal.  An entry that was committed is held by every journal that covers it."""
    return (mine.view, mine.seq) >= (theirs.view, theirs.seq)


class Election:
    """One node's side of all rounds.  `Replica` tells it whether the node misses its chain."""

    def __init__(self, memory: Memory, peers: Peers, now: int, jitter: float) -> None:
        self._memory = memory
        self._peers = peers
        self._round = Round()
        self._seen = memory.promise.promised
        self._remembered = False
        self._order: tuple[str, ...] = ()
        self._why = ""
        self._complaint: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self._next_at = now + self._place_delay() + int(jitter * memory.timing.heartbeat_ms)
        self._jitter = jitter

    @property
    def may_found(self) -> bool:
        """Whether this node can say that it remembers nothing: a journal that is empty, or just what it
        was restored with, nothing set aside, and no part yet in a founding that was finished."""
        promise = self._memory.promise
        empty = self._memory.is_empty
        return empty and not promise.set_aside and promise.standing is not Standing.VOTER

    @property
    def order(self) -> tuple[str, ...]:
        """The last chain that this node knows of."""
        return self._order

    @property
    def is_balloting(self) -> bool:
        """Whether this node has asked for a view that is not decided."""
        return self._round.phase is Phase.BALLOT

    def because(self, why: str) -> None:
        """Why the node misses its chain, in words for people: what was first counts until there is one
        again."""
        self._why = self._why or why

    def tick(self, now: int, jitter: float) -> View | None:
        """Give up what took too long, begin what is due.  Called while the node misses its chain.

        Returns the view to open when it is decided.
        """
        self._jitter = jitter
        current = self._round
        if current.grace is not None and now >= current.grace:
            return self._advance(now)
        if current.phase is not Phase.IDLE and now >= current.deadline:
            self._complain(now)
            self._fail(now, 1)
        if self._round.phase is Phase.IDLE and now >= self._next_at:
            return self._begin(now)
        return None

    def rest(self, now: int, jitter: float, order: Sequence[str]) -> None:
        """The node has a live chain, of `order`: nothing is due before that falls silent, and then its
        successor goes first."""
        self._order = tuple(order)
        self._complaint = None
        self._why = ""
        self._round = Round()
        self._next_at = now + self._place_delay() + int(jitter * self._memory.timing.heartbeat_ms / 2)

    def reform(self, now: int, why: str) -> View | None:
        """Ask for a view at once: this node heads a live chain, or was given the right by its head."""
        self.because(why)
        return self._ballot(now, ())

    def give_way(self, now: int) -> None:
        """The node has promised to another: leave that one the time to open its view."""
        self._round = Round()
        self._next_at = now + self._memory.timing.round_ms + self._place_delay()

    def saw(self, promised: int) -> None:
        """Somebody has promised this view: the next own number must be above it."""
        self._seen = max(self._seen, promised)

    # Questions of others.

    def on_founding_ask(self, sender: str, message: FoundingAsk) -> None:
        """Say whether this node, in this incarnation, remembers nothing."""
        promised = self._memory.promise.promised
        self._memory.say(sender, 0, FoundingAnswer(message.round, self.may_found, promised))

    def on_pre_vote(self, sender: str, message: PreVote, *, misses_chain: bool) -> None:
        """Say whether this node would promise; a blank one only says that it is there."""
        memory = self._memory
        self._notice_founding(message.founded)
        granted = misses_chain and memory.may_vote and covers(message.last, memory.log.end)
        promise = memory.promise
        answer = PreVoteAnswer(message.round, granted, promise.standing, promise.promised)
        memory.say(sender, 0, answer)

    def on_prepare(self, sender: Member, view: int, message: Prepare, now: int) -> bool:
        """Promise the view, durably before the answer, or refuse it.  True when promised.

        What a blank node holds says nothing of what was committed: it refuses no journal.  In a founding
        the nodes hold what they were restored with, and the one that holds most is to lead.
        """
        memory = self._memory
        self._notice_founding(message.founded)
        promise = memory.promise
        may_refuse = memory.may_vote or bool(message.founders)
        follows = covers(message.last, memory.log.end) or not may_refuse
        acceptable = view > promise.promised and follows
        if message.founders:
            acceptable = acceptable and self.may_found and memory.me in message.founders
        if not acceptable:
            memory.say(sender.node, view, Refused(promise.promised, memory.log.end))
            return False
        if message.founders:
            memory.promise_founding(view, message.last)
        else:
            memory.remember(promised=view)
        memory.say(sender.node, view, Promised(self._account(now)))
        return True

    def _notice_founding(self, founded: int) -> None:
        """A founder without its founding's barrier hears of a founding that came about.  If that was
        before the first one that it voted in, it may have lost its part in it: it is blank."""
        memory = self._memory
        is_waiting = memory.promise.standing is Standing.FOUNDER and not memory.counts
        if is_waiting and 0 < founded < memory.promise.founding:
            memory.remember(standing=Standing.BLANK)

    # Answers.

    def on_founding_answer(self, sender: Member, message: FoundingAnswer, now: int) -> View | None:
        """Every node, asked in this one round, must remember nothing; and the number of the founding is
        above all that they have promised, so that no late promise to an earlier life is one to it."""
        self.saw(message.promised)
        if self._round.phase is not Phase.FOUNDING or message.round != self._round.number:
            return None
        if not message.empty:
            self._remembered = True
            self._fail(now, 1)
            return None
        self._round.founders[sender.node] = sender
        return self._advance(now)

    def on_pre_vote_answer(self, sender: Member, message: PreVoteAnswer, now: int) -> View | None:
        """Go on when a majority would follow; give up when none can."""
        self.saw(message.promised)
        current = self._round
        if current.phase is not Phase.PRE_VOTE or message.round != current.number:
            return None
        if message.granted and message.standing is not Standing.BLANK:
            current.granted.add(sender.node)
        else:
            current.denied.add(sender.node)
        if len(self._memory.promise.ensemble) - len(current.denied) < self._memory.majority:
            if message.standing is Standing.BLANK:
                self._complain(now)
            self._fail(now, 1)
            return None
        return self._advance(now)

    def on_promised(self, sender: Member, view: int, message: Promised, now: int) -> View | None:
        """Count a promise of the view asked for."""
        if self._round.phase is not Phase.BALLOT or view != self._round.number:
            return None
        self._round.promised[sender.node] = Candidate(sender, message.account)
        return self._advance(now)

    def on_refused(self, view: int, message: Refused, now: int) -> None:
        """Somebody has promised a later view or has a longer journal: let them go first."""
        self.saw(message.promised)
        if self._round.phase is Phase.BALLOT and view == self._round.number:
            behind = not covers(self._memory.log.end, message.last)
            self._fail(now, 4 if behind else 2)

    # Rounds.

    def _begin(self, now: int) -> View | None:
        if self.may_found and not self._remembered:
            return self._found(now)
        self._remembered = False
        if self._memory.counts and self._memory.condition is Condition.READY:
            return self._pre_vote(now)
        self._complain(now)
        self._fail(now, 1)
        return None

    def _found(self, now: int) -> View | None:
        memory = self._memory
        self._why = FOUNDING
        self._round = Round(Phase.FOUNDING, memory.new_round(), now + memory.timing.round_ms)
        self._round.founders[memory.me.node] = memory.me
        memory.say_to_others(0, FoundingAsk(self._round.number))
        return self._advance(now)

    def _pre_vote(self, now: int) -> View | None:
        memory = self._memory
        self._round = Round(Phase.PRE_VOTE, memory.new_round(), now + memory.timing.round_ms)
        self._round.granted.add(memory.me.node)
        memory.say_to_others(0, PreVote(self._round.number, memory.log.end, memory.founded))
        return self._advance(now)

    def _ballot(self, now: int, founders: tuple[Member, ...]) -> View | None:
        """Promise the next own view number, durably before anybody is asked for theirs."""
        memory = self._memory
        nodes = len(memory.promise.ensemble)
        view = next_own_view(max(self._seen, memory.promise.promised), memory.index, nodes)
        if founders:
            memory.promise_founding(view, memory.log.end)
        else:
            memory.remember(promised=view)
        expected = frozenset(member.node for member in founders) or frozenset(self._peers.hears(now))
        self._round = Round(
            Phase.BALLOT,
            view,
            now + memory.timing.suspect_ms,
            needed=len(founders) or memory.majority,
            expected=expected - {memory.me.node},
        )
        self._round.promised[memory.me.node] = Candidate(memory.me, self._account(now))
        memory.say_to_others(view, Prepare(memory.log.end, founders, memory.founded))
        return self._advance(now)

    def _advance(self, now: int) -> View | None:
        """The next round, or the view, once enough have answered this one."""
        memory = self._memory
        current = self._round
        if current.phase is Phase.FOUNDING:
            if len(current.founders) < len(memory.promise.ensemble):
                return None
            return self._ballot(now, self._in_order(current.founders))
        if current.phase is Phase.PRE_VOTE:
            return self._ballot(now, ()) if len(current.granted) >= memory.majority else None
        if current.phase is Phase.BALLOT and current.number < memory.promise.promised:
            self._fail(now, 2)  # a later view was heard of meanwhile
            return None
        voters = sum(each.account.may_vote for each in current.promised.values())
        if current.phase is not Phase.BALLOT or voters < current.needed:
            return None
        if current.grace is None:
            current.grace = min(now + self._grace_ms(), current.deadline)
        if now < current.grace and not current.expected <= current.promised.keys():
            return None
        return self._decide(now)

    def _grace_ms(self) -> int:
        """Longer when some disk is slow: a node whose promises take long could else never come in."""
        persist = [each.account.persist_ms for each in self._round.promised.values()]
        return max(GRACE_HEARTBEATS * self._memory.timing.heartbeat_ms, 2 * max(persist))

    def _decide(self, now: int) -> View | None:
        """Decide once, whatever comes of it."""
        memory = self._memory
        current = self._round
        voted = [node for node, each in current.promised.items() if each.account.may_vote]
        mine = current.promised.pop(memory.me.node)
        others = [current.promised[node] for node in self._preferred(current.promised)]
        chain = arrange(mine, others, current.needed)
        if chain is None:
            self._fail(now, 2)
            return None
        self._round = Round()
        in_order = tuple(node for node in memory.promise.ensemble if node in voted)
        return View(current.number, chain, memory.log.end.seq + 1, self._why, in_order)

    def _preferred(self, nodes: dict[str, Candidate]) -> list[str]:
        """The nodes in the order of the last chain, those that were outside of it behind."""
        known = [node for node in self._order if node in nodes]
        ensemble = self._memory.promise.ensemble
        index = self._memory.index
        return known + [
            node for node in ensemble[index:] + ensemble[:index] if node in nodes and node not in known
        ]

    def _in_order(self, members: dict[str, Member]) -> tuple[Member, ...]:
        """Members in the order of the ensemble, this node first."""
        ensemble = self._memory.promise.ensemble
        index = self._memory.index
        return tuple(members[node] for node in ensemble[index:] + ensemble[:index])

    def _account(self, now: int) -> Account:
        return self._memory.account(self._peers.hears(now), now)

    def _fail(self, now: int, pauses: int) -> None:
        """Try again after so many heartbeats, and a while by chance: a longer one for who lost to
        another, or the two might go on losing to each other."""
        self._round = Round()
        timing = self._memory.timing
        by_chance = int(self._jitter * (timing.suspect_ms if pauses > 1 else timing.heartbeat_ms))
        self._next_at = now + pauses * timing.heartbeat_ms + self._place_delay() + by_chance

    def _complain(self, now: int) -> None:
        """Tell people, once, when too few of the nodes that are there may vote for a view."""
        accounts = {each.member.node: each.presence.account for each in self._peers.heard(now)}
        accounts[self._memory.me.node] = self._account(now)
        blank = tuple(node for node, account in accounts.items() if not account.may_vote)
        complaint = tuple(accounts), blank
        if len(accounts) - len(blank) < self._memory.majority and complaint != self._complaint:
            self._memory.notice("no-majority", heard=list(accounts), blank=list(blank))
            self._complaint = complaint

    def _place_delay(self) -> int:
        """Nodes begin one after the other, so that they rarely stand against each other: the successor
        of the last head at once, whoever had no place in its chain last."""
        me, nodes = self._memory.me.node, len(self._memory.promise.ensemble)
        place = self._order.index(me) if me in self._order else nodes + self._memory.index
        if not self._order:
            place = self._memory.index + 1
        return max(place - 1, 0) * self._memory.timing.heartbeat_ms // 2
