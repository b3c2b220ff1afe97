"""Keys depend on token key, owner, epoch and purpose, are the same everywhere, and are never shown."""

from __future__ import annotations

import hashlib
import hmac
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault.model.keys import KeyRing, Scope, derive, frame
from tvault.model.tokens import render_tokens
from tvault.model.values import Value, encode_values

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
OWNERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)

GOLDEN_VALUES: list[Value] = ["", "123-45-6789", "Zoë", 1, "1", 1.0, True, -0.0]
GOLDEN: dict[tuple[str, int], list[str]] = {
    ("A", 1): [
        "tv1_1_47e82cb730f8bf77365fe11bc92458c6",
        "tv1_1_422c9055fdd62389e46b541a94f91734",
        "tv1_1_5488a062f1778e384d79a49908a58d77",
        "tv1_1_2e244d458fa40090ca956bd88aaa32c5",
        "tv1_1_b868d9586328188be09452715095837f",
        "tv1_1_2d15d72735e7b1269baa683420a62cb9",
        "tv1_1_f25526a3636778759a454f4e068982da",
        "tv1_1_856a97ef5b002a71d5669a6d4686ed6c",
    ],
    ("A", 2): [
        "tv1_2_bddda6a07b07ecb223bf496500102ff8",
        "tv1_2_57a564d04c5b7a4fd99a9cdbb6b1863a",
        "tv1_2_65863f8faeb72d0b5036b876f262169a",
        "tv1_2_df008afdb9907ba82180b687355f9df8",
        "tv1_2_33f58a8042cb51554e5ef40a2afa8c78",
        "tv1_2_4aa6d37cc85621bade0707d0040414da",
        "tv1_2_889d8c3b3df0a1f4fbfe37aa8eebcebd",
        "tv1_2_0df5fe71930efd3200e70c52b62979c8",
    ],
    ("clinic ü", 100000000000000000): [
        "tv1_100000000000000000_b5cb62615da4cba5d02a19db08ad0a5e",
        "tv1_100000000000000000_1be7a9fb44330430b614794d0718b506",
        "tv1_100000000000000000_13f9daf5e08e47ec6724ab3a64350d4a",
        "tv1_100000000000000000_fab0389697b47739a91a5c7c9157d03d",
        "tv1_100000000000000000_ef2059c90158d6a47828b64a0e268ccd",
        "tv1_100000000000000000_c8308999c55bfa0b44c8c1309b182739",
        "tv1_100000000000000000_fe8a661c662c0d54c8af96deae7e35f3",
        "tv1_100000000000000000_fb54ee730aa10757eb8861792543633a",
    ],
}


def tokens(key: bytes, owner: str, epoch: int, values: list[Value]) -> list[str]:
    return render_tokens(epoch, KeyRing(key).scope(owner, epoch).digests(encode_values(values, 1000)))


