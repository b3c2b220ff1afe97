"""Batches of the cells of a CSV file that are to be converted.

Every byte of the other cells stays, and so do delimiters, quotes, line ends and blank lines.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import accumulate

from tvault.client.bulk import MOST_VALUES
from tvault.client.csv_file import CsvFile
from tvault.client.csv_quotes import HIDDEN_LINE_END
from tvault.client.records import Cut
from tvault.errors import VaultError

# A cell that is a token, with or without quotes: hidden text has no other delimiters and line ends than
# those between cells.  What stands before it is looked at last: a search for the letters is quick.
_TOKEN = (
    rb'(tv1_(?:(?<=[%b\n]tv1_)|(?<=[%b\n]"tv1_)|(?<=\Atv1_)|(?<=\A"tv1_))'
    rb'[1-9][0-9]{0,17}_[0-9a-f]{32})(?="?(?:[%b\r\n]|\Z))'
)


class Cells(ABC):
    """The cells of some rows that follow each other.

    `records` are those to convert, as they stand in the file but hidden (`Quotes`); `count` is how many
    rows there are; `end` counts the file's bytes up to the end of this batch.
    """

    records: list[bytes]
    count: int

    def __init__(self, file: CsvFile, end: int) -> None:
        self.file = file
        self.end = end

    @abstractmethod
    def filled(self, records: Sequence[bytes]) -> bytes:
        """The text of the rows with as many `records` in the place of their own."""

    @abstractmethod
    def row(self, position: int) -> int:
        """A number that is the greater the further down in the file the record at `position` stands."""

    @abstractmethod
    def place(self, position: int, field: str = "") -> str:
        """Where people find the record at `position`."""


class ChosenCells(Cells):
    """The cells in chosen columns: `records` has them column by column."""

    def __init__(self, file: CsvFile, columns: Sequence[int], lines: list[bytes], first: int, end: int):
        super().__init__(file, end)
        self._columns = columns
        self._first = first
        self._returns: list[bytes] = []
        if file.has_returns:
            self._returns = [b"\r" if line.endswith(b"\r") else b"" for line in lines]
            lines = [line.removesuffix(b"\r") for line in lines]
        self._lines = lines
        self._has_blank = b"" in lines[:-1]
        _check_widths(file, lines, first)
        full = self._full(self._rows())
        self.count = len(full)
        self.records = [row[column] for column in columns for row in full]

    def _rows(self) -> list[list[bytes]]:
        delimiter = self.file.delimiter
        return [line.split(delimiter) for line in self._lines]

    def _full(self, rows: list[list[bytes]]) -> list[list[bytes]]:
        if self._has_blank:
            return [row for row in rows if row != [b""]]
        return rows if self._lines[-1] else rows[:-1]

    def filled(self, records: Sequence[bytes]) -> bytes:
        # Cut again: cells that wait for an answer would take many times the memory of lines.
        rows = self._rows()
        full = self._full(rows)
        left = iter(records)
        for column in self._columns:
            for row, record in zip(full, left, strict=False):
                row[column] = record
        lines = list(map(self.file.delimiter.join, rows))
        if self._returns:
            lines = [line + end for line, end in zip(lines, self._returns, strict=True)]
        return self.file.shown(b"\n".join(lines))

    def row(self, position: int) -> int:
        return position % self.count

    def place(self, position: int, field: str = "") -> str:  # noqa: ARG002
        column, row = divmod(position, self.count)
        numbers = _numbers(self._lines, self._first)
        full = [number for number, line in zip(numbers, self._lines, strict=True) if line]
        return f"line {full[row]}, column {self.file.names[self._columns[column]]}"


class TokenCells(Cells):
    """All cells that are tokens, whichever column they stand in."""

    def __init__(
        self, file: CsvFile, token: re.Pattern[bytes], lines: list[bytes], first: int, end: int
    ):
        super().__init__(file, end)
        _check_widths(file, lines, first)
        self.count = len(lines) - lines.count(b"") - lines.count(b"\r")
        self._first = first
        self._pieces = token.split(b"\n".join(lines))
        self.records = self._pieces[1::2]

    def filled(self, records: Sequence[bytes]) -> bytes:
        pieces = [*self._pieces]
        pieces[1::2] = records
        return self.file.shown(b"".join(pieces))

    def row(self, position: int) -> int:
        return position

    def place(self, position: int, field: str = "") -> str:  # noqa: ARG002
        before = b"".join(self._pieces[: 2 * position + 1])
        line = before.rpartition(b"\n")[2]
        number = self._first + before.count(b"\n") + before.count(HIDDEN_LINE_END)
        number -= line.count(HIDDEN_LINE_END)
        return f"line {number}, column {self.file.names[line.count(self.file.delimiter)]}"


def token_cells(file: CsvFile, cut: Cut) -> Iterator[Cells]:
    """The file's rows in order, with all cells that are tokens.  Raises as `CsvFile` does, and for a row
    with another number of cells than the header."""
    cuts = re.escape(file.delimiter)
    token = re.compile(_TOKEN % (cuts, cuts, cuts))
    for lines, first, end in _batches(file, cut, cut.records):
        yield TokenCells(file, token, lines, first, end)


def chosen_cells(file: CsvFile, columns: Sequence[int], cut: Cut) -> Iterator[Cells]:
    """The file's rows in order, with the cells of the columns with these indices.  Raises as `CsvFile`
    does, and for a row with another number of cells than the header."""
    most = min(cut.records, max(1, MOST_VALUES // len(columns)))
    for lines, first, end in _batches(file, cut, most):
        yield ChosenCells(file, columns, lines, first, end)


def _batches(file: CsvFile, cut: Cut, most: int) -> Iterator[tuple[list[bytes], int, int]]:
    """Text of whole lines, at most so many, split at line feeds; with the number of its first line, and
    the file's bytes up to its end.  Text that ends with a line feed has nothing behind it."""
    held: list[bytes] = []
    last = b""
    line, end = file.line, file.passed
    for piece in file.pieces():
        lines = piece.split(b"\n")
        last = lines.pop()
        held += lines
        is_due = file.passed - end >= cut.bytes
        ready = len(held) if is_due else len(held) - len(held) % most
        for begin in range(0, ready, most):
            some = held[begin : min(begin + most, ready)]
            end += sum(map(len, some)) + len(some)
            yield [*some, b""], line, end
            line += len(some) + _hidden_ends(file, some)
        held = held[ready:]
    if held or last:
        yield [*held, last], line, file.passed


def _hidden_ends(file: CsvFile, lines: list[bytes]) -> int:
    """How many ends of lines stand in quotes."""
    return sum(line.count(HIDDEN_LINE_END) for line in lines) if file.has_quotes else 0


def _numbers(lines: list[bytes], first: int) -> list[int]:
    """The number of each line, of which the first one is `first`."""
    sizes = [1 + line.count(HIDDEN_LINE_END) for line in lines[:-1]]
    return list(accumulate(sizes, initial=first))


def _check_widths(file: CsvFile, lines: list[bytes], first: int) -> None:
    """Refuse a row, but no blank line, with another number of cells than the header."""
    wanted = len(file.names) - 1
    delimiter = file.delimiter
    rows = lines if lines[-1] else lines[:-1]
    if {line.count(delimiter) for line in rows} <= {wanted}:
        return
    for number, line in zip(_numbers(lines, first), lines, strict=True):
        found = line.count(delimiter)
        if found != wanted and line not in {b"", b"\r"}:
            told = f"line {number} has {found + 1} cells, and the header {wanted + 1}"
            raise VaultError("malformed", told)
