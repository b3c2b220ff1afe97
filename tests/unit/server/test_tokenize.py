"""Tokenization over HTTP: exact values, whole requests, one epoch."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.server.serving import Node, problem_of, serving
from tvault.model.tokens import parse_token
from tvault.wire import Limits, decode_json, encode_json

BIGGEST = 10**4300 - 1
VALUES = (
    st.text(st.characters(codec="utf-8"))
    | st.booleans()
    | st.integers()
    | st.integers(-BIGGEST, BIGGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
)


def exact(value: object) -> object:
    """Equal only for the same type and bits."""
    return ("float", struct.pack(">d", value)) if isinstance(value, float) else (type(value), value)


def stored(node: Node) -> int:
    return node.engine.store.counts()[1]


def errors_of(node: Node, document: Any) -> list[dict[str, Any]]:
    """The places that a refusal of invalid values lists; nothing must have been stored."""
    before = stored(node)
    answer = node.post("/tokenize", document)
    assert problem_of(answer) == (422, "invalid_value")
    assert stored(node) == before
    errors: list[dict[str, Any]] = answer.json()["errors"]
    return errors


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, max_size=8))
def test_every_value_comes_back_as_it_went_in_type_included(shared: Node, values: list[Any]) -> None:
    answer = shared.post("/tokenize", encode_json({"values": values}))
    back = shared.post("/detokenize", encode_json({"tokens": answer.json()["tokens"]}))

    document = decode_json(back.content)
    assert isinstance(document, dict)
    assert [exact(value) for value in document["values"]] == [exact(value) for value in values]
    assert document["not_found"] == []


def test_values_that_look_alike_have_tokens_of_their_own(shared: Node) -> None:
    alike = ["1", 1, 1.0, True, "true", "", 0, 0.0, -0.0, False, "\u00e9", "e\u0301"]

    assert len(set(shared.tokenize(alike))) == len(alike)


def test_a_token_is_canonical_and_names_its_epoch(shared: Node) -> None:
    answer = shared.post("/tokenize", {"values": ["x"]}).json()

    parsed = parse_token(answer["tokens"][0])
    assert parsed is not None
    assert parsed[0] == answer["epoch"]


def test_the_same_value_has_one_token_in_every_request_field_and_place(node: Node) -> None:
    record = {"ssn": "v", "patient": {"mrn": "v"}, "contacts": [{"phone": "v"}, {"phone": "v"}]}

    [token, again] = node.tokenize(["v", "v"])
    [back] = node.post("/tokenize", {"records": [record]}).json()["records"]

    assert again == token
    assert back == {
        "ssn": token,
        "patient": {"mrn": token},
        "contacts": [{"phone": token}, {"phone": token}],
    }
    assert stored(node) == 1


def test_owners_have_tokens_of_their_own_for_one_value(shared: Node) -> None:
    assert shared.tokenize(["v"], "alice") != shared.tokenize(["v"], "bob")


def test_null_is_never_tokenized_and_keeps_its_place(node: Node) -> None:
    tokens = node.tokenize([None, "a", None, "b", None])

    assert [token is None for token in tokens] == [True, False, True, False, True]
    assert stored(node) == 2
    assert node.detokenize(tokens) == [None, "a", None, "b", None]


def test_records_keep_everything_but_the_configured_fields(node: Node) -> None:
    records: list[dict[str, Any]] = [
        {"id": 1, "ssn": "123", "name": "Zo\u00eb \U0001f600", "patient": {"mrn": 7, "ward": "b"}},
        {},
        {"ssn": None, "patient": None, "contacts": []},
        {"patient": {}, "contacts": [{"phone": None}, {}, {"phone": 1.0, "kind": "home"}, None]},
        {"ssn": True, "other": [{"ssn": "untouched"}, 10**50, 1e16, -0.0, None, {"a": {}}]},
    ]

    answer = node.post("/tokenize", {"records": records})
    back = node.post("/detokenize", {"records": answer.json()["records"]})

    assert answer.status_code == 200
    tokenized = answer.json()["records"]
    assert list(tokenized[0]) == ["id", "ssn", "name", "patient"]
    assert tokenized[0]["name"] == "Zo\u00eb \U0001f600"
    assert tokenized[4]["other"] == records[4]["other"]
    assert all(
        parse_token(place) for place in (tokenized[0]["ssn"], tokenized[3]["contacts"][2]["phone"])
    )
    assert back.content == encode_json({"records": records, "not_found": []})


def test_what_stands_beside_the_fields_passes_through_to_the_last_bit(shared: Node) -> None:
    rest = '"big":' + "9" * 4300 + ',"float":-0.0,"one":1.0,"odd":"\\ud800x","deep":[[[{"a":[]}]]]'
    body = '{"records":[{"ssn":"1",' + rest + "}]}"

    answer = shared.post("/tokenize", body.encode())

    assert answer.status_code == 200
    assert rest in answer.text


@pytest.mark.parametrize(
    "document", [{"values": []}, {"records": []}, {"records": [{}]}, {"values": [None]}]
)
def test_a_request_without_values_tells_the_confirmed_epoch(
    node: Node, document: dict[str, Any]
) -> None:
    node.engine.hints["alice"] = 7

    answer = node.post("/tokenize", document)

    assert answer.json()["epoch"] == 1
    assert "read_epoch" in node.engine.calls


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"values": "a"},
        {"values": {"0": "a"}},
        {"values": None},
        {"records": {}},
        {"records": None},
        {"records": [[]]},
        {"records": [{"ssn": "1"}, "x", None]},
        {"records": [], "values": []},
        {"owner_id": "alice"},
    ],
)
def test_a_body_of_another_shape_is_malformed_and_stores_nothing(
    node: Node, document: dict[str, Any]
) -> None:
    assert problem_of(node.post("/tokenize", document)) == (400, "malformed")
    assert stored(node) == 0


def test_records_that_are_no_objects_are_listed_up_to_a_number(shared: Node) -> None:
    answer = shared.post("/tokenize", {"records": [{}, 5, *["x"] * 200]})

    assert problem_of(answer) == (400, "malformed")
    assert answer.json()["errors"][0] == {"index": 1, "code": "not_an_object"}
    assert len(answer.json()["errors"]) == 100


def test_all_values_that_cannot_be_taken_are_listed_by_position(node: Node) -> None:
    body = b'{"values":["ok",{},null,[1],"\\ud800",1e400,' + b"1" * 4301 + b',{"a":1e400}]}'

    assert errors_of(node, body) == [
        {"index": 1, "code": "object"},
        {"index": 3, "code": "array"},
        {"index": 4, "code": "lone_surrogate"},
        {"index": 5, "code": "float_out_of_range"},
        {"index": 6, "code": "integer_too_long"},
        {"index": 7, "code": "object"},
    ]


def test_all_values_of_records_that_cannot_be_taken_are_listed_by_record_and_field(node: Node) -> None:
    body = (
        b'{"records":[{"ssn":"ok"},{"ssn":{},"patient":{"mrn":[]}},{"patient":"none"},'
        b'{"contacts":[{"phone":"ok"},{"phone":"\\udc00"}]},{"contacts":{}},{"ssn":-1e999}]}'
    )

    assert errors_of(node, body) == [
        {"index": 1, "field": "ssn", "code": "object"},
        {"index": 1, "field": "patient.mrn", "code": "array"},
        {"index": 2, "field": "patient.mrn", "code": "not_an_object"},
        {"index": 3, "field": "contacts[1].phone", "code": "lone_surrogate"},
        {"index": 4, "field": "contacts[*].phone", "code": "not_an_array"},
        {"index": 5, "field": "ssn", "code": "float_out_of_range"},
    ]


@pytest.mark.parametrize(
    ("number", "code"), [(b"1e400", "float_out_of_range"), (b"1" * 4301, "integer_too_long")]
)
def test_a_number_that_cannot_be_handed_back_is_refused_anywhere_in_a_record(
    node: Node, number: bytes, code: str
) -> None:
    body = b'{"records":[{"ssn":"1"},{"ssn":"2","else":[{"where":' + number + b"}]}]}"

    assert errors_of(node, body) == [{"index": 1, "code": code}]


def test_no_refusal_quotes_what_it_refuses(shared: Node) -> None:
    answer = shared.post("/tokenize", {"records": [{"ssn": {"123-45-6789": "987-65-4321"}}]})

    assert answer.status_code == 422
    assert "123" not in answer.text
    assert "987" not in answer.text


def test_of_very_many_bad_values_the_first_are_listed(node: Node) -> None:
    errors = errors_of(node, {"values": [[]] * 5000})

    assert [error["index"] for error in errors] == list(range(100))


def test_the_limit_of_values_counts_what_is_there(node: Node) -> None:
    with serving(limits=Limits(values_per_request=3)) as small:
        three = {"records": [{"ssn": "1", "patient": {"mrn": 1}}, {"contacts": [{"phone": "1"}, {}]}]}
        four = {"records": [*three["records"], {"ssn": "1"}]}

        assert small.post("/tokenize", {"values": ["a", None, "b", "c"]}).status_code == 200
        assert small.post("/tokenize", three).status_code == 200
        for over in ({"values": ["a"] * 4}, four):
            refused = small.post("/tokenize", over)
            assert problem_of(refused) == (413, "too_large")
            assert (refused.json()["limit"], refused.json()["limit_name"]) == (3, "values_per_request")
        assert stored(small) == 5

    assert problem_of(node.post("/tokenize", {"values": ["x"] * 10_001})) == (413, "too_large")
    assert node.post("/tokenize", {"values": ["x"] * 10_000}).status_code == 200


@pytest.mark.parametrize("largest", ["x" * 65_536, "\u00e9" * 32_768, "\U0001f600" * 16_384])
def test_a_value_of_64_kib_is_taken_and_one_byte_more_is_too_large(shared: Node, largest: str) -> None:
    over = {"values": ["a", largest + "x", largest]}

    assert shared.detokenize(shared.tokenize([largest])) == [largest]
    refused = shared.post("/tokenize", over)
    assert problem_of(refused) == (413, "too_large")
    assert refused.json()["limit"] == 65_536
    assert refused.json()["errors"] == [{"index": 1, "code": "too_large"}]


@pytest.mark.parametrize("depth", [100, 600, 850, 900, 930, 950, 970, 980, 990, 1000, 5000])
def test_deep_nesting_is_carried_whole_or_refused_with_nothing_stored(node: Node, depth: int) -> None:
    body = b'{"records":[{"ssn":"1","deep":' + b"[" * depth + b"]" * depth + b"}]}"

    answer = node.post("/tokenize", body)

    if answer.status_code == 200:
        assert b"[" * depth + b"]" * depth in answer.content
        assert node.post("/detokenize", answer.content.replace(b'"epoch":1,', b"")).status_code == 200
    else:
        assert problem_of(answer) == (400, "malformed")
        assert stored(node) == 0
