"""Field paths: which parts of a record hold values, and the walk that finds and replaces them.

    ssn                  a member of the record
    patient.mrn          a member of a member
    contacts[*].phone    a member of every element of an array
    tags[*]              every element of an array
    ["odd key.x"].a      a key in JSON quotes, for characters that a plain key cannot have

There are no indexes, filters or wildcards over members: a path names a field, it is no query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress, repeat
from types import NoneType
from typing import Any, Final, Literal

EACH: Final = None
"""The step to every element of an array."""

Step = str | None
"""A member's key, or `EACH`."""

MAX_STEPS: Final = 32

_PLAIN: Final = re.compile(r"""[^\s.\[\]"'`*$?@,(){}\\]+""")


@dataclass(frozen=True)
class FieldPath:
    """A path by its steps, the first of which is a key.  `str` gives the canonical text, from which
    `parse_path` makes an equal path.
    """

    steps: tuple[Step, ...]

    def text(self, indices: Sequence[int]) -> str:
        """The text with the first `[*]` filled in from `indices`, as in `contacts[2].phone`."""
        left = list(indices)
        parts: list[str] = []
        for step in self.steps:
            if step is EACH:
                parts.append(f"[{left.pop(0)}]" if left else "[*]")
            elif _is_plain(step):
                parts.append(f".{step}" if parts else step)
            else:
                parts.append(f"[{json.dumps(step, ensure_ascii=False)}]")
        return "".join(parts)

    def __str__(self) -> str:
        return self.text(())


def _is_plain(key: str) -> bool:
    return _PLAIN.fullmatch(key) is not None and key.isprintable()


def parse_path(text: str) -> FieldPath:
    """The path that `text` writes.  Raises `ValueError` that says what is wrong and at which column
    (from 1).
    """
    steps: list[Step] = []
    at = 0
    while at < len(text) or not steps:
        step, at = _parse_step(text, at, first=not steps)
        steps.append(step)
        if len(steps) > MAX_STEPS:
            raise _wrong(at, f"more than {MAX_STEPS} steps")
    return FieldPath(tuple(steps))


def _parse_step(text: str, at: int, *, first: bool) -> tuple[Step, int]:
    if text.startswith("[*]", at):
        if first:
            raise _wrong(at, "a record is an object, so a path begins with a key")
        return EACH, at + 3
    if text.startswith('["', at):
        return _parse_quoted(text, at + 1)
    if text.startswith("[", at):
        raise _wrong(at, 'expected [*] or ["key"]: elements are not numbered or filtered')
    if not first:
        if not text.startswith(".", at):
            after_bracket = text[at - 1] == "]"
            raise _wrong(at, 'expected "." or "["' if after_bracket else _why_no_key(text, at))
        at += 1
    match = _PLAIN.match(text, at)
    end = match.end() if match else at
    odd = next((place for place in range(at, end) if not text[place].isprintable()), None)
    if odd is not None:
        raise _wrong(odd, "a character that only a quoted key can have")
    if match is None:
        raise _wrong(at, _why_no_key(text, at))
    return match[0], end


def _why_no_key(text: str, at: int) -> str:
    if at == len(text) or text[at] in ".[":
        return "expected a key"
    if text[at].isspace():
        return 'a blank: write such a key as ["key"]'
    return 'a character that a plain key cannot have: write such a key as ["key"]'


def _parse_quoted(text: str, at: int) -> tuple[str, int]:
    try:
        key, end = json.JSONDecoder().raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _wrong(error.pos, "a quoted key is not a JSON string") from None
    if not text.startswith("]", end):
        raise _wrong(end, 'expected "]" after a quoted key')
    if not key:
        raise _wrong(at, "an empty key")
    if any("\ud800" <= character <= "\udfff" for character in key):
        raise _wrong(at, "a key with a lone surrogate")
    return key, end + 1


def _wrong(at: int, what: str) -> ValueError:
    return ValueError(f"column {at + 1}: {what}")


@dataclass(frozen=True)
class Misfit:
    """A record that does not have the shape that a path needs: something stands on the way that is
    neither null nor an object (an array).  `indices` are those of the arrays passed before it.
    """

    record: int
    path: FieldPath
    code: Literal["not_an_object", "not_an_array"]
    indices: tuple[int, ...] = ()

    @property
    def where(self) -> str:
        """The place in its record, as far as it could be followed."""
        return self.path.text(self.indices)


class Found:
    """What paths lead to in a batch of records: the `values`, none of them None, and where records do
    not fit, `misfits`; both record by record, and in each in the order of the paths.
    """

    __slots__ = ("_columns", "_order", "misfits", "values")

    def __init__(self, columns: Sequence[_Column], misfits: Sequence[Misfit]) -> None:
        self._columns: Final = columns
        self.misfits: Final = sorted(misfits, key=lambda misfit: misfit.record)
        side_by_side = list(chain.from_iterable(column.there for column in columns))
        self._order: Final = _order_of(columns) if len(columns) > 1 else None
        in_order = side_by_side if self._order is None else [side_by_side[at] for at in self._order]
        self.values: Final = in_order

    def put(self, replacements: Sequence[object]) -> None:
        """Put each replacement where the value of its position stood; None leaves what is there.

        It can be done again, for no path leads through another.
        """
        if len(replacements) != len(self.values):
            raise ValueError("every value has one replacement")
        left = iter(replacements)
        if self._order is not None:
            side_by_side: list[object] = [None] * len(replacements)
            for at, replacement in zip(self._order, replacements, strict=True):
                side_by_side[at] = replacement
            left = iter(side_by_side)
        for column in self._columns:
            column.put(left)

    def place(self, position: int) -> tuple[int, str]:
        """The record of the value at `position`, and its place there, as in `contacts[2].phone`."""
        at = position if self._order is None else self._order[position]
        for column in self._columns:
            if at < len(column.there):
                return column.place(at)
            at -= len(column.there)
        raise IndexError("no such value")

    def __repr__(self) -> str:
        return f"<Found {len(self.values)} values and {len(self.misfits)} misfits>"


