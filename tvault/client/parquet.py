"""Parquet files through a vault, row group after row group.

A row group is read, converted and written as one, so that each of its different values is asked for
once; one that is too large for memory becomes several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import BinaryIO

import pyarrow as pa

from tvault.client.arrow_columns import Columns, Outcome
from tvault.client.arrow_paths import Place, chosen, places
from tvault.client.arrow_plan import Goal, Plan, plan, with_goals
from tvault.client.arrow_types import is_text, type_of
from tvault.client.bulk import MOST_VALUES, A, B, Bulk
from tvault.client.configured import configured_fields
from tvault.client.in_order import in_order
from tvault.client.job import Job, Operation, Summary
from tvault.client.parquet_reading import Group, ParquetSource
from tvault.client.parquet_writing import ParquetTarget
from tvault.client.vault import Vault
from tvault.errors import VaultError
from tvault.model.fields import parse_path

Note = Callable[[Mapping[bytes, bytes]], None]


def parquet_file(
    operation: Operation, vault: Vault, source: BinaryIO, target: BinaryIO, job: Job, note: Note
) -> Summary:
    """Write `source`, a Parquet file, to `target` with its columns converted.  As `files` has it.

    `source` is read at several places, so it must be seekable; `target` need not be.
    """
    summary = Summary()
    read = ParquetSource(source, job.name)
    bulk = Bulk(vault)
    most = min(MOST_VALUES, job.cut.records)
    with ThreadPoolExecutor(job.jobs, thread_name_prefix="tvault-values") as pool:
        planned = _plan(operation, vault, read, job)
        goals = [
            goal if goal.is_told else _told_by_values(goal, read, bulk, most) for goal in planned.goals
        ]
        planned = with_goals(operation, read.schema, goals, keeps=True)
        summary.have_place = all(is_text(goal.field.type) for goal in goals)
        columns = Columns(planned, bulk, each=partial(_each, pool), most=most, name=f"{job.name} ")

        def work(group: Group) -> Outcome:
            return columns(group.table, group.first_row)

        try:
            with ParquetTarget(target, planned.schema, read) as written:
                # One at a time, and the next one read meanwhile if it is small: it has requests enough.
                for group, outcome in in_order(read.groups(), work, 1):
                    written.write(outcome.table)
                    note(outcome.changed)
                    rows = outcome.table.num_rows
                    summary.add(rows, outcome.epochs, outcome.not_found, outcome.places)
                    job.progress(group.passed, summary.records)
                    del group, outcome  # they would stay while the next one is read
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return summary


def _each(pool: ThreadPoolExecutor, function: Callable[[A], B], things: Iterable[A], /) -> Iterable[B]:
    return pool.map(function, things)


def _plan(operation: Operation, vault: Vault, read: ParquetSource, job: Job) -> Plan:
    if job.columns:
        found = chosen(read.schema, job.columns, job.name)
    elif operation == "retokenize":
        found = [place for place, _ in places(read.schema) if is_text(place.field.type)]
    else:
        found = _configured(vault, read.schema, job.name)
    return plan(operation, read.schema, found, job.name, keeps=True)


def _configured(vault: Vault, schema: pa.Schema, name: str) -> list[Place]:
    """The places that are configured fields: by their path, and a column also by its name as a path."""
    meant = [(place, path) for place, path in places(schema)]
    for place, _ in list(meant):
        if not place.steps:
            try:
                meant.append((place, parse_path(place.field.name)))
            except ValueError:
                continue
    fields = configured_fields(vault, [path for _, path in meant])
    found = {(place.column, place.steps): place for place, path in meant if path in fields}
    if not found:
        raise VaultError(
            "usage", f"{name} has no column that is a configured field: name its columns, --columns"
        )
    return list(found.values())


def _told_by_values(goal: Goal, read: ParquetSource, bulk: Bulk, most: int) -> Goal:
    """The goal with the type of the first value that is found; text when there is none.

    That all others have it is seen when they are converted.
    """
    for texts in read.different_texts(goal.place, most):
        value = next((one for one in bulk.detokenize(texts).found if one is not None), None)
        if value is not None:
            break
    else:
        value = ""
    field = goal.field
    if not isinstance(value, str):
        field = field.with_type(type_of(value)).with_nullable(True)  # noqa: FBT003
    return replace(goal, field=field, is_lenient=False)
