"""JSON that goes both ways exactly, and problem documents that become the same refusals again."""

from __future__ import annotations

import json
import struct
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault import wire
from tvault.errors import Code, FieldError, VaultError

TEXT = st.text(st.characters(codec=None))
INTEGERS = st.integers() | st.integers(-(10**4300) + 1, 10**4300 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | TEXT
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
LONGEST = 10**4300 - 1


def exact(document: object) -> object:
    """A form in which documents are equal only when types and bits are."""
    if isinstance(document, float):
        return ("float", struct.pack(">d", document))
    if isinstance(document, list):
        return ("array", [exact(entry) for entry in document])
    if isinstance(document, dict):
        return ("object", [(name, exact(entry)) for name, entry in document.items()])
    return (type(document).__name__, document)


def decoded_here(body: bytes) -> object:
    try:
        return exact(wire.decode_json(body))
    except VaultError:
        return "refused"


def decoded_by_the_standard_library(body: bytes) -> object:
    try:
        document = json.loads(body.decode("utf-8"))
        json.dumps(document, allow_nan=False)
    except ValueError:
        return "refused"
    return exact(document)


def refusal_of(body: bytes) -> VaultError:
    with pytest.raises(VaultError) as caught:
        wire.decode_json(body)
    assert caught.value.__context__ is None, "a decoder's error holds the text it failed on"
    return caught.value


@given(DOCUMENTS)
def test_what_is_encoded_decodes_to_the_same_types_and_bits(document: object) -> None:
    assert exact(wire.decode_json(wire.encode_json(document))) == exact(document)


@given(DOCUMENTS)
def test_what_another_writer_encodes_decodes_to_the_same_types_and_bits(document: object) -> None:
    body = json.dumps(document, ensure_ascii=True).encode()

    assert exact(wire.decode_json(body)) == exact(document)


@given(st.binary(max_size=40) | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_what_is_json_and_what_it_says_is_as_in_the_standard_library(body: bytes) -> None:
    assert decoded_here(body) == decoded_by_the_standard_library(body)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"1", 1),
        (b"1.0", 1.0),
        (b"1e16", 1e16),
        (b"-0.0", -0.0),
        (b"-0", 0),
        (b"5e-324", 5e-324),
        (b"18446744073709551616", 2**64),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\ud800"', "\ud800"),
        (b'{"\\udfff":[1.50]}', {"\udfff": [1.5]}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b"9" * 4300, LONGEST),
        (b"-" + b"9" * 4300, -LONGEST),
    ],
)
def test_a_number_or_escape_keeps_what_it_says(body: bytes, document: object) -> None:
    assert exact(wire.decode_json(body)) == exact(document)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"NaN",
        b"[-Infinity]",
        b"01",
        b"'a'",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        '"a"'.encode("utf-16"),
        b'"a\nb"',
        b"1 2",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
)
def test_what_is_not_json_in_utf8_is_malformed(body: bytes) -> None:
    assert refusal_of(body).code == "malformed"


def test_a_refusal_of_malformed_json_quotes_nothing_of_it() -> None:
    refusal = refusal_of(b'{"ssn": "123-45-6789" oops}')

    assert "123" not in refusal.detail
    assert "oops" not in refusal.detail


@pytest.mark.parametrize("body", [b"1e400", b"[-1e999]", b"9" * 4301, b'{"a":-1' + b"0" * 4300 + b"}"])
def test_a_number_that_cannot_be_handed_back_is_an_invalid_value(body: bytes) -> None:
    assert refusal_of(body).code == "invalid_value"


def test_numbers_out_of_range_are_marked_where_they_stand() -> None:
    body = b'{"a":[1,1e400],"b":' + b"7" * 5000 + b',"c":"\\ud800"}'

    document, is_marked = wire.decode_marked(body)

    assert is_marked
    assert document == {
        "a": [1, wire.Unrepresentable("float_out_of_range")],
        "b": wire.Unrepresentable("integer_too_long"),
        "c": "\ud800",
    }


