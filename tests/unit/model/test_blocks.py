"""Sealed values come back under their own keys and tokens, and never otherwise."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault.model.blocks import (
    BLOCK_BYTES,
    NONCE_BYTES,
    SealBroken,
    open_places,
    seal,
    sealed_bound,
)
from tvault.model.commands import BLOCK_VALUES, Block
from tvault.model.keys import Scope

KEY = bytes(range(32))
SCOPE = Scope(KEY, "A", 1)
VALUE_LIMIT = 64 * 1024


def nonces() -> Callable[[], bytes]:
    numbers = count(1)
    return lambda: next(numbers).to_bytes(NONCE_BYTES, "big")


def sealed(canonicals: list[bytes], scope: Scope = SCOPE) -> tuple[Block, ...]:
    digests = [number.to_bytes(16, "big") for number in range(len(canonicals))]
    return seal(scope, digests, canonicals, nonces())


def opened(blocks: tuple[Block, ...]) -> list[bytes]:
    return open_places(SCOPE, [(block, range(len(block))) for block in blocks])


def open_block(scope: Scope, block: Block) -> list[bytes]:
    return open_places(scope, [(block, range(len(block)))])


@given(st.lists(st.binary(max_size=20), max_size=200))
def test_values_come_back_in_order_with_their_digests(canonicals: list[bytes]) -> None:
    blocks = sealed(canonicals)
    assert opened(blocks) == canonicals
    assert b"".join(block.digests for block in blocks) == b"".join(
        number.to_bytes(16, "big") for number in range(len(canonicals))
    )


@given(st.lists(st.integers(0, 70_000), max_size=12), st.integers(0, 150))
def test_a_block_is_bounded_in_values_and_bytes(lengths: list[int], small: int) -> None:
    canonicals = [bytes(length) for length in lengths] + [b"s"] * small
    blocks = sealed(canonicals)
    assert opened(blocks) == canonicals
    for block in blocks:
        assert 1 <= len(block) <= BLOCK_VALUES
        plaintext = len(block.sealed) - NONCE_BYTES - 16
        assert plaintext <= BLOCK_BYTES or len(block) == 1


def test_small_values_fill_their_blocks() -> None:
    assert [len(block) for block in sealed([b"s"] * 130)] == [32, 32, 32, 32, 2]
    assert [len(block) for block in sealed([bytes(20_000)] * 7)] == [3, 3, 1]


def test_nothing_to_seal_makes_no_block() -> None:
    assert sealed([]) == ()


@pytest.mark.parametrize("limit", [10, VALUE_LIMIT, 1024 * 1024])
def test_no_block_is_larger_than_its_bound(limit: int) -> None:
    largest = b"s" + bytes(limit)
    per_block = max(1, BLOCK_BYTES // (len(largest) + 4))
    blocks = sealed([largest] * min(per_block * 2, 200))
    assert max(len(block.sealed) for block in blocks) <= sealed_bound(limit)
    assert len(sealed([b"s" + bytes(VALUE_LIMIT)])[0].sealed) == sealed_bound(VALUE_LIMIT)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=BLOCK_VALUES), st.data())
def test_single_values_can_be_taken_out(canonicals: list[bytes], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(canonicals) - 1)))
    (block,) = sealed(canonicals)
    assert open_places(SCOPE, [(block, places)]) == [canonicals[place] for place in places]


@pytest.mark.parametrize("places", [[2], [-1], [0, 2]])
def test_a_place_that_a_block_does_not_have_is_a_mistake_of_the_caller(places: list[int]) -> None:
    (block,) = sealed([b"sx", b"sy"])
    with pytest.raises((AssertionError, IndexError)):
        open_places(SCOPE, [(block, places)])


def test_no_plaintext_stands_in_a_block() -> None:
    (block,) = sealed([b"s123-45-6789", b"s123-45-6789"])
    assert b"123-45" not in msgspec.msgpack.encode(block)


def test_every_block_takes_a_nonce_of_its_own() -> None:
    blocks = sealed([b"s"] * (2 * BLOCK_VALUES + 1))
    assert len({block.sealed[:NONCE_BYTES] for block in blocks}) == 3


@pytest.mark.parametrize(
    "scope",
    [Scope(bytes(32), "A", 1), Scope(KEY, "B", 1), Scope(KEY, "A", 2)],
    ids=["key", "owner", "epoch"],
)
def test_a_block_opens_under_its_own_key_owner_and_epoch_alone(scope: Scope) -> None:
    (block,) = sealed([b"sx", b"sy"])
    relabelled = Block(owner=scope.owner, epoch=scope.epoch, digests=block.digests, sealed=block.sealed)
    for tried in (block, relabelled):
        with pytest.raises(SealBroken):
            open_block(scope, tried)


def test_a_block_that_claims_another_owner_does_not_open() -> None:
    (block,) = sealed([b"sx"])
    for claimed in (msgspec.structs.replace(block, owner="B"), msgspec.structs.replace(block, epoch=2)):
        with pytest.raises(SealBroken):
            open_block(SCOPE, claimed)


def changed_digests(digests: bytes) -> list[bytes]:
    swapped = digests[16:32] + digests[:16] + digests[32:]
    return [b"", digests[:-16], digests[:-1], digests + bytes(16), swapped, b"\xff" + digests[1:]]


def test_values_are_bound_to_the_tokens_they_belong_to() -> None:
    (block,) = sealed([b"sx", b"sy", b"sz"])
    for digests in changed_digests(block.digests):
        with pytest.raises(SealBroken):
            open_block(SCOPE, msgspec.structs.replace(block, digests=digests))


def test_a_block_that_was_cut_anywhere_does_not_open() -> None:
    (block,) = sealed([b"sx", b"sy"])
    for length in range(len(block.sealed)):
        with pytest.raises(SealBroken):
            open_block(SCOPE, msgspec.structs.replace(block, sealed=block.sealed[:length]))


def test_a_block_with_any_bit_flipped_does_not_open() -> None:
    (block,) = sealed([b"sx", b"sy"])
    for place in range(8 * len(block.sealed)):
        damaged = bytearray(block.sealed)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(SealBroken):
            open_block(SCOPE, msgspec.structs.replace(block, sealed=bytes(damaged)))


def sealed_as(plaintext: bytes, digests: bytes) -> Block:
    """A block whose seal is right and whose plaintext is whatever is given."""
    (sample,) = seal(SCOPE, [digests[:16]], [b""], nonces())
    bound = b"\x00\x00\x00\x0etvault 1 block" + SCOPE.binding + digests
    nonce = bytes(NONCE_BYTES)
    cipher = nonce + SCOPE.aead.encrypt(nonce, plaintext, bound)
    return msgspec.structs.replace(sample, digests=digests, sealed=cipher)


def test_a_block_whose_table_does_not_fit_does_not_open() -> None:
    assert open_block(SCOPE, sealed_as(b"\x00\x00\x00\x02sx", bytes(16))) == [b"sx"]
    wrong = [b"", b"\x00\x00\x00", b"\x00\x00\x00\x01sx", b"\x00\x00\x00\x03sx", b"\x00\x00\x00\x02sxy"]
    for plaintext in wrong:
        with pytest.raises(SealBroken):
            open_block(SCOPE, sealed_as(plaintext, bytes(16)))
    with pytest.raises(SealBroken):
        open_block(SCOPE, sealed_as(b"\x00\x00\x00\x02sx", bytes(17)))


def test_the_stored_form_never_changes() -> None:
    (block,) = seal(SCOPE, [b"0123456789abcdef", b"fedcba9876543210"], [b"sx", b"i42"], nonces())
    assert (
        block.sealed.hex()
        == "00000000000000000000000172cb2f9b0ace335566d200460d1bff056e8ceee4f9ccc499eb261f4b64"
    )


def test_one_digest_cannot_be_sealed_twice_in_one_call() -> None:
    with pytest.raises(AssertionError):
        seal(SCOPE, [bytes(16), bytes(16)], [b"sx", b"sy"], nonces())


@pytest.mark.parametrize(
    ("digests", "canonicals", "nonce"),
    [([bytes(16)], [], bytes(12)), ([bytes(15)], [b"s"], bytes(12)), ([bytes(16)], [b"s"], bytes(11))],
)
def test_lengths_that_cannot_be_are_mistakes_of_the_caller(
    digests: list[bytes], canonicals: list[bytes], nonce: bytes
) -> None:
    with pytest.raises(AssertionError):
        seal(SCOPE, digests, canonicals, lambda: nonce)


def test_a_failure_to_open_carries_nothing_of_the_block() -> None:
    (block,) = sealed([b"sx"])
    with pytest.raises(SealBroken) as broken:
        open_block(SCOPE, msgspec.structs.replace(block, sealed=block.sealed[:-1]))
    assert block.sealed[:4].hex() not in repr(broken.value)
    assert broken.value.__cause__ is None
