"""What comes out of the replica: one value that says what to persist, then send, then answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from tvault.replication.entry import Entry
from tvault.replication.messages import Message
from tvault.replication.promise import Promise


@dataclass(frozen=True)
class Timing:
    """Durations in milliseconds.  `suspect_ms` of silence along the chain makes a node look for a new
    view; heartbeats run every `heartbeat_ms`."""

    heartbeat_ms: int = 100
    suspect_ms: int = 1500

    @property
    def round_ms(self) -> int:
        """How long a round of questions waits before it is asked anew."""
        return self.suspect_ms // 2


class Outgoing(msgspec.Struct, frozen=True):
    """A message of view `view` for the node `to`."""

    to: str
    view: int
    message: Message


Detail = str | int | float | list[str]


class Answer(msgspec.Struct, frozen=True):
    """What a ticket was waiting for: the entry committed at `seq`, the confirmation given, the `seq` up
    to which an outsider must know the journal before it looks (`index`), or the word that none of
    these will come (`lost`: the outcome is unknown)."""

    ticket: int
    result: Literal["committed", "confirmed", "index", "lost"]
    seq: int = 0


@dataclass(frozen=True)
class Notice:
    """Something that people may want to know, for the event log."""

    event: str
    details: dict[str, Detail] = field(default_factory=dict)


class Ready(msgspec.Struct, frozen=True):
    """Do these in order; nothing of a later line before all of an earlier one is done.

    1. `early`: messages that claim nothing about this node's disk: send.
    2. `promise`: write to the promise file and sync.
    3. `cut_after`, `entries`: one durable transaction on the journal, with `committed` as its hint.
    4. `mark`: write to the promise file; it need not be synced, unless `sync_mark`.
    5. `late`: send.
    6. `answers`: give.
    """

    early: tuple[Outgoing, ...] = ()
    promise: Promise | None = None
    cut_after: int | None = None
    entries: tuple[Entry, ...] = ()
    committed: int = 0
    mark: Promise | None = None
    sync_mark: bool = False
    late: tuple[Outgoing, ...] = ()
    answers: tuple[Answer, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def touches_journal(self) -> bool:
        """Whether step 3 has anything to do."""
        return self.cut_after is not None or bool(self.entries)
