"""Parquet files as they are written: in the manner of the file that was read."""

from __future__ import annotations

import io
from types import TracebackType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tvault.client.parquet_reading import MOST_GROUP_ROWS, ParquetSource

DICTIONARY_BYTES = 4 * 1024 * 1024
"""How large a dictionary may become: it holds 97,000 different tokens."""

_DICTIONARIES = {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}
_WIDTHS = {"INT32": 4, "INT64": 8, "FLOAT": 4, "DOUBLE": 8}


class ParquetTarget:
    """A Parquet file that is written as `like` is: each column with its codec, with a dictionary where
    it had one or where its type is new, with moments and an index of pages in the same form.

    A context manager: the file is whole when it ends without an error, and never otherwise.
    """

    def __init__(self, target: BinaryIO, schema: pa.Schema, like: ParquetSource) -> None:
        self._sink = _Sink(target)
        self._schema = schema
        self._manner = _manner(schema, like)

    def __enter__(self) -> ParquetTarget:
        self._writer = pq.ParquetWriter(self._sink, self._schema, **self._manner)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Also Arrow ends the file when it forgets it, and half a file would look like a whole one.
        self._sink.is_dropped = kind is not None
        self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Write the table as one row group."""
        self._writer.write_table(table, row_group_size=MOST_GROUP_ROWS)


class _Sink(io.RawIOBase):
    """Writes on, also where there is no position, as in a pipe; and leaves the target open."""

    def __init__(self, target: BinaryIO) -> None:
        super().__init__()
        self._target = target
        self._passed = 0
        self.is_dropped = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if not self.is_dropped:
            self._target.write(data)
        self._passed += size
        return size

    def tell(self) -> int:
        return self._passed


def _manner(schema: pa.Schema, like: ParquetSource) -> dict[str, Any]:
    """The settings of the writer."""
    before = like.metadata.schema
    # What is in a list is called `element`, or as it is in Arrow: as the paths of before have it.
    by_arrow = _columns(schema, is_compliant=False)
    is_compliant = _paths(by_arrow) != _paths(before)
    columns = _columns(schema, is_compliant=True) if is_compliant else by_arrow
    manner: dict[str, Any] = {
        "use_deprecated_int96_timestamps": any(
            before.column(at).physical_type == "INT96" for at in range(len(before.names))
        ),
        "use_compliant_nested_type": is_compliant,
        "dictionary_pagesize_limit": DICTIONARY_BYTES,
    }
    if not like.metadata.num_row_groups:
        return manner
    group = like.metadata.row_group(0)
    compression: dict[str, str] = {}
    dictionaries: list[str] = []
    for at in range(group.num_columns):
        old, path = group.column(at), columns.column(at).path
        compression[path] = "NONE" if old.compression == "UNCOMPRESSED" else old.compression
        is_new = columns.column(at).physical_type != old.physical_type
        if is_new or _has_use_of_dictionary(old):
            dictionaries.append(path)
    manner["compression"] = compression
    manner["use_dictionary"] = dictionaries or False
    manner["write_page_index"] = any(
        group.column(at).has_column_index for at in range(group.num_columns)
    )
    return manner


def _has_use_of_dictionary(column: Any) -> bool:
    """Whether a column has a dictionary, and is smaller for it as far as can be told."""
    plain_bytes = column.num_values * _WIDTHS.get(column.physical_type, column.total_uncompressed_size)
    has_one = bool(_DICTIONARIES & set(column.encodings))
    return has_one and column.total_uncompressed_size <= plain_bytes


def _columns(schema: pa.Schema, *, is_compliant: bool) -> Any:
    """The columns that a Parquet file with this schema has."""
    empty = io.BytesIO()
    pq.ParquetWriter(empty, schema, use_compliant_nested_type=is_compliant).close()
    return pq.ParquetFile(empty).schema


def _paths(columns: Any) -> list[str]:
    return [columns.column(at).path for at in range(len(columns.names))]
