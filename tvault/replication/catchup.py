"""Coming back: an outsider copies what is committed from a member of a live chain.

It takes only committed entries, from members of a view whose barrier is committed, cuts its own suffix
where it differs, and asks for the next range as soon as one has come, so that copying and persisting
overlap.  Once it lacks nothing it says so, and the head takes it in.
"""

from __future__ import annotations

from tvault.replication.account import Condition
from tvault.replication.copying import common_place, landmarks, take
from tvault.replication.memory import Memory
from tvault.replication.messages import Learn, Learned
from tvault.replication.presence import Peers
from tvault.replication.view import View

LEARN_BYTES = 256 * 1024
"""Bodies in one answer, at most (one entry may be larger): whoever reads them has a chain to serve."""


class Learner:
    """An outsider's side.  `caught_up`: at the last answer it lacked nothing that was committed."""

    def __init__(self, memory: Memory, peers: Peers) -> None:
        self._memory = memory
        self._peers = peers
        self._round = 0
        self._asked_at = 0
        self._turn = 0
        self._wanted = 0
        self._brought = True
        self._began: tuple[int, int] | None = None
        self._has_told = False
        self.caught_up = False

    def tick(self, view: View, now: int) -> None:
        """Ask a member of the live `view`: the next one when an answer stays out."""
        timing = self._memory.timing
        if self._round and now - self._asked_at < timing.round_ms:
            return
        if self._round:
            self._turn += 1
            self.caught_up = False
        # At once when there is more to come; else a teacher with nothing new would be asked for ever.
        is_due = self._round or (self._brought and not self.caught_up)
        is_wanted = self._wanted > self._memory.log.committed
        pause = timing.heartbeat_ms // (4 if is_wanted else 2)
        if is_due or now - self._asked_at >= pause:
            self._ask(view, now)

    def stop(self) -> None:
        """The node is an outsider of a live chain no more."""
        self._round = 0
        self._brought = True
        self._began = None
        self._has_told = False
        self.caught_up = False

    def want(self, seq: int, view: View, now: int) -> None:
        """Somebody waits until this node knows entry `seq` to be committed."""
        self._wanted = max(self._wanted, seq)
        if not self._round and self._memory.log.committed < seq:
            self._ask(view, now)

    def on_learned(self, sender: str, view: int, message: Learned, now: int) -> bool:
        """Take over what came; whether it was what was asked for."""
        memory = self._memory
        if not self._round or message.round != self._round:
            return False
        self._tell_begin(sender, message.committed, now)
        self._round = 0
        self._brought = bool(message.entries)
        if memory.log.position(message.previous.seq) != message.previous:
            return True
        memory.remember(promised=max(memory.promise.promised, view))
        matched = message.previous.seq
        for entry in message.entries:
            if not take(memory, entry, view):
                return True
            matched = entry.seq
        memory.log.commit(min(message.committed, matched))
        self.caught_up = matched >= message.committed
        if self.caught_up:
            self._tell_end(now)
        return True

    def _tell_begin(self, sender: str, upto: int, now: int) -> None:
        """Once for each time that the node is outside: what it lacks at first."""
        after = self._memory.log.committed
        if self._began is None and not self._has_told and upto > after:
            self._began = after, now
            self._memory.notice("catch-up", peer=sender, after=after, upto=upto)

    def _tell_end(self, now: int) -> None:
        if self._began is None:
            return
        after, since = self._began
        upto, ms = self._memory.log.committed, max(now - since, 1)
        entries = upto - after
        self._began, self._has_told = None, True
        self._memory.notice(
            "caught-up",
            after=after,
            upto=upto,
            entries=entries,
            seconds=ms / 1000,
            rate=entries * 1000 // ms,
        )

    def _ask(self, view: View, now: int) -> None:
        teachers = self._peers.teachers(view, now)
        if not teachers or self._memory.condition is Condition.FULL:
            return
        self._round = self._memory.new_round()
        self._asked_at = now
        teacher = teachers[self._turn % len(teachers)]
        self._memory.say(teacher, 0, Learn(self._round, landmarks(self._memory.log)))


def teach(memory: Memory, sender: str, view: int, message: Learn) -> None:
    """A member's side: what is committed behind the last place that both journals hold; nothing for one
    that knows more to be committed than this member does yet."""
    log = memory.log
    common = common_place(log, message.positions, log.committed)
    is_ahead = common.seq == 0 and any(place.seq > log.committed for place in message.positions)
    entries = () if is_ahead else log.entries(common.seq, LEARN_BYTES)
    committed = tuple(entry for entry in entries if entry.seq <= log.committed)
    memory.say(sender, view, Learned(message.round, common, committed, log.committed))
