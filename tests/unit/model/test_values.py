"""Values come back exactly, type included, and what is no value is refused without being shown."""

from __future__ import annotations

import itertools
import json
import math
import struct
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault.model.values import (
    MAX_INTEGER_DIGITS,
    InvalidValue,
    Value,
    decode_value,
    decode_values,
    encode_value,
    encode_values,
)

LIMIT = 64 * 1024
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers() | st.integers(10**590, 10**620) | st.integers(-(10**4300) + 1, 10**4300 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NAN = b"f" + struct.pack(">d", math.nan)
TOO_LONG = b"i" + b"1" * (MAX_INTEGER_DIGITS + 1)
VALUES = TEXT | INTEGERS | FLOATS | st.booleans()


@pytest.fixture(params=[0, 640, 4300])
def digit_limit(request: pytest.FixtureRequest) -> Iterator[int]:
    if not hasattr(sys, "set_int_max_str_digits"):
        yield 0
        return
    before = sys.get_int_max_str_digits()
    limit: int = request.param
    sys.set_int_max_str_digits(limit)
    try:
        yield limit
    finally:
        sys.set_int_max_str_digits(before)


def identity(value: Value) -> tuple[type, bytes | Value]:
    """What must be the same for two values to be one: -0.0 and 0.0 are two."""
    return type(value), struct.pack(">d", value) if isinstance(value, float) else value


@given(VALUES)
def test_a_value_comes_back_exactly_with_its_type(value: Value) -> None:
    assert identity(decode_value(encode_value(value, LIMIT))) == identity(value)


@given(VALUES, VALUES)
def test_two_values_never_share_their_canonical_form(one: Value, other: Value) -> None:
    same_bytes = encode_value(one, LIMIT) == encode_value(other, LIMIT)
    assert same_bytes == (identity(one) == identity(other))


def test_values_that_look_alike_stay_apart() -> None:
    alike: list[Value] = [
        "1",
        1,
        1.0,
        True,
        "true",
        0,
        0.0,
        -0.0,
        False,
        "",
        "é",
        "e\u0301",
        2**53,
        2.0**53,
    ]
    forms = encode_values(alike, LIMIT)
    assert len(set(forms)) == len(alike)
    assert [identity(decode_value(form)) for form in forms] == [identity(value) for value in alike]


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ("é", b"s\xc3\xa9"),
        ("", b"s"),
        (-120, b"i-120"),
        (0, b"i0"),
        (1.5, b"f\x3f\xf8\x00\x00\x00\x00\x00\x00"),
        (-0.0, b"f\x80\x00\x00\x00\x00\x00\x00\x00"),
        (True, b"b1"),
        (False, b"b0"),
    ],
)
def test_the_canonical_form_never_changes(value: Value, canonical: bytes) -> None:
    assert encode_value(value, LIMIT) == canonical


@given(st.binary() | st.binary().map(lambda tail: b"i" + tail) | st.from_regex(rb"\A[sibf][-0-9]*\Z"))
def test_only_what_encoding_writes_is_decoded(data: bytes) -> None:
    try:
        value = decode_value(data)
    except ValueError:
        return
    assert encode_value(value, LIMIT) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i",
        b"i-0",
        b"i01",
        b"i+1",
        b"i1\n",
        b"i1_0",
        b"s\xff",
        b"f1234567",
        b"b2",
        b"x1",
        NAN,
        TOO_LONG,
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not the canonical form"):
        decode_value(data)


@pytest.mark.parametrize("digits", [599, 600, 601, 640, 641, 1199, 1200, 1201, 4299, 4300])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.usefixtures("digit_limit")
def test_integers_up_to_4300_digits_work_whatever_python_allows(digits: int, sign: int) -> None:
    for magnitude in (10 ** (digits - 1), 10**digits - 1, 10 ** (digits - 1) + 7):
        form = encode_value(sign * magnitude, LIMIT)
        assert len(form) == 1 + (sign < 0) + digits
        assert decode_value(form) == sign * magnitude