class Fields:
    """The configured paths.

    Raises `ValueError`, naming the paths, when one stands twice, when one leads through another (which
    would then hold an object or array, no value), and when one takes for an array what another takes
    for an object (every record would be refused).
    """

    __slots__ = ("paths",)

    def __init__(self, paths: Iterable[FieldPath]) -> None:
        self.paths: Final = tuple(paths)
        for place, path in enumerate(self.paths):
            for other in self.paths[:place]:
                _refuse_conflict(other, path)

    def find(self, records: Sequence[dict[str, Any]]) -> Found:
        """The values under the paths, and where records do not fit.

        A path that is absent, and a null at its end or on the way, has no value.  What stands at the
        end of a path is not judged here: an object or array is `encode_value`'s to refuse.
        """
        misfits: list[Misfit] = []
        return Found([_follow(path, records, misfits) for path in self.paths], misfits)


def _refuse_conflict(one: FieldPath, other: FieldPath) -> None:
    if one == other:
        raise ValueError(f"the field {one} stands twice")
    for mine, its in zip(one.steps, other.steps, strict=False):
        if mine == its:
            continue
        if mine is EACH or its is EACH:
            raise ValueError(
                f"the fields {one} and {other}: one needs an array where one needs an object"
            )
        return
    raise ValueError(f"the fields {one} and {other}: one leads through the other")


@dataclass(frozen=True, repr=False)
class _Column:
    """Where the first steps of a path lead in a batch of records, all side by side: what is `there`, the
    `holders` that it stands in, and the `ways` to it: numbers of records, then for each array on the way
    the indices in it.
    """

    path: FieldPath
    there: Sequence[Any]
    holders: Sequence[Any]
    ways: tuple[Sequence[int], ...]

    def members(self, key: str) -> _Column:
        """One step on, out of objects; None where one has no such member."""
        return replace(self, there=[holder.get(key) for holder in self.there], holders=self.there)

    def elements(self) -> _Column:
        """One step on, out of arrays."""
        arrays = self.there
        again = [at for at, array in enumerate(arrays) for _ in array]
        ways = [[way[at] for at in again] for way in self.ways]
        ways.append([index for array in arrays for index in range(len(array))])
        there = list(chain.from_iterable(arrays))
        return replace(self, there=there, holders=[arrays[at] for at in again], ways=tuple(ways))

    def only(self, is_kept: Sequence[bool]) -> _Column:
        """What is marked, without the rest."""
        there, holders, *ways = (
            list(compress(side, is_kept)) for side in (self.there, self.holders, *self.ways)
        )
        return replace(self, there=there, holders=holders, ways=tuple(ways))

    def place(self, at: int) -> tuple[int, str]:
        """The record, and the place in it."""
        record, *indices = (way[at] for way in self.ways)
        return record, self.path.text(indices)

    def put(self, replacements: Iterator[object]) -> None:
        """At the end of the path, take one replacement for each that is there."""
        last = self.path.steps[-1]
        keys: Iterable[Any] = self.ways[-1] if last is EACH else repeat(last)
        for holder, key, replacement in zip(self.holders, keys, replacements, strict=False):
            if replacement is not None:
                holder[key] = replacement


def _order_of(columns: Sequence[_Column]) -> Sequence[int]:
    """Where in the columns, one behind the other, the values stand, in the order of records."""
    records = list(chain.from_iterable(column.ways[0] for column in columns))
    return sorted(range(len(records)), key=records.__getitem__)


def _follow(path: FieldPath, records: Sequence[dict[str, Any]], misfits: list[Misfit]) -> _Column:
    """All that stands at the end of the path; what does not fit on the way is added to `misfits`."""
    column = _Column(path, records, records, (range(len(records)),))
    odd: list[Misfit] = []
    for step in path.steps:
        kind = dict if step is not EACH else list
        if not set(map(type, column.there)) <= {kind}:
            column = _without_odd(column, kind, odd)
        column = column.elements() if step is EACH else column.members(step)
        if NoneType in set(map(type, column.there)):
            column = column.only([there is not None for there in column.there])
    misfits += sorted(odd, key=lambda misfit: (misfit.record, misfit.indices))
    return column


def _without_odd(column: _Column, kind: type, odd: list[Misfit]) -> _Column:
    fits = [type(there) is kind for there in column.there]
    for at, is_fit in enumerate(fits):
        if not is_fit:
            record, *indices = (way[at] for way in column.ways)
            code: Any = "not_an_object" if kind is dict else "not_an_array"
            odd.append(Misfit(record, column.path, code, tuple(indices)))
    return column.only(fits)
