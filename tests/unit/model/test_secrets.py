"""A sealed secret opens as what it was sealed as, under the key that sealed it, and as nothing else."""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import given
from hypothesis import strategies as st

from tvault.model.blocks import SealBroken
from tvault.model.commands import Sealed
from tvault.model.secrets import KeyUnavailable, MasterKeys

KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
OWNER, NAME, VERSION = "clinic ü", "DB_PASSWORD", 3
VALUE = "pässword = 'x'".encode()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)

GOLDEN = Sealed(
    ciphertext=bytes.fromhex("a2f902031fef757c7e5c7feee660d304a0dcbff084061cbe39f5aeccef6db3"),
    nonce=bytes.fromhex("202122232425262728292a2b"),
    wrapped_key=bytes.fromhex(
        "cd07df24bbc32552b19025cf9dea4b2fb192e41b60b071604a18467610b88c98e993cc976e3617d5"
    ),
    key_id="m1",
)
"""`VALUE`, sealed when random bytes were those of `counting`."""

GOLDEN_FINGERPRINT = "f4a90dc2b3e2f4e0"


def counting() -> Callable[[int], bytes]:
    """Random bytes that are not: 0, 1, 2, …"""
    state = [0]

    def take(count: int) -> bytes:
        state[0] += count
        return bytes(range(state[0] - count, state[0]))

    return take


def masters(active: str = "m1", **keys: bytes) -> MasterKeys:
    return MasterKeys(active, keys or {"m1": KEY}, os.urandom)


def opens_as(keys: MasterKeys, sealed: Sealed, *named: object) -> str:
    """What comes of it: `opened`, `broken`, or which key is not available."""
    owner, name, version = named or (OWNER, NAME, VERSION)
    try:
        value = keys.open(str(owner), str(name), int(str(version)), sealed)
    except SealBroken:
        return "broken"
    except KeyUnavailable as error:
        return f"no {error.key_id}"
    return "opened" if value == VALUE else "garbage"


