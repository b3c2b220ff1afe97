"""Taking over another node's entries: along a chain, and when catching up outside of one."""

from __future__ import annotations

from tvault.replication.entry import ORIGIN, Entry, Position, continues
from tvault.replication.log import Log
from tvault.replication.memory import Memory, ProtocolViolation


def take(memory: Memory, entry: Entry, view: int) -> bool:
    """Whether the entry is held now; False when it does not continue this journal.

    `view` is that of whoever sent it: no entry is tagged with a later one.  What this journal holds in
    the entry's place is cut, from the first entry that differs on and never below what is committed;
    but for nothing that does not continue what stands before it.
    """
    log = memory.log
    own = log.position(entry.seq)
    if own == entry.position:
        return True
    before = log.position(entry.seq - 1)
    if before is None or entry.view > view or not continues(before, entry):
        return False
    if own is not None:
        if entry.seq <= log.committed:
            raise ProtocolViolation(f"view {view} would undo committed entry {entry.seq}")
        _cut(memory, entry.seq - 1, view)
    log.append(entry)
    return True


def landmarks(log: Log) -> tuple[Position, ...]:
    """Places of this journal from its end down to what is committed, further and further apart, then
    the origin, which every journal holds."""
    found: list[Position] = []
    seq, step = log.end.seq, 1
    while seq > log.committed:
        found.append(log.held(seq))
        seq, step = seq - step, step * 2
    return (*found, log.held(log.committed), ORIGIN)


def common_place(log: Log, positions: tuple[Position, ...], limit: int) -> Position:
    """The first of these places that this journal holds, none above `limit`."""
    held = (p for p in positions if p.seq <= limit and log.position(p.seq) == p)
    return next(held, ORIGIN)


def _cut(memory: Memory, after: int, view: int) -> None:
    """Drop the suffix that differs; first lower the mark, lest a crash in between makes a sound
    journal look damaged."""
    log = memory.log
    why = f"entry {after + 1} is another one in the journal of view {view}"
    memory.notice("truncate", after=after, end=log.end.seq, view=view, why=why)
    log.cut(after)
    if memory.promise.mark.seq > after:
        memory.remember(mark=log.end)
