"""Batches of records cut from a file, with everything between them kept as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tvault.errors import VaultError
from tvault.wire import decode_marked

MOST_RECORD_BYTES = 64 * 1024 * 1024
"""The longest record that is read: beyond it, memory would have no bound."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLANKS = b" \t\r\n"


@dataclass(frozen=True)
class Cut:
    """How a file is cut: a batch ends at `records` records or at `bytes` bytes of them."""

    records: int = 500
    bytes: int = 4 * 1024 * 1024


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

    def filled(self, records: Sequence[bytes]) -> bytes:
        """The batch's piece of the file with `records` in the place of its own."""
        pieces: list[bytes] = []
        for gap, record in zip(self.gaps, records, strict=True):
            pieces += (gap, record)
        pieces.append(self.tail)
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
