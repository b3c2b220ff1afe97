"""A vault beside a DuckDB connection: attached, asked, and taken away again."""

from __future__ import annotations

import atexit
import contextlib
import time
import weakref
from collections.abc import Iterable
from types import TracebackType

import duckdb
import pyarrow as pa

from tvault.client.vault import Vault
from tvault.duck.changes import Changes, first_line, is_read_only, refuse_writable
from tvault.duck.functions import Functions
from tvault.duck.hands import Hands
from tvault.duck.memo import Memo, as_count
from tvault.duck.names import quoted, text
from tvault.duck.recognition import Column, Found, Table, asked, declared, sampled, tables
from tvault.duck.recovery import LOG, Recovery
from tvault.duck.revealing import revealed
from tvault.duck.views import Catalog
from tvault.errors import VaultError

REQUESTS = 6
"""How many requests a query makes at a time: two for each of three nodes."""

MEMO_BYTES = 256 * 1024 * 1024
MEMO_SECONDS = 600.0
"""How much memory values may take that are kept for the next query, and how long they are."""

NO_CATALOG = (
    "there are no views and no revealed(): DuckDB adds no database to one that it opened read-only as a "
    "whole. Open the file beside an empty one: duckdb.connect(), then ATTACH 'FILE' (READ_ONLY)"
)

# By connection, and without keeping one alive.
_CHANGES: weakref.WeakKeyDictionary[duckdb.DuckDBPyConnection, Changes] = weakref.WeakKeyDictionary()


