"""What the cells of CSV files mean, and how what becomes of them is written."""

from __future__ import annotations

import re

from tvault.client.answers import MissingField, as_text
from tvault.client.bulk import Answers, Bulk
from tvault.client.csv_batches import Cells
from tvault.client.job import Operation
from tvault.client.sending import Converted, with_places
from tvault.errors import VaultError
from tvault.model.tokens import parse_token

EMPTY = (b"", b'""')
"""Cells without a value.  They stay as they are."""


class CellConverter:
    """Converts the cells of batches.  Each text is asked for once a batch.  Safe for many threads."""

    def __init__(self, operation: Operation, bulk: Bulk, name: str) -> None:
        self._operation = operation
        self._ask = bulk.asking(operation)
        self._name = name

    def __call__(self, cells: Cells) -> Converted:
        """What the cells become; those that are not found stay.  Raises `VaultError`."""
        texts = _texts(cells)
        if self._operation == "retokenize":
            texts = {cell: text for cell, text in texts.items() if parse_token(text) is not None}
        asked = list(dict.fromkeys(texts.values()))
        try:
            answers = self._ask(asked) if asked else Answers([])
        except VaultError as error:
            raise self._placed(error, cells, texts, asked) from None
        found = {
            text: as_text(value)
            for text, value in zip(asked, answers.found, strict=True)
            if value is not None
        }
        written = self._written(cells, texts, found)
        missing: tuple[MissingField, ...] = ()
        if len(found) < len(asked):
            lost = {cell for cell, text in texts.items() if text not in found}
            at = [position for position, cell in enumerate(cells.records) if cell in lost]
            missing = tuple(MissingField(position, "") for position in sorted(at, key=cells.row))
        changed = {}
        if self._operation == "retokenize":
            changed = {old.encode(): new.encode() for old, new in found.items() if old != new}
        records = [written.get(cell, cell) for cell in cells.records]
        return Converted(records, answers.epochs, missing=missing, changed=changed)

    def _written(
        self, cells: Cells, texts: dict[bytes, str], found: dict[str, str]
    ) -> dict[bytes, bytes]:
        """The new cells of those that are found.  A cell keeps its quotes, and gets them when it needs
        them: also an empty text, which would be no value without."""
        needs_quotes = re.compile(rf'[{re.escape(cells.file.delimiter.decode())}"\r\n]')
        written = {}
        for cell, text in texts.items():
            new = found.get(text)
            if new is None:
                continue
            if "\0" in new:
                told = f"{self._place(cells, cell)}: the value holds a NUL, which no CSV file can"
                raise VaultError("invalid_value", told)
            data = new.encode()
            if cell.startswith(b'"') or not data or needs_quotes.search(new):
                data = b'"%b"' % data.replace(b'"', b'""')
            written[cell] = data
        return written

    def _placed(
        self, error: VaultError, cells: Cells, texts: dict[bytes, str], asked: list[str]
    ) -> VaultError:
        """The refusal with places in the file instead of positions in what was asked for."""

        def place(index: int) -> str:
            text = asked[index] if index < len(asked) else None
            return self._place(cells, next((cell for cell in texts if texts[cell] == text), None))

        return with_places(error, place)

    def _place(self, cells: Cells, cell: bytes | None) -> str:
        """Where a cell stands first."""
        return f"{self._name} {cells.place(cells.records.index(cell)) if cell is not None else '?'}"


def _texts(cells: Cells) -> dict[bytes, str]:
    """What the different cells mean, in their order; without the empty ones."""
    different = dict.fromkeys(cells.records)
    for empty in EMPTY:
        different.pop(empty, None)
    if not cells.file.has_quotes:
        return {cell: cell.decode() for cell in different}
    value = cells.file.quotes.value
    return {cell: value(cell).decode() for cell in different}
