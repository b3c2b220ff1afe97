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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

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


class Slot(msgspec.Struct):
    """A place in a record that holds a value: `value` is what stood there when it was found, never
    None.  `indices` are those of the arrays on the way.
    """

    container: Any
    key: Any
    value: Any
    record: int
    path: FieldPath
    indices: tuple[int, ...] = ()

    @property
    def where(self) -> str:
        """The place in its record, as in `contacts[2].phone`."""
        return self.path.text(self.indices)

    def put(self, replacement: object) -> None:
        """Put `replacement` where the value stood."""
        self.container[self.key] = replacement

    def __repr__(self) -> str:
        return f"<Slot {self.where} of record {self.record}>"


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


class Fields:
    """The configured paths.

    Raises `ValueError`, naming the paths, when one stands twice, when one leads through another (which
    would then hold an object or array, no value), and when one takes for an array what another takes
    for an object (every record would be refused).
    """

    __slots__ = ("_names", "paths")

    def __init__(self, paths: Iterable[FieldPath]) -> None:
        self.paths: Final = tuple(paths)
        for place, path in enumerate(self.paths):
            for other in self.paths[:place]:
                _refuse_conflict(other, path)
        # The key of a path that is one plain member: the common case, found without a walk.
        self._names: Final = tuple(
            path.steps[0] if len(path.steps) == 1 else None for path in self.paths
        )

    def slots(self, records: Sequence[dict[str, Any]]) -> tuple[list[Slot], list[Misfit]]:
        """The values under the paths, record by record and in each in the order of the paths, and
        where records do not fit.

        A path that is absent, and a null at its end or on the way, has no slot.  What stands at the
        end of a path is not judged here: an object or array is `encode_value`'s to refuse.  The slots
        of one call stay right while others of them are put, for no path leads through another.
        """
        found: list[Slot] = []
        misfits: list[Misfit] = []
        put = found.append
        walks = [
            (name, _Walk(path, put, misfits.append))
            for name, path in zip(self._names, self.paths, strict=True)
        ]
        for index, record in enumerate(records):
            for name, walk in walks:
                if name is None:
                    walk.follow(index, record, 0, ())
                    continue
                value = record.get(name)
                if value is not None:
                    put(Slot(record, name, value, index, walk.path))
        return found, misfits


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


@dataclass(frozen=True)
class _Walk:
    """One path, followed through record after record."""

    path: FieldPath
    found: Callable[[Slot], None]
    misfit: Callable[[Misfit], None]

    def follow(self, record: int, holder: Any, depth: int, indices: tuple[int, ...]) -> None:
        """Follow the steps from `depth` on, the first of them out of `holder`, which is not None."""
        steps = self.path.steps
        for place in range(depth, len(steps)):
            step = steps[place]
            if step is EACH:
                self._follow_each(record, holder, place, indices)
                return
            if not isinstance(holder, dict):
                self.misfit(Misfit(record, self.path, "not_an_object", indices))
                return
            there = holder.get(step)
            if there is None:
                return
            if place + 1 == len(steps):
                self.found(Slot(holder, step, there, record, self.path, indices))
            holder = there

    def _follow_each(self, record: int, holder: Any, place: int, indices: tuple[int, ...]) -> None:
        if not isinstance(holder, list):
            self.misfit(Misfit(record, self.path, "not_an_array", indices))
            return
        is_last = place + 1 == len(self.path.steps)
        for index, element in enumerate(holder):
            if element is None:
                continue
            if is_last:
                self.found(Slot(holder, index, element, record, self.path, (*indices, index)))
            else:
                self.follow(record, element, place + 1, (*indices, index))
