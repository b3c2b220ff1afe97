"""Tokens in columns of an Arrow table become values."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tvault.duck.names import shown
from tvault.duck.recovery import Recovery
from tvault.errors import VaultError
from tvault.model.tokens import PATTERN


def revealed(recovery: Recovery, table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The table with texts of values in `columns`; without any, in those that hold nothing but tokens.
    Raises `VaultError`, also when there is no such column in a table that is not empty."""
    names = table.column_names
    for name in columns:
        if names.count(name) != 1:
            there = ", ".join(shown(one) for one in names)
            many = "no column" if name not in names else "more than one column"
            raise VaultError("usage", f"there is {many} {name!r} in the result; it has {there}")
    chosen = [names.index(name) for name in columns] or [
        at for at in range(len(names)) if _is_all_tokens(_texts(table.column(at)))
    ]
    if not chosen and len(table):
        raise VaultError("usage", "no column of the result holds nothing but tokens: name what you mean")
    for at in chosen:
        texts = _texts(table.column(at))
        if texts is None:
            kind = table.column(at).type
            raise VaultError("usage", f"{names[at]!r} is of the type {kind}; tokens are texts")
        table = table.set_column(at, names[at], recovery.values(texts))
    return table


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The column as texts, None when it holds others."""
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_dictionary(kind):
        return column.cast(pa.string())
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return column.cast(pa.string()) if is_text else None


def _is_all_tokens(column: pa.ChunkedArray | None) -> bool:
    if column is None or column.null_count == len(column):
        return False
    return bool(pc.all(pc.match_substring_regex(column, rf"\A(?:{PATTERN})\z")).as_py())
