"""`tvault tokenize`, `detokenize` and `retokenize` of CSV, of packed files, and of chosen columns."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.cli.running import CommandLine
from tests.unit.server.serving import KEYS, Node, serving

TABLE = b'\xef\xbb\xbfn,ssn,"note"\r\n1,a,"x, y"\r\n2,"b",\r\n'
LINES = b'{"ssn":"1","note":"x"}\n{"ssn":2 , "note":"y"}\n'

pytestmark = pytest.mark.usefixtures("node")


def run(*args: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tvault", *args]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


@pytest.mark.parametrize("name", ["f.csv", "F.CSV", "f.tsv", "f.csv.gz", "F.TSV.GZ"])
def test_a_table_goes_to_tokens_and_back_byte_for_byte(tvault: CommandLine, name: str) -> None:
    content = TABLE.replace(b",", b"\t") if "tsv" in name.lower() else TABLE
    is_packed = name.lower().endswith(".gz")
    Path(name).write_bytes(gzip.compress(content) if is_packed else content)
    out = f"out{name}"
    there = tvault("tokenize", name, "-o", out)
    assert (there.code, there.out, there.err) == (0, b"", "")
    written = Path(out).read_bytes()
    tokens = gzip.decompress(written) if is_packed else written
    assert (tokens.count(b"tv1_1_"), tokens[:4]) == (2, content[:4])
    back = tvault("detokenize", out)
    assert (back.code, back.out, back.err) == (0, content, "")


@pytest.mark.parametrize(
    ("name", "content"),
    [("f.jsonl", LINES), ("f.json", b'[ {"ssn":"1"}, {} ]'), ("f.csv", TABLE), ("f.ndjson", LINES[:23])],
    ids=["jsonl", "json", "csv", "ndjson"],
)
def test_every_format_of_text_may_be_packed_on_the_way_in_and_out(
    tvault: CommandLine, name: str, content: bytes
) -> None:
    Path(name).write_bytes(content)
    plain = tvault("tokenize", name).out
    assert tvault("tokenize", name, "-o", f"{name}.gz").code == 0
    assert gzip.decompress(Path(f"{name}.gz").read_bytes()) == plain
    Path(f"in{name}.gz").write_bytes(gzip.compress(content))
    assert tvault("tokenize", f"in{name}.gz").out == plain
    Path("x.gz").write_bytes(gzip.compress(content))
    assert tvault("tokenize", "x.gz", "--format", name.rpartition(".")[2].replace("nd", "")).out == plain


def test_stdin_that_is_packed_is_known_by_its_first_bytes_and_stdout_is_not_packed() -> None:
    for content, args in ((LINES, ()), (b'[{"ssn":"1"}]', ()), (TABLE, ("--format", "csv"))):
        plain = run("tokenize", "-", *args, stdin=content)
        packed = run("tokenize", "-", *args, stdin=gzip.compress(content))
        assert (packed.returncode, packed.stdout, packed.stderr) == (0, plain.stdout, b"")
    packed = run("tokenize", "-", stdin=gzip.compress(LINES)[:-3])
    told = b"tvault: stdin ends in the middle of its gzip stream: it was cut off\n"
    assert (packed.returncode, packed.stderr) == (1, told)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(TABLE)[:-1], "f.csv.gz ends in the middle of its gzip stream: it was cut off"),
        (TABLE, "f.csv.gz is no gzip file, or a damaged one"),
        (b"", "f.csv.gz ends in the middle of its gzip stream: it was cut off"),
    ],
    ids=["cut off", "plain", "empty"],
)
def test_a_packed_file_that_is_damaged_leaves_the_old_output(
    tvault: CommandLine, content: bytes, said: str
) -> None:
    Path("f.csv.gz").write_bytes(content)
    Path("out.csv.gz").write_bytes(b"old")
    ran = tvault("tokenize", "f.csv.gz", "-o", "out.csv.gz", "--batch", 1)
    assert (ran.code, ran.err) == (1, f"tvault: {said}\n")
    assert Path("out.csv.gz").read_bytes() == b"old"
    assert sorted(os.listdir()) == ["f.csv.gz", "out.csv.gz"]  # noqa: PTH208


def test_chosen_columns_are_converted_instead_of_the_configured_ones(tvault: CommandLine) -> None:
    Path("f.csv").write_bytes(b'n,ssn,"a,b"\n1,s,x\n')
    for columns in (["n", '"a,b"'], ['n,"a,b"']):
        asked = [part for name in columns for part in ("--columns", name)]
        cells = tvault("tokenize", "f.csv", *asked).out.splitlines()[1].split(b",")
        assert [cell.startswith(b"tv1_1_") for cell in cells] == [True, False, True]
    Path("f.jsonl").write_bytes(LINES)
    made = tvault("tokenize", "f.jsonl", "--columns", "note").out
    assert made.count(b"tv1_1_") == 2
    assert b'"ssn":2 , "note":"tv1_1_' in made


def test_cells_stand_between_what_is_told(tvault: CommandLine) -> None:
    for written, between in (("tab", b"\t"), ("\\t", b"\t"), (";", b";"), ("^", b"^"), (" ", b" ")):
        Path("f.csv").write_bytes(b"ssn%bc,d;e\n1%b2\n" % (between, between))
        ran = tvault("tokenize", "f.csv", "--delimiter", written)
        if between == b";":
            assert ran.err == "tvault: f.csv line 2 has 2 cells, and the header 3\n"
        else:
            assert ran.out.splitlines()[1].endswith(between + b"2")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("f.csv", "-o", "g.json"), "f.csv is CSV, and g.json is named as another format"),
        (("f.csv", "-o", "g.parquet"), "f.csv is CSV, and g.parquet is named as another format"),
        (("f.csv", "-o", "g.jsonl.gz"), "f.csv is CSV, and g.jsonl.gz is named as another format"),
        (("f.csv", "-o", "g.tsv"), "f.csv is CSV, and g.tsv is named as another format"),
        (("f.jsonl", "-o", "g.csv"), "f.jsonl is JSON, and g.csv is named as another format"),
        (("f.parquet.gz",), "Parquet files are compressed inside: name them without .gz"),
        (("f.parquet", "-o", "g.gz"), "Parquet files are compressed inside: name them without .gz"),
        (("f.jsonl", "--delimiter", ","), "--delimiter is for CSV files"),
        (("f.csv", "--columns", "a,,b"), "a name is empty"),
        (("f.csv", "--columns", ""), "a name is empty"),
        (("f.csv", "--columns", '"a'), "a quote is not closed, or is one too many"),
        (("f.csv", "--columns", "zzz"), "f.csv has no column zzz in its header"),
        (("f.jsonl", "--columns", "a..b"), "the field 'a..b' is no path"),
        (("f.csv", "--delimiter", "_"), "'tab' for a tab"),
        (("f.csv", "--delimiter", "||"), "'tab' for a tab"),
        (("f.csv", "--format", "tsv"), "'csv', 'parquet'"),
    ],
)
def test_mistakes_of_usage_are_told_before_anything_is_written(
    tvault: CommandLine, args: tuple[str, ...], said: str
) -> None:
    for name in ("f.csv", "f.jsonl", "f.parquet", "f.parquet.gz"):
        Path(name).write_bytes(b"{}\n" if name == "f.jsonl" else b"ssn,x\n1,2\n")
    before = sorted(os.listdir())  # noqa: PTH208
    ran = tvault("tokenize", *args)
    assert (ran.code, ran.out) == (2, b"")
    assert said in " ".join(ran.err.split())
    assert sorted(os.listdir()) == before  # noqa: PTH208


def test_an_output_may_be_named_as_its_own_format_or_as_none(tvault: CommandLine) -> None:
    Path("f.csv").write_bytes(TABLE)
    Path("f.jsonl").write_bytes(LINES)
    Path("table").write_bytes(TABLE)
    for name, out in (
        ("f.csv", "g.csv"),
        ("f.csv", "g"),
        ("f.csv", "/dev/null"),
        ("f.jsonl", "g.ndjson"),
        ("f.jsonl", "g.json"),
    ):
        assert tvault("tokenize", name, "-o", out).code == 0
    for out in ("g.csv", "g.tsv", "g.csv.gz"):
        assert tvault("tokenize", "table", "--format", "csv", "-o", out).code == 0


def test_a_file_of_parquet_without_pyarrow_is_told_how_to_get_it(node: Node) -> None:
    Path("f.parquet").write_bytes(b"PAR1")
    hidden = "import sys; sys.modules['pyarrow'] = None; from tvault.cli.main import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", hidden, "tokenize", "f.parquet"],
        env=os.environ | {"TVAULT_URL": node.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "tvault: f.parquet is a Parquet file, which needs pyarrow: pip install 'tvault[parquet]'\n"
    )


def test_a_token_of_a_column_of_numbers_that_is_not_found_is_told_to_be_null(
    tvault: CommandLine,
) -> None:
    numbers = pa.table({"ssn": [1, 2]})
    parquet.write_table(numbers, "f.parquet")
    assert tvault("tokenize", "f.parquet", "-o", "tokens.parquet").code == 0
    tokens = parquet.read_table("tokens.parquet")
    unknown = pa.array([f"tv1_1_{9:032}", tokens["ssn"][1].as_py()], tokens.schema.field("ssn").type)
    parquet.write_table(tokens.set_column(0, tokens.schema.field("ssn"), unknown), "f.parquet")
    ran = tvault("detokenize", "f.parquet", "-o", "values.parquet")
    told = "tvault: not found, null where they cannot stay: 1 (row 1, column ssn)\n"
    assert (ran.code, ran.err) == (3, told)
    assert parquet.read_table("values.parquet")["ssn"].to_pylist() == [None, 2]


def test_old_tokens_of_a_table_are_renewed_with_a_map(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
        old = node.tokenize(["a", "b"])
        node.post("/rotate-epoch", {"to": 2})
        new = node.tokenize(["a", "b"])
        content = f'x,y\r\n{old[0]},"{old[1]}"\r\n"{old[1]}, {old[0]}",\r\n'
        Path("f.csv").write_bytes(content.encode())
        ran = tvault("retokenize", "f.csv", "-o", "out.csv", "--map")
        assert (ran.code, ran.err) == (0, "")
        first, second, third = content.splitlines(keepends=True)
        second = second.replace(old[0], new[0]).replace(old[1], new[1])
        assert Path("out.csv").read_bytes().decode() == first + second + third
        pairs = sorted(zip(old, new, strict=True))
        lines = "".join(f"{a},{b}\n" for a, b in pairs)
        assert Path("out.csv.map.csv").read_text() == f"old,new\n{lines}"
        ran = tvault("retokenize", "f.csv", "-o", "out.csv.gz", "--columns", "y", "--map=y.csv")
        assert ran.code == 0
        assert Path("y.csv").read_text() == f"old,new\n{old[1]},{new[1]}\n"
        assert old[0].encode() in gzip.decompress(Path("out.csv.gz").read_bytes())
        read = tvault("detokenize", "out.csv", "--columns", "x,y")
    assert read.code == 3
    assert read.err.endswith("not found, left as they were: 1 (line 3, column x)\n")


def test_the_bytes_of_a_packed_output_follow_from_its_content_alone(tvault: CommandLine) -> None:
    Path("f.csv").write_bytes(TABLE)
    tvault("tokenize", "f.csv", "-o", "a.csv.gz")
    tvault("tokenize", "f.csv", "-o", "b.csv.gz", "--batch", 1)
    content = io.BytesIO(gzip.decompress(Path("a.csv.gz").read_bytes())).getvalue()
    assert gzip.decompress(Path("b.csv.gz").read_bytes()) == content
    tvault("tokenize", "f.csv", "-o", "c.csv.gz")
    assert Path("c.csv.gz").read_bytes() == Path("a.csv.gz").read_bytes()
