"""What a look at the blocks found, compared with what the token index says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tvault.model.commands import DIGEST_BYTES, Block
from tvault.model.records import Places
from tvault.store.failures import JournalDamaged
from tvault.store.masked import ABSENT, PLACE_BITS, Spots
from tvault.store.records import Located


def refuse_lost_rows(ids: Spots, rows: Sequence[Located], settled_top: int) -> None:
    """A row may be gone because its entry was cut since, but never when it was settled."""
    if len(rows) == len(ids):
        return
    lost = np.setdiff1d(ids, np.array([row.id for row in rows], dtype=np.int64))
    if (lost <= settled_top).any():
        raise JournalDamaged("a committed block is gone")


def refuse_other_blocks(rows: Sequence[Located], owner: str, epoch: int) -> None:
    """The index finds nothing of another owner: should it ever, nothing is handed out."""
    for row in rows:
        block = row.block
        if (block.owner, block.epoch) != (owner, epoch):
            raise JournalDamaged(f"a block of entry {row.seq} is not of the owner and epoch looked for")


def places_of(spots: Spots, rows: Sequence[Located], asked: bytes) -> Places:
    """What a look found, with every digest compared with the one that stands in its place."""
    if not rows:
        nowhere = np.full(len(spots), ABSENT, dtype=np.int64)
        return Places(blocks=[], block_of=nowhere, place_of=nowhere, seq=0)
    blocks: list[Block] = [row.block for row in rows]
    ids = np.array([row.id for row in rows], dtype=np.int64)
    digests = [block.digests for block in blocks]
    lengths = np.array(list(map(len, digests)), dtype=np.int64) // DIGEST_BYTES
    standing = np.frombuffer(b"".join(digests), dtype=f"V{DIGEST_BYTES}")
    wanted = spots >> PLACE_BITS
    number = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    is_there = ids[number] == wanted
    place = spots & ((1 << PLACE_BITS) - 1)
    if (place >= lengths[number])[is_there].any():
        raise JournalDamaged("a block is shorter than it was")
    at = ((np.cumsum(lengths) - lengths)[number] + place)[is_there]
    if (standing[at] != np.frombuffer(asked, dtype=f"V{DIGEST_BYTES}")[is_there]).any():
        raise JournalDamaged("a token does not stand where the index says")
    return Places(
        blocks=blocks,
        block_of=np.where(is_there, number, ABSENT),
        place_of=np.where(is_there, place, ABSENT),
        seq=max(row.seq for row in rows),
    )
