"""The token index: from a token's digest to the block and place of its value, derived from the blocks.

The newest tokens are in generations, in memory; settled ones, which no cut can touch, are in sorted
runs, in files.  One thread writes; others read through `TokenIndex.snapshot`, which is replaced whole.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tvault.model.commands import Block
from tvault.replication.entry import ORIGIN, Position
from tvault.store.building import NO_EPOCHS, JournalReader, Source
from tvault.store.failures import StoreBroken
from tvault.store.generations import Generation
from tvault.store.masked import ABSENT, PLACE_BITS, Keys, Masks, Spots
from tvault.store.merging import Merger
from tvault.store.opening import open_masks, open_runs
from tvault.store.ports import IndexWork, StoreViolation
from tvault.store.runs import Run, RunDamaged, Stretch

RUN_TOKENS = 2**16
"""Tokens that make a generation, and then a run."""

RUN_ENTRIES = 2**14
"""Or so many entries, when they are small: opening a store reads what is in no run entry by entry."""

_COUNTED_TOKENS = 2**20


@dataclass(frozen=True)
class Snapshot:
    """What readers look at: runs, oldest first, and the generations that follow them.

    Later tokens may come into the newest generation; their block ids are above `top`.
    """

    masks: Masks
    runs: tuple[Run, ...]
    generations: tuple[Generation, ...]
    top: int
    settled_top: int
    """The highest block id that was settled: the rows of blocks up to it are never deleted."""

    def find(self, owner: str, epoch: int, digests: bytes) -> Spots:
        """The spots of these digests of one owner and epoch, 16 bytes each, side by side."""
        return self.find_keys(self.masks.keys_of(owner, epoch, digests), self.top)

    def count(self, top: int) -> Iterator[int]:
        """How many tokens stand in blocks up to `top`, piece by piece.  Any thread."""
        above = (top + 1) << PLACE_BITS
        for run in self.runs:
            for at in range(0, len(run), _COUNTED_TOKENS):
                yield int(np.count_nonzero(run.columns.spots[at : at + _COUNTED_TOKENS] < above))
        for generation in self.generations:
            yield generation.count(above)

    def find_keys(self, keys: Keys, top: int) -> Spots:
        """The spots of these masked digests that stand in blocks up to `top`."""
        found = np.full(len(keys), ABSENT, dtype=np.int64)
        for run in self.runs:
            run.find_into(keys, found)
        for generation in self.generations:
            generation.find_into(keys, found, top)
        return found


@dataclass(frozen=True)
class Batch:
    """Tokens that were found fit to be added."""

    names: Sequence[bytes]
    keys: Keys
    spots: Spots


class Keep(NamedTuple):
    """What a write leaves standing: entries up to a position, blocks up to an id."""

    position: Position
    block_id: int
    cuts: bool


class TokenIndex:
    """The index of one store, in `folder`.  Every method is the writer's; `snapshot` is for all.

    It begins with the runs: what follows them in the journal is for the store to `apply`.  Entries up to
    `settled` are known to be committed.  Raises what `open_runs` does.
    """

    def __init__(
        self, folder: Path, journal: JournalReader, settled: int, run_tokens: int = RUN_TOKENS
    ) -> None:
        self._run_tokens = run_tokens
        self._lock = threading.Lock()  # two threads replace the snapshot, the writer and the merger
        self._handed_over = 0
        self._masks = open_masks(folder)
        source = Source(journal, self._masks)
        runs = tuple(open_runs(folder, source, settled))
        top = runs[-1].stretch.top_block if runs else 0
        last = runs[-1].stretch.last if runs else ORIGIN
        self.snapshot = Snapshot(self._masks, runs, (Generation(last),), top, top)
        self._merger = Merger(folder, runs, source, self._publish)
        self._merger.start()

    @property
    def vouched(self) -> Stretch:
        """What the runs say of the journal from its beginning on."""
        stretches = [run.stretch for run in self.snapshot.runs]
        return Stretch(
            after=ORIGIN,
            last=stretches[-1].last if stretches else ORIGIN,
            tokens=sum(stretch.tokens for stretch in stretches),
            blocks=sum(stretch.blocks for stretch in stretches),
            top_block=stretches[-1].top_block if stretches else 0,
            epochs=stretches[-1].epochs if stretches else NO_EPOCHS,
            masks=self._masks.name,
        )

    @property
    def work(self) -> IndexWork:
        """What there is, and what was done.  Any thread."""
        snapshot, merger = self.snapshot, self._merger
        return IndexWork(
            runs=len(snapshot.runs),
            generations=len(snapshot.generations),
            merges=merger.merges,
            merge_seconds=merger.merge_seconds,
            repairs=merger.repairs,
        )

    def judge(self, blocks: Sequence[Block], ids: Sequence[int], keep_id: int) -> Batch:
        """The tokens of `blocks`, whose ids are `ids`, once the blocks above `keep_id` are cut.

        Raises `StoreViolation` when one stands in a block up to `keep_id` or twice in `blocks`.
        """
        keys, spots = self._masks.tokens_of(blocks, ids)
        names = keys.names()
        in_order = np.sort(keys.high)
        stands_twice = (in_order[1:] == in_order[:-1]).any() and len(set(names)) != len(names)
        if stands_twice or (self.snapshot.find_keys(keys, keep_id) != ABSENT).any():
            raise StoreViolation("a token would stand twice in the journal")
        return Batch(names, keys, spots)

    def apply(
        self, keep: Keep, batch: Batch, starts: Sequence[tuple[int, str, int]], last: Position, top: int
    ) -> None:
        """Take over a write that is durable: forget what it cut, add what it brought, show both at once.

        `starts` are the epochs begun (seq, owner, epoch), `last` is the journal's new end, and `top` the
        highest block id now given out.  Readers of the old snapshot find no rows for what was cut, and
        may not see what is above its top.
        """
        with self._lock:
            generations = self.snapshot.generations
            if keep.cuts:
                generations = self._cut(keep)
            newest = generations[-1]
            newest.add(last, batch.names, batch.keys, batch.spots)
            newest.epochs += starts
            if len(newest) >= self._run_tokens or newest.entries >= RUN_ENTRIES:
                generations = (*generations, Generation(last))
            self.snapshot = replace(self.snapshot, generations=generations, top=top)

    def settle(self, committed: int) -> None:
        """No cut will touch entries up to `committed`: full generations may become runs.

        Raises why the work on the runs has ended, if it has: see `Merger`; `StoreBroken` when reading
        or writing failed.
        """
        failure = self._merger.failure
        if isinstance(failure, OSError):
            raise StoreBroken(f"the token index failed: {failure.strerror}") from failure
        if failure is not None:
            raise failure
        with self._lock:
            full = self.snapshot.generations[self._handed_over : -1]
            ready = [generation for generation in full if generation.last.seq <= committed]
            self._handed_over += len(ready)
            tops = [generation.top_block for generation in ready]
            settled_top = max([self.snapshot.settled_top, *tops])
            self.snapshot = replace(self.snapshot, settled_top=settled_top)
        for generation in ready:
            self._merger.take(generation)

    def check_runs(self) -> Iterator[str | None]:
        """Compare the checksums of all runs, with a pause for the caller now and then; what is damaged
        is named, and read from the journal again.  Any thread.  Raises `OSError`.
        """
        for run in self.snapshot.runs:
            yield from self._check_run(run)

    def wait_until_idle(self, timeout: float) -> bool:
        """Whether, before the timeout, all that was handed over was in few enough runs.  Any thread."""
        return self._merger.wait_until_idle(timeout)

    def close(self) -> None:
        """End the work on the runs."""
        self._merger.close()

    def _check_run(self, run: Run) -> Iterator[str | None]:
        try:
            yield from run.check_bit_by_bit()
        except RunDamaged:
            self._merger.repair(run)  # which forgets one that was merged meanwhile
            if run in self.snapshot.runs:
                yield run.path.name

    def _cut(self, keep: Keep) -> tuple[Generation, ...]:
        """The generations without what is cut: what was handed over is settled, and stays."""
        seq = keep.position.seq
        kept = [
            generation if generation.last.seq <= seq else generation.cut(keep.position, keep.block_id)
            for generation in self.snapshot.generations
            if generation.after.seq <= seq
        ]
        return tuple(kept)

    def _publish(self, runs: Sequence[Run], generation: Generation | None) -> None:
        with self._lock:
            generations = self.snapshot.generations
            if generation is not None:
                assert generations[0] is generation
                generations = generations[1:]
                self._handed_over -= 1
            self.snapshot = replace(self.snapshot, runs=tuple(runs), generations=generations)
