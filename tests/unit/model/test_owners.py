"""An API key stands for one owner, and only hashes of it are kept."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault.model.owners import OwnerTable, hash_api_key, new_api_key, valid_api_key_hash, valid_owner_id

RANDOM = st.binary(min_size=32, max_size=32)
KEY_OF_A, KEY_OF_B, OTHER_OF_A = (new_api_key(bytes([number]) * 32) for number in (1, 2, 3))


def table() -> OwnerTable:
    return OwnerTable(
        {
            "A": [hash_api_key(KEY_OF_A), hash_api_key(OTHER_OF_A)],
            "B": [hash_api_key(KEY_OF_B)],
            "C": [],
        }
    )


def test_the_form_of_an_api_key_and_its_hash_never_change() -> None:
    key = new_api_key(bytes(range(224, 256)))
    assert key == "tvk_4OHi4-Tl5ufo6err7O3u7_Dx8vP09fb3-Pn6-_z9_v8"
    assert hash_api_key(key) == "sha256:" + hashlib.sha256(key.encode()).hexdigest()


@given(RANDOM, RANDOM)
def test_different_random_bytes_make_different_keys(one: bytes, other: bytes) -> None:
    assert (new_api_key(one) == new_api_key(other)) == (one == other)
    assert len(new_api_key(one)) == 47


@pytest.mark.parametrize("length", [0, 31, 33])
def test_an_api_key_is_made_of_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        new_api_key(bytes(length))


def test_each_key_stands_for_its_owner() -> None:
    assert [table().owner_of(key) for key in (KEY_OF_A, KEY_OF_B, OTHER_OF_A)] == ["A", "B", "A"]
    assert table().owners == {"A", "B", "C"}


@given(st.text() | RANDOM.map(new_api_key))
def test_any_other_text_stands_for_nobody(presented: str) -> None:
    assert table().owner_of(presented) is None


@pytest.mark.parametrize(
    "presented",
    ["", KEY_OF_A[:-1], KEY_OF_A + " ", KEY_OF_A.upper(), hash_api_key(KEY_OF_A), "A", "\ud800", "tvk_"],
)
def test_what_is_almost_a_key_stands_for_nobody(presented: str) -> None:
    assert table().owner_of(presented) is None


def test_one_key_cannot_stand_for_two_owners() -> None:
    with pytest.raises(ValueError, match="twice"):
        OwnerTable({"A": [hash_api_key(KEY_OF_A)], "B": [hash_api_key(KEY_OF_A)]})


@pytest.mark.parametrize(
    "bad", ["", KEY_OF_A, "sha256:", hash_api_key("x").upper(), hash_api_key("x") + "\n"]
)
def test_what_is_no_hash_is_refused_without_being_shown(bad: str) -> None:
    assert not valid_api_key_hash(bad)
    with pytest.raises(ValueError, match="hash") as refused:
        OwnerTable({"A": [bad]})
    assert KEY_OF_A not in str(refused.value)


def test_a_hash_is_a_hash() -> None:
    assert valid_api_key_hash(hash_api_key(KEY_OF_A))


@pytest.mark.parametrize("owner", ["A", "clinic 7", "Łódź", "患者", "x" * 128, "a/b:c@d", "😀"])
def test_owners_have_printable_names(owner: str) -> None:
    assert valid_owner_id(owner)
    assert OwnerTable({owner: [hash_api_key(KEY_OF_A)]}).owner_of(KEY_OF_A) == owner


@pytest.mark.parametrize(
    "owner",
    ["", " ", " a", "a ", "a\n", "a\tb", "\x00", "\x7f", "\u00a0", "a\u2028b", "\ud800", "x" * 129],
)
def test_other_names_are_refused(owner: str) -> None:
    assert not valid_owner_id(owner)
    with pytest.raises(ValueError, match="owner id"):
        OwnerTable({owner: []})


def test_a_table_shows_no_hashes() -> None:
    assert "sha256" not in repr(table())
