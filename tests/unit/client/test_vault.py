"""The library against a node's real client API."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.server.serving import KEYS, serving
from tvault.client.answers import MissingField
from tvault.client.vault import Vault
from tvault.errors import VaultError


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(),
        ),
        max_size=5,
    )
)
def test_values_come_back_with_their_types(
    vault: Vault, values: list[str | int | float | bool | None]
) -> None:
    answer = vault.tokenize(values)
    back = vault.detokenize_tokens(answer.tokens)
    assert [(type(value), repr(value)) for value in back.values] == [
        (type(value), repr(value)) for value in values
    ]
    assert back.not_found == []


def test_one_token_has_one_value_and_an_unknown_one_is_not_found(vault: Vault) -> None:
    token = vault.tokenize(["x"]).tokens[0]
    assert token is not None
    assert vault.detokenize(token) == "x"
    with pytest.raises(VaultError) as caught:
        vault.detokenize("tv1_1_" + "0" * 32)
    assert caught.value.code == "not_found"


def test_records_travel_as_text_and_come_back_as_they_were(vault: Vault) -> None:
    texts = [
        b'{"ssn":"1","n":1.0}',
        '{"ssn":null,"x":"é\\n"}'.encode(),
        b'{"odd":"\\ud800","ssn":"2"}',
    ]
    tokenized = vault.tokenize_json(texts)
    assert [b"tv1_" in bytes(record) for record in tokenized.records] == [True, False, True]
    back = vault.detokenize_json([bytes(record) for record in tokenized.records])
    assert [bytes(record) for record in back.records] == texts
    assert back.not_found == []


def test_a_token_that_is_not_found_in_a_record_is_named(vault: Vault) -> None:
    answer = vault.detokenize_json([b"{}", b'{"patient":{"mrn":"no token"}}'])
    assert answer.not_found == [MissingField(1, "patient.mrn")]
    assert bytes(answer.records[1]) == b'{"patient":{"mrn":"no token"}}'


def test_a_rotation_can_be_asked_twice() -> None:
    with serving() as node, Vault([node.url], KEYS["alice"]) as vault:
        assert vault.epoch() == 1
        assert [vault.rotate_epoch(2).rotated, vault.rotate_epoch(2).rotated] == [True, False]
        assert vault.epoch() == 2
        with pytest.raises(VaultError) as caught:
            vault.rotate_epoch(4)
        assert (caught.value.code, caught.value.members) == ("epoch_conflict", {"epoch": 2})


def test_health_and_status_are_those_of_the_node(vault: Vault) -> None:
    assert vault.health() == "ok"
    assert vault.status().node == "n1"
