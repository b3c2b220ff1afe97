"""Parquet files as they are read: in row groups that memory holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tvault.client.arrow_paths import Place, places, taken
from tvault.client.arrow_types import plain
from tvault.errors import VaultError

MOST_GROUP_BYTES = 96 * 1024 * 1024
"""A row group with more bytes in memory than this is written as several."""

MOST_GROUP_ROWS = 1024 * 1024

_BATCH_ROWS = 8192
_BATCH_BYTES = 4 * 1024 * 1024
_BUFFER_BYTES = 256 * 1024

_MOST_MICROSECONDS = (2**63 - 1) // 1000

_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"


@dataclass(frozen=True, repr=False)
class Group:
    """Rows that are written as one row group.  `end` counts the bytes in memory up to here, `passed`
    those of the file."""

    table: pa.Table
    first_row: int
    end: int
    passed: int


class ParquetSource:
    """A Parquet file that is read.  Raises `VaultError` (`usage`, `malformed`) for what is none."""

    def __init__(self, source: BinaryIO, name: str) -> None:
        self._name = name
        if not source.seekable():
            raise VaultError(
                "usage", f"{name}: a Parquet file is read from its end and no pipe can be; give its name"
            )
        _check_magic(source, name)
        with self._refused("its footer cannot be read: the file is damaged or cut off"):
            self._file = _opened(source, "ns")
            self.schema: pa.Schema = self._file.schema_arrow
        self.metadata = self._file.metadata
        """That of the file."""
        if self._has_far_moments(source):
            self._file = _opened(source, "us")
            self.schema = self._file.schema_arrow

    def groups(self) -> Iterator[Group]:
        """All rows, in the file's row groups as far as these are small enough."""
        first = 1
        end = passed = 0
        for number in range(self.metadata.num_row_groups):
            some: list[pa.RecordBatch] = []
            rows = size = 0
            for batch in self._batches(number):
                is_full = size + batch.nbytes > MOST_GROUP_BYTES or rows + len(batch) > MOST_GROUP_ROWS
                if some and is_full:
                    end += size
                    yield Group(pa.Table.from_batches(some, self.schema), first, end, passed)
                    first, some, rows, size = first + rows, [], 0, 0
                some.append(batch)
                rows, size = rows + len(batch), size + batch.nbytes
            end += size
            passed += _compressed(self.metadata.row_group(number))
            if some:
                yield Group(pa.Table.from_batches(some, self.schema), first, end, passed)
            first += rows

    def different_texts(self, place: Place, most: int) -> Iterator[list[str]]:
        """The texts at a place, each once in every part of the file, in lists of up to `most`."""
        name = self.schema.field(place.column).name
        nth = self.schema.get_all_field_indices(name).index(place.column)  # of those called so
        for number in range(self.metadata.num_row_groups):
            for batch in self._batches(number, [name]):
                column = batch.column(batch.schema.get_all_field_indices(name)[nth])
                leaf = plain(taken(column, place.steps)).unique().drop_null()
                for begin in range(0, len(leaf), most):
                    yield leaf.slice(begin, most).to_pylist()

    def _has_far_moments(self, source: BinaryIO) -> bool:
        """Whether 64 bits of nanoseconds do not hold what columns of 96 bits do: Arrow would wrap it."""
        columns = self.metadata.schema
        every = [columns.column(at) for at in range(len(columns.names))]
        paths = [column.path for column in every if column.physical_type == "INT96"]
        groups = range(self.metadata.num_row_groups) if paths else ()
        file = _opened(source, "us")
        for batch in (batch for number in groups for batch in self._batches(number, paths, file)):
            for place, _ in places(batch.schema):
                if pa.types.is_timestamp(place.field.type):
                    leaf = taken(batch.column(place.column), place.steps).cast(pa.int64())
                    found = pc.min_max(leaf).as_py()
                    if max(abs(moment or 0) for moment in found.values()) > _MOST_MICROSECONDS:
                        return True
        return False

    def _batches(
        self, number: int, columns: list[str] | None = None, file: pq.ParquetFile | None = None
    ) -> Iterator[pa.RecordBatch]:
        group = self.metadata.row_group(number)
        wide = max(1, group.total_byte_size // max(1, group.num_rows))
        rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // wide))
        batches = (file or self._file).iter_batches(rows, row_groups=[number], columns=columns)
        why = f"row group {number + 1} cannot be read: the file is damaged, cut off or encrypted"
        while True:
            with self._refused(why):
                batch = next(batches, None)
            if batch is None:
                return
            if len(batch):
                yield batch

    @contextmanager
    def _refused(self, why: str) -> Iterator[None]:
        """What Arrow raises as a refusal, without its words: they may hold values."""
        try:
            yield
        except OSError as error:
            if error.errno is not None:  # of the system: reading failed
                raise
        except (pa.ArrowException, UnicodeDecodeError, ValueError):
            pass
        else:
            return
        raise VaultError("malformed", f"{self._name}: {why}")


def _opened(source: BinaryIO, unit: str) -> pq.ParquetFile:
    """The file, moments of 96 bits in this unit."""
    # Unbuffered and not ahead: what is read ahead is a whole row group.
    return pq.ParquetFile(
        source, buffer_size=_BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit=unit
    )


def _check_magic(source: BinaryIO, name: str) -> None:
    size = source.seek(0, 2)
    source.seek(0)
    begins = source.read(4)
    source.seek(max(0, size - 4))
    ends = source.read(4)
    source.seek(0)
    if _ENCRYPTED in {begins, ends}:
        raise VaultError("usage", f"{name} is an encrypted Parquet file: decrypt it first")
    if begins != _MAGIC:
        raise VaultError("malformed", f"{name} is no Parquet file")
    if ends != _MAGIC or size < 12:
        raise VaultError(
            "malformed", f"{name} is cut off: it has the beginning of a Parquet file, not the end"
        )


def _compressed(group: Any) -> int:
    return sum(group.column(number).total_compressed_size for number in range(group.num_columns))
