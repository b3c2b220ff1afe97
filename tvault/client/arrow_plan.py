"""What is to become of an Arrow schema whose columns are converted.

The type that values had stands in the metadata of the field of their tokens, under `TYPE`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tvault.client.arrow_paths import Place, replaced
from tvault.client.arrow_types import (
    is_convertible,
    is_text,
    is_written,
    parse_type,
    token_type,
    value_type,
)
from tvault.client.job import Operation
from tvault.errors import VaultError

TYPE = b"tvault:type"
_PANDAS = b"tvault:pandas"
"""What pandas had noted of a column, when its type changes."""

_SPARK = b"org.apache.spark.sql.parquet.row.metadata"

_PANDAS_NAMES = {"halffloat": "float16", "float": "float32", "double": "float64"}


@dataclass(frozen=True)
class Goal:
    """What is to become of a place: `field` is its new field.

    `is_lenient`: numbers may become text, and integers floats.  `is_told`: the caller or the metadata
    said what the type is.
    """

    place: Place
    field: pa.Field
    is_lenient: bool = False
    is_told: bool = True


@dataclass(frozen=True)
class Plan:
    """The places that are converted, and the schema afterwards.  A token that is not found becomes null
    in a column of values, unless the plan `keeps` it, where the column is one of text."""

    operation: Operation
    goals: tuple[Goal, ...]
    schema: pa.Schema
    keeps: bool


def plan(
    operation: Operation,
    schema: pa.Schema,
    chosen: Sequence[Place],
    table: str,
    types: Mapping[str, pa.DataType] | None = None,
    *,
    keeps: bool = False,
) -> Plan:
    """The plan for the chosen places.  `types` are those that values are to have again; what they do
    not name gets the type that it had, or is text.

    Raises `VaultError` (`usage`) for what cannot be converted.
    """
    given = dict(types or {})
    if given and operation != "detokenize":
        raise VaultError("usage", f"types are for detokenize, not for {operation}")
    make: dict[str, Callable[[Place], Goal]] = {
        "tokenize": lambda place: _tokens(place, table),
        "detokenize": lambda place: _values(place, given.pop(place.name, None), table, keeps=keeps),
        "retokenize": lambda place: _renewed(place, table),
    }
    goals = tuple(make[operation](place) for place in chosen)
    if given:
        raise VaultError("usage", f"types name columns that are not converted: {', '.join(given)}")
    return with_goals(operation, schema, goals, keeps=keeps)


def with_goals(
    operation: Operation, schema: pa.Schema, goals: Sequence[Goal], *, keeps: bool = False
) -> Plan:
    """The plan that has these goals."""
    fields = list(schema)
    for goal in goals:
        number = goal.place.column
        fields[number] = replaced(fields[number], goal.place.steps, goal.field)
    metadata = dict(schema.metadata or {})
    changed = {
        old.name: number
        for number, (old, new) in enumerate(zip(schema, fields, strict=True))
        if old.type != new.type
    }
    if changed:
        # Spark would read the file by the types that this names; without it, by those that are there.
        metadata.pop(_SPARK, None)
        if b"pandas" in metadata:
            _tell_pandas(schema, fields, changed, metadata)
    return Plan(operation, tuple(goals), pa.schema(fields, metadata or None), keeps)


def _tell_pandas(
    schema: pa.Schema,
    fields: list[pa.Field],
    changed: Mapping[str, int],
    metadata: dict[bytes, bytes],
) -> None:
    """Change what pandas notes of columns: it would convert tokens to the type that is named there.

    The note of before stays with the tokens, so that the values get it again.
    """
    try:
        noted = json.loads(metadata[b"pandas"])
        entries = {entry["field_name"]: entry for entry in noted["columns"]}
        for name in changed.keys() & entries.keys():
            old, new = schema.field(changed[name]), fields[changed[name]]
            before = (old.metadata or {}).get(_PANDAS)
            if before is None and TYPE in (new.metadata or {}):
                kept = {_PANDAS: json.dumps(entries[name]).encode()}
                fields[changed[name]] = new.with_metadata({**new.metadata, **kept})
            names = _pandas_names(new.type)
            entries[name].update(names if before is None else json.loads(before))
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # what pandas does not read either
    metadata[b"pandas"] = json.dumps(noted).encode()


def _pandas_names(type_: pa.DataType) -> dict[str, Any]:
    if is_text(type_) or is_written(type_):
        return {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    name = _PANDAS_NAMES.get(str(type_), str(type_))
    return {"pandas_type": name, "numpy_type": name, "metadata": None}


def _tokens(place: Place, table: str) -> Goal:
    field = place.field
    if not is_convertible(field.type):
        raise VaultError(
            "usage",
            f"{table}, column {place.name}: values of type {field.type} cannot be tokenized"
            f"{_way_in(field.type, place.name)}",
        )
    if TYPE in (field.metadata or {}):
        raise VaultError(
            "usage",
            f"{table}, column {place.name} holds tokens already: leave it out, or detokenize it first",
        )
    told = {**(field.metadata or {}), TYPE: str(field.type).encode()}
    return Goal(place, field.with_type(token_type(field.type)).with_metadata(told))


def _way_in(type_: pa.DataType, name: str) -> str:
    if pa.types.is_struct(type_) and type_.num_fields:
        return f": name what is in it, as in {name}.{type_.field(0).name}"
    nested = pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_map(type_)
    return f": name its elements, {name}[*]" if nested else ""


def _values(place: Place, type_: pa.DataType | None, table: str, *, keeps: bool) -> Goal:
    field = place.field
    _refuse_others_than_text(place, table)
    noted = (field.metadata or {}).get(TYPE)
    is_lenient = noted is None or type_ is not None
    is_told = noted is not None or type_ is not None
    if type_ is not None and not is_convertible(type_):
        raise VaultError("usage", f"types: {place.name} cannot be of type {type_}")
    if type_ is None and noted is not None:
        try:
            type_ = parse_type(noted.decode("utf-8", "replace"))
        except ValueError:
            raise VaultError(
                "malformed",
                f"{table}, column {place.name}: its metadata {TYPE.decode()} names no known type",
            ) from None
    if type_ is None:
        type_ = token_type(field.type)
    metadata = {key: text for key, text in (field.metadata or {}).items() if key not in {TYPE, _PANDAS}}
    new = field.with_type(type_).with_metadata(metadata or None)
    new = new.with_nullable(field.nullable or not keeps)
    return Goal(place, new, is_lenient, is_told)


def _renewed(place: Place, table: str) -> Goal:
    _refuse_others_than_text(place, table)
    return Goal(place, place.field)


def _refuse_others_than_text(place: Place, table: str) -> None:
    if not is_text(place.field.type) and not pa.types.is_null(value_type(place.field.type)):
        raise VaultError(
            "usage",
            f"{table}, column {place.name} is of type {place.field.type} and holds no tokens: leave it "
            "out, and name those that do",
        )
