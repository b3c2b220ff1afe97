"""CSV files: Python's `csv` is the judge of what their cells mean, and bytes of what is kept."""

from __future__ import annotations

import csv
import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.client.remembering import RememberingVault
from tests.unit.client.test_files import Ahead
from tvault.client.csv_file import READ_BYTES
from tvault.client.csv_quotes import SPLIT_BYTES
from tvault.client.files import detokenize_file, retokenize_file, tokenize_file
from tvault.client.job import Job, Summary
from tvault.client.records import Cut
from tvault.client.vault import Vault
from tvault.errors import VaultError

CSV = Job("f.csv", "csv")

Conversion = Callable[[Vault, io.BytesIO, io.BytesIO, Job], Summary]


class Trickle(io.BytesIO):
    """A file of which at most so many bytes are read at a time."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(self._most, size if size is not None and size >= 0 else self._most))


def converted(
    conversion: Conversion, vault: Vault, content: bytes, job: Job = CSV, most: int = 1 << 20
) -> bytes:
    target = io.BytesIO()
    conversion(vault, Trickle(content, most), target, job)
    return target.getvalue()


def read(content: bytes, delimiter: str) -> list[list[str]]:
    """The rows as Python reads them, without those that are blank lines."""
    text = content.decode("utf-8-sig")
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]


CELLS = st.text(
    st.sampled_from('ab é€😀\u2028\ufeff,;|"\t\n\r') | st.characters(exclude_categories=["Cs"]),
    max_size=6,
).map(lambda text: text.replace("\0", ""))


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, str, list[list[str]]]:
    """A CSV file, its delimiter, and its rows with a header."""
    delimiter = draw(st.sampled_from(",;\t| ^-%]\\"))
    width = draw(st.integers(1, 4))
    header = [f"c{column}" for column in range(width)]
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))
    text = io.StringIO(newline="")
    if draw(st.booleans()):
        text.write("\ufeff")
    for row in [header, *rows]:
        quoting: Any = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
        end = draw(st.sampled_from(["\n", "\r\n"]))
        if any("\r" in cell or "\n" in cell for cell in row):  # which some versions write without quotes
            quoting = csv.QUOTE_ALL
        csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end).writerow(row)
        text.write(draw(st.sampled_from(["", "", "", "\n", "\r\n"])))
    content = text.getvalue().encode()
    if draw(st.booleans()):
        content = content.removesuffix(b"\n").removesuffix(b"\r")
    return content, delimiter, [header, *rows]


@given(files(), st.data(), st.integers(1, 40), st.integers(1, 5))
def test_exactly_the_chosen_cells_become_tokens_and_the_file_comes_back_byte_for_byte(
    file: tuple[bytes, str, list[list[str]]], data: st.DataObject, most: int, records: int
) -> None:
    content, delimiter, (header, *rows) = file
    chosen = data.draw(st.lists(st.sampled_from(header), min_size=1, unique=True))
    job = Job("f.csv", "csv", Cut(records, 50), columns=tuple(chosen), delimiter=delimiter.encode())
    with RememberingVault() as vault:
        tokens = converted(tokenize_file, vault, content, job, most)
        expected = [
            [
                vault.token(cell) if name in chosen and cell else cell
                for name, cell in zip(header, row, strict=True)
            ]
            for row in rows
        ]
        assert read(tokens, delimiter) == [header, *expected]
        assert converted(detokenize_file, vault, tokens, job, most) == content
        assert not any("" in asked for asked in vault.asked)
        vault.active = 7
        renewed = converted(retokenize_file, vault, tokens, replace(job, columns=()), most)
        assert renewed == tokens.replace(b"tv1_1_", b"tv1_7_")
        assert converted(retokenize_file, vault, tokens, job, most) == renewed


@given(files(), st.integers(1, 30))
def test_where_reading_breaks_off_makes_no_difference(
    file: tuple[bytes, str, list[list[str]]], most: int
) -> None:
    content, delimiter, _ = file
    job = replace(CSV, columns=("c0",), delimiter=delimiter.encode())
    with RememberingVault() as vault:
        whole = converted(tokenize_file, vault, content, job)
        assert converted(tokenize_file, vault, content, job, most) == whole


@given(st.sampled_from(",;\t|"), st.integers(2, 5), st.sampled_from(["", ",;\t|"]))
def test_the_header_tells_what_stands_between_cells(delimiter: str, width: int, inside: str) -> None:
    others = inside.replace(delimiter, "") * 3
    names = [f'"{others}{n}"' if others else f"c{n}" for n in range(width)]
    content = f"{delimiter.join(names)}\n{delimiter.join('x' * width)}\n".encode()
    job = replace(CSV, columns=(names[0].strip('"'),))
    with RememberingVault() as vault:
        tokens = converted(tokenize_file, vault, content, job)
        assert read(tokens, delimiter)[1] == [vault.token("x"), *"x" * (width - 1)]


@pytest.mark.parametrize(
    "value", ["a,b", 'a "b"', "a\nb", "a\rb", "", " a ", "1", 1, 1.0, -0.0, True, 10**40]
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_value_is_written_so_that_it_is_read_again_numbers_as_json(value: object, quote: str) -> None:
    with RememberingVault() as vault:
        token = vault.token(value)  # type: ignore[arg-type]
        values = converted(detokenize_file, vault, f"ssn,n\n{quote}{token}{quote},1\n".encode())
    text = value if isinstance(value, str) else json.dumps(value)
    assert read(values, ",") == [["ssn", "n"], [text, "1"]]
    if quote or not text:
        assert values.splitlines()[1].startswith(b'"')


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ('ssn,n\nx,a;"b"c\ny,a;"\n', 'ssn,n\n{x},a;"b"c\n{y},a;"\n'),
        ('n;"a,b";ssn\n1,2,3;"z";x\n', 'n;"a,b";ssn\n1,2,3;"z";{x}\n'),
        ("\r\n\nssn\nx\n", "\r\n\nssn\n{x}\n"),
        ('n 5";ssn\n;x', 'n 5";ssn\n;{x}'),
    ],
)
def test_only_the_header_decides_what_stands_between_cells(content: str, tokens: str) -> None:
    with RememberingVault() as vault:
        made = converted(tokenize_file, vault, content.encode()).decode()
        assert made == tokens.format(x=vault.token("x"), y=vault.token("y"))


def test_a_token_in_part_of_a_cell_or_behind_a_blank_is_no_cell_that_is_a_token() -> None:
    with RememberingVault() as vault:
        token = vault.token("a")
        vault.active = 2
        stays = (
            f'a,b\n"{token}""x","x""{token}"\nx{token}, {token}\n"see ""{token}""","{token},"\n'
            f'"{token}\n",{token.upper()}\n'
        )
        renewed = converted(retokenize_file, vault, f'{stays}{token},"{token}"\r\n'.encode())
    new = token.replace("tv1_1", "tv1_2")
    assert renewed.decode() == f'{stays}{new},"{new}"\r\n'


