"""What the model asks of the rows that a journal has brought: the port that every store fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tvault.model.commands import Block


@dataclass(frozen=True)
class Places:
    """Where the values of a batch of tokens are, found in one look at the journal.

    For the i-th token of the batch, `block_of[i]` is an index into `blocks`, or -1 when the token is
    not there, and `place_of[i]` the value's place in that block.  `seq` is the highest entry that
    brought any of the blocks, 0 when there is none.
    """

    blocks: Sequence[Block]
    block_of: Sequence[int]
    place_of: Sequence[int]
    seq: int

    def missing(self) -> list[int]:
        """The positions of the tokens that are not there."""
        return [position for position, block in enumerate(self.block_of) if block < 0]


class Records(Protocol):
    """The rows at the end of the journal, uncommitted entries included."""

    def newest_epoch(self, owner: str) -> tuple[int, int]:
        """The owner's newest epoch and the entry that began it: `(1, 0)` before any rotation."""

    def exists(self, owner: str, epoch: int, digests: bytes) -> int:
        """The highest `seq` that brought one of the digests (16 bytes each, side by side), or 0."""
