"""Batches of records cut from a file, with everything between them kept as it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tvault.errors import VaultError
from tvault.wire import decode_marked

MOST_RECORD_BYTES = 64 * 1024 * 1024
"""The longest record that is read: beyond it, memory would have no bound."""

Text = bytes | msgspec.Raw
"""A record's JSON text, as it stands in a file or in an answer."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLANKS = b" \t\r\n"

FOR_GOOD = b"+" if sys.version_info >= (3, 11) else b""
"""What follows a `*` of a regular expression that gives nothing back: a repeated group then takes no
memory each time, which is much in a text of 64 MiB."""

STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*%b"' % FOR_GOOD
"""A string in JSON text, as a regular expression for which a point is any byte."""


DEFAULT_RECORDS = 5000
"""How many records a request holds.  More gain nothing, and less is dearer for each of them."""


@dataclass
class Cut:
    """How a file is cut: a batch ends at `records` records or at about `bytes` bytes of them.

    A change while a file is read holds from the next batch on.
    """

    records: int = DEFAULT_RECORDS
    bytes: int = 2 * 1024 * 1024


@dataclass(frozen=True)
class Batch:
    """Some records that follow each other in a file.

    `records[i]` is the JSON text of one object, `gaps[i]` what stands before it since the record
    before, `tail` what follows the last one.  `places[i]` is where people find it: `unit` (`line` or
    `record`) and a number from 1.  `end` counts the file's bytes up to the end of this batch.
    """

    unit: str
    records: Sequence[bytes]
    gaps: Sequence[bytes]
    places: Sequence[int]
    tail: bytes
    end: int

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.records)

    def place(self, position: int, field: str = "") -> str:
        """Where people find the record at `position`, or a field of it."""
        number = self.places[position] if position < len(self.places) else "?"
        return f"{self.unit} {number}, field {field}" if field else f"{self.unit} {number}"

    def filled(self, records: Sequence[Text]) -> bytes:
        """The batch's piece of the file with as many `records` in the place of its own."""
        pieces: list[Text] = [self.tail] * (2 * len(self.records) + 1)
        pieces[:-1:2] = self.gaps
        pieces[1::2] = records
        return b"".join(pieces)


class Gathering:
    """A batch while it grows."""

    def __init__(self, unit: str, cut: Cut) -> None:
        self._unit = unit
        self._cut = cut
        self._clear()

    def _clear(self) -> None:
        self._records: list[bytes] = []
        self._gaps: list[bytes] = []
        self._places: list[int] = []
        self._size = 0

    def add(self, record: bytes, gap: bytes, place: int) -> None:
        """One more record, checked to be one JSON object."""
        check_record(record, f"{self._unit} {place}")
        self._records.append(record)
        self._gaps.append(gap)
        self._places.append(place)
        self._size += len(record) + len(gap)

    def is_full(self, gap: bytes) -> bool:
        """Whether the batch should end here, with `gap` after its last record."""
        return len(self._records) >= self._cut.records or self._size + len(gap) >= self._cut.bytes

    def take(self, tail: bytes, end: int) -> Batch:
        """The batch; the next one begins empty."""
        batch = Batch(self._unit, self._records, self._gaps, self._places, tail, end)
        self._clear()
        return batch


class _AnyObject(msgspec.Struct):
    """What decodes from any JSON object."""


_OBJECTS = msgspec.json.Decoder(_AnyObject)


def are_objects(text: bytes, count: int) -> bool:
    """Whether `text` is so many lines of exactly one JSON object each, with no blanks around them.

    Far quicker than `check_record` for each line.  False is no verdict: a line may still be one that
    `check_record` takes.
    """
    # Inside a JSON text no `{` follows a `}` with only a blank between them, so each of these ends of a
    # line stands between two objects.  The decoder takes several objects in a line: hence the count.
    if text.count(b"}\n{") != count - 1 or not text.startswith(b"{") or not text.endswith(b"}"):
        return False
    try:
        text.decode("utf-8")  # what is skipped is not checked for this
        return len(_OBJECTS.decode_lines(text)) == count
    except (ValueError, RecursionError):
        return False


_TEXTS = msgspec.json.Decoder(list[msgspec.Raw])


def objects_between(text: bytes, between: bytes) -> list[bytes]:
    """The JSON objects that `text` is made of, `between` (a comma and blanks) standing between them.

    Empty when it is made otherwise, or holds what `check_record` has to judge.
    """
    try:
        text.decode("utf-8")  # what is skipped is not checked for this
        records = list(map(bytes, _TEXTS.decode(b"[" + text + b"]")))
    except (ValueError, RecursionError):
        return []
    are_whole = between.join(records) == text and all(record.startswith(b"{") for record in records)
    return records if are_whole else []


def check_record(text: bytes, place: str) -> None:
    """Refuse what is not the text of exactly one JSON object, with `VaultError` (`malformed`).

    Records are passed on as text, so one that held two objects, or half of one, would change the
    records around it.
    """
    try:
        record: object = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        try:
            record, _ = decode_marked(text)
        except VaultError as error:
            raise VaultError("malformed", f"{place} {_why(text, error)}") from None
    if not isinstance(record, dict):
        raise VaultError("malformed", f"{place} is JSON, but not an object")


def refuse_byte_order_mark(beginning: bytes) -> None:
    """Refuse a file that begins with a byte order mark: JSON has none (RFC 8259, section 8.1)."""
    if beginning.startswith(BYTE_ORDER_MARK):
        raise VaultError("malformed", "begins with a byte order mark; save it as UTF-8 without one")
    refuse_utf_16(beginning)


def refuse_utf_16(beginning: bytes) -> None:
    """Refuse a file that begins with the byte order mark of UTF-16."""
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise VaultError("malformed", "is UTF-16 text; save it as UTF-8")


def _why(text: bytes, error: VaultError) -> str:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as broken:
        return f"is not UTF-8 (byte {broken.start + 1} of it)"
    column = re.search(r"column \d+", error.detail)
    if column:
        return f"is not JSON ({column[0]})"
    return "is nested too deeply" if "deep" in error.detail else "is not JSON (NaN or Infinity)"
