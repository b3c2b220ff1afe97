"""Batches of a file as requests: how many records each may hold, and what a refusal points at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tvault.client.answers import MissingField
from tvault.client.records import Batch, Cut, Text
from tvault.errors import FieldError, VaultError
from tvault.wire import Limits

FIRST_RECORDS = 2500
"""The most records of a request before one was answered: with up to four values in each of them it is
within the limit of a node."""

USUAL_VALUES = Limits.values_per_request * 9 // 10
"""How many values a request is meant to hold at most, as far as the first ones tell: some hold more than
others."""

TOKEN = b'"tv1_'

MOST_NAMED = 5
"""How many bad or missing fields are named; the others are counted."""


REASONS = {
    "object": "an object is no value",
    "array": "an array is no value",
    "lone_surrogate": "the text holds half of a surrogate pair",
    "integer_too_long": "the integer has too many digits",
    "float_out_of_range": "the number is out of range",
    "too_large": "the value is too long",
    "not_an_object": "an object was expected on the way to this field",
    "not_an_array": "an array was expected on the way to this field",
}
"""What the codes of single fields mean."""


@dataclass(frozen=True, repr=False)
class Converted:
    """Records as they came back for a run of records; which old token became which new one."""

    records: list[Text]
    epochs: frozenset[int] = frozenset()
    missing: tuple[MissingField, ...] = ()
    changed: Mapping[bytes, bytes] = field(default_factory=dict)


Convert = Callable[[Sequence[bytes]], Converted]


class Sender:
    """Sends a batch, in pieces when it is over a limit of the server.  Safe for many threads.

    `cut` is how the file should be cut from now on: a request that holds too much is refused once, not
    again and again.
    """

    def __init__(self, convert: Convert, name: str, cut: Cut) -> None:
        self.cut = replace(cut, records=min(cut.records, FIRST_RECORDS))
        self._wanted = cut.records
        self._convert = convert
        self._name = name
        self._lock = threading.Lock()
        self._has_learnt = False

    def __call__(self, batch: Batch) -> Converted:
        """What the records of the batch become.  Raises `VaultError`."""
        whole = Converted([])
        while (first := len(whole.records)) < len(batch.records):
            records = batch.records[first : first + self.cut.records]
            try:
                answer = self._convert(records)
            except VaultError as error:
                if not is_too_much(error) or len(records) < 2:
                    raise self._placed(error, batch, first, first + len(records)) from None
                self._shorten(len(records) // 2)
                continue
            self._learn_from(records, answer)
            whole = _joined(whole, answer)
        return whole

    def _shorten(self, records: int) -> None:
        with self._lock:
            self._has_learnt = True
            self.cut.records = min(records, self.cut.records)

    def _learn_from(self, records: Sequence[bytes], answer: Converted) -> None:
        """Cut as is wished for, once a first answer shows how many values there are in a record."""
        with self._lock:
            if self._has_learnt:
                return
            self._has_learnt = True
            tokens = max(b"".join(texts).count(TOKEN) for texts in (records, answer.records))
            self.cut.records = min(self._wanted, max(1, USUAL_VALUES * len(records) // max(tokens, 1)))

    def _placed(self, error: VaultError, batch: Batch, first: int, end: int) -> VaultError:
        """The refusal with lines of the file in the place of positions in the request."""
        if is_too_much(error):
            return replace(
                error, detail=f"{self._name} {batch.unit} {batch.places[first]}: {error.detail}"
            )
        if error.code not in {"invalid_value", "malformed", "too_large"}:
            return error
        if not error.errors:
            places = f"{batch.unit}s {batch.places[first]} to {batch.places[end - 1]}"
            return replace(error, detail=f"{self._name} {places}: {error.detail}")
        told = with_places(error, lambda position: batch.place(first + position))
        return replace(told, detail=f"{self._name} {told.detail}")


def is_too_much(error: VaultError) -> bool:
    """Whether the request as a whole was over a limit, not a single value of it."""
    return error.code == "too_large" and not error.errors


def with_places(error: VaultError, place: Callable[[int], str]) -> VaultError:
    """The refusal with the first few of its `errors` told, and the place of each instead of its position
    in the request."""
    named = [_told(entry, place) for entry in error.errors[:MOST_NAMED]]
    if not named:
        return error
    more = len(error.errors) - len(named)
    ending = f"; and {more} more" if more else ""
    return replace(error, detail=f"{'; '.join(named)}{ending}")


def _told(entry: FieldError, place: Callable[[int], str]) -> str:
    where = f", field {entry.field}" if entry.field else ""
    return f"{place(entry.index)}{where}: {REASONS.get(entry.code, entry.code)}"


def _joined(one: Converted, two: Converted) -> Converted:
    shift = len(one.records)
    moved = tuple(MissingField(missing.record + shift, missing.field) for missing in two.missing)
    changed = {**one.changed, **two.changed}
    return Converted(one.records + two.records, one.epochs | two.epochs, one.missing + moved, changed)
