"""The values of chosen Arrow columns through a vault, each different one once."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tvault.client.arrow_paths import put, replaced, row_of, taken
from tvault.client.arrow_plan import Goal, Plan
from tvault.client.arrow_types import Unfit, array_of, is_text, plain, value_type, values_of
from tvault.client.bulk import MOST_VALUES, Answers, Bulk, Each
from tvault.client.sending import with_places
from tvault.errors import VaultError
from tvault.model.tokens import parse_token

_TOKENS_BEGIN = "tv1_"

_WAY_OUT = (
    ", as those above it are; tvault.arrow.transform makes text of all, with types={…: pyarrow.string()}"
)


@dataclass(frozen=True, repr=False)
class Outcome:
    """The table with its columns converted; how many tokens were not found and where, in order; the
    epochs of new tokens; which old token became which new one."""

    table: pa.Table
    not_found: int = 0
    places: Iterator[str] = field(default_factory=lambda: iter(()))
    epochs: frozenset[int] = frozenset()
    changed: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class _Answer:
    """What became of some different values: `lost` are the positions of tokens that were not found."""

    found: pa.Array
    lost: tuple[int, ...] = ()
    epochs: frozenset[int] = frozenset()
    changed: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class _Part:
    """Some of the different values of a column, from `begin` on."""

    column: _Column
    begin: int
    values: pa.Array


class _Column:
    """What stands at a goal's place in a table: `different` are its values, each once, and `_numbers`
    say for each chunk which of them stand there."""

    def __init__(self, goal: Goal, table: pa.Table, first_row: int) -> None:
        self.goal = goal
        self._first_row = first_row
        self._chunks = table.column(goal.place.column).chunks
        self._leaves = [taken(chunk, goal.place.steps) for chunk in self._chunks]
        self._numbers = [pa.nulls(len(leaf), pa.int32()) for leaf in self._leaves]
        self.different = pa.array([], pa.string())
        # Without what is empty, which encoding would drop.
        at = [number for number, leaf in enumerate(self._leaves) if leaf.null_count < len(leaf)]
        if at:
            whole = pa.chunked_array([plain(self._leaves[number]) for number in at])
            encoded = pc.dictionary_encode(whole).unify_dictionaries().chunks
            self.different = encoded[0].dictionary
            for number, part in zip(at, encoded, strict=True):
                self._numbers[number] = part.indices

    def parts(self, size: int) -> list[_Part]:
        """The different values in parts."""
        begins = range(0, len(self.different), size)
        return [_Part(self, begin, self.different.slice(begin, size)) for begin in begins]

    def leaves(self, found: pa.Array) -> list[pa.Array]:
        """What stands there afterwards, chunk by chunk: `found` in the place of the different values."""
        return [self._leaf(*one, found) for one in zip(self._leaves, self._numbers, strict=True)]

    def _leaf(self, leaf: pa.Array, numbers: pa.Array, found: pa.Array) -> pa.Array:
        type_ = self.goal.field.type
        if not pa.types.is_dictionary(type_):
            return found.take(numbers).cast(type_)
        # The dictionary has what is used, in the order that it had: pandas may sort by it.
        used = pc.unique(numbers).drop_null()
        if pa.types.is_dictionary(leaf.type):
            order = pc.index_in(self.different.take(used), value_set=plain(leaf.dictionary))
            used = used.take(pc.sort_indices(order))
        short = pc.dictionary_encode(found.take(used))
        numbers = short.indices.take(pc.index_in(numbers, value_set=used)).cast(type_.index_type)
        dictionary = short.dictionary.cast(type_.value_type)
        return pa.DictionaryArray.from_arrays(numbers, dictionary, ordered=type_.ordered)

    def row(self, position: int) -> int:
        """The first row with the different value at `position`."""
        return next(self._rows(lambda numbers: pc.equal(numbers, position)))

    def lost_rows(self, lost: pa.Array) -> Iterator[tuple[int, str]]:
        """The rows, one for each time, in which one of the values at the positions `lost` stands."""
        for row in self._rows(lambda numbers: pc.is_in(numbers, value_set=lost)):
            yield row, self.goal.place.name

    def lost_count(self, lost: pa.Array) -> int:
        """How often they stand in all rows."""
        sums = [pc.sum(pc.is_in(numbers, value_set=lost)).as_py() or 0 for numbers in self._numbers]
        return sum(sums)

    def _rows(self, marks: Callable[[pa.Array], pa.Array]) -> Iterator[int]:
        first = self._first_row
        for chunk, numbers in zip(self._chunks, self._numbers, strict=True):
            marked = pc.fill_null(marks(numbers), False)  # noqa: FBT003 - null is not marked
            for at in pc.indices_nonzero(marked):
                yield first + row_of(chunk, self.goal.place.steps, at.as_py())
            first += len(chunk)


class Columns:
    """Converts tables by a plan.  Safe for many threads.

    A request holds up to `most` values, and `each` may make several at a time.  `name` stands before
    rows in messages.
    """

    def __init__(
        self, plan: Plan, bulk: Bulk, *, each: Each = map, most: int = MOST_VALUES, name: str = ""
    ) -> None:
        self._plan = plan
        self._each = each
        self._most = most
        self._name = name
        self._ask: Callable[[list[Any]], Answers[Any]] = bulk.asking(plan.operation)
        self._answer = {
            "tokenize": self._tokens,
            "detokenize": self._values,
            "retokenize": self._renewed,
        }[plan.operation]

    def __call__(self, table: pa.Table, first_row: int = 1) -> Outcome:
        """The table converted; its first row is called `first_row`.  Raises `VaultError`."""
        columns = [_Column(goal, table, first_row) for goal in self._plan.goals]
        parts = [part for column in columns for part in column.parts(self._most)]
        answers = list(zip(parts, self._each(self._placed, parts), strict=True))
        arrays, fields = list(table.columns), list(table.schema)
        lost: list[tuple[_Column, pa.Array]] = []
        for column in columns:
            mine = [(part, answer) for part, answer in answers if part.column is column]
            self._put(column, [answer.found for _, answer in mine], arrays, fields)
            missing = [part.begin + at for part, answer in mine for at in answer.lost]
            if missing:
                lost.append((column, pa.array(missing, pa.int32())))
                self._refuse_null(column, missing[0])
        return Outcome(
            pa.Table.from_arrays(arrays, schema=self._plan.schema),
            sum(column.lost_count(positions) for column, positions in lost),
            self._places(lost),
            frozenset[int]().union(*(answer.epochs for _, answer in answers)),
            {old: new for _, answer in answers for old, new in answer.changed.items()},
        )

    def _put(
        self,
        column: _Column,
        found: list[pa.Array],
        arrays: list[pa.ChunkedArray],
        fields: list[pa.Field],
    ) -> None:
        """Put what was found in the place of a column's values."""
        goal, place = column.goal, column.goal.place
        at = place.column
        fields[at] = replaced(fields[at], place.steps, goal.field)
        type_ = fields[at].type
        try:
            whole = pa.concat_arrays([pa.array([], value_type(goal.field.type)), *found])
            leaves = column.leaves(plain(whole))
        except (pa.ArrowException, OverflowError):
            leaves = None
        if leaves is None:
            raise VaultError(
                "too_large",
                f"{self._name}column {place.name}: its values are too many or too long for one array of "
                f"type {goal.field.type}; give fewer rows at a time",
            )
        chunks = zip(arrays[at].chunks, leaves, strict=True)
        arrays[at] = pa.chunked_array(
            [put(chunk, type_, place.steps, leaf) for chunk, leaf in chunks], type_
        )

    def _placed(self, part: _Part) -> _Answer:
        """What becomes of a part.  Raises `VaultError` with rows in it."""
        column = part.column
        place = f"column {column.goal.place.name}"
        try:
            return self._answer(part)
        except VaultError as error:
            told = with_places(error, lambda at: f"row {column.row(part.begin + at)}, {place}")
            if told is error:
                raise
            raise replace(told, detail=f"{self._name}{told.detail}") from None
        except Unfit as error:
            at, why = error.position, error.why if column.goal.is_told else f"{error.why}{_WAY_OUT}"
        raise VaultError(
            "invalid_value", f"{self._name}row {column.row(part.begin + at)}, {place}: {why}"
        )

    def _tokens(self, part: _Part) -> _Answer:
        made = self._ask(values_of(part.values))
        type_ = value_type(part.column.goal.field.type)
        return _Answer(pa.array(made.found, type_), epochs=made.epochs)

    def _values(self, part: _Part) -> _Answer:
        goal = part.column.goal
        type_ = value_type(goal.field.type)
        texts = values_of(part.values)
        values = self._ask(texts).found
        lost = tuple(at for at, value in enumerate(values) if value is None)
        found = array_of(values, type_, is_lenient=goal.is_lenient)
        if lost and self._plan.keeps and is_text(type_):
            found = pc.coalesce(found, part.values.cast(type_))
        return _Answer(found, lost)

    def _renewed(self, part: _Part) -> _Answer:
        """What is no token stays and is not counted; a token that is not found stays, too."""
        kept = part.values.cast(value_type(part.column.goal.field.type))
        likely = pc.indices_nonzero(pc.starts_with(part.values, _TOKENS_BEGIN)).to_pylist()
        texts = {at: text for at in likely if parse_token(text := _text(part.values, at)) is not None}
        if not texts:
            return _Answer(kept)
        made = self._ask(list(texts.values()))
        new = dict(zip(texts, made.found, strict=True))
        changes = [new.get(at) for at in range(len(kept))]
        return _Answer(
            pc.coalesce(pa.array(changes, kept.type), kept),
            tuple(at for at, token in new.items() if token is None),
            made.epochs,
            {
                texts[at].encode(): token.encode()
                for at, token in new.items()
                if token is not None and token != texts[at]
            },
        )

    def _refuse_null(self, column: _Column, position: int) -> None:
        """Refuse a token that is not found where neither it nor null can stand."""
        goal = column.goal
        if goal.field.nullable or is_text(goal.field.type):
            return
        raise VaultError(
            "invalid_value",
            f"{self._name}row {column.row(position)}, column {goal.place.name}: the token is not found, "
            f"and this column of type {goal.field.type} takes no null; leave the column out",
        )

    def _places(self, lost: list[tuple[_Column, pa.Array]]) -> Iterator[str]:
        """Where tokens stand that were not found, in the order of rows."""
        for row, column in heapq.merge(*(column.lost_rows(positions) for column, positions in lost)):
            yield f"row {row}, column {column}"


def _text(texts: pa.Array, at: int) -> str:
    try:
        return str(texts[at].as_py())
    except UnicodeDecodeError:
        return ""
