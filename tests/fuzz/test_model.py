"""Field paths, tokens and canonical values: what is taken comes back, and nothing else is raised."""

from __future__ import annotations

import copy
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import fuzzed
from tvault.model.fields import Fields, parse_path
from tvault.model.tokens import parse_alike, parse_token, render_token
from tvault.model.values import InvalidValue, decode_value, encode_value

TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc") | TEXTS, inner, max_size=3)
    ),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from("abc"), DOCUMENTS, max_size=3), max_size=4)
PATH_TEXTS = st.text(st.sampled_from('abc.[*]"\\ \t\0é'), max_size=12) | st.text(max_size=8)
TOKENS = st.builds(render_token, st.integers(1, 10**10), st.binary(min_size=16, max_size=16))
ALMOST = st.builds(
    lambda token, at, odd: token[:at] + odd + token[at + 1 :],
    TOKENS,
    st.integers(0, 45),
    st.sampled_from(["", " ", "0", "A", "_", "-", "\n", "٣", "g", "tv1_"]),
)


@given(PATH_TEXTS)
@fuzzed(300)
def test_a_field_path_is_refused_by_one_exception_or_says_itself_again(text: str) -> None:
    try:
        path = parse_path(text)
    except ValueError:
        return
    assert parse_path(str(path)) == path


@given(
    RECORDS, st.lists(st.sampled_from(["a", "a.b", "b[*]", "b[*].c", "c", '"a".c[*][*]']), max_size=3)
)
@fuzzed(200)
def test_whatever_records_hold_only_what_paths_lead_to_is_replaced(
    records: list[dict[str, Any]], texts: list[str]
) -> None:
    try:
        fields = Fields(parse_path(text) for text in texts)
    except ValueError:
        return  # one path leads through another
    before = repr(records)
    found = fields.find(records)
    places = [found.place(position) for position in range(len(found.values))]
    assert len(set(places)) == len(places)
    values = list(found.values)
    found.put([f"new {position}" for position in range(len(values))])
    assert list(fields.find(copy.deepcopy(records)).values) == [f"new {at}" for at in range(len(values))]
    found.put(values)
    assert repr(records) == before


@given(st.lists(TOKENS | ALMOST | LEAVES, min_size=1, max_size=4))
@fuzzed(300)
def test_a_text_is_a_token_if_it_is_what_rendering_writes_alone_and_among_others(
    texts: list[Any],
) -> None:
    parsed = [parse_token(text) for text in texts]
    for text, found in zip(texts, parsed, strict=True):
        assert found is None or render_token(*found) == text
    whole = parse_alike(texts)
    known = [each for each in parsed if each is not None]
    if len(known) == len(texts) and len({epoch for epoch, _ in known}) == 1:
        assert whole == (known[0][0], b"".join(digest for _, digest in known))
    else:
        assert whole is None


@given(TOKENS)
@fuzzed(100)
def test_every_token_that_is_rendered_is_read(token: str) -> None:
    found = parse_token(token)
    assert found is not None
    assert render_token(*found) == token


@given(st.lists(DOCUMENTS | st.integers(-(10**40), 10**40), min_size=1, max_size=6))
@fuzzed(300)
def test_a_value_comes_back_with_its_type_and_no_two_have_one_form(values: list[Any]) -> None:
    forms: dict[bytes, str] = {}
    for value in values:
        try:
            form = encode_value(value, 1000)
        except (InvalidValue, TypeError):
            is_odd = value is None or isinstance(value, dict | list)
            assert (
                is_odd
                or isinstance(value, str)
                or (isinstance(value, float) and not math.isfinite(value))
            )
            continue
        back = decode_value(form)
        assert (type(back), repr(back)) == (type(value), repr(value))
        assert forms.setdefault(form, repr(value)) == repr(value)


@given(
    st.binary(max_size=12)
    | st.builds(
        lambda tag, rest: tag + rest, st.sampled_from([b"s", b"i", b"f", b"b"]), st.binary(max_size=9)
    )
)
@fuzzed(300)
def test_bytes_are_the_form_of_a_value_if_encoding_writes_them(canonical: bytes) -> None:
    try:
        value = decode_value(canonical)
    except ValueError:
        return
    assert encode_value(value, 1000) == canonical