def test_a_long_integer_is_written_in_plain_decimal() -> None:
    text = "-" + "".join(str(digit % 10) for digit in range(1, 4301))
    assert encode_value(json.loads(text), LIMIT) == b"i" + text.encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": 1}, "object"),
        ({}, "object"),
        ([], "array"),
        (["a"], "array"),
        ("a\ud800", "lone_surrogate"),
        ("\udfff", "lone_surrogate"),
        (10**4300, "integer_too_long"),
        (-(10**4300), "integer_too_long"),
        (math.inf, "float_out_of_range"),
        (-math.inf, "float_out_of_range"),
        (math.nan, "float_out_of_range"),
        ("x" * (LIMIT + 1), "too_large"),
        ("é" * (LIMIT // 2) + "x", "too_large"),
    ],
    ids=itertools.count(),
)
def test_what_is_no_value_is_refused_with_its_reason(value: object, reason: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        encode_value(value, LIMIT)
    assert (refused.value.reason, refused.value.position) == (reason, 0)


@pytest.mark.parametrize("value", ["x" * 9, "é" * 4 + "x", -12345678, 123456789])
def test_the_limit_counts_the_bytes_of_the_payload(value: Value) -> None:
    assert decode_value(encode_value(value, 9)) == value
    assert encode_values([value], 9) == [encode_value(value, 9)]
    for encode in (lambda: encode_value(value, 8), lambda: encode_values([value], 8)):
        with pytest.raises(InvalidValue, match="too_large"):
            encode()


@given(st.lists(VALUES) | st.lists(TEXT) | st.lists(st.text("s\x00é", max_size=3)))
def test_a_batch_comes_back_as_each_value_does(values: list[Value]) -> None:
    forms = encode_values(values, LIMIT)
    assert forms == [encode_value(value, LIMIT) for value in values]
    assert [identity(value) for value in decode_values(forms)] == [identity(value) for value in values]


@given(st.lists(st.binary(max_size=3) | st.text("s\x00é", max_size=3).map(str.encode), min_size=1))
def test_a_batch_is_decoded_only_if_each_of_it_is(forms: list[bytes]) -> None:
    try:
        values = decode_values(forms)
    except ValueError:
        values = []
    assert [encode_value(value, LIMIT) for value in values] in (forms, [])
    assert not values or [decode_value(form) for form in forms] == values


@given(st.lists(VALUES), st.sampled_from([{}, [], "\ud800", math.nan]), st.lists(VALUES))
def test_a_batch_names_the_position_of_its_first_bad_value(
    before: list[Value], bad: object, after: list[Value]
) -> None:
    with pytest.raises(InvalidValue) as refused:
        encode_values([*before, bad, *after, {}], LIMIT)
    assert refused.value.position == len(before)


@pytest.mark.parametrize("value", [None, b"bytes", object()])
def test_what_json_does_not_have_is_a_mistake_of_the_caller(value: object) -> None:
    with pytest.raises(TypeError):
        encode_value(value, LIMIT)


@pytest.mark.parametrize("value", ["secret-7\ud800", {"secret-7": 1}, "secret-7" * 9000])
def test_a_refusal_carries_nothing_of_the_value(value: object) -> None:
    with pytest.raises(InvalidValue) as refused:
        encode_values(["secret-7", value], LIMIT)
    error = refused.value
    assert "secret" not in repr(error) + str(error) + repr(vars(error))
    assert error.__context__ is None


@pytest.mark.parametrize("forms", [[b"ssecret\xff"], [b"ssecret", b"ssecret\xff"]])
def test_a_refusal_to_decode_carries_nothing_of_the_bytes(forms: list[bytes]) -> None:
    with pytest.raises(ValueError, match="canonical") as refused:
        decode_values(forms)
    assert "secret" not in repr(refused.value)
    assert refused.value.__context__ is None
