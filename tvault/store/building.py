"""How runs are made: of a generation, of entries that are read back, and of smaller runs."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tvault.replication.entry import Position
from tvault.store.generations import Generation
from tvault.store.masked import PLACE_BITS, Keys, Masks, Spots
from tvault.store.ports import StoreViolation
from tvault.store.records import Stored, rising_ids
from tvault.store.runs import Columns, Run, RunWriter, Stretch

PART_TOKENS = 2**17
"""Tokens that are merged in one go: what that takes is the longest that anybody waits for a merge."""

READ_TOKENS = 2**19
"""Tokens of entries read back that make a run."""

READ_ENTRIES = 2**16
"""Or so many entries, when they are small."""

_HELD_ENTRIES = 2**12  # many objects at once are slow to collect
_HELD_TOKENS = 2**16
_HELD_BYTES = 2**24  # of entries that hold long secrets

FAN_IN = 4
"""So many runs of about one size become one: each token is written once for each power of it."""

NO_EPOCHS = bytes(16)
"""The checksum over no starts of epochs."""


class JournalReader(Protocol):
    """What runs are made from, and compared with."""

    def position(self, seq: int) -> Position | None:
        """The position of entry `seq`, or None when there is no such entry."""

    def entries(self, after: Position, until: int) -> Iterator[Stored]:
        """The entries that follow `after`, up to `until`, as they are asked for.

        Raises `JournalDamaged` when they do not continue `after`.
        """

    def top_block(self, seq: int) -> int:
        """The highest block id given out up to entry `seq`, or 0."""

    def tokens_after(self, seq: int) -> int:
        """How many tokens the entries after `seq` brought."""


def sum_epochs(before: bytes, starts: Iterable[tuple[int, str, int]]) -> bytes:
    """The checksum over starts of epochs (seq, owner, epoch) that follow those of `before`."""
    for seq, owner, epoch in starts:
        row = before + struct.pack(">QQ", seq, epoch) + owner.encode()
        before = hashlib.blake2b(row, digest_size=len(NO_EPOCHS)).digest()
    return before


def first_to_merge(sizes: Sequence[int]) -> int | None:
    """From which run on the runs of these sizes, oldest first, should become one; None when there are
    few enough.  What would be merged again at once is merged in one go."""
    left = list(sizes)
    first = None
    for tier in range(_tier(sum(sizes)) + 1):
        start = len(left)
        while start and _tier(left[start - 1]) <= tier:
            start -= 1
        tiers = [_tier(size) for size in left[start:]]
        while tiers and tiers[-1] < tier:  # a smaller one counts as one of those that follow it
            tiers.pop()
        if len(tiers) >= FAN_IN:
            first = start
            left[start:] = [sum(left[start:])]
    return first


def _tier(tokens: int) -> int:
    return tokens.bit_length() // (FAN_IN.bit_length() - 1)


def in_parts(sources: Sequence[Columns]) -> Iterator[Columns]:
    """The tokens of all `sources` in rising order, piece by piece.  Of several, each must be sorted.

    Raises `StoreViolation` when a token stands twice.
    """
    parts_log2 = (sum(len(source.high) for source in sources) // PART_TOKENS).bit_length()
    if len(sources) == 1:
        parts_log2 = 0
    starts = [0] * len(sources)
    for part in range(1, 2**parts_log2 + 1):
        ends = [len(source.high) for source in sources]
        if part < 2**parts_log2:
            bound = np.uint64(part << (64 - parts_log2))
            ends = [int(np.searchsorted(source.high, bound)) for source in sources]
        pieces = zip(sources, starts, ends, strict=True)
        yield _sorted([source.part(start, end) for source, start, end in pieces])
        starts = ends


def _sorted(pieces: Sequence[Columns]) -> Columns:
    high = np.concatenate([piece.high for piece in pieces])
    low = np.concatenate([piece.low for piece in pieces])
    spots = np.concatenate([piece.spots for piece in pieces])
    # A stable sort merges what is sorted in parts; the other one is faster when nothing is.
    order = np.argsort(high, kind="stable" if len(pieces) > 1 else None)
    in_order = high[order]
    if (in_order[1:] == in_order[:-1]).any():  # rare: 64 bits of a keyed hash
        order = np.lexsort((low, high))
        in_order = high[order]
        by_low = low[order]
        if ((in_order[1:] == in_order[:-1]) & (by_low[1:] == by_low[:-1])).any():
            raise StoreViolation("a token stands twice in the journal")
    return Columns(in_order, low[order], spots[order])


def write_run(folder: Path, stretch: Stretch, parts: Iterable[Columns]) -> Run:
    """The run of these tokens, which rise, in `folder`, durable."""
    writer = RunWriter(folder, stretch)
    try:
        for part in parts:
            writer.put(part)
        return writer.finish()
    finally:
        writer.close()


def joint_stretch(runs: Sequence[Run]) -> Stretch:
    """The stretch of the run that `runs`, which follow each other, become."""
    stretches = [run.stretch for run in runs]
    newest = stretches[-1]
    return Stretch(
        after=stretches[0].after,
        last=newest.last,
        tokens=sum(stretch.tokens for stretch in stretches),
        blocks=sum(stretch.blocks for stretch in stretches),
        top_block=newest.top_block,
        epochs=newest.epochs,
        masks=newest.masks,
    )


class Gathering:
    """Tokens of entries that follow each other, on their way into a run.

    `before` is what the run before them says of the journal, None when there is none.
    """

    def __init__(self, masks: Masks, after: Position, before: Stretch | None) -> None:
        self._masks = masks
        self._after = after
        self._last = after
        self._top_block = before.top_block if before else 0
        self._epochs = before.epochs if before else NO_EPOCHS
        self._waiting: list[Stored] = []
        self._waiting_tokens = 0
        self._waiting_bytes = 0
        self._keys: list[Keys] = []
        self._spots: list[Spots] = []
        self._tokens = 0

    @property
    def is_full(self) -> bool:
        """Whether this should become a run now."""
        return self._tokens >= READ_TOKENS or self._last.seq - self._after.seq >= READ_ENTRIES

    def add_entry(self, stored: Stored) -> None:
        """Take the tokens of an entry that was read back.  Raises `JournalDamaged`."""
        self._waiting.append(stored)
        self._last = stored.entry.position
        self._waiting_tokens += sum(map(len, stored.rows.blocks))
        self._waiting_bytes += len(stored.entry.body)
        if (
            len(self._waiting) >= _HELD_ENTRIES
            or self._waiting_tokens >= _HELD_TOKENS
            or self._waiting_bytes >= _HELD_BYTES
        ):
            self._convert()

    def add_generation(self, generation: Generation) -> None:
        """Take the tokens of a generation to which nothing is added any more."""
        self._add(*generation.tokens(), generation.epochs)
        self._last = generation.last

    def write(self, folder: Path) -> Run:
        """The run of what was gathered, durable.  Raises `StoreViolation`, `OSError`."""
        self._convert()
        spots = np.concatenate(self._spots)
        high = np.concatenate([keys.high for keys in self._keys])
        low = np.concatenate([keys.low for keys in self._keys])
        stretch = Stretch(
            after=self._after,
            last=self._last,
            tokens=self._tokens,
            blocks=len(np.unique(spots >> PLACE_BITS)),
            top_block=self._top_block,
            epochs=self._epochs,
            masks=self._masks.name,
        )
        return write_run(folder, stretch, in_parts([Columns(high, low, spots)]))

    def _convert(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._waiting_tokens = self._waiting_bytes = 0
        ids = rising_ids(waiting, self._top_block)
        blocks = [block for stored in waiting for block in stored.rows.blocks]
        starts = [
            (stored.entry.seq, start.owner, start.epoch)
            for stored in waiting
            for start in stored.rows.epochs
        ]
        self._add(*self._masks.tokens_of(blocks, ids), starts)

    def _add(self, keys: Keys, spots: Spots, starts: Sequence[tuple[int, str, int]]) -> None:
        self._keys.append(keys)
        self._spots.append(spots)
        self._tokens += len(spots)
        if len(spots):
            self._top_block = int(spots[-1]) >> PLACE_BITS
        self._epochs = sum_epochs(self._epochs, starts)


@dataclass(frozen=True)
class Source:
    """Where runs are made from anew: the journal, and the masks of their keys."""

    journal: JournalReader
    masks: Masks

    def runs(self, folder: Path, after: Position, before: Stretch | None, until: int) -> Iterator[Run]:
        """Runs of the entries after `after` up to `until`, in `folder`; `before` is what the run before
        them says of the journal.  Raises `JournalDamaged`, `StoreViolation`, `OSError`."""
        gathering = Gathering(self.masks, after, before)
        for stored in self.journal.entries(after, until):
            gathering.add_entry(stored)
            if gathering.is_full or stored.entry.seq == until:
                run = gathering.write(folder)
                yield run
                gathering = Gathering(self.masks, run.stretch.last, run.stretch)
