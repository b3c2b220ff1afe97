"""Entries of the journal and the positions that identify its history.

`digest(seq) = H(digest(seq-1) | view | seq | kind | body)`: equal digests at equal `seq` prove equal
history up to there, whatever view ordered the last entry.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

from tvault.replication.bounds import Count, Digest

CHAIN_DIGEST_BYTES = 32


class Kind(IntEnum):
    """What an entry is: the empty entry that begins a view, or rows."""

    BARRIER = 0
    ROWS = 1


class Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, order=True):
    """A place in the journal: the entry's `seq`, the view that ordered it, the digest up to it."""

    seq: Count
    view: Count
    digest: Digest


ORIGIN = Position(seq=0, view=0, digest=bytes(CHAIN_DIGEST_BYTES))
"""Before the first entry, which has `seq` 1."""


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One group commit at position `seq`, tagged with the view that ordered it."""

    seq: Count
    view: Count
    kind: Kind
    body: bytes
    digest: Digest

    @property
    def position(self) -> Position:
        """Where the journal stands once this entry is its last."""
        return Position(seq=self.seq, view=self.view, digest=self.digest)


def chain_digest(previous: bytes, view: int, seq: int, kind: Kind, body: bytes) -> bytes:
    """The digest of the history that ends with this entry and continues `previous`."""
    state = hashlib.blake2b(previous, digest_size=CHAIN_DIGEST_BYTES, person=b"tvault journal")
    state.update(struct.pack(">QQBQ", view, seq, kind, len(body)))
    state.update(body)
    return state.digest()


def continues(previous: Position, entry: Entry) -> bool:
    """Whether the entry is the next one of the history that ends at `previous`, of its view or a later
    one."""
    digest = chain_digest(previous.digest, entry.view, entry.seq, entry.kind, entry.body)
    return entry.seq == previous.seq + 1 and entry.view >= previous.view and digest == entry.digest


def follow(previous: Position, view: int, kind: Kind, body: bytes) -> Entry:
    """The entry that continues `previous` in `view`."""
    seq = previous.seq + 1
    digest = chain_digest(previous.digest, view, seq, kind, body)
    return Entry(seq=seq, view=view, kind=kind, body=body, digest=digest)


class Positions(Protocol):
    """What a durable journal is, by the digests of its entries."""

    def last(self) -> Position:
        """The end of the durable journal; `ORIGIN` when it is empty."""

    def position(self, seq: int) -> Position | None:
        """The position of entry `seq` (`ORIGIN` for 0), or None when the journal ends before it."""


class Journal(Positions, Protocol):
    """What the replica may ask of the durable journal: looks only, never a write."""

    def entries(self, after: int, max_bytes: int) -> Sequence[Entry]:
        """The entries that follow `after`, in order, at least one if there is one, else until their
        bodies exceed `max_bytes`."""
