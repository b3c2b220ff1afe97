"""The token index: from a token's digest to the block and place of its value, derived from the blocks.

A key is the digest XOR a mask of its owner and epoch, so a look-up finds nothing of another owner: a
foreign token misses exactly as an unknown one does.  The newest tokens are in a dict; settled ones,
which no cut can touch, are in sorted numpy runs that are merged by doubling.  One thread writes; others
read through `TokenIndex.snapshot`, which is replaced whole.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tvault.model.commands import DIGEST_BYTES, Block
from tvault.store.journal import LARGEST_BLOCK
from tvault.store.ports import StoreViolation

Keys = NDArray[np.uint64]
"""Masked digests, one a row: the high and the low 64 bits."""

Spots = NDArray[np.int64]
"""Where values are: block id and place in one number, or `ABSENT`."""

ABSENT = -1
PLACE_BITS = (LARGEST_BLOCK - 1).bit_length()
RUN_TOKENS = 2**15
"""Settled tokens that leave the dict together."""

LARGEST_RUN = 2**21
"""Tokens of a run that is merged no further, so that no merge holds the writer up for long."""


def mask(owner: str, epoch: int) -> bytes:
    """What the digests of this owner and epoch are XORed with."""
    scope = struct.pack(">Q", epoch) + owner.encode()
    return hashlib.blake2b(scope, digest_size=DIGEST_BYTES, person=b"tvault index").digest()


@dataclass(frozen=True)
class Run:
    """Sorted keys and their spots.  Column by column: a search walks through the high halves only."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    spots: Spots

    def __len__(self) -> int:
        """How many tokens the run holds."""
        return len(self.spots)

    def find(self, keys: Keys) -> Spots:
        """The spots of `keys`, which must be sorted by their high halves."""
        found = np.full(len(keys), ABSENT, dtype=np.int64)
        at = np.searchsorted(self.high, keys[:, 0])
        asked = np.arange(len(keys))
        while True:  # once for all, and again for each further key that shares a high half
            asked = asked[at[asked] < len(self)]
            asked = asked[self.high[at[asked]] == keys[asked, 0]]
            if not len(asked):
                return found
            same = self.low[at[asked]] == keys[asked, 1]
            found[asked[same]] = self.spots[at[asked[same]]]
            asked = asked[~same]
            at[asked] += 1


def sorted_run(keys: Keys, spots: Spots) -> Run:
    """The run of these tokens.  Raises `StoreViolation` when one of them stands twice."""
    return _run_of(keys[:, 0], keys[:, 1], spots)


def merged(older: Run, newer: Run) -> Run:
    """One run of two.  Raises `StoreViolation` when a token stands in both."""
    return _run_of(
        np.concatenate((older.high, newer.high)),
        np.concatenate((older.low, newer.low)),
        np.concatenate((older.spots, newer.spots)),
    )


def _run_of(high: NDArray[np.uint64], low: NDArray[np.uint64], spots: Spots) -> Run:
    order = np.argsort(high, kind="stable")  # merges what is sorted in parts
    by_high = high[order]
    if (by_high[1:] == by_high[:-1]).any():  # rare: 64 bits of a keyed hash
        order = np.lexsort((low, high))
        high, low = high[order], low[order]
        if ((high[1:] == high[:-1]) & (low[1:] == low[:-1])).any():
            raise StoreViolation("a token stands twice in the journal")
        return Run(high, low, spots[order])
    return Run(by_high, low[order], spots[order])


@dataclass(frozen=True)
class Snapshot:
    """What readers look at.  Later tokens may come into `recent`; their block ids are above `top`."""

    runs: tuple[Run, ...] = ()
    recent: dict[bytes, int] = field(default_factory=dict)
    top: int = 0
    settled_top: int = 0
    """The highest block id in the runs: the rows of those blocks are never deleted."""

    def find(self, owner: str, epoch: int, digests: bytes) -> Spots:
        """The spots of these digests of one owner and epoch, 16 bytes each, side by side."""
        return self.find_keys(_halves(digests) ^ _halves(mask(owner, epoch)))

    def find_keys(self, keys: Keys) -> Spots:
        """The spots of these masked digests."""
        if not self.recent:
            return self.find_settled(keys)
        newest = map(self.recent.get, _names(keys), repeat(ABSENT))
        found = np.fromiter(newest, dtype=np.int64, count=len(keys))
        found[found >> PLACE_BITS > self.top] = ABSENT
        rest = np.flatnonzero(found == ABSENT)
        found[rest] = self.find_settled(keys[rest])
        return found

    def find_settled(self, keys: Keys) -> Spots:
        """The spots of those of these masked digests that are in the runs."""
        found = np.full(len(keys), ABSENT, dtype=np.int64)
        order = np.argsort(keys[:, 0])  # neighbours in a run share its cache lines
        in_order = keys[order]
        for run in self.runs:
            found[order] = np.maximum(found[order], run.find(in_order))
        return found


@dataclass(frozen=True)
class Batch:
    """Tokens that were found fit to be added."""

    names: Sequence[bytes]
    keys: Keys
    spots: Spots


@dataclass(frozen=True)
class Keep:
    """What a write leaves standing: entries up to `seq`, blocks up to `block_id`."""

    seq: int
    block_id: int
    cuts: bool


class EntrySize(NamedTuple):
    """How much an entry brought; `last_block` is the highest block id given out up to it."""

    seq: int
    last_block: int
    tokens: int


class _Unsettled(NamedTuple):
    """The tokens of an entry that may still be cut."""

    seq: int
    last_block: int
    keys: Keys
    spots: Spots