def test_a_document_without_such_numbers_is_not_marked() -> None:
    assert wire.decode_marked(b'["\\ud800"]') == (["\ud800"], False)


def test_a_lone_surrogate_leaves_as_the_escape_it_came_in() -> None:
    assert wire.encode_json(["\udc00é"]) == b'["\\udc00\\u00e9"]'


def test_text_leaves_unescaped_and_compact() -> None:
    assert wire.encode_json({"name": "Zoë", "n": [1, 1.0]}) == '{"name":"Zoë","n":[1,1.0]}'.encode()


def test_a_document_that_is_nested_too_deeply_to_encode_is_malformed() -> None:
    document: list[Any] = []
    for _ in range(100_000):
        document = [document]

    with pytest.raises(VaultError) as caught:
        wire.encode_json(document)

    assert caught.value.code == "malformed"
    while document:  # inside out, for the interpreter frees nested lists by recursion
        document = document.pop()


def test_every_code_that_crosses_http_has_a_status_and_a_title() -> None:
    local = {"configuration", "usage", "unreachable"}

    assert set(wire.STATUS) == set(wire.TITLES) == set(get_args(Code)) - local


CROSSING = st.sampled_from(sorted(wire.STATUS))
PLAIN_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
REFUSALS = st.builds(
    VaultError,
    code=CROSSING,
    detail=PLAIN_TEXT,
    errors=st.lists(
        st.builds(FieldError, st.integers(0, 10_000), PLAIN_TEXT, st.none() | PLAIN_TEXT), max_size=3
    ).map(tuple),
    members=st.dictionaries(st.sampled_from(["epoch", "limit", "names"]), st.integers(), max_size=2),
)


@given(REFUSALS)
def test_a_refusal_comes_back_whole_from_its_problem_document(refusal: VaultError) -> None:
    document = wire.problem(refusal)

    assert document["status"] == wire.STATUS[refusal.code]
    assert wire.error_from_problem(document["status"], wire.encode_json(document)) == refusal


def test_further_members_never_replace_the_standard_ones() -> None:
    document = wire.problem(VaultError("not_found", "Nothing.", members={"status": 200, "limit": 5}))

    assert document["status"] == 404
    assert document["limit"] == 5


def test_a_refusal_that_stays_inside_the_process_tells_http_nothing() -> None:
    document = wire.problem(VaultError("configuration", "the key file of this machine"))

    assert (document["code"], document["status"]) == ("internal", 500)
    assert "key file" not in str(document)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "malformed"),
        (401, "unauthorized"),
        (403, "malformed"),
        (404, "not_found"),
        (413, "too_large"),
        (422, "invalid_value"),
        (500, "internal"),
        (501, "internal"),
        (502, "unavailable"),
        (503, "unavailable"),
        (504, "unavailable"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"code":5}', b'{"code":"what"}', b'{"code":"usage"}', b'{"status":"x"}'],
)
def test_an_answer_that_is_no_problem_document_is_judged_by_its_status(
    status: int, code: str, body: bytes
) -> None:
    assert wire.error_from_problem(status, body).code == code


@given(
    st.binary(max_size=60)
    | DOCUMENTS.map(lambda document: json.dumps({"code": "malformed", "errors": document}).encode())
)
def test_no_answer_makes_reading_its_problem_fail(body: bytes) -> None:
    assert isinstance(wire.error_from_problem(500, body), VaultError)


@pytest.mark.parametrize("text", ["a", "Z-9._x", "x" * 64])
def test_a_sane_request_id_is_taken(text: str) -> None:
    assert wire.sane_request_id(text)


@pytest.mark.parametrize("text", [None, "", "x" * 65, "a b", "é", "a\n", "a;b"])
def test_any_other_request_id_is_not_taken(text: str | None) -> None:
    assert not wire.sane_request_id(text)