def framed(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def hkdf(secret: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 of 32 bytes, RFC 5869, without salt."""
    pseudorandom = hmac.digest(bytes(32), secret, hashlib.sha256)
    return hmac.digest(pseudorandom, info + b"\x01", hashlib.sha256)


def unwrapped(key: bytes, wrapped: bytes) -> bytes:
    """The index-based unwrapping of RFC 3394, section 2.2.2, word for word."""
    decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305 - the standard's
    blocks = [wrapped[at : at + 8] for at in range(0, len(wrapped), 8)]
    a, r, n = blocks[0], blocks[1:], len(blocks) - 1
    for j in range(5, -1, -1):
        for i in range(n, 0, -1):
            t = (int.from_bytes(a, "big") ^ (n * j + i)).to_bytes(8, "big")
            b = decryptor.update(t + r[i - 1])
            a, r[i - 1] = b[:8], b[8:]
    assert a == b"\xa6" * 8
    return b"".join(r)


def test_the_wrapping_of_the_standard_gives_its_known_answer() -> None:
    key, data = (
        bytes(range(32)),
        bytes.fromhex("00112233445566778899AABBCCDDEEFF" + bytes(range(16)).hex()),
    )
    wrapped = bytes.fromhex(
        "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
    )
    assert aes_key_wrap(key, data) == wrapped
    assert unwrapped(key, wrapped) == data


def test_a_record_that_was_sealed_once_opens_for_ever() -> None:
    keys = MasterKeys("m1", {"m1": KEY}, counting())
    assert keys.seal(OWNER, NAME, VERSION, VALUE) == GOLDEN
    assert masters().open(OWNER, NAME, VERSION, GOLDEN) == VALUE
    assert keys.fingerprints() == {"m1": GOLDEN_FINGERPRINT}


def test_a_record_opens_by_the_standards_alone() -> None:
    sealed = masters().seal(OWNER, NAME, VERSION, VALUE)
    data_key = unwrapped(hkdf(KEY, framed(b"tvault 1 wrap", b"m1")), sealed.wrapped_key)
    version = struct.pack(">Q", VERSION)
    binding = framed(b"tvault 1 secret", OWNER.encode(), NAME.encode(), version)
    assert AESGCM(data_key).decrypt(sealed.nonce, sealed.ciphertext, binding) == VALUE
    assert len(data_key) == 32


@given(TEXTS, TEXTS, st.integers(1, 2**63 - 1), st.binary(max_size=200))
def test_what_is_sealed_opens_as_it_was(owner: str, name: str, version: int, value: bytes) -> None:
    keys = masters()
    assert keys.open(owner, name, version, keys.seal(owner, name, version, value)) == value


@pytest.mark.parametrize(
    "named",
    [
        ("clinic", NAME, VERSION),
        (OWNER, "DB_PASSWORD2", VERSION),
        (OWNER, NAME, VERSION + 1),
        (OWNER + NAME[0], NAME[1:], VERSION),
        (NAME, OWNER, VERSION),
    ],
)
def test_a_record_never_opens_in_anothers_place(named: tuple[object, ...]) -> None:
    assert opens_as(masters(), GOLDEN) == "opened"
    assert opens_as(masters(), GOLDEN, *named) == "broken"


def test_a_record_never_opens_under_another_key_id_even_of_the_same_key() -> None:
    keys = masters(m1=KEY, m2=KEY)
    renamed = msgspec.structs.replace(GOLDEN, key_id="m2")
    assert opens_as(keys, GOLDEN) == "opened"
    assert opens_as(keys, renamed) == "no m2"


def test_a_data_key_can_be_wrapped_anew_without_touching_the_value() -> None:
    data_key = unwrapped(hkdf(KEY, framed(b"tvault 1 wrap", b"m1")), GOLDEN.wrapped_key)
    under_m2 = aes_key_wrap(hkdf(OTHER_KEY, framed(b"tvault 1 wrap", b"m2")), data_key)
    moved = msgspec.structs.replace(GOLDEN, key_id="m2", wrapped_key=under_m2)
    assert opens_as(masters("m2", m2=OTHER_KEY), moved) == "opened"


@pytest.mark.parametrize(
    ("field", "outcome"), [("ciphertext", "broken"), ("nonce", "broken"), ("wrapped_key", "no m1")]
)
def test_no_bit_of_a_record_can_change(field: str, outcome: str) -> None:
    raw = bytes(getattr(GOLDEN, field))
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert opens_as(masters(), msgspec.structs.replace(GOLDEN, **{field: bytes(flipped)})) == outcome


@pytest.mark.parametrize("field", ["ciphertext", "nonce", "wrapped_key"])
def test_a_record_that_is_cut_short_or_goes_on_is_broken(field: str) -> None:
    raw = bytes(getattr(GOLDEN, field))
    for other in (*(raw[:end] for end in range(len(raw))), raw + b"\0", raw + raw):
        assert opens_as(masters(), msgspec.structs.replace(GOLDEN, **{field: other})) == "broken"


def test_parts_of_two_records_of_one_version_do_not_mix() -> None:
    keys = masters()
    one, two = (keys.seal(OWNER, NAME, VERSION, VALUE) for _ in range(2))
    for field in ("ciphertext", "nonce", "wrapped_key"):
        mixed = msgspec.structs.replace(one, **{field: getattr(two, field)})
        assert opens_as(keys, mixed) == "broken"


def test_two_seals_of_one_value_share_nothing() -> None:
    keys = masters()
    sealed = [keys.seal(OWNER, NAME, VERSION, VALUE) for _ in range(50)]
    for field in ("ciphertext", "nonce", "wrapped_key"):
        assert len({getattr(each, field) for each in sealed}) == len(sealed)
    wrapping = hkdf(KEY, framed(b"tvault 1 wrap", b"m1"))
    assert len({unwrapped(wrapping, each.wrapped_key) for each in sealed}) == len(sealed)
    assert all(VALUE not in each.ciphertext + each.wrapped_key for each in sealed)


def test_without_its_key_or_under_another_a_record_is_unavailable_and_says_which_key() -> None:
    assert opens_as(masters("m2", m2=OTHER_KEY), GOLDEN) == "no m1"
    assert opens_as(masters("m2", m2=OTHER_KEY, m1=bytes(32)), GOLDEN) == "no m1"
    assert opens_as(masters("m2", m2=OTHER_KEY, m1=KEY), GOLDEN) == "opened"
    assert opens_as(masters("m2", m2=OTHER_KEY, m1=KEY).without("m1"), GOLDEN) == "no m1"


def test_only_the_active_key_seals() -> None:
    keys = masters("m2", m1=KEY, m2=OTHER_KEY)
    sealed = keys.seal(OWNER, NAME, VERSION, VALUE)
    assert sealed.key_id == keys.active == "m2"
    assert opens_as(masters("m2", m2=OTHER_KEY), sealed) == "opened"


def test_fingerprints_tell_keys_and_ids_apart() -> None:
    prints = masters("m1", m1=KEY, m2=KEY, m3=OTHER_KEY).fingerprints()
    assert len(set(prints.values())) == 3
    assert prints == masters("m2", m1=KEY, m2=KEY, m3=OTHER_KEY).fingerprints()
    assert masters("m1", m1=OTHER_KEY).fingerprints()["m1"] != prints["m1"]


@pytest.mark.parametrize("key", [b"", bytes(31)])
def test_a_short_master_key_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        masters("m1", m1=KEY, m2=key)


def test_the_active_key_must_be_there() -> None:
    with pytest.raises(ValueError, match="active"):
        masters("m2", m1=KEY)


def test_master_keys_are_not_shown() -> None:
    key = b"very-secret-master-key-of-32-bytes"
    keys = masters("m1", m1=key)
    shown = repr(keys) + str(keys) + repr([keys]) + repr(KeyUnavailable("m1"))
    assert "secret" not in shown
    assert key.hex() not in shown
