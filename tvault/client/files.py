"""Whole files through a vault: bounded batches, several at once, answers in order.

Memory does not grow with the file: at most `2 * jobs` batches are in hand, and of large records fewer.
The batches of one file may get tokens of different epochs when the owner's epoch is rotated meanwhile;
all of them can be turned back, and brought to one epoch later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO, Literal

from tvault.client.json_document import json_batches
from tvault.client.jsonl import jsonl_batches
from tvault.client.records import Batch, Cut
from tvault.client.renewing import renewed_records
from tvault.client.sending import MOST_NAMED, Convert, Converted, Sender
from tvault.client.vault import Vault
from tvault.errors import VaultError

Format = Literal["jsonl", "json"]

READERS: dict[Format, Callable[[BinaryIO, Cut], Iterator[Batch]]] = {
    "jsonl": jsonl_batches,
    "json": json_batches,
}

SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}

DEFAULT_JOBS = 6
"""Requests at a time: two for each of three nodes, so that none waits for the next one to arrive."""

MOST_BYTES_IN_HAND = 24 * 1024 * 1024
"""Bytes of the file that are in hand before reading waits; what a batch takes in memory is a few times
its bytes."""

LOOK_SECONDS = 0.1
"""How often the main thread looks up while it waits.  A signal that comes just as it begins to wait does
not wake it, and is heeded when it looks."""


@dataclass(frozen=True)
class Job:
    """How a file is worked on.  `name` is what messages call it; `progress(bytes, records)` is told
    how far the output has come."""

    name: str
    format: Format = "jsonl"
    cut: Cut = field(default_factory=Cut)
    jobs: int = DEFAULT_JOBS
    progress: Callable[[int, int], None] = lambda _bytes, _records: None


@dataclass
class Summary:
    """What became of a file: its records, the epochs of the tokens that were made, the places where a
    token was not found (all counted, the first few named, and whether there are more)."""

    records: int = 0
    epochs: set[int] = field(default_factory=set)
    not_found: int = 0
    missing: list[str] = field(default_factory=list)
    has_more: bool = False


def tokenize_file(vault: Vault, source: BinaryIO, target: BinaryIO, job: Job) -> Summary:
    """Write `source` to `target` with tokens in the configured fields.

    Raises `VaultError` that names the file and the line (or record) of what is wrong, and `OSError`
    when reading or writing fails.  What was written to `target` by then is for the caller to drop.
    """

    def convert(records: Sequence[bytes]) -> Converted:
        answer = vault.tokenize_json(records)
        return Converted([*answer.records], frozenset({answer.epoch}))

    return _run(convert, source, target, job)


def detokenize_file(vault: Vault, source: BinaryIO, target: BinaryIO, job: Job) -> Summary:
    """Write `source` to `target` with values in the place of tokens; those not found stay and are
    counted.  Raises as `tokenize_file` does."""

    def convert(records: Sequence[bytes]) -> Converted:
        answer = vault.detokenize_json(records)
        return Converted([*answer.records], missing=tuple(answer.not_found))

    return _run(convert, source, target, job)


def _forget(changed: Mapping[bytes, bytes]) -> None:
    """For those who do not ask."""


def retokenize_file(
    vault: Vault,
    source: BinaryIO,
    target: BinaryIO,
    job: Job,
    note: Callable[[Mapping[bytes, bytes]], None] = _forget,
) -> Summary:
    """Write `source` to `target` with tokens of the active epoch in the place of older ones, wherever
    they stand; those not found stay and are counted.  `note` is told, in this thread, which token became
    which other one: an old one may come again.  Raises as `tokenize_file` does, and what `note` raises.
    """
    return _run(partial(renewed_records, vault), source, target, job, note)


def _run(
    convert: Convert,
    source: BinaryIO,
    target: BinaryIO,
    job: Job,
    note: Callable[[Mapping[bytes, bytes]], None] = _forget,
) -> Summary:
    summary = Summary()
    sender = Sender(convert, job.name, job.cut)
    for batch, answer in _in_order(_read(source, job, sender.cut), sender, job.jobs):
        target.write(batch.filled(answer.records))
        note(answer.changed)
        _count(summary, batch, answer)
        job.progress(batch.end, summary.records)
    target.flush()
    return summary


def _read(source: BinaryIO, job: Job, cut: Cut) -> Iterator[Batch]:
    try:
        yield from READERS[job.format](source, cut)
    except VaultError as error:
        raise replace(error, detail=f"{job.name} {error.detail}") from None
    except OSError as error:
        raise VaultError("internal", f"{job.name} cannot be read: {error.strerror or error}") from None


def _in_order(
    batches: Iterator[Batch], send: Callable[[Batch], Converted], jobs: int
) -> Iterator[tuple[Batch, Converted]]:
    """Each batch with its answer, in the order of the file, with `jobs` of them under way and as many
    waiting to be."""
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="tvault-batch")
    waiting: deque[tuple[Batch, Future[Converted]]] = deque()
    given_out = 0  # bytes of the file
    try:
        for batch in batches:
            waiting.append((batch, pool.submit(send, batch)))
            while waiting and (
                len(waiting) >= 2 * jobs
                or batch.end - given_out > MOST_BYTES_IN_HAND
                or waiting[0][1].done()
            ):
                done, answer = waiting.popleft()
                yield done, _awaited(answer)
                given_out = done.end
        while waiting:
            done, answer = waiting.popleft()
            yield done, _awaited(answer)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _awaited(answer: Future[Converted]) -> Converted:
    while not answer.done():
        wait([answer], LOOK_SECONDS)
    return answer.result()


def _count(summary: Summary, batch: Batch, answer: Converted) -> None:
    summary.records += len(answer.records)
    summary.epochs |= answer.epochs
    summary.not_found += len(answer.missing)
    for missing in answer.missing:
        if summary.has_more:
            break
        where = f", field {missing.field}" if missing.field else ""
        name = f"{batch.unit} {batch.places[missing.record]}{where}"
        if name in summary.missing:
            continue
        if len(summary.missing) < MOST_NAMED:
            summary.missing.append(name)
        else:
            summary.has_more = True
