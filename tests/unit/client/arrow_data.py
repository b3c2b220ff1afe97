"""Arrow data of every type that can be converted."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pyarrow as pa

TEXTS = ["a", None, "", "ß \0 \U0001f600", "a", "tv1_x", "1"]
_DAY = dt.date(2024, 2, 29)
_MOMENT = dt.datetime(2024, 2, 29, 23, 59, 59, 1000)  # noqa: DTZ001 - columns without a zone
_UTC = _MOMENT.replace(tzinfo=dt.timezone.utc)
_DECIMALS = [decimal.Decimal("-1.50"), None, decimal.Decimal("0.00"), decimal.Decimal("123.45")]


def _integers(bits: int, *, is_signed: bool) -> list[int | None]:
    least = -(2 ** (bits - 1)) if is_signed else 0
    return [least, None, 0, 1, least + 2**bits - 1, 1]


LEAVES: list[tuple[pa.DataType, list[Any]]] = [
    *((type_, TEXTS) for type_ in (pa.string(), pa.large_string(), pa.string_view())),
    *((getattr(pa, f"int{bits}")(), _integers(bits, is_signed=True)) for bits in (8, 16, 32, 64)),
    *((getattr(pa, f"uint{bits}")(), _integers(bits, is_signed=False)) for bits in (8, 16, 32, 64)),
    (pa.float16(), [0.0, -0.0, None, 1.5, 65504.0]),
    (pa.float32(), [0.0, -0.0, None, 0.1, 3.4e38, 1e-45]),
    (pa.float64(), [0.0, -0.0, None, 0.1, 1.0, 1.7e308, 5e-324]),
    (pa.bool_(), [True, None, False, True]),
    (pa.null(), [None, None]),
    (pa.date32(), [_DAY, None, dt.date(1, 1, 1), dt.date(9999, 12, 31), _DAY]),
    (pa.date64(), [_DAY, None]),
    (pa.time32("s"), [dt.time(23, 59, 59), None, dt.time(0)]),
    (pa.time32("ms"), [dt.time(23, 59, 59, 1000), None]),
    (pa.time64("us"), [dt.time(23, 59, 59, 1), None]),
    (pa.time64("ns"), [dt.time(23, 59, 59, 1), None]),
    *((pa.timestamp(unit), [_MOMENT.replace(microsecond=0), None]) for unit in ("s", "us", "ns")),
    (pa.timestamp("ms"), [_MOMENT, None, dt.datetime(1, 1, 1), dt.datetime(1969, 1, 1, 0, 0, 0, 1000)]),  # noqa: DTZ001
    *((pa.timestamp("us", zone), [_UTC, None]) for zone in ("UTC", "+02:00")),
    (pa.decimal128(5, 2), _DECIMALS),
    (pa.decimal256(70, 2), _DECIMALS),
    (pa.decimal128(5, -2), [decimal.Decimal("1.2E+4"), None]),
    *((pa.dictionary(pa.int8(), type_), TEXTS) for type_ in (pa.string(), pa.large_string())),
    (pa.dictionary(pa.int32(), pa.int64()), [5, None, -5, 5]),
    (pa.dictionary(pa.uint16(), pa.float64(), ordered=True), [0.0, -0.0, None]),
    *(
        (type_, _DECIMALS)
        for type_ in (
            getattr(pa, name)(5, 2) for name in ("decimal32", "decimal64") if hasattr(pa, name)
        )
    ),
]
"""Types with values for each of them."""


def array_of(type_: pa.DataType, values: list[Any]) -> pa.Array:
    """An array of the type, dictionaries included."""
    if pa.types.is_dictionary(type_):
        plain = pa.array(values, type_.value_type)
        encoded = plain.dictionary_encode()
        return pa.DictionaryArray.from_arrays(
            encoded.indices.cast(type_.index_type), encoded.dictionary, ordered=type_.ordered
        )
    return pa.array(values, type_)


def texts_in(thing: Any) -> list[str]:
    """All texts in what `to_pylist` gives."""
    if isinstance(thing, dict):
        return [text for one in thing.values() for text in texts_in(one)]
    if isinstance(thing, (list, tuple)):
        return [text for one in thing for text in texts_in(one)]
    return [thing] if isinstance(thing, str) else []
