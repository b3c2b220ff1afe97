"""Columns of Arrow schemas, and what is nested in them: found by name, taken out, put back.

What stands in a struct or list that is null, or outside a slice, is no part of the data and is never
taken out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tvault.errors import VaultError
from tvault.model.fields import EACH, FieldPath, Step, parse_path

MOST_NAMED = 20
"""How many columns of a table are named in a refusal."""

_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
    pa.types.is_map,
)


@dataclass(frozen=True)
class Place:
    """A column, or what is nested in one.

    `column` is the column's number, `steps` lead on from it: the numbers of members of structs, `EACH`
    for the elements of lists and the values of maps.  `name` is how messages call it, `field` says its
    type.
    """

    column: int
    steps: tuple[int | None, ...]
    name: str
    field: pa.Field


def is_nested(type_: pa.DataType) -> bool:
    """Whether there is more inside."""
    return pa.types.is_struct(type_) or any(test(type_) for test in _LISTS)


def places(schema: pa.Schema) -> Iterator[tuple[Place, FieldPath]]:
    """Every column and all that is nested in each, with its path."""
    for number, field in enumerate(schema):
        path = FieldPath((field.name,))
        yield from _below(Place(number, (), field.name, field), path)


def _below(place: Place, path: FieldPath) -> Iterator[tuple[Place, FieldPath]]:
    yield place, path
    for step, key, field in _inside(place.field.type):
        inner = FieldPath((*path.steps, key))
        yield from _below(Place(place.column, (*place.steps, step), str(inner), field), inner)


def _inside(type_: pa.DataType) -> list[tuple[int | None, Step, pa.Field]]:
    if pa.types.is_struct(type_):
        fields = [type_.field(number) for number in range(type_.num_fields)]
        return [(number, field.name, field) for number, field in enumerate(fields)]
    if pa.types.is_map(type_):
        return [(EACH, EACH, type_.item_field)]
    return [(EACH, EACH, type_.value_field)] if is_nested(type_) else []


def chosen(schema: pa.Schema, names: Sequence[str], table: str) -> list[Place]:
    """The places that `names` name: columns, else paths into them.  Raises `VaultError` (`usage`)."""
    known = list(places(schema))
    found: dict[tuple[int, tuple[int | None, ...]], Place] = {}
    for name in names:
        place = _called(known, name, table)
        found.setdefault((place.column, place.steps), place)
    return list(found.values())


def _called(known: Sequence[tuple[Place, FieldPath]], name: str, table: str) -> Place:
    columns = [place for place, _ in known if not place.steps and place.field.name == name]
    if not columns:
        try:
            path = parse_path(name)
        except ValueError:
            path = FieldPath((name,))
        columns = [place for place, its in known if its == path]
    if not columns:
        there = [place.name for place, _ in known if not place.steps]
        more = ", …" if len(there) > MOST_NAMED else ""
        raise VaultError(
            "usage",
            f"{table} has no column {name}; it has {', '.join(there[:MOST_NAMED]) or 'none'}{more}",
        )
    if len(columns) > 1:
        raise VaultError("usage", f"{table} has several columns {name}: give them different names")
    return columns[0]


def replaced(field: pa.Field, steps: Sequence[int | None], new: pa.Field) -> pa.Field:
    """The field with `new` at the end of `steps`."""
    if not steps:
        return new
    type_, step = field.type, steps[0]
    if step is not None:
        members = [type_.field(number) for number in range(type_.num_fields)]
        members[step] = replaced(members[step], steps[1:], new)
        return field.with_type(pa.struct(members))
    if pa.types.is_map(type_):
        item = replaced(type_.item_field, steps[1:], new)
        return field.with_type(pa.map_(type_.key_field, item, keys_sorted=type_.keys_sorted))
    value = replaced(type_.value_field, steps[1:], new)
    if pa.types.is_fixed_size_list(type_):
        return field.with_type(pa.list_(value, type_.list_size))
    return field.with_type(_makers(type_)[0](value))


def taken(array: pa.Array, steps: Sequence[int | None]) -> pa.Array:
    """What stands at the end of `steps`, one after another."""
    for step in steps:
        array = _entered(array, step)
    return array


def put(array: pa.Array, type_: pa.DataType, steps: Sequence[int | None], new: pa.Array) -> pa.Array:
    """An array of `type_` like `array`, with `new` in the place of what is `taken` at `steps`."""
    if not steps:
        return new
    step = steps[0]
    mask = array.is_null() if array.null_count else None
    if step is not None:
        members = [pc.struct_field(array, [number]) for number in range(array.type.num_fields)]
        members[step] = put(members[step], type_.field(step).type, steps[1:], new)
        fields = [type_.field(number) for number in range(type_.num_fields)]
        return pa.StructArray.from_arrays(members, fields=fields, mask=mask)
    inner = _entered(array, step)
    if pa.types.is_map(type_):
        inner = put(inner, type_.item_field.type, steps[1:], new)
        keys = pc.struct_field(_entries(array).flatten(), [0])
        offsets = pa.array(_offsets(array), pa.int32())
        # A null map is one without its first offset: not every version takes a mask.
        if mask is not None:
            starts = pa.array(_offsets(array), pa.int32(), mask=np.append(_numpy(mask), False))
            return pa.MapArray.from_arrays(starts, keys, inner, type_)
        return pa.MapArray.from_arrays(offsets, keys, inner, type_)
    inner = put(inner, type_.value_field.type, steps[1:], new)
    if pa.types.is_fixed_size_list(type_):
        return pa.FixedSizeListArray.from_arrays(_spread(array, inner), type=type_, mask=mask)
    _, made, integer = _makers(type_)
    ends = _offsets(array)
    offsets = pa.array(ends, integer)
    if made in {pa.ListViewArray, pa.LargeListViewArray}:
        sizes = pa.array(np.diff(ends), integer)
        return made.from_arrays(offsets[:-1], sizes, inner, type=type_, mask=mask)
    return made.from_arrays(offsets, inner, type=type_, mask=mask)


def row_of(array: pa.Array, steps: Sequence[int | None], position: int) -> int:
    """The row of `array` in which what is `taken` at `position` stands."""
    counts = []
    for step in steps:
        if step is None:
            counts.append(_offsets(array))
        array = _entered(array, step)
    for ends in reversed(counts):
        position = int(np.searchsorted(ends, position, side="right")) - 1
    return position


def _entered(array: pa.Array, step: int | None) -> pa.Array:
    if step is not None:
        return pc.struct_field(array, [step])
    if pa.types.is_map(array.type):
        return pc.struct_field(_entries(array).flatten(), [1])
    return array.flatten()


def _entries(array: pa.Array) -> pa.Array:
    """A map as a list of its entries."""
    fields = [array.type.key_field, array.type.item_field]
    return array.cast(pa.list_(pa.struct(fields)))


def _offsets(array: pa.Array) -> Any:
    """Where the elements of each list begin among those that are taken, and where the last ones end."""
    lists = _entries(array) if pa.types.is_map(array.type) else array
    lengths = _numpy(pc.fill_null(pc.list_value_length(lists), 0))
    if pa.types.is_fixed_size_list(array.type):
        lengths = np.where(_numpy(array.is_valid()), array.type.list_size, 0)
    return np.concatenate([[0], np.cumsum(lengths)])


def _spread(array: pa.Array, inner: pa.Array) -> pa.Array:
    """The elements with nulls for those of lists that are null, which take room all the same."""
    is_there = np.repeat(_numpy(array.is_valid()), array.type.list_size)
    return inner.take(pa.array(np.cumsum(is_there) - 1, pa.int64(), mask=~is_there))


def _numpy(array: pa.Array) -> Any:
    return array.to_numpy(zero_copy_only=False)


def _makers(type_: pa.DataType) -> tuple[Any, Any, pa.DataType]:
    """How a list type and arrays of it are made, and the type of its offsets."""
    if pa.types.is_large_list(type_):
        return pa.large_list, pa.LargeListArray, pa.int64()
    if pa.types.is_list_view(type_):
        return pa.list_view, pa.ListViewArray, pa.int32()
    if pa.types.is_large_list_view(type_):
        return pa.large_list_view, pa.LargeListViewArray, pa.int64()
    return pa.list_, pa.ListArray, pa.int32()
