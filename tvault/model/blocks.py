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
from collections.abc import Callable, Iterable, Iterator, Sequence
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
        for start, end in _cuts(canonicals)
    )


def open_places(scope: Scope, wanted: Iterable[tuple[Block, Sequence[int]]]) -> list[bytes]:
    """The canonical values at these places (from 0) of these blocks, block after block.

    Raises `SealBroken`.
    """
    # One loop without further calls: a random read opens a block for nearly every value.
    owner, epoch, prefix = scope.owner, scope.epoch, _prefix(scope)
    decrypt, number = scope.aead.decrypt, int.from_bytes
    values: list[bytes] = []
    for block, places in wanted:
        digests, sealed = block.digests, block.sealed
        if block.owner != owner or block.epoch != epoch:
            raise SealBroken("a block of another owner or epoch")
        if len(digests) % DIGEST_BYTES or len(sealed) < NONCE_BYTES + _TAG_BYTES:
            raise SealBroken("a block of a wrong length")
        try:
            plaintext = decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], prefix + digests)
        except InvalidTag:
            raise SealBroken("a block does not open under the keys of its owner and epoch") from None
        count = len(digests) // DIGEST_BYTES
        table = count * _END_BYTES
        end = number(plaintext[table - _END_BYTES : table], "big")
        if table + end != len(plaintext):
            raise SealBroken("a block's values do not fill it")
        if len(places) == 1:  # the rest of the table is not taken apart
            at = places[0] * _END_BYTES
            assert 0 <= at < table, "no such place"
            start = number(plaintext[at - _END_BYTES : at], "big")  # of nothing, 0, for the first
            end = number(plaintext[at : at + _END_BYTES], "big")
            values.append(plaintext[table + start : table + end])
        else:
            ends = (0, *struct.unpack_from(f">{count}I", plaintext))
            different = set(places)
            if len(different) == len(places):
                values += [plaintext[table + ends[at] : table + ends[at + 1]] for at in places]
            else:  # a value that is asked for many times is held once
                cut = {at: plaintext[table + ends[at] : table + ends[at + 1]] for at in different}
                values += map(cut.__getitem__, places)
    return values


def _cuts(canonicals: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """The first value of each block, and the first after it."""
    start = 0
    while start < len(canonicals):
        end = min(start + BLOCK_VALUES, len(canonicals))
        size = _END_BYTES * (end - start) + sum(map(len, canonicals[start:end]))
        while size > BLOCK_BYTES and end > start + 1:
            end -= 1
            size -= _END_BYTES + len(canonicals[end])
        yield start, end
        start = end


def _seal_one(scope: Scope, digests: bytes, canonicals: Sequence[bytes], nonce: bytes) -> Block:
    assert len(nonce) == NONCE_BYTES, "a nonce of another length"
    assert len(digests) == DIGEST_BYTES * len(canonicals), "a digest of another length"
    ends = struct.pack(f">{len(canonicals)}I", *accumulate(map(len, canonicals)))
    sealed = scope.aead.encrypt(nonce, ends + b"".join(canonicals), _prefix(scope) + digests)
    return Block(owner=scope.owner, epoch=scope.epoch, digests=digests, sealed=nonce + sealed)


def _prefix(scope: Scope) -> bytes:
    """What a block is bound to, but for its digests: they come last, so they need no length."""
    return _BINDING + scope.binding
