"""Files are cut into batches, and everything between the records stays."""

from __future__ import annotations

import io
import itertools
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tvault.client.json_document import READ_BYTES, json_batches
from tvault.client.jsonl import jsonl_batches
from tvault.client.records import Batch, Cut, are_objects, check_record
from tvault.errors import VaultError

Reader = Callable[[BinaryIO, Cut], Iterator[Batch]]

blanks = st.text(" \t\r\n", max_size=5)
blanks_of_a_line = st.text(" \t\r", max_size=3)
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.text('{}[]",\\aé😀\n'),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text('{}"\\a', max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
records = st.dictionaries(st.text('ab{"', max_size=3), json_values, max_size=3)


class Dribble(io.RawIOBase):
    """A file that gives few bytes at a time."""

    def __init__(self, content: bytes, step: int) -> None:
        self._content = io.BytesIO(content)
        self._step = step

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(min(self._step, size) if size >= 0 else self._step)


def rebuilt(batches: list[Batch]) -> bytes:
    return b"".join(batch.filled(batch.records) for batch in batches)


def texts(batches: list[Batch]) -> list[bytes]:
    return [record for batch in batches for record in batch.records]


def places(batches: list[Batch]) -> list[int]:
    return [place for batch in batches for place in batch.places]


@given(
    st.lists(st.tuples(blanks_of_a_line, st.one_of(st.none(), records), blanks_of_a_line)),
    st.sampled_from(["", "\n"]),
    st.integers(1, 4),
)
def test_lines_are_cut_and_put_together_again(
    lines: list[tuple[str, dict[str, object] | None, str]], ending: str, most: int
) -> None:
    rows = [
        before + ("" if record is None else json.dumps(record, ensure_ascii=False)) + after
        for before, record, after in lines
    ]
    content = ("\n".join(rows) + ending).encode()
    batches = list(jsonl_batches(io.BytesIO(content), Cut(records=most)))
    assert rebuilt(batches) == content
    assert [json.loads(text) for text in texts(batches)] == [
        record for _, record, _ in lines if record is not None
    ]
    assert places(batches) == [
        number for number, (_, record, _) in enumerate(lines, 1) if record is not None
    ]
    assert all(len(batch.records) <= most for batch in batches)
    assert [batch.end for batch in batches][-1:] == [len(content)][: len(content)]


@given(
    st.lists(st.tuples(blanks, records, blanks)), blanks, blanks, st.integers(1, 4), st.integers(1, 20)
)
def test_an_array_is_cut_and_put_together_again(
    items: list[tuple[str, dict[str, object], str]], before: str, after: str, most: int, step: int
) -> None:
    inner = ",".join(
        lead + json.dumps(record, ensure_ascii=False) + trail for lead, record, trail in items
    )
    content = f"{before}[{inner or before}]{after}".encode()
    batches = list(json_batches(Dribble(content, step), Cut(records=most)))  # type: ignore[arg-type]
    assert rebuilt(batches) == content
    assert [json.loads(text) for text in texts(batches)] == [record for _, record, _ in items]
    assert places(batches) == list(range(1, len(items) + 1))
    assert all(len(batch.records) <= most for batch in batches)
    assert batches[-1].end == len(content)


@given(blanks, records, blanks, st.integers(1, 20))
def test_a_single_object_stays_one(
    before: str, record: dict[str, object], after: str, step: int
) -> None:
    content = f"{before}{json.dumps(record, indent=1)}{after}".encode()
    batches = list(json_batches(Dribble(content, step), Cut()))  # type: ignore[arg-type]
    assert rebuilt(batches) == content
    assert [json.loads(text) for text in texts(batches)] == [record]


def test_a_record_longer_than_the_window_is_read_whole() -> None:
    record = {"a": "x" * (3 * READ_BYTES), "b": '\\"' * READ_BYTES}
    content = json.dumps([record, {}]).encode()
    assert texts(list(json_batches(io.BytesIO(content), Cut())))[0] == json.dumps(record).encode()


class RestlessCut(Cut):
    """A cut that another thread changes between any two looks at it."""

    def __getattribute__(self, name: str) -> object:
        value = super().__getattribute__(name)
        if name == "records":
            self.records = {7: 3, 3: 11, 11: 7}[value]
        return value


def test_a_string_of_escapes_takes_a_few_times_its_bytes() -> None:
    content = b'[{"a":"' + b"\\n" * 500_000 + b'"}]'
    tracemalloc.start()
    try:
        [batch] = json_batches(io.BytesIO(content), Cut())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert batch.filled(batch.records) == content
    # Regular expressions of Python 3.10 remember each repetition, to give it back.
    assert peak < (10 if sys.version_info >= (3, 11) else 150) * len(content)


@pytest.mark.parametrize("reader", [jsonl_batches, json_batches])
def test_a_cut_may_change_at_any_moment_and_every_record_comes_once(reader: Reader) -> None:
    lines = [b'{"n":%d}' % number for number in range(1_000)]
    content = b"\n".join(lines) if reader is jsonl_batches else b"[" + b",\n".join(lines) + b"]"
    batches = list(reader(io.BytesIO(content), RestlessCut(records=7)))
    assert texts(batches) == lines
    assert places(batches) == list(range(1, 1_001))
    assert rebuilt(batches) == content


def test_a_batch_ends_when_its_records_have_enough_bytes() -> None:
    line = b'{"a":"' + b"x" * 100 + b'"}\n'
    content = line * 3 + b'{"a":"' + b"x" * 500 + b'"}\n' + line * 3
    sizes = [len(batch.records) for batch in jsonl_batches(io.BytesIO(content), Cut(bytes=250))]
    assert sizes == [2, 1, 1, 2, 1]


def test_blank_lines_without_end_do_not_gather_in_memory() -> None:
    batches = list(jsonl_batches(io.BytesIO(b"\n" * 1000), Cut(bytes=100)))
    assert rebuilt(batches) == b"\n" * 1000
    assert max(len(batch.tail) for batch in batches) <= 100


@pytest.mark.parametrize(
    ("reader", "content", "said"),
    [
        (jsonl_batches, b'{}\n\n{"a":}\n', "line 3 is not JSON (column 6)"),
        (jsonl_batches, b'{"a":1},{"b":2}\n', "line 1 is not JSON (column 8)"),
        (jsonl_batches, b'{"a":1} {"b":2}\n', "line 1 is not JSON (column 9)"),
        (jsonl_batches, b'{}\n{"a":\n1}\n', "line 2 is not JSON"),
        (jsonl_batches, b"{}\n[1]\n", "line 2 is JSON, but not an object"),
        (jsonl_batches, b"{}\nnull\n", "line 2 is JSON, but not an object"),
        (jsonl_batches, b'{"a":NaN}\n', "line 1 is not JSON (NaN or Infinity)"),
        (jsonl_batches, b'{"a":"\xff"}\n', "line 1 is not UTF-8 (byte 7 of it)"),
        (
            jsonl_batches,
            b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "line 1 is nested too deeply",
        ),
        (jsonl_batches, b"\xef\xbb\xbf{}\n", "begins with a byte order mark"),
        (jsonl_batches, "{}\n".encode("utf-16"), "is UTF-16"),
        (json_batches, b"", "holds neither an array of objects nor an object"),
        (json_batches, b" \n ", "holds neither an array of objects nor an object"),
        (json_batches, b"3", "holds neither an array of objects nor an object"),
        (json_batches, b"\xef\xbb\xbf[]", "begins with a byte order mark"),
        (json_batches, b"[{},]", "record 2 is not an object"),
        (json_batches, b"[{} {}]", "expected ',' or ']' after record 1"),
        (json_batches, b"[{},3]", "record 2 is not an object"),
        (json_batches, b"[{}", "expected ',' or ']' after record 1"),
        (json_batches, b'[{},{"a":', "ends in the middle of record 2"),
        (json_batches, b'[{"a":"]}', "ends in the middle of record 1"),
        (json_batches, b'[{"a":1]}]', "record 1 is not JSON"),
        (json_batches, b'[{"a":tru}]', "record 1 is not JSON (column 6)"),
        (json_batches, b"[{}] x", "goes on after its array"),
        (json_batches, b"{}\n{}\n", "is it JSON Lines?"),
    ],
)
def test_what_is_no_file_of_records_is_refused_with_its_place(
    reader: Reader, content: bytes, said: str
) -> None:
    with pytest.raises(VaultError) as caught:
        list(reader(io.BytesIO(content), Cut()))
    assert caught.value.code == "malformed"
    assert said in caught.value.detail


PIECES = [
    b'{"a":1}',
    b'{"a":1',
    b'{"a":{}',
    b'{"a":[{}',
    b'"b":2}',
    b"{}",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b'"',
    b"\\",
    b" ",
    b"\r",
    b"\x00",
    b"\xff",
    b'{"a":"\xc3\xa9"}',
    b'{"a":"\xc3',
    b'\xa9"}',
    b'{"a":1e999}',
    b'{"a":"\\ud800"}',
    b"null",
]


def told_line_by_line(content: bytes) -> list[bytes] | str:
    """The records of a file, or why it holds none, by the check of single lines alone."""
    records = []
    try:
        for number, line in enumerate(content.split(b"\n"), 1):
            if record := line.strip(b" \t\r"):
                check_record(record, f"line {number}")
                records.append(record)
    except VaultError as error:
        return error.detail
    return records


def told(content: bytes, cut: Cut, reader: Reader = jsonl_batches) -> list[bytes] | str:
    try:
        return texts(list(reader(io.BytesIO(content), cut)))
    except VaultError as error:
        return error.detail


@settings(max_examples=300)
@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=4).map(b"".join), max_size=5).map(b"\n".join),
    st.integers(1, 4),
)
def test_lines_checked_together_are_judged_as_each_of_them_alone(content: bytes, most: int) -> None:
    assert told(content, Cut(records=most)) == told_line_by_line(content)


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1\n,"b":2}\n{} {}',
        b'{"a":[{}\n,{}]}\n{},{}',
        b"{}\n{}{}",
        b"{}{}\n",
        b'{"a":{}\n{}}\n',
        b'{"a":"\n{}"}\n{}',
        b'{"a":"}\n{"}',
        b'{"a":"\xff"}\n{}',
        b'{"a":"\xc3"}\n{"b":"\xa9"}',
    ],
)
def test_records_that_reach_over_the_end_of_a_line_are_not_taken_for_two(content: bytes) -> None:
    assert not are_objects(content, content.count(b"\n") + 1)
    assert "line " in str(told(content, Cut()))
    assert told(content, Cut()) == told_line_by_line(content)


