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
    are_objects,
    check_record,
    refuse_byte_order_mark,
)
from tvault.errors import VaultError

READ_BYTES = 256 * 1024


def jsonl_batches(source: BinaryIO, cut: Cut) -> Iterator[Batch]:
    """The file's records in order.  Raises `VaultError` (`malformed`) that names a line."""
    number = 1
    read = 0
    for text, lines in _pieces(source, cut):
        read += len(text)
        tail = b"\n" if text.endswith(b"\n") else b""
        if are_objects(text[: len(text) - len(tail)], len(lines)):
            gaps = [b"", *[b"\n"] * (len(lines) - 1)]
            yield Batch("line", lines, gaps, range(number, number + len(lines)), tail, read)
        else:
            yield _line_by_line(lines, number, tail, read)
        number += len(lines)


def _line_by_line(lines: list[bytes], number: int, tail: bytes, end: int) -> Batch:
    """The batch of lines of which some are blank, have blanks around a record, or hold none."""
    records, gaps, places = [], [], []
    gap = b""
    for place, line in enumerate(lines, number):
        record = line.strip(BLANKS)
        if record:
            check_record(record, f"line {place}")
            begin = len(line) - len(line.lstrip(BLANKS))
            records.append(record)
            gaps.append(gap + line[:begin])
            places.append(place)
            gap = line[begin + len(record) :] + b"\n"
        else:
            gap += line + b"\n"
    # The last line may have no end, and `tail` tells.
    return Batch("line", records, gaps, places, gap[:-1] + tail, end)


def _pieces(source: BinaryIO, cut: Cut) -> Iterator[tuple[bytes, list[bytes]]]:
    """The file in pieces as long as a batch may be, but at least one line, with the lines of each."""
    window = b""
    ends = 0  # ends of lines in the window
    passed = 0  # lines before the window
    at_end = False
    while window or not at_end:
        most = cut.records  # another thread may change it
        # A window without the end of a line doubles, so that a long line is not copied too often.
        while not at_end and ends < most and (len(window) < cut.bytes or not ends):
            if not ends and len(window) > MOST_RECORD_BYTES:
                break
            more = source.read(max(READ_BYTES, len(window)))
            at_end = not more
            window += more
            ends += more.count(b"\n")
        if not passed:
            refuse_byte_order_mark(window)
        size = len(window)
        if size > cut.bytes or not at_end:
            size = window.rfind(b"\n", 0, cut.bytes) + 1 or window.find(b"\n") + 1 or size
        lines = window[:size].split(b"\n", most)
        if len(lines) > most or not lines[-1]:
            size -= len(lines.pop())
        if size > MOST_RECORD_BYTES:
            raise VaultError("too_large", f"line {passed + 1} is longer than {MOST_RECORD_BYTES} bytes")
        if lines:
            yield window[:size], lines
        window = window[size:]
        ends -= len(lines)
        passed += len(lines)
