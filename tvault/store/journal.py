"""Entries and rows: what both stores check before they keep an entry, and how a body is rebuilt."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tvault.model.commands import DIGEST_BYTES, Block, EpochStart, Rows, decode_rows, encode_rows
from tvault.replication.entry import Entry, Kind, Position, chain_digest
from tvault.store.ports import Epochs, StoreViolation
from tvault.store.secret_rows import LARGEST_INTEGER, have_storable_secrets

LARGEST_BLOCK = 2**16
"""The token index has 16 bits for a value's place in its block."""


def body_of(kind: Kind, rows: Rows) -> bytes:
    """The body of an entry of `kind` that brought `rows`: a barrier's is empty."""
    return b"" if kind == Kind.BARRIER else encode_rows(rows)


def rows_that_follow(previous: Position, entries: Sequence[Entry]) -> list[Rows]:
    """The rows of each of `entries`, which must continue `previous` without a gap.

    Raises `StoreViolation`, naming the seq, for an entry that does not continue the digest of the one
    before it, or that could not be rebuilt from its rows to the last bit.
    """
    brought = []
    for entry in entries:
        if entry.seq != previous.seq + 1:
            raise StoreViolation(f"entry {entry.seq} does not follow entry {previous.seq}")
        digest = chain_digest(previous.digest, entry.view, entry.seq, entry.kind, entry.body)
        if digest != entry.digest:
            raise StoreViolation(f"entry {entry.seq} does not continue the digest of the journal")
        brought.append(_rows_of(entry))
        previous = entry.position
    return brought


def keep_after_cut(cut_after: int | None, last: int, floor: int) -> int:
    """The last entry that stays when a write cuts after `cut_after`; without a cut it is `last`.

    Raises `StoreViolation` for a cut below `floor`: those entries are committed.
    """
    keep = last if cut_after is None else min(cut_after, last)
    if keep < floor:
        raise StoreViolation(f"a cut after entry {keep} would undo entry {floor}, which is committed")
    return keep


def advance_commit(known: int, committed: int, last: int) -> int:
    """The commit position known to a store whose journal ends at `last`, once it is told `committed`.

    It never falls: what was committed stays so.  A `committed` beyond the end says nothing about which
    entries of this journal are on the committed history, so what is known then lags.
    """
    return max(known, committed) if committed <= last else known


def with_starts(epochs: Epochs, brought: Sequence[tuple[int, Rows]]) -> Epochs:
    """The epochs begun, with those that entries brought after them."""
    if not any(rows.epochs for _, rows in brought):
        return epochs
    begun = {owner: list(starts) for owner, starts in epochs.items()}
    for seq, rows in brought:
        for start in rows.epochs:
            begun.setdefault(start.owner, []).append((start.epoch, seq))
    return begun


def refuse_odd_digests(digests: bytes) -> None:
    """Raise `ValueError` unless whole digests stand side by side."""
    if len(digests) % DIGEST_BYTES:
        raise ValueError(f"a digest has {DIGEST_BYTES} bytes")


def _rows_of(entry: Entry) -> Rows:
    try:
        rows = decode_rows(entry.body)
    except msgspec.DecodeError:
        raise StoreViolation(f"the body of entry {entry.seq} holds no rows") from None
    if body_of(entry.kind, rows) != entry.body:
        raise StoreViolation(f"the body of entry {entry.seq} cannot be rebuilt from its rows")
    if not (
        all(map(_is_storable_block, rows.blocks))
        and all(map(_is_storable_epoch, rows.epochs))
        and have_storable_secrets(rows)
    ):
        raise StoreViolation(f"a row of entry {entry.seq} has a shape that no store keeps")
    return rows


def _is_storable_block(block: Block) -> bool:
    return (
        0 <= block.epoch <= LARGEST_INTEGER
        and len(block.digests) % DIGEST_BYTES == 0
        and 1 <= len(block) <= LARGEST_BLOCK
    )


def _is_storable_epoch(row: EpochStart) -> bool:
    return 0 <= row.epoch <= LARGEST_INTEGER