def test_a_token_in_any_column_is_renewed_and_told_with_its_place_when_it_is_unknown() -> None:
    unknown = f"tv1_1_{9:032}"
    content = f'a,b\n"x\ny",1\n\n2,"{unknown}"\n{unknown},3\nno token,4\n'.encode()
    with RememberingVault() as vault:
        target = io.BytesIO()
        summary = retokenize_file(vault, io.BytesIO(content), target, CSV)
    assert target.getvalue() == content
    assert (summary.records, summary.not_found) == (4, 2)
    assert summary.missing == ["line 5, column b", "line 6, column a"]


def test_cells_that_are_no_known_tokens_stay_and_are_counted_in_the_order_of_rows() -> None:
    content = f'ssn,n,patient.mrn\nplain,"x\ny",3\n\n"tv1_1_{9:032}",1,2\n'.encode()
    with RememberingVault() as vault:
        target = io.BytesIO()
        summary = detokenize_file(vault, io.BytesIO(content), target, CSV)
        assert [f"tv1_1_{9:032}"] in vault.asked
        assert not any("plain" in asked for asked in vault.asked)
    assert target.getvalue() == content
    assert (summary.records, summary.not_found) == (2, 4)
    assert summary.missing == [
        f"line {line}, column {column}" for line in (2, 5) for column in ("ssn", "patient.mrn")
    ]


