"""How the result of a statement is written: a table for people, CSV, JSON, JSON Lines or Parquet."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from itertools import chain
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from tvault.cli.output import visible, width
from tvault.cli.sql_session import Column, Result
from tvault.cli.sql_values import NUMBERS, as_json_object, cell, in_parquet
from tvault.errors import VaultError

Row = Sequence["str | None"]

SHOWN_ROWS = 40
"""So many rows are shown on a terminal.  For not more than 50 DuckDB sorts first and recovers then."""

NARROWEST = 8
"""A column is not made narrower to fit a terminal."""

ROWS_IN_A_GROUP = 122_880
BYTES_IN_A_GROUP = 64 * 1024 * 1024


class Form(Protocol):
    """Writes a result to its end, and gives the number of rows."""

    def __call__(self, result: Result, target: BinaryIO) -> int: ...


def write_csv(result: Result, target: BinaryIO) -> int:
    """A header and the rows.  NULL is an empty cell, an empty text is `""`."""
    cells = [_csv_cell(cell(each.type, f"c{at}")) for at, each in enumerate(result.columns)]
    target.write((",".join(_csv_text(each.name) for each in result.columns) + "\n").encode())
    count = 0
    for rows in result.rows([" || ',' || ".join(cells)]):
        target.write("".join(f"{line}\n" for (line,) in rows).encode())
        count += len(rows)
    return count


def write_json(result: Result, target: BinaryIO) -> int:
    """One array of objects, each on a line of its own."""
    target.write(b"[")
    count = 0
    for rows in result.rows([_object(result.columns)]):
        if rows:
            target.write(
                ((",\n" if count else "") + ",\n".join(line or "" for (line,) in rows)).encode()
            )
        count += len(rows)
    target.write(b"]\n")
    return count


def write_jsonl(result: Result, target: BinaryIO) -> int:
    """An object a line."""
    count = 0
    for rows in result.rows([_object(result.columns)]):
        target.write("".join(f"{line}\n" for (line,) in rows).encode())
        count += len(rows)
    return count


def write_parquet(result: Result, target: BinaryIO) -> int:
    """Columns with their types; what Parquet has no type for is text, HUGEINT a decimal of 38 digits."""
    names = distinct_names(result.columns)
    sql = [in_parquet(each.type, f"c{at}") for at, each in enumerate(result.columns)]
    writer: pq.ParquetWriter | None = None
    count = 0
    waiting: list[pa.Table] = []
    for table in result.tables(sql):
        named = table.rename_columns(names)
        writer = writer or pq.ParquetWriter(target, named.schema, compression="zstd")
        waiting.append(named)
        count += named.num_rows
        if _is_a_group(waiting):
            writer.write_table(pa.concat_tables(waiting), row_group_size=ROWS_IN_A_GROUP)
            waiting = []
    if writer is not None:
        if waiting:
            writer.write_table(pa.concat_tables(waiting), row_group_size=ROWS_IN_A_GROUP)
        writer.close()
    return count


FORMS: dict[str, Callable[[Result, BinaryIO], int]] = {
    ".csv": write_csv,
    ".json": write_json,
    ".jsonl": write_jsonl,
    ".ndjson": write_jsonl,
    ".parquet": write_parquet,
}
"""How a file is written, by its suffix."""


class Table:
    """A table for people: columns aligned, numbers to the right, NULL as NULL, and what would move the
    cursor or change colours as an escape.

    With `columns`, those of a terminal, cells are cut to fit, and only the first rows are shown.
    """

    def __init__(self, columns: int | None = None) -> None:
        self._columns = columns
        self._widths: list[int] = []

    @classmethod
    def for_terminal(cls) -> Table:
        """For the terminal that stdout is."""
        return cls(shutil.get_terminal_size().columns)

    @property
    def most_rows(self) -> int | None:
        """How many rows it wants; one more than it shows tells that there are more."""
        return None if self._columns is None else SHOWN_ROWS + 1

    def __call__(self, result: Result, target: BinaryIO) -> int:
        if result.is_plan:
            return _write_plan(result, target)
        self._widths = []
        header = [visible(each.name) for each in result.columns]
        is_number = [each.type.id in NUMBERS for each in result.columns]
        count = 0
        for rows in result.rows([cell(each.type, f"c{at}") for at, each in enumerate(result.columns)]):
            shown = [[_shown(each) for each in row] for row in rows[: self._room(count)]]
            lines = []
            if not self._widths:
                self._widths = self._fitting([header, *shown])
                lines.append(self._line(header, is_number))
            lines += [self._line(each, is_number) for each in shown]
            target.write("".join(f"{line}\n" for line in lines).encode())
            count += len(rows)
        return count

    def _room(self, count: int) -> int | None:
        return None if self._columns is None else max(SHOWN_ROWS - count, 0)

    def _fitting(self, lines: Sequence[Sequence[str]]) -> list[int]:
        widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
        if self._columns is None:
            return widths
        while sum(widths) + 2 * (len(widths) - 1) > self._columns and max(widths) > NARROWEST:
            widest = widths.index(max(widths))
            spare = sum(widths) + 2 * (len(widths) - 1) - self._columns
            second = max([each for at, each in enumerate(widths) if at != widest], default=0)
            widths[widest] = max(NARROWEST, widths[widest] - min(spare, max(1, widths[widest] - second)))
        return widths

    def _line(self, cells: Sequence[str], is_number: Sequence[bool]) -> str:
        placed = []
        for text, room, is_right in zip(cells, self._widths, is_number, strict=True):
            fitted = text if self._columns is None else _cut(text, room)
            blanks = " " * (room - width(fitted))
            placed.append(blanks + fitted if is_right else fitted + blanks)
        return "  ".join(placed).rstrip()


def distinct_names(columns: Sequence[Column]) -> list[str]:
    """The names of columns, where each has to be another one: the second `a` is `a_1`."""
    names: list[str] = []
    taken = {each.name for each in columns}
    for each in columns:
        name, number = each.name, 0
        while name in names or (number and name in taken):
            number += 1
            name = f"{each.name}_{number}"
        names.append(name)
    return names


def form_of(suffix: str, file: str) -> Callable[[Result, BinaryIO], int]:
    """How this file is written.  Raises `VaultError` (`usage`)."""
    if suffix.lower() not in FORMS:
        known = ", ".join(FORMS)
        raise VaultError("usage", f"cannot tell how to write {file}: its suffix is none of {known}")
    return FORMS[suffix.lower()]


def _is_a_group(tables: Sequence[pa.Table]) -> bool:
    rows = sum(each.num_rows for each in tables)
    return bool(rows >= ROWS_IN_A_GROUP or sum(each.nbytes for each in tables) >= BYTES_IN_A_GROUP)


def _object(columns: Sequence[Column]) -> str:
    named = zip(distinct_names(columns), columns, strict=True)
    return as_json_object([(name, each.type, f"c{at}") for at, (name, each) in enumerate(named)])


def _csv_cell(sql: str) -> str:
    is_plain = f"{sql} <> '' AND NOT regexp_matches({sql}, '[\",\\r\\n]')"
    in_quotes = f"'\"' || replace({sql}, '\"', '\"\"') || '\"'"
    return f"CASE WHEN {sql} IS NULL THEN '' WHEN {is_plain} THEN {sql} ELSE {in_quotes} END"


def _csv_text(name: str) -> str:
    is_plain = name and not set(name) & set('",\r\n')
    return name if is_plain else '"' + name.replace('"', '""') + '"'


def _shown(text: str | None) -> str:
    if text is None:
        return "NULL"
    return '"NULL"' if text == "NULL" else visible(text)


def _cut(text: str, room: int) -> str:
    if width(text) <= room:
        return text
    kept, used = [], 0
    for each in text:
        used += width(each)
        if used > room - 1:
            break
        kept.append(each)
    return "".join(kept) + "…"


def _write_plan(result: Result, target: BinaryIO) -> int:
    """What EXPLAIN draws, of several lines."""
    last = len(result.columns) - 1
    rows = chain.from_iterable(result.rows([cell(result.columns[last].type, f"c{last}")]))
    count = 0
    for (drawn,) in rows:
        lines = (visible(line) for line in (drawn or "").rstrip("\n").split("\n"))
        target.write("".join(f"{line}\n" for line in lines).encode())
        count += 1
    return count
