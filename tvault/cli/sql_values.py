"""How values of DuckDB are written: as JSON, and as the text of a cell.

Both are computed by DuckDB, column by column: the functions here give SQL.  What is no text, number,
boolean or list of such is the text that DuckDB gives and takes back by a cast, but for timestamps, which
are written as RFC 3339 has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Protocol, cast

NUMBERS = frozenset(
    {
        *("tinyint", "smallint", "integer", "bigint", "hugeint"),
        *("utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"),
        *("bignum", "decimal", "float", "double"),
    }
)
"""Types that JSON has numbers for, and that people read aligned to the right."""

NESTED = frozenset({"list", "array", "struct", "map", "union", "variant"})


class Type(Protocol):
    """A type of DuckDB, as both of its majors show it."""

    @property
    def id(self) -> str: ...
    @property
    def children(self) -> list[tuple[str, object]]: ...


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def cell(type_: Type, value: str) -> str:
    """SQL for the text of a value outside of JSON; NULL stays NULL.  A text is itself, a number what it
    is in JSON, and what is nested is JSON."""
    if type_.id in NESTED:
        return f"CASE WHEN {value} IS NOT NULL THEN {as_json(type_, value)} END"
    return _text(type_, value)


def as_json(type_: Type, value: str) -> str:
    """SQL for the JSON of a value, never NULL."""
    return _Json().of(type_, value)


def as_json_object(columns: list[tuple[str, Type, str]]) -> str:
    """SQL for a JSON object: each column's name, type and SQL."""
    maker = _Json()
    return _joined("{", [(name, maker.of(type_, value)) for name, type_, value in columns], "}")


def _text(type_: Type, value: str) -> str:
    text = f"CAST({value} AS VARCHAR)"
    if type_.id in {"timestamp with time zone", "timestamptz_ns"}:  # shown in UTC
        return rf"regexp_replace({text}, '^(\d+-\d\d-\d\d) (\d\d:\S+)\+00$', '\1T\2Z')"
    if type_.id.startswith("timestamp"):
        return rf"regexp_replace({text}, '^(\d+-\d\d-\d\d) (\d\d:\S+)$', '\1T\2')"
    if type_.id == "decimal":  # one without digits before its point
        return rf"regexp_replace({text}, '^(-?)\.', '\10.')"
    return text


def _joined(begin: str, members: list[tuple[str, str]], end: str) -> str:
    """SQL for what stands in brackets: members with their names, or without when these are empty."""
    parts: list[str] = []
    for name, sql in members:
        before = ("," if parts else begin) + (f"{json.dumps(name, ensure_ascii=False)}:" if name else "")
        parts += [literal(before), sql]
    return " || ".join([*parts, literal(end if parts else begin + end)])


