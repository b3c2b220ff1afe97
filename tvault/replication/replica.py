"""The one door to the replication of one node.

Messages, ticks and proposals go in; `ready` gives out one value that says what to persist, then
send, then answer.  The driver does all of it, in order, says `advance`, and asks again until `ready`
gives None; only then may anything new go in.

    replica.receive(envelope, now)        or tick(now, jitter), propose(...), confirm(...)
    while (ready := replica.ready()) is not None:
        ...                               # see `Ready` for the order
        replica.advance(ready)

Nothing here knows a socket, a clock, a source of randomness or a database: `now` is milliseconds of
any monotonic clock, `jitter` a number from 0 up to 1 that the driver draws.
"""

from __future__ import annotations

from collections import deque

from tvault.replication.chain import Chain
from tvault.replication.election import Election
from tvault.replication.entry import Journal, Kind, follow
from tvault.replication.log import Log
from tvault.replication.memory import Memory
from tvault.replication.messages import (
    Ack,
    Append,
    Confirm,
    Confirmed,
    Envelope,
    FoundingAnswer,
    FoundingAsk,
    Heartbeat,
    HeartbeatReturn,
    Message,
    NewView,
    Outcome,
    Prepare,
    PreVote,
    PreVoteAnswer,
    Promised,
    Proposal,
    Refused,
    Seek,
    Superseded,
    Sync,
)
from tvault.replication.promise import Promise
from tvault.replication.reads import Confirmations
from tvault.replication.ready import Answer, Ready, Timing
from tvault.replication.state import State
from tvault.replication.view import Member, View

WINDOW_ENTRIES = 16
"""Entries that a head orders ahead of the last committed one, at most."""

MARK_SYNC_MS = 1000
"""How often a changed mark is synced."""

ChainMessage = Sync | Append | Ack | Heartbeat | HeartbeatReturn
ElectionQuestion = FoundingAsk | PreVote | Prepare
ElectionAnswer = FoundingAnswer | PreVoteAnswer | Promised | Refused