def test_the_configured_fields_are_columns_by_their_names_and_each_text_is_asked_for_once() -> None:
    content = b"note,patient.mrn,ssn\n4711,4711,078\n078,078,4711\n"
    with RememberingVault() as vault:
        tokens = converted(tokenize_file, vault, content)
        assert vault.asked == [["4711", "078"]]
        a, b = vault.token("4711").encode(), vault.token("078").encode()
    assert tokens == b"note,patient.mrn,ssn\n4711,%b,%b\n078,%b,%b\n" % (a, b, b, a)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no header"),
        (b"\xef\xbb\xbf\r\n\n", "holds no header"),
        (b"ssn,a\n1,2\n\n1\n", "line 4 has 1 cells, and the header 2"),
        (b'ssn,a\n"\n",2\n1,2,3\r\n', "line 4 has 3 cells, and the header 2"),
        (b"ssn,a\n1,2\n  \n", "line 3 has 1 cells, and the header 2"),
        (b'ssn,a\n1,2\n1,"2\n3,4\n', "line 3: a quote is opened and never closed"),
        (b'ssn,"a\n1,2\n', "line 1: a quote is opened and never closed"),
        (b'ssn,a\n1,2\n"1"0,2\n', "line 3: a cell goes on after the quote that ends it"),
        (b'ssn,a\n1,"2\n""\n" \n', "line 4: a cell goes on after the quote that ends it"),
        (b"ssn,a\n1,2\n\xe9,2\n", "line 3 is not UTF-8"),
        (b"ssn,\xe9\n", "line 1 is not UTF-8"),
        (b"ssn,a\n1,\0\n", "line 2 holds a NUL: is it UTF-16, or no text?"),
        ("ssn,a\n1,2\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (
            b"ssn,a\r1,2\r",
            "line 1 holds a carriage return that is no end of a line; save the file with line feeds",
        ),
        (
            b"ssn,a\n1,2\n3\r4,5\n",
            "line 3 holds a carriage return that is no end of a line; save the file with line feeds",
        ),
        (
            b"\n\r\n2,tv1_1_%032d\n3,x\n" % 1,
            "line 3 holds a token where the name of a column belongs: a header is needed",
        ),
        (b"ssn,a;b\n", "has a header that more than one delimiter fits: give --delimiter"),
        (
            b"ssn,a\n1,2\nsecret" + b"x" * (64 << 20),
            "line 3: a row is longer than 67108864 bytes; is a quote missing?",
        ),
    ],
    ids=lambda given: "" if isinstance(given, bytes) else given[:30],
)
def test_what_is_no_sound_csv_is_refused_with_its_line_and_no_value(content: bytes, said: str) -> None:
    with RememberingVault() as vault, pytest.raises(VaultError) as caught:
        converted(tokenize_file, vault, content)
    assert caught.value.code in {"malformed", "too_large"}
    assert caught.value.detail == f"f.csv {said}"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("c", "a"), "f.csv has no column c in its header"),
        (("b",), "f.csv has more than one column b in its header"),
        ((), "none of the 3 columns in the header of f.csv is a configured field; "),
    ],
)
def test_a_column_that_is_not_there_or_there_twice_is_refused_by_name(
    columns: tuple[str, ...], said: str
) -> None:
    with RememberingVault() as vault, pytest.raises(VaultError) as caught:
        converted(tokenize_file, vault, b"a,b,b\n1,2,3\n", replace(CSV, columns=columns))
    assert caught.value.code == "usage"
    assert caught.value.detail.startswith(said)


def test_a_column_that_is_there_twice_is_no_matter_when_it_is_not_chosen() -> None:
    with RememberingVault() as vault:
        tokens = converted(tokenize_file, vault, b"ssn,b,b\n,2,3\n")
    assert tokens == b"ssn,b,b\n,2,3\n"


def test_a_value_that_no_csv_file_can_hold_is_named_by_its_place_and_not_shown() -> None:
    with RememberingVault() as vault:
        token = vault.token("secret\0")
        with pytest.raises(VaultError) as caught:
            converted(detokenize_file, vault, f"a,ssn\n1,\n2,{token}\n".encode())
    assert caught.value.detail == (
        "f.csv line 3, column ssn: the value holds a NUL, which no CSV file can"
    )


def test_a_value_that_a_node_refuses_is_named_by_line_and_column(vault: Vault) -> None:
    long = b"x" * 70_000
    content = b'ssn,n,patient.mrn\n1,"\n",2\n3,4,"%b"\n5,6,%b\n' % (long, long)
    with pytest.raises(VaultError) as caught:
        converted(tokenize_file, vault, content)
    assert caught.value.detail == "f.csv line 4, column patient.mrn: the value is too long"