def hkdf_sha256(secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 written out, with no salt."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    expanded, block = b"", b""
    while len(expanded) < length:
        block = hmac.digest(extracted, block + info + bytes([len(expanded) // 32 + 1]), "sha256")
        expanded += block
    return expanded[:length]


@pytest.mark.parametrize("scope", GOLDEN)
def test_the_tokens_of_a_key_never_change(scope: tuple[str, int]) -> None:
    assert tokens(KEY, *scope, GOLDEN_VALUES) == GOLDEN[scope]


def test_a_token_can_be_computed_from_the_documented_derivation_alone() -> None:
    info = b"\x00\x00\x00\x0ftvault 1 digest\x00\x00\x00\x01A\x00\x00\x00\x08" + struct.pack(">Q", 3)
    key = hkdf_sha256(KEY, info, 32)
    digest = hashlib.blake2b(
        b"s123-45-6789", key=key, digest_size=16, person=b"tvault token"
    ).hexdigest()
    assert tokens(KEY, "A", 3, ["123-45-6789"]) == [f"tv1_3_{digest}"]


def test_the_credentials_and_fingerprints_of_a_key_never_change() -> None:
    assert derive(KEY, "peer").hex() == hkdf_sha256(KEY, frame(b"tvault 1 derive", b"peer"), 32).hex()
    assert (
        derive(KEY, "peer").hex() == "1c2d5e29fa16b08d231986a914a64c000264ed5ea19055561a39e78183d59bb9"
    )
    assert KeyRing(KEY).fingerprint() == "94f8ad2d5323aa86"


def test_one_input_has_one_token_on_every_node_and_after_every_restart() -> None:
    assert tokens(KEY, "A", 1, GOLDEN_VALUES) == tokens(bytes(KEY), "A", 1, GOLDEN_VALUES)


@pytest.mark.parametrize(
    "other",
    [(OTHER_KEY, "A", 1), (KEY, "B", 1), (KEY, "a", 1), (KEY, "A", 2), (KEY + b"\x00", "A", 1)],
)
def test_another_key_owner_or_epoch_gives_other_tokens(other: tuple[bytes, str, int]) -> None:
    key, owner, epoch = other
    ours = KeyRing(KEY).scope("A", 1).digests([b"sx", b"sy"])
    theirs = KeyRing(key).scope(owner, epoch).digests([b"sx", b"sy"])
    assert set(ours).isdisjoint(theirs)


@given(st.tuples(OWNERS, st.integers(1, 10)), st.tuples(OWNERS, st.integers(1, 10)))
def test_scopes_share_keys_only_when_they_are_one(one: tuple[str, int], other: tuple[str, int]) -> None:
    ring = KeyRing(KEY)
    same = ring.scope(*one).digests([b"sx"]) == ring.scope(*other).digests([b"sx"])
    assert same == (one == other)


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_framed_parts_are_never_mistaken_for_others(one: list[bytes], other: list[bytes]) -> None:
    assert (frame(*one) == frame(*other)) == (one == other)


@given(st.lists(st.binary(max_size=300)))
def test_a_digest_does_not_depend_on_what_else_is_in_the_batch(canonicals: list[bytes]) -> None:
    scope = Scope(KEY, "A", 1)
    digests = scope.digests(canonicals)
    assert digests == [scope.digests([canonical])[0] for canonical in canonicals]
    assert all(len(digest) == 16 for digest in digests)


def test_a_key_serves_one_purpose() -> None:
    made = {derive(KEY, label) for label in ("peer", "ring", "", "tvault 1 digest")}
    assert len(made) == 4
    ring = KeyRing(KEY)
    shown = {ring.fingerprint(), ring.fingerprint("x"), *(secret.hex()[:16] for secret in made)}
    assert len(shown) == 6


def test_a_fingerprint_tells_rings_apart() -> None:
    fingerprint = KeyRing(KEY).fingerprint()
    assert len(fingerprint) == 16
    assert fingerprint == KeyRing(KEY).fingerprint()
    assert fingerprint != KeyRing(OTHER_KEY).fingerprint()


@pytest.mark.parametrize("key", [b"", bytes(31)])
def test_a_short_token_key_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyRing(key)


def test_nothing_is_derived_from_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        derive(b"", "peer")


def test_keys_are_not_shown() -> None:
    key = b"very-secret-token-key-of-32-bytes"
    ring = KeyRing(key)
    shown = repr(ring) + str(ring) + repr(ring.scope("A", 1)) + repr([ring])
    assert "secret" not in shown
    assert key.hex() not in shown


def test_a_scope_is_kept_and_kept_scopes_are_bounded() -> None:
    ring = KeyRing(KEY, kept_scopes=2)
    first = ring.scope("A", 1)
    ring.scope("A", 2)
    assert ring.scope("A", 1) is first
    ring.scope("A", 3)
    assert ring.scope("A", 1) is first
    ring.scope("A", 4)
    ring.scope("A", 5)
    again = ring.scope("A", 1)
    assert again is not first
    assert again.digests([b"sx"]) == first.digests([b"sx"])


def test_many_threads_may_use_one_ring() -> None:
    ring = KeyRing(KEY, kept_scopes=2)
    canonicals = [b"s%d" % number for number in range(100)]

    def digests(turn: int) -> tuple[int, list[bytes]]:
        epoch = turn % 5 + 1
        return epoch, ring.scope("A", epoch).digests(canonicals)

    expected = {epoch: Scope(KEY, "A", epoch).digests(canonicals) for epoch in range(1, 6)}
    with ThreadPoolExecutor(8) as pool:
        for epoch, made in pool.map(digests, range(400)):
            assert made == expected[epoch]


def test_the_hash_of_a_request_depends_on_key_owner_and_each_part() -> None:
    asked = [
        (KEY, "A", (b"name", b"k")),
        (OTHER_KEY, "A", (b"name", b"k")),
        (KEY, "B", (b"name", b"k")),
        (KEY, "A", (b"namek",)),
        (KEY, "A", (b"namek", b"")),
        (KEY, "A", (b"k", b"name")),
        (KEY, "A", ()),
    ]
    made = [KeyRing(key).request_hash(owner, *parts) for key, owner, parts in asked]
    assert len(set(made)) == len(asked)
    assert made == [KeyRing(key).request_hash(owner, *parts) for key, owner, parts in asked]


def test_the_hash_of_a_request_is_a_keyed_hash_of_its_framed_parts() -> None:
    def framed(*parts: bytes) -> bytes:
        return b"".join(struct.pack(">I", len(part)) + part for part in parts)

    pseudorandom = hmac.digest(bytes(32), KEY, hashlib.sha256)
    key = hmac.digest(pseudorandom, framed(b"tvault 1 request", b"A") + b"\x01", hashlib.sha256)
    expected = hashlib.blake2b(
        framed(b"name", b"k"), digest_size=16, key=key, person=b"tvault request"
    ).digest()
    assert KeyRing(KEY).request_hash("A", b"name", b"k") == expected
    assert expected.hex() == "01b1e84fa756333d5d828b7c25044852"
