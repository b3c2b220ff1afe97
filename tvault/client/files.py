"""Whole files through a vault: bounded batches, several at once, answers in order.

Memory does not grow with the file.  The batches of one file may get tokens of different epochs when the
owner's epoch is rotated meanwhile; all of them can be turned back, and brought to one epoch later.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO, Protocol, TypeVar

from tvault.client.bulk import Bulk
from tvault.client.chosen_fields import ChosenFields
from tvault.client.configured import configured_columns, field_meant_by
from tvault.client.csv_batches import chosen_cells, token_cells
from tvault.client.csv_file import CsvFile
from tvault.client.csv_values import CellConverter
from tvault.client.in_order import in_order
from tvault.client.job import Format, Job, Operation, Summary
from tvault.client.json_document import json_batches
from tvault.client.jsonl import jsonl_batches
from tvault.client.records import Batch, Cut
from tvault.client.renewing import renewed_records
from tvault.client.sending import Convert, Converted, Sender
from tvault.client.tokenizing import ConfiguredFields
from tvault.client.vault import Vault
from tvault.errors import VaultError

Note = Callable[[Mapping[bytes, bytes]], None]

READERS: dict[Format, Callable[[BinaryIO, Cut], Iterator[Batch]]] = {
    "jsonl": jsonl_batches,
    "json": json_batches,
}

SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}


def _forget(changed: Mapping[bytes, bytes]) -> None:
    """For those who do not ask."""


def tokenize_file(vault: Vault, source: BinaryIO, target: BinaryIO, job: Job) -> Summary:
    """Write `source` to `target` with tokens in the configured fields, or in `job.columns`.

    Raises `VaultError` that names the file and the place (line, record or row) of what is wrong, and
    `OSError` when reading or writing fails.  What was written to `target` by then is for the caller to
    drop.
    """
    return _convert(_Run("tokenize", vault, source, target, job, _forget))


def detokenize_file(vault: Vault, source: BinaryIO, target: BinaryIO, job: Job) -> Summary:
    """Write `source` to `target` with values in the place of tokens; those not found stay and are
    counted.  Raises as `tokenize_file` does."""
    return _convert(_Run("detokenize", vault, source, target, job, _forget))


def retokenize_file(
    vault: Vault, source: BinaryIO, target: BinaryIO, job: Job, note: Note = _forget
) -> Summary:
    """Write `source` to `target` with tokens of the active epoch in the place of older ones, wherever
    they stand or in `job.columns` alone; those not found stay and are counted.  `note` is told, in this
    thread, which token became which other one: an old one may come again.  Raises as `tokenize_file`
    does, and what `note` raises.
    """
    return _convert(_Run("retokenize", vault, source, target, job, note))


@dataclass(frozen=True)
class _Run:
    """One file on its way."""

    operation: Operation
    vault: Vault
    source: BinaryIO
    target: BinaryIO
    job: Job
    note: Note


def _convert(run: _Run) -> Summary:
    form = run.job.format
    if form == "parquet":
        return _parquet(run)
    return _csv(run) if form == "csv" else _json(run)


def _json(run: _Run) -> Summary:
    job = run.job
    chosen = ChosenFields(run.operation, Bulk(run.vault), job.columns) if job.columns else None
    fields = ConfiguredFields(run.vault) if run.operation == "tokenize" else None
    sender = Sender(chosen or fields or _of_configured(run), job.name, job.cut)
    summary = _carried_out(run, READERS[job.format](run.source, sender.cut), sender)
    absent = chosen.never_seen() if chosen is not None and summary.records else []
    if absent:
        raise VaultError("usage", f"{job.name}: no record has the field {', '.join(absent)}")
    if chosen is None and fields is not None and summary.records:
        summary.is_untouched = not fields.has_made_tokens
    return summary


def _of_configured(run: _Run) -> Convert:
    """What becomes of tokens: in the fields that the cluster is configured for they are detokenized, and
    retokenized wherever they stand."""
    vault = run.vault

    def detokenized(records: Sequence[bytes]) -> Converted:
        answer = vault.detokenize_json(records)
        return Converted([*answer.records], missing=tuple(answer.not_found))

    if run.operation == "retokenize":
        return partial(renewed_records, Bulk(vault))
    return detokenized


def _csv(run: _Run) -> Summary:
    job = run.job
    with _named(job):
        file = CsvFile(run.source, job.delimiter)
    if run.operation == "retokenize" and not job.columns:
        batches = token_cells(file, job.cut)
    else:
        batches = chosen_cells(file, _columns(run, file.names), job.cut)
    run.target.write(file.header)
    return _carried_out(run, batches, CellConverter(run.operation, Bulk(run.vault), job.name))


def _columns(run: _Run, names: list[str]) -> list[int]:
    """Where the columns stand that are to be converted."""
    name = run.job.name
    chosen = list(dict.fromkeys(run.job.columns)) or _configured(run, names)
    if not chosen:
        told = f"none of the {len(names)} columns in the header of {name} is a configured field"
        raise VaultError("usage", f"{told}; name those to convert by --columns")
    absent = [column for column in chosen if column not in names]
    if absent:
        raise VaultError("usage", f"{name} has no column {', '.join(absent)} in its header")
    doubled = [column for column in chosen if names.count(column) > 1]
    if doubled:
        raise VaultError("usage", f"{name} has more than one column {', '.join(doubled)} in its header")
    return [names.index(column) for column in chosen]


def _configured(run: _Run, names: list[str]) -> list[str]:
    """The columns that are configured fields.  One that was meant to be, as far as can be told, is
    refused: its values would pass as they are."""
    meant = {name: field_meant_by(name) for name in names}
    fields = set(configured_columns(run.vault, [*meant, *meant.values()]))
    for name, field in meant.items():
        if name not in fields and field in fields and field not in meant:
            told = f"the column '{name}' in the header of {run.job.name} is no configured field"
            way = "rename it, or name the columns to convert by --columns"
            raise VaultError("usage", f"{told}, but {field} is; {way}")
    return [name for name in meant if name in fields]


def _parquet(run: _Run) -> Summary:
    try:
        parquet = importlib.import_module("tvault.client.parquet")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pyarrow":
            raise
        told = f"{run.job.name} is a Parquet file, which needs pyarrow: pip install 'tvault[parquet]'"
        raise VaultError("usage", told) from None
    summary: Summary = parquet.parquet_file(
        run.operation, run.vault, run.source, run.target, run.job, run.note
    )
    return summary


class _Batch(Protocol):
    """What of a batch does not depend on the format."""

    @property
    def end(self) -> int: ...

    @property
    def count(self) -> int: ...

    def place(self, position: int, field: str = "", /) -> str: ...

    def filled(self, records: Sequence[Any], /) -> bytes: ...


B = TypeVar("B", bound=_Batch)


def _carried_out(run: _Run, batches: Iterator[B], work: Callable[[B], Converted]) -> Summary:
    job = run.job
    summary = Summary()
    for batch, answer in in_order(_read(batches, job), work, job.jobs):
        run.target.write(batch.filled(answer.records))
        run.note(answer.changed)
        places = (batch.place(missing.record, missing.field) for missing in answer.missing)
        summary.add(batch.count, answer.epochs, len(answer.missing), places)
        job.progress(batch.end, summary.records)
    run.target.flush()
    return summary


def _read(batches: Iterator[B], job: Job) -> Iterator[B]:
    with _named(job):
        yield from batches


@contextmanager
def _named(job: Job) -> Iterator[None]:
    """Name the file in what reading it raises."""
    try:
        yield
    except VaultError as error:
        raise replace(error, detail=f"{job.name} {error.detail}") from None
    except OSError as error:
        raise VaultError("internal", f"{job.name} cannot be read: {error.strerror or error}") from None
