"""One node's part in the chain of one view: append, forward, acknowledge, commit, heartbeats.

Acknowledgements and commits are computed from what is durable (`progress`), never from what was
merely received.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tvault.replication.copying import common_place, landmarks, take
from tvault.replication.entry import Entry
from tvault.replication.memory import PER_BOOT, Memory
from tvault.replication.messages import Ack, Append, Heartbeat, HeartbeatReturn, Sync
from tvault.replication.promise import Standing
from tvault.replication.view import Member, View

APPEND_BYTES = 1024 * 1024
"""Bodies in one `Append`, at most (one entry may be larger)."""

WINDOW_BYTES = 8 * 1024 * 1024
"""Bodies sent to the successor that it has not said to hold, at most (and one message more)."""


@dataclass
class Downlink:
    """The link to the successor: its session (0: none), and how far it has come."""

    session: int = 0
    sent: int = 0
    held: int = 0
    acked: int = 0
    told: int = -1
    waiting: Sync | None = None
    in_flight: deque[tuple[int, int]] = field(default_factory=deque)
    in_flight_bytes: int = 0

    def begin(self, session: int, at: int) -> None:
        """A new session, in which the successor holds everything up to `at`."""
        self.session, self.sent, self.told = session, at, -1
        self.held = max(self.held, at)
        self.in_flight.clear()
        self.in_flight_bytes = 0

    def heard(self, held: int, acked: int) -> None:
        """The successor holds `held`, and everyone from there on holds `acked`."""
        self.held = max(self.held, held)
        self.acked = max(self.acked, acked)
        while self.in_flight and self.in_flight[0][0] <= self.held:
            self.in_flight_bytes -= self.in_flight.popleft()[1]


class Chain:
    """The state that a node keeps while it takes part in `view`; a new view begins with a new one.

    `matched` is how far this journal is known to be the head's; only what is matched is forwarded,
    acknowledged or counted as committed.
    """

    def __init__(self, memory: Memory, view: View, now: int) -> None:
        self._memory = memory
        self._log = memory.log
        self.view = view
        node = memory.me.node
        self.is_head = view.head.node == node
        self._predecessor = view.predecessor(node)
        self._successor = view.successor(node)
        self.matched = 0
        self._session = 0
        self._sessions = 0
        self._session_at = now
        self._session_answered = False
        self._down = Downlink()
        self._reported = (0, 0)
        self._beat = 0
        self._beat_at = now - memory.timing.heartbeat_ms
        self._heard_above = now
        self._heard_below = now

    @property
    def joined(self) -> bool:
        """Whether this journal durably holds the view's barrier.  Until then nothing is forwarded:
        the journal may still carry a dead suffix, and would hand it on."""
        return self.held >= self.view.barrier

    @property
    def held(self) -> int:
        """How far this journal durably is the head's."""
        durable = self._log.durable.seq
        return durable if self.is_head else min(self.matched, durable)

    @property
    def open(self) -> bool:
        """Whether the view's barrier is committed: from then on the view can acknowledge writes."""
        return self._log.committed >= self.view.barrier

    @property
    def unacknowledged(self) -> int:
        """Entries that this node holds and that are not committed."""
        return self._log.end.seq - self._log.committed

    def silent(self, now: int) -> Member | None:
        """The neighbour that has been silent for too long, if one has: heartbeats run along the chain
        and back, so that a dead node, link or disk anywhere in it silences one side of every node."""
        return self._quiet_for(self._memory.timing.suspect_ms, now)

    def flows(self, now: int) -> bool:
        """Whether writes get through, as far as the heartbeats tell: what health says, well before
        silence makes anybody suspect."""
        return self.open and self._quiet_for(self._memory.timing.round_ms, now) is None

    def _quiet_for(self, limit: int, now: int) -> Member | None:
        if self._predecessor is not None and now - self._heard_above > limit:
            return self._predecessor
        if self._successor is not None and now - self._heard_below > limit:
            return self._successor
        return None

    def excuse(self, stall_ms: int) -> None:
        """The node stood still itself: what it did not hear meanwhile says nothing of the others."""
        self._heard_above += stall_ms
        self._heard_below += stall_ms

    def has_forgotten(self, message: Sync) -> bool:
        """Whether the successor's journal ends before what it said to hold in this view: nothing of that
        is ever cut within the view, so its folder is an older copy.  A message of a session that is over
        tells of an earlier moment."""
        is_new = message.session > self._down.session
        return is_new and message.positions[0].seq < self._down.held

    def start(self, now: int) -> None:
        """Agree with the predecessor where this journal stands."""
        if self._predecessor is not None:
            self._begin_session(now)

    def tick(self, now: int) -> None:
        """Beat, if this is the head's turn; ask again for a session that got no answer."""
        if self.is_head and self._successor is not None and self._due(self._beat_at, now):
            self._beat += 1
            self._beat_at = now
            self._pass_heartbeat(self._beat)
        if self._predecessor is not None and not self._session_answered:
            self._begin_session_again(now)

    def comes_from_above(self, node: str, incarnation: str) -> bool:
        """Whether a message is from the predecessor, in the life that the view names."""
        above = self._predecessor
        return above is not None and (above.node, above.incarnation) == (node, incarnation)

    def comes_from_below(self, node: str, incarnation: str) -> bool:
        """Whether a message is from the successor, in the life that the view names."""
        below = self._successor
        return below is not None and (below.node, below.incarnation) == (node, incarnation)

    # From the successor.

    def on_sync(self, message: Sync) -> None:
        """The successor wants a session: find the last place that both journals hold.  Sessions only
        rise: an older one has been given up."""
        waiting = self._down.waiting
        newest = self._down.session if waiting is None else waiting.session - 1
        if message.session <= newest:
            return
        if not self.joined:
            self._down.waiting = message
            return
        common = common_place(self._log, message.positions, self._log.end.seq)
        self._down.waiting = None
        self._down.begin(message.session, common.seq)
        self.flow()

    def on_ack(self, message: Ack | HeartbeatReturn) -> None:
        """The successor has persisted more, and so perhaps has everyone below."""
        if message.session == self._down.session:
            self._down.heard(message.held, message.acked)
            self.flow()

    def on_heartbeat_return(self, message: HeartbeatReturn, now: int) -> None:
        """A heartbeat has been at the tail: everyone below is alive."""
        self._heard_below = now
        self.on_ack(message)
        if self._predecessor is not None:
            self._return_heartbeat(message.number)

    # From the predecessor.

    def on_append(self, message: Append, now: int) -> None:
        """Take the entries that follow what is held; cut only at the first that differs."""
        if message.session != self._session:
            return
        self._session_answered = True
        if self._log.position(message.previous.seq) != message.previous:
            self._begin_session_again(now)
            return
        for entry in message.entries:
            if not take(self._memory, entry, self.view.number):
                self._begin_session_again(now)
                return
        last = message.entries[-1].seq if message.entries else message.previous.seq
        self.matched = max(self.matched, last)
        self._learn_committed(message.committed)
        self.flow()

    def on_heartbeat(self, message: Heartbeat, now: int) -> None:
        """Everyone above is alive; something sent may be missing here."""
        self._heard_above = now
        if message.session == self._session:
            self._session_answered = True
        if message.session != self._session or message.end > self.matched:
            self._begin_session_again(now)
        self._learn_committed(message.committed)
        if self._successor is None:
            self._return_heartbeat(message.number)
        else:
            self._pass_heartbeat(message.number)

    # After anything became durable or was heard.

    def flow(self) -> None:
        """Forward what the successor lacks, as far as the window allows, and what is committed."""
        down = self._down
        if self._successor is None or not down.session or not self.joined:
            return
        while down.sent < self._log.end.seq and down.in_flight_bytes < WINDOW_BYTES:
            self._send(tuple(self._log.entries(down.sent, APPEND_BYTES)))
        if down.told < self._log.committed and down.in_flight_bytes < WINDOW_BYTES:
            self._send(())

    def progress(self) -> None:
        """Acknowledge and commit what is durable by now."""
        if self._down.waiting is not None and self.joined:
            self.on_sync(self._down.waiting)
        acked = self.held if self._successor is None else min(self.held, self._down.acked)
        if self.is_head:
            self._commit(acked)
        elif self._session and (self.held, acked) != self._reported:
            assert self._predecessor is not None
            self._reported = (self.held, acked)
            self._mark_held()
            ack = Ack(self._session, self.held, acked)
            self._memory.say(self._predecessor.node, self.view.number, ack)
        self.flow()

    def _commit(self, acked: int) -> None:
        """Count as committed what every member has persisted, from the barrier on: an entry of an
        earlier view that all hold could still be undone by a head elected without it."""
        if acked >= self.view.barrier and self._log.commit(acked):
            self._mark_held()
            self._vouch()

    def _learn_committed(self, committed: int) -> None:
        if self._log.commit(min(committed, self.matched)):
            self._vouch()

    def _vouch(self) -> None:
        """With the view's barrier committed a blank or founding member knows all that was committed."""
        if self.open and self.joined and self._memory.promise.standing is not Standing.VOTER:
            self._memory.remember(standing=Standing.VOTER)

    def _mark_held(self) -> None:
        position = self._log.position(self.held)
        assert position is not None
        self._memory.raise_mark(position)

    def _send(self, entries: tuple[Entry, ...]) -> None:
        assert self._successor is not None
        down = self._down
        previous = self._log.position(down.sent)
        assert previous is not None
        committed = self._log.committed
        append = Append(down.session, previous, entries, committed)
        self._memory.say_early(self._successor.node, self.view.number, append)
        down.told = committed
        if entries:
            size = sum(len(entry.body) for entry in entries)
            down.sent = entries[-1].seq
            down.in_flight.append((down.sent, size))
            down.in_flight_bytes += size

    def _pass_heartbeat(self, number: int) -> None:
        assert self._successor is not None
        down = self._down
        beat = Heartbeat(number, down.session, down.sent, self._log.committed)
        self._memory.say(self._successor.node, self.view.number, beat)

    def _return_heartbeat(self, number: int) -> None:
        assert self._predecessor is not None
        acked = self.held if self._successor is None else min(self.held, self._down.acked)
        self._mark_held()
        back = HeartbeatReturn(number, self._session, self.held, acked)
        self._memory.say(self._predecessor.node, self.view.number, back)

    def _due(self, since: int, now: int) -> bool:
        return now - since >= self._memory.timing.heartbeat_ms

    def _begin_session_again(self, now: int) -> None:
        """Ask anew, but leave an answer the time to come: over a link or a disk that takes longer than
        a heartbeat, every answer would else be one to a session already given up."""
        timing = self._memory.timing
        pause = timing.heartbeat_ms if self._session_answered else timing.round_ms
        if now - self._session_at >= pause:
            self._begin_session(now)

    def _begin_session(self, now: int) -> None:
        assert self._predecessor is not None
        self._sessions += 1
        self._session = self._memory.promise.boot * PER_BOOT + self._sessions
        self._session_at = now
        self._session_answered = False
        self._reported = (0, 0)
        sync = Sync(self._session, landmarks(self._log))
        self._memory.say(self._predecessor.node, self.view.number, sync)
