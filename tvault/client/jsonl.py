"""JSON Lines: one object a line.

Blank lines, blanks around a record, carriage returns and a missing last newline stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from tvault.client.records import (
    BLANKS,
    MOST_RECORD_BYTES,
    Batch,
    Cut,
    Gathering,
    refuse_byte_order_mark,
)
from tvault.errors import VaultError


def jsonl_batches(source: BinaryIO, cut: Cut) -> Iterator[Batch]:
    """The file's records in order.  Raises `VaultError` (`malformed`) that names a line."""
    gathering = Gathering("line", cut)
    gap = b""
    read = 0
    number = 0
    while line := source.readline(MOST_RECORD_BYTES + 1):
        number += 1
        read += len(line)
        if number == 1:
            refuse_byte_order_mark(line)
        if len(line) > MOST_RECORD_BYTES:
            raise VaultError("too_large", f"line {number} is longer than {MOST_RECORD_BYTES} bytes")
        record = line.strip(BLANKS)
        if record:
            begin = len(line) - len(line.lstrip(BLANKS))
            gathering.add(record, gap + line[:begin], number)
            gap = line[begin + len(record) :]
        else:
            gap += line
        if gathering.is_full(gap):
            yield gathering.take(gap, read)
            gap = b""
    yield gathering.take(gap, read)
