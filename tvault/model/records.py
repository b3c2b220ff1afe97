"""What the model asks of the rows that a journal has brought: the port that every store fills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tvault.model.commands import Block

LOOK_BYTES = 32 * 1024 * 1024
"""The blocks that one look finds have no more sealed bytes together, so that memory has a bound."""


class LookTooLong(Exception):
    """What was looked for is in blocks of more than `LOOK_BYTES` together: look for less at a time."""


def refuse_long_look(blocks: int, size: int) -> None:
    """Raise `LookTooLong` when so many blocks of so many sealed bytes are too much for one look.  One
    block never is."""
    if blocks > 1 and size > LOOK_BYTES:
        raise LookTooLong


@dataclass(frozen=True, eq=False)
class Places:
    """Where the values of a batch of tokens are, found in one look at the journal.

    For the i-th token of the batch, `block_of[i]` is an index into `blocks`, or -1 when the token is
    not there, and `place_of[i]` the value's place in that block.  `seq` is the highest entry that
    brought any of the blocks, 0 when there is none.
    """

    blocks: Sequence[Block]
    block_of: NDArray[np.int64]
    place_of: NDArray[np.int64]
    seq: int

    @property
    def size(self) -> int:
        """Sealed bytes of all blocks."""
        return sum(len(block.sealed) for block in self.blocks)

    @property
    def is_whole(self) -> bool:
        """Whether every token is there."""
        return bool((self.block_of >= 0).all())

    def missing(self) -> list[int]:
        """The positions of the tokens that are not there."""
        missing: list[int] = np.flatnonzero(self.block_of < 0).tolist()
        return missing

    def by_block(self) -> tuple[list[int], Iterator[tuple[Block, list[int]]]]:
        """The positions of the tokens that are there, block after block, and each block with the places
        of its values, in the same order.
        """
        order = np.argsort(self.block_of, kind="stable")
        order = order[np.searchsorted(self.block_of[order], 0) :]
        bounds = np.searchsorted(self.block_of[order], np.arange(len(self.blocks) + 1)).tolist()
        places = self.place_of[order].tolist()
        parts = (places[start:end] for start, end in pairwise(bounds))
        return order.tolist(), zip(self.blocks, parts, strict=True)


class NewestSecret(NamedTuple):
    """The newest version that a secret ever had, whether it is valid still, and the entry that began or
    ended it."""

    version: int = 0
    is_live: bool = False
    seq: int = 0


class Records(Protocol):
    """The rows at the end of the journal, uncommitted entries included."""

    def newest_epoch(self, owner: str) -> tuple[int, int]:
        """The owner's newest epoch and the entry that began it: `(1, 0)` before any rotation."""

    def exists(self, owner: str, epoch: int, digests: bytes) -> int:
        """The highest `seq` that brought one of the digests (16 bytes each, side by side), or 0."""

    def newest_secrets(self, owner: str, names: Sequence[str]) -> list[NewestSecret]:
        """The states of these secrets, in one look: version 0 when one never had any."""

    def newest_stamp(self, owner: str) -> int:
        """The latest moment at which a version of any secret of the owner began or ended, in
        microseconds since 1970; 0 when none did."""

    def request_seq(self, owner: str, request: bytes) -> int:
        """The entry in which a request of the owner was carried out, or 0."""
