"""Masked digests, by which the token index is keyed, and where the values they stand for are.

A key is a token's digest XOR a mask of its owner and epoch, so a look-up finds nothing of another owner:
a foreign token misses exactly as an unknown one does.  Keys are evenly spread over all numbers.

The masks are secret: whoever knew two of them could make, of a token of one owner, a token of another
one that has the same key, and ask for it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tvault.model.commands import DIGEST_BYTES, Block
from tvault.store.journal import LARGEST_BLOCK

Halves = NDArray[np.uint64]
"""The high or the low 64 bits of masked digests."""

Spots = NDArray[np.int64]
"""Where values are: block id and place in one number, or `ABSENT`."""

ABSENT = -1
PLACE_BITS = (LARGEST_BLOCK - 1).bit_length()

SECRET_BYTES: Final = 16
NAME_BYTES: Final = 8

_PERSON: Final = b"tvault index"
_NAMES: Final = b"tvault masks"
_WORD_LOG2 = 6
_MARKS = 3


@dataclass(frozen=True)
class Keys:
    """Masked digests as two columns: a search looks at the high halves alone until it has found one."""

    high: Halves
    low: Halves

    def __len__(self) -> int:
        """How many there are."""
        return len(self.high)

    @cached_property
    def marks(self) -> Halves:
        """What each leaves in the word of a filter that it falls into: three bits, by its low half."""
        one, six, mask = np.uint64(1), np.uint64(_WORD_LOG2), np.uint64(2**_WORD_LOG2 - 1)
        rest = self.low
        marks: Halves = one << (rest & mask)
        for _ in range(_MARKS - 1):
            rest = rest >> six
            marks |= one << (rest & mask)
        return marks

    def take(self, which: NDArray[np.intp]) -> Keys:
        """Those at the positions `which`."""
        return Keys(self.high[which], self.low[which])

    def names(self) -> list[bytes]:
        """Each as 16 bytes, high half first: what a dict is keyed by."""
        both = np.empty((len(self), 2), dtype=">u8")
        both[:, 0] = self.high
        both[:, 1] = self.low
        names: list[bytes] = both.reshape(-1).view(f"V{DIGEST_BYTES}").tolist()
        return names


class Masks:
    """The masks that one store uses, made with a `secret` of 16 bytes of its own.

    `name` differs when the secret differs, and the secret cannot be told from it.
    """

    __slots__ = ("_state", "name", "secret")

    def __init__(self, secret: bytes) -> None:
        self.secret: Final = secret
        self._state: Final = hashlib.blake2b(key=secret, digest_size=DIGEST_BYTES, person=_PERSON)
        self.name: Final = hashlib.blake2b(secret, digest_size=NAME_BYTES, person=_NAMES).digest()

    def mask(self, owner: str, epoch: int) -> bytes:
        """What the digests of this owner and epoch are XORed with."""
        state = self._state.copy()
        state.update(struct.pack(">Q", epoch) + owner.encode())
        return state.digest()

    def keys_of(self, owner: str, epoch: int, digests: bytes) -> Keys:
        """The keys of digests of one owner and epoch, 16 bytes each, side by side."""
        high, low = np.frombuffer(self.mask(owner, epoch), dtype=">u8").astype(np.uint64)
        halves = _halves(digests)
        return Keys(halves.high ^ high, halves.low ^ low)

    def tokens_of(self, blocks: Sequence[Block], ids: Sequence[int]) -> tuple[Keys, Spots]:
        """Keys and spots of the tokens of `blocks`, whose ids are `ids`."""
        lengths = np.fromiter(map(len, blocks), dtype=np.int64, count=len(blocks))
        masks = {scope: self.mask(*scope) for scope in {(block.owner, block.epoch) for block in blocks}}
        masked = _halves(b"".join(masks[block.owner, block.epoch] for block in blocks))
        plain = _halves(b"".join([block.digests for block in blocks]))
        keys = Keys(plain.high ^ masked.high.repeat(lengths), plain.low ^ masked.low.repeat(lengths))
        starts = np.cumsum(lengths) - lengths
        places = np.arange(len(keys), dtype=np.int64) - starts.repeat(lengths)
        return keys, (np.array(ids, dtype=np.int64).repeat(lengths) << PLACE_BITS) | places

    def __repr__(self) -> str:
        return f"<Masks {self.name.hex()}>"


def keys_named(names: Sequence[bytes]) -> Keys:
    """The keys that `Keys.names` named so."""
    return _halves(b"".join(names))


def _halves(digests: bytes) -> Keys:
    both = np.frombuffer(digests, dtype=">u8").reshape(-1, 2)
    return Keys(both[:, 0].astype(np.uint64), both[:, 1].astype(np.uint64))
