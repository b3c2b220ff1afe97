"""Columns of Arrow as values that a vault can be asked about."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tvault.client.answers import Value
from tvault.errors import VaultError

_OF_EXTENSIONS: dict[str, Callable[[Any], Value]] = {
    "hugeint": lambda stored: int.from_bytes(stored, "little", signed=True),
    "uhugeint": lambda stored: int.from_bytes(stored, "little"),
    "arrow.uuid": lambda stored: str(uuid.UUID(bytes=stored)),
    "arrow.bool8": bool,
    "arrow.json": str,
}
"""Types that a connection uses with `arrow_lossless_conversion`, from what is stored."""


def python_values(column: pa.ChunkedArray) -> list[Value | None]:
    """The values of a column; None for null.  A decimal is the number that JSON has for it, a date or
    time its text.  Raises `VaultError` (`usage`) for a type that no value has."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _of_extension(column)
    if pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind):
        column = column.cast(pa.string())
    elif pa.types.is_decimal(kind):
        return [None if one is None else _number(one) for one in column.to_pylist()]
    elif not _is_plain(kind.value_type if pa.types.is_dictionary(kind) else kind):
        raise _no_value(kind)
    values: list[Value | None] = column.to_pylist()
    return values


def _is_plain(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )


def _number(decimal: Decimal) -> int | float:
    return int(decimal) if decimal.as_tuple().exponent == 0 else float(decimal)


def _of_extension(column: pa.ChunkedArray) -> list[Value | None]:
    kind = column.type
    name = getattr(kind, "type_name", kind.extension_name)
    read = _OF_EXTENSIONS.get(name)
    if read is None:
        raise _no_value(name)
    stored = [one for chunk in column.chunks for one in chunk.storage.to_pylist()]
    return [None if one is None else read(one) for one in stored]


def _no_value(kind: object) -> VaultError:
    return VaultError("usage", f"a value is a text, a number or a boolean, and no {kind}")
