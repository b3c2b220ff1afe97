"""Files of each format through the command line, beside JSONL with the same records."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.bulk import Took, by_command_line, write_records
from tests.bench.fleet import fleet
from tests.bench.report import Row
from tests.bench.scale import Scale
from tests.cluster.cluster import Cluster

NAMES = {"jsonl": "JSONL", "csv": "CSV", "parquet": "Parquet"}
STEPS = ("tokenize", "retokenize", "detokenize")


def measure(folder: Path, scale: Scale) -> list[Row]:
    """New values, tokens that are the newest already, and back, each format in turn."""
    count = scale.values // 2
    took: dict[tuple[str, str], Took] = {}
    with fleet(folder) as cluster:
        for format_ in NAMES:
            write_source(folder / f"in.{format_}", f"{format_}-", count)
            for action, each in _steps(cluster, folder, format_, count):
                took[action, format_] = each
    return [
        Row(
            "formats",
            f"{action}, {NAMES[format_]}",
            took[action, format_].per_second,
            "rows/s",
            took[action, "jsonl"].per_second,
            "JSONL, as many rows",
            details=took[action, format_].details(),
        )
        for action in STEPS
        for format_ in NAMES
    ]


def _steps(cluster: Cluster, folder: Path, format_: str, count: int) -> Iterator[tuple[str, Took]]:
    source, tokens, again, back = (
        folder / f"{name}.{format_}" for name in ("in", "out", "again", "back")
    )
    for action, given, made in zip(STEPS, (source, tokens, tokens), (tokens, again, back), strict=True):
        yield action, by_command_line(cluster, action, count, given, made)
    assert tokens.read_bytes() == again.read_bytes(), "a token of the active epoch was changed"
    if format_ == "parquet":
        assert pq.read_table(back).equals(pq.read_table(source)), "a value was not given back as it was"
    else:
        assert back.read_bytes() == source.read_bytes(), "a value was not given back as it was"


def write_source(file: Path, prefix: str, count: int) -> None:
    """The records of `write_records` in the format of the file's name."""
    lines = file.with_suffix(".lines")
    write_records(lines, prefix, count)
    if file.suffix == ".jsonl":
        lines.rename(file)
        return
    with lines.open() as texts:
        records: list[dict[str, Any]] = [json.loads(text) for text in texts]
    lines.unlink()
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), file)
        return
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(records[0])
        writer.writerows(record.values() for record in records)
