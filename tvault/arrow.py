"""Columns of Arrow data through a vault: for Spark, Ray, Dask, Polars, pandas, and all that hands out
Arrow batches.

    from tvault import arrow

    tokens = arrow.transform(table, ["ssn", "patient.mrn"], "tokenize")
    values = arrow.transform(tokens, ["ssn", "patient.mrn"], "detokenize")

The schema of a result depends on the schema that was given and never on the data.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from tvault.client.bulk import A, B, Bulk
from tvault.client.job import DEFAULT_JOBS, Operation
from tvault.client.sending import MOST_NAMED
from tvault.client.vault import Vault
from tvault.errors import VaultError

try:
    import pyarrow as pa

    from tvault.client.arrow_columns import Columns
    from tvault.client.arrow_paths import chosen
    from tvault.client.arrow_plan import Plan, plan
except ModuleNotFoundError as missing:
    if missing.name != "pyarrow":
        raise
    raise VaultError("usage", "tvault.arrow needs pyarrow: pip install 'tvault[parquet]'") from None

T = TypeVar("T")

__all__ = ["Operation", "schema_of", "transform"]

_log = logging.getLogger(__name__)

_TABLE = "the table"


def transform(
    batch: T,
    columns: Sequence[str],
    op: Operation,
    *,
    vault: Vault | None = None,
    types: Mapping[str, pa.DataType] | None = None,
) -> T:
    """A `pyarrow.RecordBatch` or `Table` with the values of `columns` converted by the operation `op`:
    "tokenize", "detokenize" or "retokenize".

    A column is named by its name, else by a path into structs and lists: `patient.mrn`,
    `contacts[*].phone`.  Null stays null.  Each different value is asked for once, up to 10,000 in a
    request.

    Without `vault` it is `Vault.from_env()`, one that the process keeps: so this function can be handed
    to other processes and machines, and each must have `TVAULT_URL` and `TVAULT_API_KEY`.

    `types` are those that values get again, by the names in `columns`.  Without, it is the one that a
    column had when `transform` tokenized it, as its metadata says; else it is text, with numbers and
    booleans as their JSON.

    A token that is not found becomes null (`retokenize` leaves it as it is), and how many there were is
    logged as a warning.  What is no value (NaN, for one) or of another type, and a service that fails,
    raise `VaultError`.
    """
    if not isinstance(batch, (pa.RecordBatch, pa.Table)):
        raise VaultError(
            "usage", f"give a RecordBatch or Table of pyarrow; this is of type {type(batch).__name__}"
        )
    planned = _plan(batch.schema, columns, op, types)
    if not batch.num_rows:
        made = planned.schema.empty_table()
    else:
        made = _converted(batch, planned, _own_vault() if vault is None else vault)
    if isinstance(batch, pa.Table):
        return made  # type: ignore[no-any-return]
    arrays = [column.combine_chunks() for column in made.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=made.schema)  # type: ignore[no-any-return]


def schema_of(
    schema: pa.Schema,
    columns: Sequence[str],
    op: Operation,
    *,
    types: Mapping[str, pa.DataType] | None = None,
) -> pa.Schema:
    """The schema of what `transform` makes of a batch with this schema.  It asks no vault."""
    return _plan(schema, columns, op, types).schema


def _plan(
    schema: pa.Schema,
    columns: Sequence[str],
    op: Operation,
    types: Mapping[str, pa.DataType] | None,
) -> Plan:
    if op not in {"tokenize", "detokenize", "retokenize"}:
        raise VaultError("usage", "op is tokenize, detokenize or retokenize")
    if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
        raise VaultError("usage", "columns is a list of names")
    if not columns:
        raise VaultError("usage", "columns names no column")
    return plan(op, schema, chosen(schema, columns, _TABLE), _TABLE, types)


def _converted(batch: pa.RecordBatch | pa.Table, planned: Plan, vault: Vault) -> pa.Table:
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    with ThreadPoolExecutor(DEFAULT_JOBS, thread_name_prefix="tvault-arrow") as pool:

        def each(function: Callable[[A], B], things: Iterable[A], /) -> Iterator[B]:
            """In threads only if there are several things."""
            listed = list(things)
            return pool.map(function, listed) if len(listed) > 1 else map(function, listed)

        outcome = Columns(planned, Bulk(vault), each=each)(table)
    if outcome.not_found:
        places = list(islice(outcome.places, MOST_NAMED))
        more = "; …" if outcome.not_found > len(places) else ""
        became = "stay" if planned.operation == "retokenize" else "are null"
        told = "; ".join(places)
        _log.warning("tokens that are not found %s: %d (%s%s)", became, outcome.not_found, told, more)
    return outcome.table


_own_vaults: dict[tuple[str | None, ...], Vault] = {}


def _own_vault() -> Vault:
    """The vault that the environment names; one a process, which a fork may take along."""
    named = tuple(os.environ.get(name) for name in ("TVAULT_URL", "TVAULT_API_KEY", "TVAULT_CA"))
    # Without a lock, which a fork could find locked: of two made at a time, one is kept.
    return _own_vaults.get(named) or _own_vaults.setdefault(named, Vault.from_env())
