"""Damage that a node finds while it runs, and when it does something about it.

What an old part of the journal has become is told by a read of it, by a node that wants to learn from
this one, or by the check in the background.  The node could begin anew at once.  But while another node
is away, or blank itself, what is sound here may be all that there is, and a voter fewer may be one too
few; so it waits until all nodes are in its chain, and gives out nothing that is damaged meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tvault.events import EventLog
from tvault.replication.state import State
from tvault.store.failures import JournalDamaged

WHOLE_SECONDS = 3.0
"""How long all nodes must have been in the chain: one that has just died is missed a moment later.  The
second of the chain waits twice, the third three times as long, so that no two begin anew together: once
one has, the chain is not whole, and the others wait from the beginning."""

_log = logging.getLogger("tvault.node")


class Damage:
    """What is known of it; `why` is None while there is none."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self.why: str | None = None
        self._whole_since = 0.0

    def note(self, why: str) -> None:
        """Something is not what was written; the first word of it counts."""
        if self.why is None:
            _log.error("%s: the node begins anew once all others are in its chain", why)
            self._events.record("damaged", why=why)
            self.why = why

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what a look at the journal finds; whoever looks gets no answer, and asks another node."""
        try:
            yield
        except JournalDamaged as damage:
            self.note(str(damage))

    def is_due(self, state: State, now: float) -> bool:
        """Whether the node is to begin anew now, in seconds; to be asked again and again.  A node that
        is alone by design never does: nobody else could give it back what is sound."""
        is_whole = (
            state.can_write and not state.degraded and state.role != "outside" and len(state.chain) > 1
        )
        if self.why is None or not is_whole:
            self._whole_since = now
            return False
        return now - self._whole_since >= WHOLE_SECONDS * (1 + state.chain.index(state.node))
