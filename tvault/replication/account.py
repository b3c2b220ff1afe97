"""What a node says of itself to whoever may choose it for a chain."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

import msgspec

from tvault.replication.bounds import Milliseconds, Name
from tvault.replication.entry import Position
from tvault.replication.promise import Standing
from tvault.replication.view import MOST_NODES


class Condition(IntEnum):
    """Whether a node can take part in a chain.

    READY: it can.  FULL: its disk has no room for another entry.  LEAVING: it was asked to end.  A node
    that cannot still promises and confirms, which takes no room.
    """

    READY = 0
    FULL = 1
    LEAVING = 2


class Account(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A node's account of itself.

    `last` is the end of its journal, `hears` the other nodes that it has heard lately, `persist_ms` how
    long its recent journal writes took at the median, 0 when there were none.
    """

    standing: Standing
    condition: Condition
    last: Position
    hears: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_NODES)] = ()
    persist_ms: Milliseconds = 0

    @property
    def may_vote(self) -> bool:
        """Whether the node counts towards a majority."""
        return self.standing is not Standing.BLANK
