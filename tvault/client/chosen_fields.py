"""Values at chosen field paths in the text of JSON records; every other byte of them stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tvault.client.answers import MissingField
from tvault.client.bulk import Answers, Bulk
from tvault.client.job import Operation
from tvault.client.json_spans import Span, Spans
from tvault.client.records import Text
from tvault.client.sending import Converted
from tvault.errors import FieldError, VaultError
from tvault.model.fields import FieldPath, Fields, parse_path
from tvault.model.tokens import parse_token
from tvault.wire import Unrepresentable, decode_marked, encode_json

Placed = list[tuple[int, Span]]
"""Spans, each with the position of its record."""


class ChosenFields:
    """Converts what stands at the paths `columns` (`model.fields`) in records.  Safe for many threads.

    Raises `VaultError` (`usage`) for what is no path, and for paths of which one leads through another.
    """

    def __init__(self, operation: Operation, bulk: Bulk, columns: Sequence[str]) -> None:
        self._operation = operation
        self._ask = bulk.asking(operation)
        try:
            fields = Fields(map(_path, dict.fromkeys(columns)))
        except ValueError as why:
            raise VaultError("usage", str(why)) from None
        self._spans = Spans(fields.paths)

    def never_seen(self) -> list[str]:
        """Those of the paths that no record had so far."""
        return [str(path) for path in self._spans.never_seen()]

    def __call__(self, records: Sequence[bytes]) -> Converted:
        """The records, each the JSON text of one object, with what their values at the paths become;
        those that are not found stay.  Raises `VaultError`, with positions and fields."""
        placed = [(at, span) for at, record in enumerate(records) for span in self._spans.find(record)]
        odd = [(at, span) for at, span in placed if span.kind != "value"]
        if odd and self._operation == "tokenize":
            raise _refusal([FieldError(at, span.kind, span.where) for at, span in odd])
        first: dict[bytes, tuple[int, Span]] = {}
        for at, span in placed:
            if span.kind == "value":
                first.setdefault(records[at][span.begin : span.end], (at, span))
        asked = {text: value for text in first if (value := self._meant(text, *first[text])) is not None}
        try:
            answers = self._ask(list(asked.values())) if asked else Answers([])
        except VaultError as error:
            raise replace(error, errors=_moved(error, list(asked), first)) from None
        found = {
            text: encode_json(new)
            for text, new in zip(asked, answers.found, strict=True)
            if new is not None
        }
        missing: tuple[MissingField, ...] = ()
        changed: dict[bytes, bytes] = {}
        if self._operation == "retokenize":
            changed = {old[1:-1]: new[1:-1] for old, new in found.items() if old != new}
            wanted = asked.keys()
        else:
            wanted = first.keys()
        if odd or len(found) < len(wanted):
            lost = wanted - found.keys()
            missing = tuple(
                MissingField(at, span.where)
                for at, span in placed
                if records[at][span.begin : span.end] in lost
                or (span.kind != "value" and self._operation == "detokenize")
            )
        texts = _replaced(records, placed, found)
        return Converted(texts, answers.epochs, missing=missing, changed=changed)

    def _meant(self, text: bytes, at: int, span: Span) -> object:
        """What to ask for, None for nothing: where tokens are expected, other values are not sent."""
        if self._operation == "retokenize":
            token = text[1:-1].decode("utf-8", "replace")
            return token if text.startswith(b'"') and parse_token(token) is not None else None
        if self._operation == "detokenize" and not text.startswith(b'"'):
            return None
        value, _ = decode_marked(text)
        if isinstance(value, Unrepresentable):
            raise _refusal([FieldError(at, value.reason, span.where)])
        return value


def _path(column: str) -> FieldPath:
    try:
        return parse_path(column)
    except ValueError as why:
        raise VaultError("usage", f"the field '{column}' is no path: {why}") from None


def _refusal(errors: list[FieldError]) -> VaultError:
    return VaultError("invalid_value", "A value cannot be taken.", tuple(errors))


def _moved(
    error: VaultError, asked: Sequence[bytes], first: Mapping[bytes, tuple[int, Span]]
) -> tuple[FieldError, ...]:
    """The errors at the fields where the texts stand first."""
    places = [first[text] for text in asked]
    return tuple(
        FieldError(places[entry.index][0], entry.code, places[entry.index][1].where)
        for entry in error.errors
        if entry.index < len(places)
    )


def _replaced(records: Sequence[bytes], placed: Placed, found: Mapping[bytes, bytes]) -> list[Text]:
    """The records with new texts where old ones stood."""
    pieces: list[list[bytes]] = [[] for _ in records]
    ends = [0] * len(records)
    for at, span in placed:
        new = found.get(records[at][span.begin : span.end]) if span.kind == "value" else None
        if new is not None:
            pieces[at] += (records[at][ends[at] : span.begin], new)
            ends[at] = span.end
    return [
        b"".join((*parts, record[end:])) if parts else record
        for parts, record, end in zip(pieces, records, ends, strict=True)
    ]