def test_a_file_goes_through_a_node_and_back(vault: Vault) -> None:
    content = b"".join(b'%d,"s%d",x\r\n' % (n, n % 700) for n in range(3000))
    content = b"\xef\xbb\xbfpatient.mrn,ssn,n\r\n" + content
    job = replace(CSV, cut=Cut(records=370), jobs=4)
    tokens = converted(tokenize_file, vault, content, job)
    assert tokens.count(b"tv1_1_") == 6000
    assert converted(detokenize_file, vault, tokens, job) == content


def test_no_more_of_the_file_is_read_than_a_few_batches_ahead() -> None:
    content = b"ssn,n\n" + (b"," + b"x" * 990 + b"\n") * 10_000
    ahead = Ahead(content)
    with RememberingVault() as vault:
        tokenize_file(vault, ahead.source, ahead.target, replace(CSV, cut=Cut(10_000, 50_000), jobs=2))
    assert ahead.target.getvalue() == content
    assert ahead.most <= 2 * 2 * (READ_BYTES + 50_000) + 2 * READ_BYTES


@example(b"")
@given(st.binary(max_size=40))
def test_progress_ends_with_the_end_of_the_file(rest: bytes) -> None:
    seen: list[tuple[int, int]] = []
    content = b"ssn\n1\n2\n" + rest.hex().encode()
    job = replace(CSV, cut=Cut(records=1), progress=lambda done, records: seen.append((done, records)))
    with RememberingVault() as vault:
        converted(tokenize_file, vault, content, job, 3)
    assert seen == sorted(seen)
    assert seen[-1] == (len(content), 3 if rest else 2)


@pytest.mark.parametrize("name", [" ssn", "SSN", "Ssn ", '"\tssn"'])
def test_a_column_that_is_all_but_called_like_a_configured_field_does_not_pass(name: str) -> None:
    content = f"patient.mrn,{name}\n1,secret\n".encode()
    target = io.BytesIO()
    with RememberingVault() as vault:
        with pytest.raises(
            VaultError, match=r"f\.csv is no configured field, but ssn is; .*--columns"
        ) as e:
            tokenize_file(vault, io.BytesIO(content), target, CSV)
        assert (e.value.code, target.getvalue()) == ("usage", b"")
        by_name = replace(CSV, columns=("patient.mrn",))
        assert converted(tokenize_file, vault, content, by_name).endswith(b",secret\n")
        both = content.replace(b"\n", b",ssn\n", 1).replace(b"secret", b"s,x")
        assert converted(tokenize_file, vault, both).count(b"tv1_") == 2


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("cell", ['5" pipe', "5 pipe"])
def test_quotes_mean_the_same_wherever_a_long_row_is_split(before: int, cell: str) -> None:
    long = "y" * (SPLIT_BYTES - len("n,ssn,m\n") - before)
    note = f'"{long}""",x,"""a,\n"",""b"""' + "\n" + f'{cell},"x",{long}'
    content = f"n,ssn,m\n{note}\n".encode()
    with RememberingVault() as vault:
        tokens = converted(tokenize_file, vault, content)
        token = vault.token("x").encode()
        assert tokens == content.replace(b",x,", b",%b," % token).replace(b'"x"', b'"%b"' % token)
        assert converted(detokenize_file, vault, tokens) == content


@pytest.mark.parametrize(
    ("content", "most"),
    [
        (b"\n" * 500_000 + b"ssn,n\nx,1\n", 10),
        (b"ssn,n\nx," + b'"' * 1_000_000 + b"\n", 40),
        (b'ssn,n\n5" pipe,' + b'"' * 1_000_000 + b"\n", 40 if sys.version_info >= (3, 11) else 150),
    ],
    ids=["blank lines", "quotes", "quotes beside an odd one"],
)
def test_a_row_takes_a_few_times_its_bytes_whatever_it_is_made_of(content: bytes, most: int) -> None:
    with RememberingVault() as vault:
        converted(tokenize_file, vault, b"ssn,n\nx,1\n")  # what is loaded at the first time
        tracemalloc.start()
        try:
            converted(tokenize_file, vault, content)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < most * len(content)