class TokenIndex:
    """The index of one store.  Every method is the writer's; `snapshot` is for all."""

    def __init__(self, run_tokens: int = RUN_TOKENS, largest_run: int = LARGEST_RUN) -> None:
        self.snapshot = Snapshot()
        self._run_tokens = run_tokens
        self._largest_run = largest_run
        self._unsettled: deque[_Unsettled] = deque()
        self._ready: list[_Unsettled] = []  # settled, but still in the dict, where they are the oldest
        self._ready_tokens = 0
        self._settled_top = 0

    def judge(self, blocks: Sequence[Block], ids: Sequence[int], keep_id: int) -> Batch:
        """The tokens of `blocks`, whose ids are `ids`, once the blocks above `keep_id` are cut.

        Raises `StoreViolation` when one stands in a block up to `keep_id` or twice in `blocks`.
        """
        keys, spots = _tokens_of(blocks, ids)
        names = _names(keys)
        recent = self.snapshot.recent
        stands = (self.snapshot.find_settled(keys) != ABSENT).any()
        if not recent.keys().isdisjoint(names):
            stands |= any(recent[name] >> PLACE_BITS <= keep_id for name in names if name in recent)
        if stands or len(set(names)) != len(names):
            raise StoreViolation("a token would stand twice in the journal")
        return Batch(names, keys, spots)

    def apply(self, keep: Keep, batch: Batch, sizes: Sequence[EntrySize], top: int) -> None:
        """Take over a write that is durable: forget what it cut, add what it brought, show both at once.

        `sizes` has the entries that were added, and `top` is the highest block id now given out.
        Readers of the old snapshot find no rows for what was cut, and may not see what is above its top.
        """
        old = self.snapshot
        recent = old.recent
        if keep.cuts:
            recent = {name: spot for name, spot in recent.items() if spot >> PLACE_BITS <= keep.block_id}
            while self._unsettled and self._unsettled[-1].seq > keep.seq:
                self._unsettled.pop()
        recent.update(zip(batch.names, batch.spots.tolist(), strict=True))
        at = 0
        for size in sizes:
            part = slice(at, at + size.tokens)
            self._unsettled.append(
                _Unsettled(size.seq, size.last_block, batch.keys[part], batch.spots[part])
            )
            at += size.tokens
        self.snapshot = Snapshot(old.runs, recent, top, old.settled_top)

    def settle(self, committed: int) -> None:
        """No cut will touch entries up to `committed`: move their tokens to a run once they are many."""
        while self._unsettled and self._unsettled[0][0] <= committed:
            entry = self._unsettled.popleft()
            self._settled_top = entry.last_block
            self._ready.append(entry)
            self._ready_tokens += len(entry.spots)
        if self._ready_tokens >= self._run_tokens:
            self._move_settled()

    def load(self, blocks: Sequence[Block], ids: Sequence[int]) -> None:
        """Add settled blocks straight to the runs, before any other use.  Raises `StoreViolation`."""
        keys, spots = _tokens_of(blocks, ids)
        if not len(spots):
            return
        if (self.snapshot.find_keys(keys) != ABSENT).any():
            raise StoreViolation("a token stands twice in the journal")
        runs = self._with_run(sorted_run(keys, spots))
        self._settled_top = ids[-1]
        self.snapshot = Snapshot(runs, {}, ids[-1], ids[-1])

    def _move_settled(self) -> None:
        """Readers of the old snapshot keep the old dict, so nothing vanishes from under them."""
        old = self.snapshot
        keys = np.concatenate([entry.keys for entry in self._ready])
        spots = np.concatenate([entry.spots for entry in self._ready])
        runs = self._with_run(sorted_run(keys, spots))
        recent = dict(islice(old.recent.items(), self._ready_tokens, None))
        self._ready = []
        self._ready_tokens = 0
        self.snapshot = Snapshot(runs, recent, old.top, self._settled_top)

    def _with_run(self, run: Run) -> tuple[Run, ...]:
        runs = [*self.snapshot.runs, run]
        while len(runs) > 1 and self._may_merge(runs[-2], runs[-1]):
            newer = runs.pop()
            runs[-1] = merged(runs[-1], newer)
        return tuple(runs)

    def _may_merge(self, older: Run, newer: Run) -> bool:
        return len(older) <= 2 * len(newer) and len(older) + len(newer) <= self._largest_run


def _tokens_of(blocks: Sequence[Block], ids: Sequence[int]) -> tuple[Keys, Spots]:
    """Keys and spots of the tokens of `blocks`."""
    lengths = np.fromiter(map(len, blocks), dtype=np.int64, count=len(blocks))
    masks = {scope: mask(*scope) for scope in {(block.owner, block.epoch) for block in blocks}}
    scopes = b"".join(masks[block.owner, block.epoch] for block in blocks)
    digests = b"".join(block.digests for block in blocks)
    keys = _halves(digests) ^ _halves(scopes).repeat(lengths, axis=0)
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(keys), dtype=np.int64) - starts.repeat(lengths)
    return keys, (np.array(ids, dtype=np.int64).repeat(lengths) << PLACE_BITS) | places


def _halves(digests: bytes) -> Keys:
    """Digests of 16 bytes, side by side, as rows of a high and a low half."""
    return np.frombuffer(digests, dtype=">u8").reshape(-1, 2).astype(np.uint64)


def _names(keys: Keys) -> tuple[bytes, ...]:
    """The keys as bytes, high half first, for the dict."""
    return struct.unpack("16s" * len(keys), keys.astype(">u8").tobytes())
