"""JSON files: one array of objects, or a single object, read piece by piece.

What stands between the records (brackets, commas, blanks) stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from tvault.client.records import (
    MOST_RECORD_BYTES,
    STRING,
    Batch,
    Cut,
    Gathering,
    objects_between,
    refuse_byte_order_mark,
)
from tvault.errors import VaultError

READ_BYTES = 256 * 1024
RUN_BYTES = 1024 * 1024
"""How much is looked at for a run of records that are written alike."""

_BLANKS = re.compile(rb"[ \t\r\n]*")
# A whole string, a bracket, or the quote that begins a string whose end has not been read.
_MARK = re.compile(rb'%b|["{}\[\]]' % STRING, re.DOTALL)


def json_batches(source: BinaryIO, cut: Cut) -> Iterator[Batch]:
    """The file's records in order.  Raises `VaultError` (`malformed`) that names a record."""
    window = _Window(source)
    gap = window.blanks()
    first = window.peek()
    gathering = Gathering("record", cut)
    if first == b"[":
        yield from _array(window, gap, gathering, cut)
    elif first == b"{":
        gathering.add(window.value(1), gap, 1)
        gap = window.blanks()
        if window.peek():
            raise VaultError("malformed", "goes on after its first object; is it JSON Lines?")
        yield gathering.take(gap, window.read)
    else:
        raise VaultError("malformed", "holds neither an array of objects nor an object")


def _array(window: _Window, gap: bytes, gathering: Gathering, cut: Cut) -> Iterator[Batch]:
    gap += window.take() + window.blanks()
    number = 0
    going_on = window.peek() != b"]"
    while going_on:
        number += 1
        if window.peek() != b"{":
            raise VaultError("malformed", f"record {number} is not an object")
        record = window.value(number)
        gathering.add(record, gap, number)
        gap = window.blanks()
        if window.peek() not in {b",", b"]"}:
            raise VaultError("malformed", f"expected ',' or ']' after record {number}")
        going_on = window.peek() == b","
        if going_on:
            gap += window.take() + window.blanks()
            if gathering.is_full(gap):
                yield gathering.take(gap, window.passed)
                for batch in _alike(window, gap, record, number, cut):
                    yield batch
                    number = batch.places[-1]
                gap = b""
    gap += window.take() + window.blanks()
    if window.peek():
        raise VaultError("malformed", "goes on after its array")
    yield gathering.take(gap, window.passed)


def _alike(window: _Window, between: bytes, before: bytes, number: int, cut: Cut) -> Iterator[Batch]:
    """Batches of the records that come next, as long as they are written like the one `before`: with the
    same text between them, and the same first key.  Where that ends is no matter: they are found much
    quicker than one by one, and the rest is found so.
    """
    first_key = before[: before.find(b":") + 1] or b"{"  # an empty object has none
    while records := window.run(between, first_key, cut.bytes):
        while records:
            most = cut.records  # another thread may change it
            some, records = records[:most], records[most:]
            gaps = [b"", *[between] * (len(some) - 1)]
            places = range(number + 1, number + 1 + len(some))
            yield Batch("record", some, gaps, places, between, window.passed)
            number += len(some)


class _Window:
    """The part of a file that is being looked at."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._text = b""
        self._at = 0
        self.read = 0
        self._more()
        refuse_byte_order_mark(self._text)

    @property
    def passed(self) -> int:
        """Bytes of the file before the place that is looked at."""
        return self.read - (len(self._text) - self._at)

    def _more(self) -> bool:
        """Read on; what is passed is dropped.  The window doubles, so that a long record is not
        copied once for every piece of it."""
        piece = self._source.read(max(READ_BYTES, len(self._text) - self._at))
        self._text = self._text[self._at :] + piece
        self._at = 0
        self.read += len(piece)
        return bool(piece)

    def peek(self) -> bytes:
        """The next byte, empty at the end of the file."""
        if self._at == len(self._text) and not self._more():
            return b""
        return self._text[self._at : self._at + 1]

    def take(self) -> bytes:
        """The next byte, passed."""
        byte = self.peek()
        self._at += len(byte)
        return byte

    def blanks(self) -> bytes:
        """The blanks that come next, passed."""
        found = b""
        while self.peek():
            match = _BLANKS.match(self._text, self._at)
            blanks = match[0] if match else b""
            self._at += len(blanks)
            found += blanks
            if len(found) > MOST_RECORD_BYTES:
                raise VaultError("too_large", f"holds more than {MOST_RECORD_BYTES} blanks in a row")
            if self._at < len(self._text):
                break
        return found

    def value(self, number: int) -> bytes:
        """The object that begins here, to its closing bracket, passed.

        Only brackets are counted: whether it is JSON is for the caller to check.
        """
        depth = 0
        looked = 0  # bytes of the object that have been looked at
        while True:
            for mark in _MARK.finditer(self._text, self._at + looked):
                byte = mark[0]
                if byte == b'"':
                    looked = mark.start() - self._at
                    break
                looked = mark.end() - self._at
                if len(byte) == 1:
                    depth += 1 if byte in b"{[" else -1
                    if depth == 0:
                        text = self._text[self._at : mark.end()]
                        self._at = mark.end()
                        return text
            if len(self._text) - self._at > MOST_RECORD_BYTES:
                raise VaultError(
                    "too_large", f"record {number} is longer than {MOST_RECORD_BYTES} bytes"
                )
            if not self._more():
                raise VaultError("malformed", f"ends in the middle of record {number}")

    def run(self, between: bytes, first_key: bytes, most: int) -> list[bytes]:
        """Whole objects that come next, with `between` between them and after the last, all passed; in
        at most so many bytes.  Empty when they are written otherwise.

        The last end of one that is seen may be inside of another: then it is no run.
        """
        while len(self._text) - self._at < RUN_BYTES and self._more():
            pass
        end = self._text.rfind(b"}" + between + first_key, self._at, self._at + most)
        records = objects_between(self._text[self._at : end + 1], between) if end > 0 else []
        if records:
            self._at = end + 1 + len(between)
        return records
