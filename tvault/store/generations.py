"""Generations: the newest tokens, in memory until they are settled and many enough to make a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tvault.replication.entry import Position
from tvault.store.masked import ABSENT, PLACE_BITS, Keys, Spots, keys_named

_SEEN_LOG2: Final = 20


class Generation:
    """Tokens of entries that follow each other, from after one position up to `last`.

    The writer adds to the newest generation while others look; what a look must not see yet, because it
    came after the look began, has a block id above the highest one that was given out then.
    """

    def __init__(self, after: Position) -> None:
        self.after = after
        self.last = after
        self.epochs: list[tuple[int, str, int]] = []
        """The starts of epochs: seq, owner, epoch."""
        self.top_block = 0
        """The highest block id there is, 0 without any."""
        self._spots: dict[bytes, int] = {}
        self._seen = np.zeros(2**_SEEN_LOG2, dtype=np.bool_)  # whether a key may be in the dict

    def __len__(self) -> int:
        """How many tokens there are."""
        return len(self._spots)

    @property
    def entries(self) -> int:
        """How many entries there are."""
        return self.last.seq - self.after.seq

    def add(self, last: Position, names: Sequence[bytes], keys: Keys, spots: Spots) -> None:
        """Append the tokens of the entries up to `last`."""
        self._seen[keys.high >> np.uint64(64 - _SEEN_LOG2)] = True
        self._spots.update(zip(names, spots.tolist(), strict=True))
        self.last = last
        if len(spots):
            self.top_block = int(spots[-1]) >> PLACE_BITS

    def find_into(self, keys: Keys, found: Spots, top: int) -> None:
        """Put the spots of those of `keys` that are here, in blocks up to `top`, where they belong in
        `found`."""
        asked = np.flatnonzero(self._seen[keys.high >> np.uint64(64 - _SEEN_LOG2)])
        if not len(asked):
            return
        spots = [self._spots.get(name, ABSENT) for name in keys.take(asked).names()]
        there = np.array(spots, dtype=np.int64)
        is_here = (there != ABSENT) & (there >> PLACE_BITS <= top)
        found[asked[is_here]] = there[is_here]

    def count(self, above: int) -> int:
        """How many tokens have spots below `above`."""
        spots = np.array(
            list(self._spots.values()), dtype=np.int64
        )  # one step: others may add meanwhile
        return int(np.count_nonzero(spots < above))

    def cut(self, keep: Position, block_id: int) -> Generation:
        """A generation without what came after `keep`, whose blocks have ids above `block_id`."""
        left = Generation(self.after)
        kept = {name: spot for name, spot in self._spots.items() if spot >> PLACE_BITS <= block_id}
        names = list(kept)
        spots = np.fromiter(kept.values(), dtype=np.int64, count=len(kept))
        left.add(keep, names, keys_named(names), spots)
        left.epochs = [start for start in self.epochs if start[0] <= keep.seq]
        return left

    def tokens(self) -> tuple[Keys, Spots]:
        """All of them.  Only while nothing is added."""
        spots = np.fromiter(self._spots.values(), dtype=np.int64, count=len(self._spots))
        return keys_named(list(self._spots)), spots
