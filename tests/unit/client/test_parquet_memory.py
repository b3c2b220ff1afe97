"""Parquet files larger than memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.unit.server.serving import KEYS, Node

MIB = 1024 * 1024
ROW_BYTES = 4096

CONVERT = """
import sys
from pathlib import Path
from tvault.client.files import tokenize_file
from tvault.client.job import Job
from tvault.client.vault import Vault

url, key, *files = sys.argv[1:]

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

with Vault([url], key) as vault:
    for file in files:
        with Path(file).open("rb") as source, Path(file + ".out").open("wb") as target:
            tokenize_file(vault, source, target, Job(file, format="parquet"))
        print(peak())
"""


def write(path: Path, size: int, row_groups: int) -> None:
    """A file of about `size` bytes, which no codec makes smaller."""
    rows = size // ROW_BYTES // row_groups
    schema = pa.schema([("ssn", pa.string()), ("scan", pa.binary())])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        some = bytes(range(256)) * (ROW_BYTES // 256)
        for group in range(row_groups):
            ssn = [f"{group}-{number % 500}" for number in range(rows)]
            writer.write_table(pa.table([ssn, [some] * rows], schema=schema), row_group_size=rows)


def peaks(node: Node, *files: Path) -> list[int]:
    """The most memory that a process had after each of the files."""
    ran = subprocess.run(
        [sys.executable, "-c", CONVERT, node.url, KEYS["alice"], *map(str, files)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [int(line) for line in ran.stdout.splitlines()]


def test_memory_does_not_grow_with_the_file(node: Node, tmp_path: Path) -> None:
    small, large = tmp_path / "small.parquet", tmp_path / "large.parquet"
    write(small, 64 * MIB, 8)
    write(large, 320 * MIB, 40)
    after_small, after_large = peaks(node, small, large)
    assert after_large - after_small < 64 * MIB  # the larger one has 256 MiB more
    assert pq.read_metadata(f"{large}.out").num_row_groups == 40


def test_a_row_group_of_any_size_takes_no_more_than_a_few_times_the_bound(
    node: Node, tmp_path: Path
) -> None:
    tiny, one = tmp_path / "tiny.parquet", tmp_path / "one.parquet"
    write(tiny, MIB, 1)
    write(one, 384 * MIB, 1)
    after_tiny, after_one = peaks(node, tiny, one)
    assert after_one - after_tiny < 288 * MIB
    before, after = (pq.read_metadata(path) for path in (one, f"{one}.out"))
    assert after.num_rows == before.num_rows
    assert after.num_row_groups >= 4
