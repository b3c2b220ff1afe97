"""JSON of every kind: what one parser takes another reads the same way; refusals have one form."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import fuzzed
from tests.fuzz.test_model import DOCUMENTS
from tvault.client.json_document import json_batches
from tvault.client.jsonl import jsonl_batches
from tvault.client.records import Cut
from tvault.errors import VaultError
from tvault.wire import STATUS, Unrepresentable, decode_marked, encode_json, error_from_problem, problem

PIECES = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"a"', b'"', b"\\", b"1", b"-", b"1e999", b"0.5", b"01"),
    *(b"true", b"nul", b"NaN", b" ", b"\n", b"\r", b"\xff", b"\xef\xbb\xbf", b"\\ud800", b'"\\ud800"'),
    *(b'"\xed\xa0\x80"', b"\0", b"9" * 30, b'{"a":1}', b'{"a":"b"}\n', b"[{}]"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join)
WRITTEN = DOCUMENTS.map(lambda document: json.dumps(document, allow_nan=True).encode())
BODIES = TEXTS | st.binary(max_size=30) | WRITTEN


def judged(body: bytes) -> Any:
    """What Python's own parser makes of it; an exception when it is no JSON in UTF-8."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(body.decode(), parse_constant=refuse)


@given(BODIES)
@fuzzed(400)
def test_a_body_is_json_for_the_server_exactly_if_it_is_for_python(body: bytes) -> None:
    try:
        expected = judged(body)
    except (ValueError, RecursionError):
        with pytest.raises(VaultError) as caught:
            decode_marked(body)
        assert caught.value.code == "malformed"
        return
    document, is_marked = decode_marked(body)
    if is_marked:
        assert "inf" in repr(expected)
        assert Unrepresentable.__name__ in repr(document)
    else:
        assert repr(document) == repr(expected)
        assert repr(decode_marked(encode_json(document))[0]) == repr(expected)


@given(DOCUMENTS)
@fuzzed(200)
def test_a_document_that_is_encoded_comes_back(document: Any) -> None:
    try:
        body = encode_json(document)
    except VaultError as error:
        assert error.code == "invalid_value"  # noqa: PT017  both outcomes are right
        return
    back, is_marked = decode_marked(body)
    assert not is_marked
    assert repr(back) == repr(_with_nulls(document))


def _with_nulls(document: Any) -> Any:
    """JSON has no NaN: msgspec writes null in its place."""
    match document:
        case float() if not math.isfinite(document):
            return None
        case list():
            return [_with_nulls(each) for each in document]
        case dict():
            return {name: _with_nulls(each) for name, each in document.items()}
        case _:
            return document


@given(
    st.integers(100, 599),
    BODIES
    | st.fixed_dictionaries(
        {},
        optional={
            name: DOCUMENTS | st.sampled_from(sorted(STATUS))
            for name in ("code", "detail", "errors", "x")
        },
    ).map(lambda members: json.dumps(members).encode()),
)
@fuzzed(300)
def test_whatever_a_server_answers_is_some_refusal(status: int, body: bytes) -> None:
    error = error_from_problem(status, body)
    assert error.code in STATUS
    assert problem(error)["status"] == STATUS[error.code]


@given(BODIES, st.integers(1, 3), st.integers(1, 20))
@fuzzed(300)
def test_a_file_is_cut_into_all_its_records_or_refused(text: bytes, records: int, size: int) -> None:
    for batches in (json_batches, jsonl_batches):
        try:
            found = list(batches(io.BytesIO(text), Cut(records, size)))
        except VaultError as error:
            assert error.code == "malformed"  # noqa: PT017  both outcomes are right
            continue
        assert b"".join(batch.filled(batch.records) for batch in found) == text
        for batch in found:
            assert all(isinstance(json.loads(record), dict) for record in batch.records)


@given(
    st.lists(
        st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5), max_size=3), max_size=5
    ),
    st.integers(1, 3),
    st.sampled_from([None, 1]),
)
@fuzzed(200)
def test_every_record_of_a_sound_file_is_found(
    records: list[dict[str, Any]], most: int, indent: int | None
) -> None:
    cut = Cut(most, 20)
    whole = json.dumps(records, indent=indent).encode()
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    for batches, text in ((json_batches, whole), (jsonl_batches, lines)):
        found = [record for batch in batches(io.BytesIO(text), cut) for record in batch.records]
        assert [json.loads(record) for record in found] == records
