"""Blocks: values of one owner and epoch sealed together, beside the digests of their tokens.

The plaintext of a block is a table of 4-byte big endian numbers, one for each value, that say where the
value ends, counted from the end of the table; then the canonical values side by side.  So one value is
taken out without looking at the others.  It is sealed as one AES-256-GCM message (NIST SP 800-38D),
stored as nonce (12 bytes) and ciphertext with its tag (16), and bound to the owner, the epoch and the
digests.

Nonces are random.  A scope's key must seal fewer than 2**32 blocks, the bound of the standard.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from cryptography.exceptions import InvalidTag

from tvault.model.commands import BLOCK_VALUES, DIGEST_BYTES, Block
from tvault.model.keys import Scope, frame

NONCE_BYTES: Final = 12

BLOCK_BYTES: Final = 64 * 1024
"""Most bytes of a block's plaintext, unless one value alone is larger."""

_TAG_BYTES: Final = 16
_END_BYTES: Final = 4
_BINDING: Final = frame(b"tvault 1 block")


class SealBroken(Exception):
    """A block does not open: another key, owner, epoch or digests, or damaged bytes."""


def sealed_bound(value_bytes: int) -> int:
    """The most bytes that `Block.sealed` has when no value's payload is longer than `value_bytes`."""
    return NONCE_BYTES + max(BLOCK_BYTES, _END_BYTES + 1 + value_bytes) + _TAG_BYTES


def seal(
    scope: Scope, digests: Sequence[bytes], canonicals: Sequence[bytes], nonce: Callable[[], bytes]
) -> tuple[Block, ...]:
    """The canonical values and their digests, which are distinct, cut into sealed blocks in order.

    `nonce` gives 12 bytes that it never gives again, once for each block.
    """
    assert len(digests) == len(canonicals), "every value has one digest"
    assert len(set(digests)) == len(digests), "a digest stands in one block alone"
    return tuple(
        _seal_one(scope, b"".join(digests[start:end]), canonicals[start:end], nonce())
        for start, end in _cuts([len(canonical) for canonical in canonicals])
    )


def open_block(scope: Scope, block: Block) -> list[bytes]:
    """All canonical values of the block, in order.  Raises `SealBroken`."""
    return open_places(scope, block, range(len(block)))


def open_places(scope: Scope, block: Block, places: Sequence[int]) -> list[bytes]:
    """The canonical values at these places (from 0) of the block.  Raises `SealBroken`."""
    plaintext = _unseal(scope, block)
    count = len(block)
    table = count * _END_BYTES
    if len(plaintext) < table:
        raise SealBroken("a block holds fewer values than digests")
    ends = (0, *struct.unpack_from(f">{count}I", plaintext))
    if table + ends[-1] != len(plaintext):
        raise SealBroken("a block's values do not fill it")
    return [plaintext[table + ends[place] : table + ends[place + 1]] for place in places]


def _cuts(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    start, size = 0, 0
    for place, length in enumerate(lengths):
        added = _END_BYTES + length
        if place - start == BLOCK_VALUES or (place > start and size + added > BLOCK_BYTES):
            yield start, place
            start, size = place, 0
        size += added
    if lengths:
        yield start, len(lengths)


def _seal_one(scope: Scope, digests: bytes, canonicals: Sequence[bytes], nonce: bytes) -> Block:
    assert len(nonce) == NONCE_BYTES, "a nonce of another length"
    assert len(digests) == DIGEST_BYTES * len(canonicals), "a digest of another length"
    ends = struct.pack(f">{len(canonicals)}I", *accumulate(map(len, canonicals)))
    sealed = scope.aead.encrypt(nonce, ends + b"".join(canonicals), _bound(scope, digests))
    return Block(owner=scope.owner, epoch=scope.epoch, digests=digests, sealed=nonce + sealed)


def _unseal(scope: Scope, block: Block) -> bytes:
    if (block.owner, block.epoch) != (scope.owner, scope.epoch):
        raise SealBroken("a block of another owner or epoch")
    sealed = block.sealed
    if len(block.digests) % DIGEST_BYTES or len(sealed) < NONCE_BYTES + _TAG_BYTES:
        raise SealBroken("a block of a wrong length")
    try:
        return scope.aead.decrypt(
            sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(scope, block.digests)
        )
    except InvalidTag:
        raise SealBroken("a block does not open under the keys of its owner and epoch") from None


def _bound(scope: Scope, digests: bytes) -> bytes:
    # The digests come last and without a length: nothing follows them.
    return _BINDING + scope.binding + digests