ITEMS = [
    *[b'{"a":1}', b'{"a":"x"}', b'{"a":{"a":2}}', b'{"a":[{"a":1},{"a":2}]}', b'{"a":"},{\\"a\\":"}']
    * 3,
    b'{"b":1}',
    b"{}",
    b"[]",
    b'{"a":1',
    b'{"a":1} {"a":2}',
    b'{"a":1]',
    b'{"a":"\xff"}',
    b'{"a":"\\ud800"}',
    b'{"a":1e999}',
    b"null",
]


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(ITEMS), max_size=12),
    st.lists(st.sampled_from([b",", b",\n  ", b" , "]), min_size=1, max_size=3),
    st.integers(1, 4),
)
@example([b"{}", b"{}", b"{}"], [b",", b", "], 1)
def test_records_of_an_array_found_together_are_those_found_one_by_one(
    items: list[bytes], between: list[bytes], most: int
) -> None:
    separated = zip(items, itertools.cycle(between), strict=False)
    content = b"[" + b"".join(itertools.chain(*separated)).rstrip(b", \n") + b"]\n"
    one_by_one = told(content, Cut(records=1000), json_batches)
    assert told(content, Cut(records=most), json_batches) == one_by_one
    if isinstance(one_by_one, list):
        batches = list(json_batches(io.BytesIO(content), Cut(records=most)))
        assert rebuilt(batches) == content
        assert places(batches) == list(range(1, len(one_by_one) + 1))
        assert all(len(batch.records) <= most for batch in batches)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_long_array_is_found_in_few_looks_whatever_its_records_hold(indent: int | None) -> None:
    records = [
        {"a": n, "b": [{"a": n}, {"c": "},{"}], "d": "\ud800" * (n == 9000)} for n in range(30_000)
    ]
    content = json.dumps(records, indent=indent).encode()
    batches = list(json_batches(io.BytesIO(content), Cut(records=1000)))
    assert rebuilt(batches) == content
    assert [json.loads(text) for text in texts(batches)] == records
    assert places(batches) == list(range(1, 30_001))


@pytest.mark.parametrize(
    "content", [b"{}\n{} ", b" {}\n{}", b"{} \n{}", b"{}\r", b"{}\r\n{}\r\n", b"{}\n\n{}"]
)
def test_blanks_beside_a_record_are_no_part_of_it(content: bytes) -> None:
    batches = list(jsonl_batches(io.BytesIO(content), Cut()))
    assert set(texts(batches)) == {b"{}"}
    assert rebuilt(batches) == content


def test_numbers_and_surrogates_that_only_json_knows_are_left_to_the_server() -> None:
    content = b'{"a":"\\ud800"}\n{"a":1e999}\n{"a":' + b"9" * 5000 + b"}\n"
    assert rebuilt(list(jsonl_batches(io.BytesIO(content), Cut()))) == content