class Replica:
    """The replication of one node: a pure state machine."""

    def __init__(
        self,
        promise: Promise,
        journal: Journal,
        committed: int,
        timing: Timing,
        now: int,
        jitter: float,
    ) -> None:
        self._log = Log(journal, committed)
        self._memory = Memory(promise, self._log, timing)
        self._election = Election(self._memory, now, jitter)
        self._chain: Chain | None = None
        self._reads: Confirmations | None = None
        self._waiting: deque[tuple[int, int]] = deque()
        self._boots: dict[Member, int] = {}
        self._now = now
        self._sought_at = now - timing.heartbeat_ms
        self._mark_synced_at = now
        self._mark_unsynced = False

    # In.

    def tick(self, now: int, jitter: float) -> None:
        """Time has passed.  To be called at least every half heartbeat."""
        self._now = now
        if self._chain is not None:
            self._chain.tick(now)
        if self._reads is not None:
            self._reads.tick(now)
        if not self._misses_chain():
            self._election.rest(now, jitter)
            return
        if self._chain is None and now - self._sought_at >= self._memory.timing.heartbeat_ms:
            self._sought_at = now
            self._memory.say_to_others(0, Seek())
        self._open(self._election.tick(now, jitter))

    def receive(self, envelope: Envelope, now: int) -> None:
        """A message from another node of the ensemble.

        One of an earlier boot of its sender is old, and dropped: its sender remembers nothing of
        having sent it.
        """
        self._now = now
        sender = Member(envelope.sender, envelope.incarnation)
        if sender.node not in self._memory.others or envelope.boot < self._boots.get(sender, 0):
            return
        self._boots[sender] = envelope.boot
        self._dispatch(sender, envelope.view, envelope.message)

    def heads_live_chain(self) -> bool:
        """Whether this node is the head of a chain of which every member has been heard lately."""
        return self._chain is not None and self._chain.is_head and not self._misses_chain()

    def may_propose(self) -> bool:
        """Whether this node heads a live chain and has room for one more entry."""
        chain = self._chain if self.heads_live_chain() else None
        return chain is not None and chain.joined and chain.unacknowledged < WINDOW_ENTRIES

    def propose(self, body: bytes, ticket: int) -> int:
        """Order one entry; the ticket is answered once it is committed, or lost with the view.

        Returns its `seq`.  Only while `may_propose`.
        """
        assert self.may_propose()
        assert self._chain is not None
        entry = follow(self._log.end, self._chain.view.number, Kind.ROWS, body)
        self._log.append(entry)
        self._waiting.append((entry.seq, ticket))
        self._chain.flow()
        return entry.seq

    def may_confirm(self) -> bool:
        """Whether this node is a member whose journal holds its view's barrier."""
        return self._chain is not None and self._chain.joined

    def confirm(self, ticket: int, looked_in: int) -> None:
        """Answer the ticket once a round that begins now or later has confirmed this view.

        `looked_in` is `state().readable` from before the reader looked.  Who looked before this journal
        held the view's barrier may have missed what is committed: its ticket is lost.
        """
        stays = looked_in == self.view_number()
        if self._reads is None or not self.may_confirm() or not stays:
            self._memory.answers.append(Answer(ticket, "lost"))
        else:
            self._reads.wait(ticket, self._now)

    # Out.

    def ready(self) -> Ready | None:
        """What to do now, None when there is nothing; `advance` must follow it."""
        memory = self._memory
        cut_after, entries = self._log.take()
        sync_mark = self._mark_sync_due()
        something = (
            memory.early
            or memory.late
            or memory.answers
            or memory.notices
            or memory.promise_changed
            or memory.mark_changed
            or sync_mark
            or entries
            or cut_after is not None
        )
        if not something:
            return None
        return Ready(
            early=tuple(memory.early),
            promise=memory.promise if memory.promise_changed else None,
            cut_after=cut_after,
            entries=entries,
            committed=self._log.committed,
            mark=memory.promise if memory.mark_changed or sync_mark else None,
            sync_mark=sync_mark,
            late=tuple(memory.late),
            answers=tuple(memory.answers),
            notices=tuple(memory.notices),
        )

    def advance(self, ready: Ready) -> None:
        """Everything that `ready` asked for is done."""
        memory = self._memory
        for outbox in (memory.early, memory.late, memory.answers, memory.notices):
            outbox.clear()
        self._mark_unsynced = (self._mark_unsynced or memory.mark_changed) and not ready.sync_mark
        memory.promise_changed = memory.mark_changed = False
        if ready.sync_mark:
            self._mark_synced_at = self._now
        if ready.entries or ready.cut_after is not None:
            self._log.persisted()
        self._progress()

    def state(self) -> State:
        """What this node is and holds now."""
        promise, view = self._memory.promise, self._chain.view if self._chain else None
        return State(
            node=promise.node,
            incarnation=promise.incarnation,
            standing=promise.standing,
            promised=promise.promised,
            role=view.role(promise.node) if view else "outside",
            view=view.number if view else promise.promised,
            chain=tuple(member.node for member in view.chain) if view else (),
            last=self._log.durable.seq,
            committed=self._log.committed,
            can_write=self._chain is not None and self._chain.open and not self._misses_chain(),
            readable=view.number if view is not None and self.may_confirm() else 0,
        )

    @property
    def life(self) -> str:
        """Names this boot of this incarnation."""
        return self._memory.life

    def head(self) -> str | None:
        """The node that orders in this node's view, None for an outsider."""
        return self._chain.view.head.node if self._chain is not None else None

    def view_number(self) -> int:
        """The number of this node's view, 0 for an outsider."""
        return self._chain.view.number if self._chain is not None else 0

    def envelope(self, view: int, message: Message) -> Envelope:
        """A message in the name of this node's present life."""
        promise = self._memory.promise
        return Envelope(promise.node, promise.incarnation, promise.boot, view, message)

    # Messages.

    def _dispatch(self, sender: Member, view: int, message: Message) -> None:
        match message:
            case Sync() | Append() | Ack() | Heartbeat() | HeartbeatReturn():
                self._on_chain_message(sender, view, message)
            case Confirm(number):
                self._on_confirm(sender.node, view, number)
            case Confirmed(number):
                self._on_confirmed(sender.node, view, number)
            case NewView(decided):
                self._on_new_view(decided)
            case Seek():
                self._on_seek(sender.node)
            case Superseded(promised):
                self._on_superseded(promised)
            case FoundingAsk() | PreVote() | Prepare():
                self._on_election_question(sender, view, message)
            case FoundingAnswer() | PreVoteAnswer() | Promised() | Refused():
                self._on_election_answer(sender, view, message)
            case Proposal() | Outcome():
                raise AssertionError("proposals are between nodes, not between replicas")

    def _on_election_question(self, sender: Member, view: int, message: ElectionQuestion) -> None:
        match message:
            case FoundingAsk():
                self._election.on_founding_ask(sender.node, message)
            case PreVote():
                # A head that asks has lost its part in the view that it opened.
                misses_chain = self._misses_chain() or self.head() == sender.node
                self._election.on_pre_vote(sender.node, message, misses_chain=misses_chain)
            case Prepare():
                if self._election.on_prepare(sender, view, message):
                    self._leave("promised another view")
                    self._election.give_way(self._now)

    def _on_chain_message(self, sender: Member, view: int, message: ChainMessage) -> None:
        if view < self._memory.promise.promised:
            self._memory.say(sender.node, view, Superseded(self._memory.promise.promised))
            return
        chain = self._chain
        if chain is None or chain.view.number != view:
            return
        above = chain.comes_from_above(sender.node, sender.incarnation)
        below = chain.comes_from_below(sender.node, sender.incarnation)
        match message:
            case Append() if above:
                chain.on_append(message, self._now)
            case Heartbeat() if above:
                chain.on_heartbeat(message, self._now)
            case Sync() if below:
                chain.on_sync(message)
            case Ack() if below:
                chain.on_ack(message)
            case HeartbeatReturn() if below:
                chain.on_heartbeat_return(message, self._now)
            case _:
                return
        self._progress()

    def _on_election_answer(self, sender: Member, view: int, message: ElectionAnswer) -> None:
        match message:
            case FoundingAnswer():
                self._open(self._election.on_founding_answer(sender, message, self._now))
            case PreVoteAnswer():
                self._open(self._election.on_pre_vote_answer(sender, message, self._now))
            case Promised():
                self._open(self._election.on_promised(sender, view, message, self._now))
            case Refused():
                self._election.on_refused(view, message, self._now)

    def _on_confirm(self, sender: str, view: int, number: int) -> None:
        """A blank node confirms nothing: it may have forgotten a promise."""
        promised = self._memory.promise.promised
        if promised > view:
            self._memory.say(sender, view, Superseded(promised))
        elif self._memory.may_vote:
            self._memory.say(sender, view, Confirmed(number))

    def _on_confirmed(self, sender: str, view: int, number: int) -> None:
        if self._reads is not None and self.view_number() == view:
            self._reads.on_confirmed(sender, number, self._now)

    def _on_seek(self, sender: str) -> None:
        if self._chain is not None:
            self._memory.say(sender, self._chain.view.number, NewView(self._chain.view))

    def _on_new_view(self, view: View) -> None:
        """Take part, if the view names this life of the node.  A head that restarted never orders
        again in its old view: what it had ordered and not persisted is forgotten."""
        memory = self._memory
        if self.view_number() >= view.number or view.number < memory.promise.promised:
            return
        if view.member(memory.me.node) != memory.me or view.head == memory.me:
            return
        self._leave("a later view")
        memory.remember(promised=view.number)
        self._enter(view)

    def _on_superseded(self, promised: int) -> None:
        self._election.saw(promised)
        if self._chain is not None and promised > self._chain.view.number:
            self._leave("superseded")

    # Views.

    def _open(self, view: View | None) -> None:
        """Head a decided view: its barrier is durable here before it is announced.  Who asked for one
        has promised it, and acts no more for its own."""
        if self._chain is not None and self._memory.promise.promised > self._chain.view.number:
            self._leave("asks for a later view")
        if view is None:
            return
        self._log.append(follow(self._log.end, view.number, Kind.BARRIER, b""))
        self._enter(view)
        self._memory.say_to_others(view.number, NewView(view))

    def _enter(self, view: View) -> None:
        self._chain = Chain(self._memory, view, self._now)
        self._reads = Confirmations(self._memory, view.number)
        role = view.role(self._memory.me.node)
        chain = [member.node for member in view.chain]
        self._memory.notice("view", view=view.number, chain=chain, role=role)
        self._election.rest(self._now, 0.0)
        self._chain.start(self._now)

    def _leave(self, why: str) -> None:
        """Act no more for the current view: whoever waits for it is told that the outcome is unknown."""
        if self._chain is None:
            return
        self._memory.notice("left-view", view=self._chain.view.number, why=why)
        self._chain = None
        for _, ticket in self._waiting:
            self._memory.answers.append(Answer(ticket, "lost"))
        self._waiting.clear()
        if self._reads is not None:
            self._reads.abandon()
            self._reads = None

    def _progress(self) -> None:
        if self._chain is not None:
            self._chain.progress()
        while self._waiting and self._waiting[0][0] <= self._log.committed:
            seq, ticket = self._waiting.popleft()
            self._memory.answers.append(Answer(ticket, "committed", seq))

    def _misses_chain(self) -> bool:
        return self._chain is None or self._chain.is_silent(self._now)

    def _mark_sync_due(self) -> bool:
        return self._mark_unsynced and self._now - self._mark_synced_at >= MARK_SYNC_MS
