"""The journal as the replica sees it: what is durable, and the suffix that is about to be."""

from __future__ import annotations

from collections.abc import Sequence

from tvault.replication.bounds import MOST_ENTRIES
from tvault.replication.entry import Entry, Journal, Position

RECENT_BYTES = 16 * 1024 * 1024
"""Bodies kept at hand, so that forwarding does not read back what was just written."""


class Log:
    """The durable journal, the entries not yet persisted, and the commit position.

    `end` counts unpersisted entries, `durable` does not.  Only `take` and `persisted` know of the
    disk: a claim about it is made from `durable` alone.
    """

    def __init__(self, journal: Journal, committed: int) -> None:
        self._journal = journal
        self.end: Position = journal.last()
        self.durable: Position = self.end
        self.committed = committed
        self._pending: list[Entry] = []
        self._cut_after: int | None = None
        self._recent: dict[int, Entry] = {}
        self._recent_bytes = 0

    def position(self, seq: int) -> Position | None:
        """The position of entry `seq`, None when the journal ends before it."""
        if seq > self.end.seq:
            return None
        if seq == self.end.seq:
            return self.end
        if (entry := self._recent.get(seq)) is not None:
            return entry.position
        first_pending = self.end.seq - len(self._pending) + 1
        if seq >= first_pending:
            return self._pending[seq - first_pending].position
        return self._journal.position(seq)

    def held(self, seq: int) -> Position:
        """The position of an entry that this journal holds."""
        position = self.position(seq)
        assert position is not None
        return position

    def entries(self, after: int, max_bytes: int) -> Sequence[Entry]:
        """Entries that follow `after`: from memory where they are at hand, else from the journal.

        At least one if there is one, no more than one message may hold; never past `end`.
        """
        if after >= self.end.seq:
            return ()
        if after + 1 not in self._recent:
            return self._from_journal(after, max_bytes)[:MOST_ENTRIES]
        found: list[Entry] = []
        room = max_bytes
        seq = after + 1
        while (entry := self._recent.get(seq)) is not None:
            room -= len(entry.body)
            if (found and room < 0) or len(found) == MOST_ENTRIES:
                break
            found.append(entry)
            seq += 1
        return found

    def _from_journal(self, after: int, max_bytes: int) -> Sequence[Entry]:
        first_pending = self.end.seq - len(self._pending) + 1
        if after + 1 >= first_pending:
            return self._pending[after + 1 - first_pending :][:1]
        read = self._journal.entries(after, max_bytes)
        return [entry for entry in read if entry.seq < first_pending]

    def append(self, entry: Entry) -> None:
        """Add the next entry; it is persisted with the next `take`."""
        assert entry.seq == self.end.seq + 1
        self._pending.append(entry)
        self.end = entry.position
        self._remember(entry)

    def cut(self, after: int) -> None:
        """Drop every entry behind `after`, which must be held and not below what is committed."""
        assert self.committed <= after < self.end.seq
        position = self.position(after)
        assert position is not None
        for seq in range(after + 1, self.end.seq + 1):
            if (entry := self._recent.pop(seq, None)) is not None:
                self._recent_bytes -= len(entry.body)
        kept = len(self._pending) - (self.end.seq - after)
        self._pending = self._pending[: max(kept, 0)]
        if after < self.durable.seq:
            self._cut_after = after if self._cut_after is None else min(self._cut_after, after)
            self.durable = position
        self.end = position

    def commit(self, seq: int) -> bool:
        """Move the commit position up to `seq`; whether it moved.  It never goes back."""
        assert seq <= self.end.seq
        if seq <= self.committed:
            return False
        self.committed = seq
        return True

    def take(self) -> tuple[int | None, tuple[Entry, ...]]:
        """What the next transaction must cut and append."""
        return self._cut_after, tuple(self._pending)

    def persisted(self) -> None:
        """What `take` gave is durable."""
        self._cut_after = None
        self._pending.clear()
        self.durable = self.end

    def forget_pending(self) -> None:
        """What `take` gave was not written, and will not be: go back to what the disk holds.

        What was counted as committed behind a cut, or in an entry not written, is not known to be what
        this disk holds in its place.
        """
        self.committed = min(self.committed, self.durable.seq)
        self._cut_after = None
        self._pending.clear()
        self._recent.clear()
        self._recent_bytes = 0
        self.durable = self.end = self._journal.last()

    def _remember(self, entry: Entry) -> None:
        self._recent[entry.seq] = entry
        self._recent_bytes += len(entry.body)
        while self._recent_bytes > RECENT_BYTES and len(self._recent) > 1:
            oldest = next(iter(self._recent))
            self._recent_bytes -= len(self._recent.pop(oldest).body)
