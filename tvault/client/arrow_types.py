"""The types of Arrow columns that hold values: what their values are in JSON, and the way back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tvault.client.answers import Value, as_text

_PLAIN: dict[str, pa.DataType] = {
    str(type_): type_
    for type_ in (
        *(pa.null(), pa.bool_(), pa.string(), pa.large_string(), pa.string_view()),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.date32(), pa.date64()),
        *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    )
}
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=([^\]]+))?\]")
_DECIMAL = re.compile(r"decimal(\d+)\((\d+), (-?\d+)\)")
_DICTIONARY = re.compile(r"dictionary<values=(.+), indices=(u?int\d+), ordered=([01])>")


class Unfit(Exception):
    """The value at `position` cannot be converted: `why`.  It never carries the value."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(why)
        self.position = position
        self.why = why


def value_type(type_: pa.DataType) -> pa.DataType:
    """The type of single values: that of the dictionary, when there is one."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def is_text(type_: pa.DataType) -> bool:
    """Whether a column of this type holds text, and so may hold tokens."""
    type_ = value_type(type_)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(type_) for test in tests)


def is_written(type_: pa.DataType) -> bool:
    """Whether values of this type, which JSON does not have, go as their text."""
    tests = (pa.types.is_date, pa.types.is_time, pa.types.is_timestamp, pa.types.is_decimal)
    return any(test(type_) for test in tests)


def is_convertible(type_: pa.DataType) -> bool:
    """Whether values of this type can be tokenized."""
    type_ = value_type(type_)
    tests = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)
    return is_text(type_) or is_written(type_) or any(test(type_) for test in tests)


def token_type(type_: pa.DataType) -> pa.DataType:
    """The type of a column of tokens for values of this type: its own when it is one of text."""
    if is_text(type_):
        return type_
    if pa.types.is_dictionary(type_):
        return pa.dictionary(type_.index_type, pa.string(), type_.ordered)
    return pa.string()


def parse_type(text: str) -> pa.DataType:
    """The convertible type whose `str` is `text`.  Raises `ValueError`."""
    if text in _PLAIN:
        return _PLAIN[text]
    if found := _TIMESTAMP.fullmatch(text):
        return pa.timestamp(found[1], found[2])
    if found := _DECIMAL.fullmatch(text):
        make = getattr(pa, f"decimal{found[1]}", None)
        if make is not None:
            return make(int(found[2]), int(found[3]))
    if found := _DICTIONARY.fullmatch(text):
        return pa.dictionary(pa.type_for_alias(found[2]), parse_type(found[1]), found[3] == "1")
    raise ValueError("no such type")


def plain(array: pa.Array) -> pa.Array:
    """The array without its dictionary, and of a type that can be encoded with one."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())
    if pa.types.is_float16(array.type):
        return array.cast(pa.float32())
    if pa.types.is_decimal(array.type) and array.type.bit_width < 128:
        return array.cast(pa.decimal128(array.type.precision, array.type.scale))
    return array


def values_of(array: pa.Array) -> list[Any]:
    """The values, as JSON has them; the array holds no nulls.  Raises `Unfit`."""
    type_ = array.type
    if pa.types.is_floating(type_):
        wrong = pc.index(pc.is_finite(array), False).as_py()
        if wrong >= 0:
            raise Unfit(wrong, "NaN and infinities are no values; null is how a column says nothing")
    if not is_written(type_):
        return _listed(array)
    why = f"the text of this {type_} does not give it back"
    texts = _made(lambda some: some.cast(pa.string()), array, why)
    found = _from_texts(texts, type_, why)
    if not found.equals(array):
        raise Unfit(pc.index(pc.equal(found, array), False).as_py(), why)
    return _listed(texts)


def array_of(
    values: Sequence[Value | None], type_: pa.DataType, *, is_lenient: bool = False
) -> pa.Array:
    """An array of this type, which has no dictionary.  Raises `Unfit` for a value of another type.

    When it `is_lenient`, an array of text takes numbers and booleans as their JSON, and one of floats
    takes integers.
    """
    if is_lenient and is_text(type_):
        values = [None if value is None else as_text(value) for value in values]
    elif is_lenient and pa.types.is_floating(type_):
        values = [_as_float(value) for value in values]
    kind = _kind(type_)
    why = f"the value is none of type {type_}"
    if not set(map(type, values)) <= {kind, type(None)}:
        raise Unfit(
            next(at for at, one in enumerate(values) if one is not None and type(one) is not kind), why
        )
    if pa.types.is_floating(type_):
        return _floats(values, type_, why)
    if is_written(type_):
        return _from_texts(pa.array(values, pa.string()), type_, why)
    return _made(lambda some: pa.array(some, type_), values, why)


def _kind(type_: pa.DataType) -> type:
    """The type of its values in Python."""
    if is_text(type_) or is_written(type_):
        return str
    if pa.types.is_boolean(type_):
        return bool
    if pa.types.is_integer(type_):
        return int
    return float if pa.types.is_floating(type_) else type(None)


def type_of(value: Value) -> pa.DataType:
    """The type of a column of values like this one."""
    return {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}[type(value)]


def _as_float(value: Value | None) -> Value | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    try:
        exact = float(value)
    except OverflowError:
        return value
    return exact if exact == value else value


def _listed(array: pa.Array) -> list[Any]:
    try:
        return array.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        pass
    # Raised out here, so that the refusal does not carry the decoder's error, which holds the text.
    raise Unfit(_first_that_fails(lambda one: one.as_py(), array), "the text is not UTF-8")


def _floats(values: Sequence[Value | None], type_: pa.DataType, why: str) -> pa.Array:
    """Floats that are exactly those given."""
    wide = pa.array(values, pa.float64())
    narrow = wide.cast(type_, safe=False)
    same = pc.equal(narrow.cast(pa.float64()), wide)
    wrong = pc.index(same, False).as_py()
    if wrong >= 0:
        raise Unfit(wrong, why)
    return narrow


def _from_texts(texts: pa.Array, type_: pa.DataType, why: str) -> pa.Array:
    def cast(some: pa.Array) -> pa.Array:
        if not pa.types.is_time(type_):
            return some.cast(type_)
        # There is no cast from a text to a time, but one to a moment, whose time it is.
        moments = pc.binary_join_element_wise(pa.scalar("1970-01-01"), some, pa.scalar(" "))
        return moments.cast(pa.timestamp(type_.unit)).cast(type_)

    return _made(cast, texts, why)


def _made(make: Callable[[Any], pa.Array], given: Any, why: str) -> pa.Array:
    """What `make` makes of all; if it cannot, the first one of which it can make nothing is named."""
    try:
        return make(given)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        pass
    # Raised out here, so that the refusal does not carry Arrow's, which holds the value.
    raise Unfit(_first_that_fails(make, (given[at : at + 1] for at in range(len(given)))), why)


def _first_that_fails(make: Callable[[Any], Any], things: Iterable[Any]) -> int:
    return next((at for at, thing in enumerate(things) if _fails(make, thing)), 0)


def _fails(make: Callable[[Any], Any], thing: Any) -> bool:
    try:
        make(thing)
    except (pa.ArrowException, OverflowError, UnicodeError):
        return True
    return False