class Attached:
    """A vault beside a connection, until `detach()`; a context manager.  Made by `attach`.

    `tables` are the tables and views of which a column is recovered, `mixed` those with columns in which
    only some values are tokens, `warnings` sentences about what could not be done.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        changes: Changes,
        recovery: Recovery,
        functions: Functions,
        told: tuple[tuple[Found, ...], tuple[Found, ...], tuple[str, ...]],
    ) -> None:
        self.tables, self.mixed, self.warnings = told
        self._connection = connection
        self._changes = changes
        self._recovery = recovery
        self._functions = functions

    def __repr__(self) -> str:
        return f"Attached(tables=<{len(self.tables)}>)"

    def __enter__(self) -> Attached:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.detach()
        except VaultError:
            # What ended the block says more.
            if error is None:
                raise

    def reveal(self, query: str | duckdb.DuckDBPyRelation, *columns: str) -> pa.Table:
        """The result of a query or relation, with the values in the place of the tokens in `columns`;
        without `columns`, in those that hold nothing but tokens.

        Each different token is asked for once, in requests of 10,000, several at a time.  What is not
        found is null, and counted.  The table is Arrow's own: it stays what it is when the vault is
        detached or the connection closed.  Raises `VaultError`, and what DuckDB raises for the query.
        """
        if _CHANGES.get(self._connection) is not self._changes:
            raise VaultError("usage", "the vault is detached from this connection")
        asked(self._connection, "SELECT 1")
        relation = self._connection.sql(query) if isinstance(query, str) else query
        if relation is None:
            raise VaultError("usage", "reveal() takes a query that has a result")
        return revealed(self._recovery, relation.to_arrow_table(), columns)

    @property
    def not_found(self) -> int:
        """How many different texts were no tokens of the vault, since it was attached or this was last
        taken."""
        return self._recovery.tally.count

    def take_not_found(self) -> str | None:
        """A sentence about `not_found`, None when there is nothing to say; it begins anew at 0."""
        count = self._recovery.tally.take()
        if not count:
            return None
        what = "text is no token" if count == 1 else "different texts are no tokens"
        return f"{as_count(count)} {what} of this vault: NULL in the result"

    def take_failure(self) -> VaultError | None:
        """The first refusal that a function has met since this was last asked, as the vault gave it."""
        failure, self._functions.failure = self._functions.failure, None
        return failure

    def interrupt(self) -> None:
        """End what runs on the connection, at once even when no node answers.  For another thread than
        the one that waits, and for the handler of a signal."""
        try:
            self._connection.interrupt()
        except duckdb.Error:
            LOG.debug("nothing to interrupt: the connection is closed")
        self._recovery.hands.stop()

    def detach(self) -> None:
        """Remove functions, views and remembered values, and set what was set before.  To do it again
        does nothing.  Raises `VaultError` when DuckDB refuses to remove them in an open transaction."""
        self._recovery.hands.stop()
        self._recovery.memo.clear()
        if _CHANGES.get(self._connection) is not self._changes:
            return
        try:
            self._changes.undo(self._connection)
        except duckdb.ConnectionException:
            LOG.debug("nothing to detach: the connection is closed")
        except duckdb.Error as error:
            raise VaultError("usage", f"cannot detach the vault: {first_line(error)}") from None
        del _CHANGES[self._connection]


def attach(
    connection: duckdb.DuckDBPyConnection,
    vault: Vault,
    *,
    columns: Iterable[str] | None = None,
    allow_writable: bool = False,
    catalog: str = "vault",
    requests: int = REQUESTS,
) -> Attached:
    """Make the values of `vault` available to SQL on `connection`, and to its cursors.

    SQL gets `detokenize(token)`, `token_of(value)`, `tokens_of(value)`, the table macro
    `vault.revealed('SELECT token …')`, and a view `vault.NAME` of each table or view with columns of
    tokens, in which these are recovered.  Which columns those are a sample tells; `columns` says it
    instead: `visits.ssn`, or `database.schema.table.column`.  `catalog` is another name for `vault`.

    Files stay as they are.  While the vault is attached DuckDB keeps in memory what it would otherwise
    write to its temporary directory.  A connection to a database file that can be written to is refused
    unless `allow_writable`: recovered values could be stored there.

    A connection to which a vault is attached already loses that one.  Raises `VaultError`.
    """
    if not (isinstance(requests, int) and requests > 0):
        raise VaultError("usage", "requests is the number of requests at a time, 1 or more")
    if isinstance(columns, str):
        raise VaultError("usage", "columns is a list of names such as visits.ssn")
    recovery = Recovery(vault, Hands(requests), Memo(MEMO_BYTES, MEMO_SECONDS, time.monotonic))
    changes: Changes | None = None
    try:
        before = _CHANGES.pop(connection, None)
        ((database, schema, path),) = asked(
            connection, "SELECT current_database(), current_schema(), current_setting('search_path')"
        )
        if before is not None:
            before.undo(connection)
        changes = _CHANGES[connection] = Changes(
            f"SET search_path = {text(path)}" if path else f"USE {quoted(database, schema)}"
        )
        if not allow_writable:
            refuse_writable(connection)
        attached = _attached(connection, changes, recovery, catalog, columns)
    except BaseException as error:
        if changes is not None:
            with contextlib.suppress(duckdb.Error):
                changes.undo(connection)
            _CHANGES.pop(connection, None)
        if isinstance(error, duckdb.Error):
            raise VaultError("usage", f"cannot attach the vault: {first_line(error)}") from None
        raise
    return attached


def _attached(
    connection: duckdb.DuckDBPyConnection,
    changes: Changes,
    recovery: Recovery,
    catalog: str,
    columns: Iterable[str] | None,
) -> Attached:
    """Make the functions and the views.  Raises `VaultError` and `duckdb.Error`."""
    there, warnings = tables(connection)
    if columns is None:
        chosen = [(table, _sampled(connection, table, warnings)) for table in there]
    else:
        chosen = declared(there, [*columns])
    functions = Functions(recovery)
    changes.add_functions(connection, functions.listed())
    views = None
    if is_read_only(connection):
        warnings.append(NO_CATALOG)
    else:
        views = Catalog(connection, catalog)
        changes.catalog = catalog
        views.fill()
    found, mixed = [], []
    for table, its_columns in chosen:
        whole = tuple(column for column in its_columns if column.tokens == column.sampled)
        parts = tuple(column for column in its_columns if 0 < column.tokens < column.sampled)
        if whole:
            view = None if views is None else views.offer(table, whole)
            found.append(Found(table.shown, view, whole))
        if parts:
            mixed.append(Found(table.shown, None, parts))
    warnings += filter(None, [changes.keep_in_memory(connection)])
    for warning in warnings:
        LOG.warning(warning)
    told = (tuple(found), tuple(mixed), tuple(warnings))
    return Attached(connection, changes, recovery, functions, told)


def _sampled(connection: duckdb.DuckDBPyConnection, table: Table, warnings: list[str]) -> list[Column]:
    """What a sample shows of the table; a sentence when it cannot be read."""
    try:
        return sampled(connection, table)
    except duckdb.Error:
        warnings.append(f"{table.shown} is left out: it cannot be read")
    return []


@atexit.register
def _detach_all() -> None:
    """DuckDB 2 complains of functions that are there when the process ends."""
    for connection, changes in [*_CHANGES.items()]:
        with contextlib.suppress(duckdb.Error):
            changes.undo(connection)
