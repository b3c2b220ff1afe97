"""Whole files through a vault: bounded batches, several at once, answers in order.

Memory does not grow with the file: at most `2 * jobs` batches are in hand.  The batches of one file
may get tokens of different epochs when the owner's epoch is rotated meanwhile; all of them can be
turned back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Literal

from tvault.client.json_document import json_batches
from tvault.client.jsonl import jsonl_batches
from tvault.client.records import Batch, Cut
from tvault.client.vault import MissingField, Vault
from tvault.errors import FieldError, VaultError

Format = Literal["jsonl", "json"]

READERS: dict[Format, Callable[[BinaryIO, Cut], Iterator[Batch]]] = {
    "jsonl": jsonl_batches,
    "json": json_batches,
}

SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}

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


@dataclass(frozen=True)
class Job:
    """How a file is worked on.  `name` is what messages call it; `progress(bytes, records)` is told
    how far the output has come."""

    name: str
    format: Format = "jsonl"
    cut: Cut = field(default_factory=Cut)
    jobs: int = 4
    progress: Callable[[int, int], None] = lambda _bytes, _records: None


@dataclass
class Summary:
    """What became of a file: its records, the epochs of the tokens that were made, the places where a
    token was not found (all counted, the first few named)."""

    records: int = 0
    epochs: set[int] = field(default_factory=set)
    not_found: int = 0
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Converted:
    """Records as they came back for a run of records."""

    records: list[bytes]
    epochs: frozenset[int] = frozenset()
    missing: tuple[MissingField, ...] = ()


Convert = Callable[[Sequence[bytes]], Converted]


def tokenize_file(vault: Vault, source: BinaryIO, target: BinaryIO, job: Job) -> Summary:
    """Write `source` to `target` with tokens in the configured fields.

    Raises `VaultError` that names the file and the line (or record) of what is wrong, and `OSError`
    when reading or writing fails.  What was written to `target` by then is for the caller to drop.
    """

    def convert(records: Sequence[bytes]) -> Converted:
        answer = vault.tokenize_records(records)
        return Converted([bytes(record) for record in answer.records], frozenset({answer.epoch}))

    return _run(convert, source, target, job)


def detokenize_file(vault: Vault, source: BinaryIO, target: BinaryIO, job: Job) -> Summary:
    """Write `source` to `target` with values in the place of tokens; those not found stay and are
    counted.  Raises as `tokenize_file` does."""

    def convert(records: Sequence[bytes]) -> Converted:
        answer = vault.detokenize_records(records)
        return Converted([bytes(record) for record in answer.records], missing=tuple(answer.not_found))

    return _run(convert, source, target, job)


def _run(convert: Convert, source: BinaryIO, target: BinaryIO, job: Job) -> Summary:
    summary = Summary()
    sender = _Sender(convert, job.name)
    for batch, answer in _in_order(_read(source, job), sender, job.jobs):
        target.write(batch.filled(answer.records))
        _count(summary, batch, answer)
        job.progress(batch.end, summary.records)
    target.flush()
    return summary


def _read(source: BinaryIO, job: Job) -> Iterator[Batch]:
    try:
        yield from READERS[job.format](source, job.cut)
    except VaultError as error:
        raise replace(error, detail=f"{job.name} {error.detail}") from None
    except OSError as error:
        raise VaultError("internal", f"{job.name} cannot be read: {error.strerror or error}") from None


def _in_order(
    batches: Iterator[Batch], send: Callable[[Batch], Converted], jobs: int
) -> Iterator[tuple[Batch, Converted]]:
    """Each batch with its answer, in the order of the file, with `jobs` of them under way."""
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="tvault-batch")
    waiting: deque[tuple[Batch, Future[Converted]]] = deque()
    try:
        for batch in batches:
            waiting.append((batch, pool.submit(send, batch)))
            while waiting and (len(waiting) >= 2 * jobs or waiting[0][1].done()):
                done, answer = waiting.popleft()
                yield done, answer.result()
        while waiting:
            done, answer = waiting.popleft()
            yield done, answer.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Sender:
    """Sends a batch, in pieces when it is over a limit of the server."""

    def __init__(self, convert: Convert, name: str) -> None:
        self._convert = convert
        self._name = name
        self._most: int | None = None  # records that a request may hold, once a longer one was refused

    def __call__(self, batch: Batch) -> Converted:
        whole = Converted([])
        step = self._most or len(batch.records) or 1
        for first in range(0, len(batch.records), step):
            whole = _joined(whole, self._send(batch, first, min(first + step, len(batch.records))))
        return whole

    def _send(self, batch: Batch, first: int, end: int) -> Converted:
        try:
            answer = self._convert(batch.records[first:end])
        except VaultError as error:
            if error.code != "too_large" or end - first < 2:
                raise self._placed(error, batch, first, end) from None
        else:
            if len(answer.records) != end - first:
                raise VaultError("internal", "the answer holds another number of records")
            return answer
        half = (end - first) // 2
        self._most = min(half, self._most or half)
        return _joined(self._send(batch, first, first + half), self._send(batch, first + half, end))

    def _placed(self, error: VaultError, batch: Batch, first: int, end: int) -> VaultError:
        """The refusal with lines of the file in the place of positions in the request."""
        if error.code == "too_large":
            return replace(
                error, detail=f"{self._name} {batch.unit} {batch.places[first]}: {error.detail}"
            )
        if error.code not in {"invalid_value", "malformed"}:
            return error
        if not error.errors:
            places = f"{batch.unit}s {batch.places[first]} to {batch.places[end - 1]}"
            return replace(error, detail=f"{self._name} {places}: {error.detail}")
        named = [self._named(entry, batch, first) for entry in error.errors[:MOST_NAMED]]
        more = len(error.errors) - len(named)
        ending = f"; and {more} more" if more else ""
        return replace(error, detail=f"{self._name} {'; '.join(named)}{ending}")

    def _named(self, entry: FieldError, batch: Batch, first: int) -> str:
        position = first + entry.index
        place = batch.places[position] if position < len(batch.places) else "?"
        reason = REASONS.get(entry.code, entry.code)
        where = f", field {entry.field}" if entry.field else ""
        return f"{batch.unit} {place}{where}: {reason}"


def _joined(one: Converted, two: Converted) -> Converted:
    shift = len(one.records)
    moved = tuple(MissingField(missing.record + shift, missing.field) for missing in two.missing)
    return Converted(one.records + two.records, one.epochs | two.epochs, one.missing + moved)


def _count(summary: Summary, batch: Batch, answer: Converted) -> None:
    summary.records += len(answer.records)
    summary.epochs |= answer.epochs
    summary.not_found += len(answer.missing)
    for missing in answer.missing[: MOST_NAMED - len(summary.missing)]:
        place = batch.places[missing.record]
        summary.missing.append(f"{batch.unit} {place}, field {missing.field}")
