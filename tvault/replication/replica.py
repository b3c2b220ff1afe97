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

from tvault.replication.account import Condition
from tvault.replication.entry import Journal
from tvault.replication.inbox import Inbox
from tvault.replication.log import Log
from tvault.replication.memory import Memory
from tvault.replication.messages import Envelope, Message
from tvault.replication.participant import Participant
from tvault.replication.promise import Promise
from tvault.replication.ready import Ready, Timing
from tvault.replication.state import State

WINDOW_ENTRIES = 16
"""Entries that a head orders ahead of the last committed one, at most."""

MARK_SYNC_MS = 1000
"""How often a changed mark is synced."""


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
        self._part = Participant(self._memory, now, jitter)
        self._inbox = Inbox(self._part)
        self._now = now
        self._mark_synced_at = now
        self._mark_unsynced = False

    # In.

    def tick(self, now: int, jitter: float) -> None:
        """Time has passed.  To be called at least every half heartbeat."""
        self._now = now
        if self._part.doubt is None:
            self._part.tick(now, jitter)

    def receive(self, envelope: Envelope, now: int) -> None:
        """A message from another node of the ensemble."""
        self._now = now
        if self._part.doubt is None:
            self._inbox.receive(envelope, now)

    def unreachable(self, node: str) -> None:
        """The port of `node` refuses connections: its process is gone.  Only a hint, which spares the
        wait for its silence; it is forgotten once the node is heard again."""
        self._part.unreachable(node)

    def leave(self) -> None:
        """The node was asked to end: hand over what relies on it.  See `has_left`."""
        self._part.leave()

    def may_propose(self) -> bool:
        """Whether this node heads a live chain, is to stay, and has room for one more entry."""
        chain = self._part.chain if self._part.heads_live_chain() else None
        return (
            chain is not None
            and chain.joined
            and chain.unacknowledged < WINDOW_ENTRIES
            and self._memory.condition is Condition.READY
            and self._part.may_order(self._now)
        )

    def propose(self, body: bytes, ticket: int) -> int:
        """Order one entry; the ticket is answered once it is committed, or lost with the view.

        Returns its `seq`.  Only while `may_propose`.
        """
        assert self.may_propose()
        return self._part.order(body, ticket, self._now)

    def may_confirm(self) -> bool:
        """Whether this node is a member whose journal holds its view's barrier."""
        return self._part.may_confirm()

    def confirm(self, ticket: int, looked_in: int) -> None:
        """Answer the ticket once a round that begins now or later has confirmed this view.

        `looked_in` is `state().readable` from before the reader looked.  Who looked before this journal
        held the view's barrier may have missed what is committed: its ticket is lost.
        """
        self._part.confirm(ticket, looked_in, self._now)

    def ask_index(self, ticket: int) -> None:
        """For an outsider: answer the ticket (`index`) with the entry up to which this node must know
        the journal to be committed before a reader looks, and misses nothing acknowledged by now."""
        self._part.ask_index(ticket, self._now)

    def disk_has_room(self) -> None:
        """What made `disk_full` necessary is over: catch up, and be taken in."""
        if self._memory.condition is Condition.FULL:
            self._memory.condition = Condition.READY
            self._memory.notice("disk-room")

    # Out.

    def ready(self) -> Ready | None:
        """What to do now, None when there is nothing; `advance` or `disk_full` must follow it."""
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

    def advance(self, ready: Ready, took_ms: int = 0) -> None:
        """Everything that `ready` asked for is done; its journal write, if any, took `took_ms`."""
        memory = self._memory
        memory.empty_outboxes()
        self._mark_unsynced = (self._mark_unsynced or memory.mark_changed) and not ready.sync_mark
        memory.promise_changed = memory.mark_changed = False
        if ready.sync_mark:
            self._mark_synced_at = self._now
        if ready.touches_journal:
            self._log.persisted()
            memory.note_write(self._now, took_ms)
        self._part.progress()

    def disk_full(self, ready: Ready) -> None:
        """The journal write of `ready` failed for want of room, and nothing after it was done.

        The node forgets what it could not write, leaves its chain, and stays out of any until
        `disk_has_room`; it still promises and confirms.  Whoever waited for it is told so.
        """
        memory = self._memory
        memory.take_back()
        memory.promise_changed = memory.promise_changed and ready.promise is None
        if memory.condition is Condition.READY:
            memory.condition = Condition.FULL
        self._log.forget_pending()
        memory.notice("disk-full", last=self._log.end.seq)
        self._part.disk_full(self._now)

    # What it is.

    @property
    def doubt(self) -> str | None:
        """Why this node's folder must be an older copy of what it was, once a peer has shown it: from
        then on it does nothing; the driver sets all files aside and begins a new incarnation."""
        return self._part.doubt

    @property
    def has_left(self) -> bool:
        """Whether nothing relies on this node any more, after `leave`."""
        return self._part.has_left(self._now)

    @property
    def life(self) -> str:
        """Names this boot of this incarnation."""
        return self._memory.life

    @property
    def is_reforming(self) -> bool:
        """Whether this node, as the head, forms its chain anew, and what it ordered waits for that."""
        return self._part.is_reforming

    def heads_live_chain(self) -> bool:
        """Whether this node is the head of a chain of which every member has been heard lately."""
        return self._part.heads_live_chain()

    def state(self) -> State:
        """What this node is and holds now."""
        return self._part.state(self._now)

    def head(self) -> str | None:
        """The node that orders in this node's view, or in the live one that an outsider hears of."""
        view = self._part.known_view(self._now)
        return view.head.node if view is not None else None

    def view_number(self) -> int:
        """The number of this node's view, 0 for an outsider."""
        return self._part.view_number()

    def envelope(self, view: int, message: Message) -> Envelope:
        """A message in the name of this node's present life."""
        promise = self._memory.promise
        return Envelope(promise.node, promise.incarnation, promise.boot, promise.life, view, message)

    def _mark_sync_due(self) -> bool:
        return self._mark_unsynced and self._now - self._mark_synced_at >= MARK_SYNC_MS