class _Json:
    """Writes SQL in which every variable has a name of its own."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._nested: dict[str, Callable[[Type, str], str]] = {
            "list": self._list,
            "array": self._list,
            "struct": self._struct,
            "map": self._map,
            "union": self._union,
        }

    def of(self, type_: Type, value: str) -> str:
        kind = type_.id
        if kind in self._nested:
            written = self._nested[kind](type_, value)
        elif kind == "boolean" or (kind in NUMBERS and kind not in {"float", "double"}):
            written = _text(type_, value)
        elif kind in {"float", "double"}:
            written = (
                f"CASE WHEN isfinite({value}) THEN CAST({value} AS VARCHAR) "
                f"ELSE '\"' || CAST({value} AS VARCHAR) || '\"' END"
            )
        elif str(type_) == "JSON":
            # Line ends can only stand between its parts.
            written = f"translate(CAST({value} AS VARCHAR), chr(10) || chr(13), '  ')"
        elif kind == "variant":
            written = f"CAST(CAST({value} AS JSON) AS VARCHAR)"
        else:
            written = f"CAST(to_json({_text(type_, value)}) AS VARCHAR)"
        return f"coalesce({written}, 'null')"

    def _list(self, type_: Type, value: str) -> str:
        each = self._variable()
        inner = _child(type_, 0)
        listed = f"CAST({value} AS {inner}[])" if type_.id == "array" else value
        return (
            f"CASE WHEN {value} IS NOT NULL THEN '[' || "
            f"array_to_string(list_transform({listed}, lambda {each}: {self.of(inner, each)}), ',') "
            "|| ']' END"
        )

    def _struct(self, type_: Type, value: str) -> str:
        names = [name for name, _ in type_.children]
        is_named = any(names) or not names
        members = []
        for position, name in enumerate(names):
            key = literal(name) if is_named else str(position + 1)
            sql = self.of(_child(type_, position), f"struct_extract({value}, {key})")
            members.append((name if is_named else "", sql))
        begin, end = "{}" if is_named else "[]"
        return f"CASE WHEN {value} IS NOT NULL THEN {_joined(begin, members, end)} END"

    def _map(self, type_: Type, value: str) -> str:
        each = self._variable()
        key_type, value_type = _child(type_, 0), _child(type_, 1)
        key = cell(key_type, f"struct_extract({each}, 'key')")
        entry = self.of(value_type, f"struct_extract({each}, 'value')")
        return (
            f"CASE WHEN {value} IS NOT NULL THEN '{{' || array_to_string(list_transform("
            f"map_entries({value}), lambda {each}: CAST(to_json({key}) AS VARCHAR) || ':' || {entry}), "
            "',') || '}' END"
        )

    def _union(self, type_: Type, value: str) -> str:
        cases = []
        for position, (name, _) in enumerate(type_.children):
            if not name:  # the tag itself
                continue
            member = self.of(_child(type_, position), f"union_extract({value}, {literal(name)})")
            cases.append(f"WHEN {literal(name)} THEN {_joined('{', [(name, member)], '}')}")
        return f"CASE CAST(union_tag({value}) AS VARCHAR) {' '.join(cases)} END"

    def _variable(self) -> str:
        return f"tvault_{next(self._numbers)}"


def _child(type_: Type, position: int) -> Type:
    return cast("Type", type_.children[position][1])


IN_PARQUET = frozenset(
    {
        *("boolean", "tinyint", "smallint", "integer", "bigint", "float", "double", "decimal"),
        *("utinyint", "usmallint", "uinteger", "ubigint", "varchar", "blob", "date", "time"),
        *("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"),
    }
)
"""Types that Parquet has, too."""


def in_parquet(type_: Type, value: str) -> str:
    """SQL for a value as Parquet can hold it: what it has no type for as text."""
    if type_.id in IN_PARQUET and str(type_) != "JSON":
        return f"{value} AS {value}"
    target = _type_in_parquet(type_)
    return f"{cell(type_, value) if target is None else f'CAST({value} AS {target})'} AS {value}"


def _type_in_parquet(type_: Type) -> str | None:
    """The type that holds the same in Parquet; None when a cell's text has to."""
    if type_.id in {"hugeint", "uhugeint"}:
        return "DECIMAL(38, 0)"
    if type_.id in IN_PARQUET and str(type_) != "JSON":
        return str(type_)
    if type_.id == "decimal":
        return str(type_)
    inner = [_type_in_parquet(_child(type_, at)) or "VARCHAR" for at in range(_children_count(type_))]
    names = [name for name, _ in type_.children] if type_.id == "struct" else []
    if type_.id in {"list", "array"}:
        return f"{inner[0]}[]"
    if type_.id == "map":
        return f"MAP({inner[0]}, {inner[1]})"
    if names and all(names):
        members = ", ".join(f"{quoted(name)} {kind}" for name, kind in zip(names, inner, strict=True))
        return f"STRUCT({members})"
    return None


def _children_count(type_: Type) -> int:
    return {"list": 1, "array": 1, "map": 2}.get(type_.id) or (
        len(type_.children) if type_.id == "struct" else 0
    )
