"""CSV of every kind: what is taken means what Python reads, and every byte of it stays."""

from __future__ import annotations

import csv
import io
import re

from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.examples import fuzzed
from tests.unit.client.test_csv_files import Trickle
from tvault.client.csv_batches import Cells, chosen_cells, token_cells
from tvault.client.csv_file import CsvFile
from tvault.client.records import Cut
from tvault.errors import VaultError
from tvault.model.tokens import parse_token

TOKEN = b"tv1_7_" + b"0a" * 16
PIECES = [
    *(b"a", b"bb", b" ", b",", b",", b",", b";", b"\t", b'"', b'"', b'""', b'"a"', b",b\n", b"a,b\n"),
    *(b"\n", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xfe", b"\xc3\xa9", b"\xef\xbb\xbf", b"\xf0\x9f"),
    *(b'"a,b",', b'\n"x\ny",', b'5" ', TOKEN, b'"' + TOKEN + b'"', TOKEN + b","),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join) | st.binary(max_size=20)


def judged(text: bytes) -> tuple[list[list[str]], list[int]]:
    """The rows as Python reads them, without those that are blank lines, and the lines they begin in."""
    lines = re.findall("[^\n]*\n|[^\n]+", text.decode("utf-8-sig"))
    reader = csv.reader(lines)
    rows, numbers = [], []
    number = 1
    for row in reader:
        if row:
            rows.append(row)
            numbers.append(number)
        number = reader.line_num + 1
    return rows, numbers


def value(cells: Cells, record: bytes) -> str:
    return cells.file.quotes.value(record).decode()


@given(TEXTS, st.integers(1, 3), st.integers(1, 30), st.integers(1, 9))
@example(b'a,b\nx"y,"z"\n', 1, 1, 1)
@example(b'a,b\n"x""\n,""y",z', 1, 1, 1)
@example(b'a,b\n"\n",%b\n"\n",%b' % (TOKEN, TOKEN), 2, 30, 9)
@example(b'a,b\n"%b""x","x""%b"\n' % (TOKEN, TOKEN), 1, 1, 1)
@example(b'a\n"\n"\n\n"\n\n"\n"%b"\n"\n"\n%b' % (TOKEN, TOKEN), 1, 1, 1)
@fuzzed(600)
def test_any_bytes_are_refused_or_read_as_python_reads_them_and_written_as_they_were(
    text: bytes, records: int, size: int, most: int
) -> None:
    try:
        file = CsvFile(Trickle(text, most), b",")
        batches = list(chosen_cells(file, range(len(file.names)), Cut(records, size)))
        other = CsvFile(Trickle(text, most + 1), b",")
        tokens = list(token_cells(other, Cut(records, size)))
    except VaultError as error:
        assert error.code == "malformed"  # noqa: PT017  both outcomes are right
        return
    (header, *rows), (_, *numbers) = judged(text)
    assert file.names == header
    assert file.header + b"".join(batch.filled(batch.records) for batch in batches) == text
    assert other.header + b"".join(batch.filled(batch.records) for batch in tokens) == text
    found: list[list[str]] = []
    places = []
    for batch in batches:
        places += [batch.place(row) for row in range(batch.count)]
        texts = [value(batch, record) for record in batch.records]
        columns = [texts[at * batch.count : (at + 1) * batch.count] for at in range(len(header))]
        found += map(list, zip(*columns, strict=True))
    assert found == rows
    assert places == [f"line {number}, column {header[0]}" for number in numbers]
    named = [each.place(at) for each in tokens for at in range(len(each.records))]
    assert named == [
        f"line {number}, column {name}"
        for number, row in zip(numbers, rows, strict=True)
        for name, cell in zip(header, row, strict=True)
        if parse_token(cell) is not None
    ]


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2)))
@fuzzed(200)
def test_every_table_that_python_writes_is_taken(rows: list[list[str]]) -> None:
    rows = [[cell.replace("\0", "") for cell in row] for row in rows]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b"], *rows])
    file = CsvFile(io.BytesIO(text.getvalue().encode()), None)
    batches = list(chosen_cells(file, [1], Cut()))
    assert [value(each, record) for each in batches for record in each.records] == [
        row[1] for row in rows
    ]
