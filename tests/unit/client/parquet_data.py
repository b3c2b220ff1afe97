"""Parquet files in memory, and how they are converted."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tvault.client.files import detokenize_file, tokenize_file
from tvault.client.job import Job, Summary
from tvault.client.vault import Vault

VISITS = pa.table(
    {
        "id": range(6),
        "ssn": ["a", None, "b", "a", "", "tv1_1_x"],
        "patient": [
            {"mrn": 1, "ward": "w"},
            None,
            {"mrn": None, "ward": None},
            *[{"mrn": 2, "ward": "x"}] * 3,
        ],
        "contacts": [[{"phone": "1"}, None, {"phone": None}], None, [], *[[{"phone": "2"}]] * 3],
    }
)


def written(table: pa.Table, **manner: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **manner)
    return sink.getvalue()


def converted(
    operation: Any, vault: Vault, content: bytes, *columns: str, **job: Any
) -> tuple[bytes, Summary]:
    target = io.BytesIO()
    told = Job("v.parquet", format="parquet", columns=columns, **job)
    summary = operation(vault, io.BytesIO(content), target, told)
    return target.getvalue(), summary


def there_and_back(vault: Vault, content: bytes, *columns: str) -> tuple[bytes, bytes]:
    tokens, _ = converted(tokenize_file, vault, content, *columns)
    back, summary = converted(detokenize_file, vault, tokens, *columns)
    assert summary.not_found == 0
    assert read(back).schema.equals(read(content).schema, check_metadata=True)
    assert repr(read(back).to_pylist()) == repr(read(content).to_pylist())
    return tokens, back


def read(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


def manner_of(content: bytes) -> list[list[tuple[int, str, str]]]:
    """Rows and codec of each column of each row group."""
    metadata = pq.read_metadata(io.BytesIO(content))
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [
        [
            (group.num_rows, group.column(at).path_in_schema, group.column(at).compression)
            for at in range(group.num_columns)
        ]
        for group in groups
    ]
