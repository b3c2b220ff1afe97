"""A guarded DuckDB with a vault beside it, asked for one statement after the other.

Everything that DuckDB does is done in one thread of its own, so that the main thread hears of signals at
once, whatever DuckDB or a node does meanwhile.
"""

from __future__ import annotations

import logging
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar, cast

import duckdb
import pyarrow as pa

from tvault.cli.sql_values import Type
from tvault.client.vault import Vault
from tvault.duck import Attached, attach
from tvault.duck.guard import Guarded, no_file_grows
from tvault.duck.names import shown
from tvault.errors import VaultError

T = TypeVar("T")

ROWS_AT_A_TIME = 10_240
NUDGE_SECONDS = 0.1
"""How long to wait before a statement is asked to end again: the first time it may not have begun."""

PATIENCE_SECONDS = 2.0
"""How long a statement may take to end that was asked to."""

COUNTING = ("INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE")
SILENT = ("SET", "VARIABLE_SET", "TRANSACTION", "DROP", "ALTER", "VACUUM", "ANALYZE")

SAYINGS = (
    "file system operations are disabled by configuration",
    "Loading external extensions is disabled",
    "the configuration has been locked",
    "attached in read-only mode",
)
"""What DuckDB says without a word of a statement or a table."""

NAMED = re.compile(
    r"""(?:Parser|Catalog|Binder)\ Error:\ (?:
        syntax\ error\ at\ (?:end\ of\ input|or\ near\ "(?P<text>.+)")
        | Referenced\ (?:column|table)\ "(?P<reference>[^"]+)"\ not\ found
        | [A-Z][A-Za-z ]*\ with\ name\ "?(?P<name>[^"]+?)"?\ does\ not\ exist!?
    )""",
    re.VERBOSE,
)
"""Errors of DuckDB that name one thing: what they name is harmless where the statement says it too."""

READ_ONLY_NOTE = "; what is to be kept in memory is CREATE TEMP TABLE or CREATE TEMP VIEW"
MEMORY_NOTE = (
    "; nothing is written to a disk here, so what a statement sorts, groups or joins has to fit: "
    "recover fewer rows or columns, or give --memory-limit"
)


LONGEST_KIND = 40
WITHHELD = "its text may hold a value that was read: it is shown on a terminal alone"


class StatementError(VaultError):
    """What DuckDB has against a statement.  Its detail holds nothing that was read from a table, since
    messages end up in logs; `in_full` is for a terminal."""

    def __init__(self, detail: str, in_full: str) -> None:
        super().__init__("malformed", detail)
        self.in_full = in_full


@dataclass(frozen=True)
class Column:
    """A column of a result: its name, and its type as `sql_values` takes it."""

    name: str
    type: Type


class Result:
    """Rows of a statement, read as they come."""

    def __init__(self, session: Session, reader: pa.RecordBatchReader, *, is_plan: bool) -> None:
        self.is_plan = is_plan
        self._session = session
        self._reader = reader
        names = [f"c{position}" for position in range(len(reader.schema))]
        fields = [field.with_name(name) for field, name in zip(reader.schema, names, strict=True)]
        self._schema = pa.schema(fields)
        self.columns: list[Column] = []

    def rows(self, sql: Sequence[str]) -> Iterator[list[tuple[str | None, ...]]]:
        """Lists of rows, at least one list: what these expressions make of the columns `c0`, `c1`, …"""
        yield from self._each(lambda: self._session.printer.execute(_select(sql)).fetchall())

    def tables(self, sql: Sequence[str]) -> Iterator[pa.Table]:
        """As `rows`, in Arrow's form."""
        yield from self._each(lambda: self._session.printer.sql(_select(sql)).to_arrow_table())

    def close(self) -> None:
        """Read no more."""
        self._session.call(self._reader.close)

    def _each(self, make: Callable[[], T]) -> Iterator[T]:
        made = self._session.call(lambda: self._next(make, is_first=True))
        while made is not None:
            yield made
            made = self._session.call(lambda: self._next(make, is_first=False))

    def _next(self, make: Callable[[], T], *, is_first: bool) -> T | None:
        try:
            batch = self._reader.read_next_batch()
        except StopIteration:
            if not is_first:
                return None
            batch = None
        return self.printed(batch, make)

    def printed(self, batch: pa.RecordBatch | None, make: Callable[[], T]) -> T:
        """What `make` gives while the printer knows these rows, or none, as `batch`."""
        arrays = (
            [] if batch is None else [pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)]
        )
        self._session.printer.register("batch", pa.Table.from_batches(arrays, schema=self._schema))
        try:
            return make()
        finally:
            self._session.printer.unregister("batch")


class Session:
    """Runs statements on a guarded connection.  Close it; when `is_stuck` DuckDB does not end what it
    was asked to end, and the process can only be left."""

    def __init__(self, guarded: Guarded, vault: Vault, columns: Sequence[str]) -> None:
        self.is_stuck = False
        self._statement = ""
        self._guarded = guarded
        self._attached: Attached | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="duckdb")
        logging.getLogger("tvault.duck").setLevel(logging.ERROR)  # what it warns of is told here
        self.printer = duckdb.connect(":memory:", config={"arrow_lossless_conversion": "true"})
        self.printer.execute("SET TimeZone = 'UTC'")
        self.printer.execute("SET enable_external_access = false")
        self.attached = self.call(lambda: attach(guarded.connection, vault, columns=columns or None))
        self._attached = self.attached
        self.call(guarded.lock)

    def run(self, text: str, most_rows: int | None = None) -> Result | None:
        """Begin a statement: its rows, at most so many of a SELECT, or None.  The result before it is
        closed or read to its end.  Raises `VaultError`."""
        self._statement = text
        return self.call(lambda: self._begin(text, most_rows))

    def ask(self, sql: str) -> list[tuple[str, ...]]:
        """All rows of our own query."""

        def ask() -> list[tuple[str, ...]]:
            cursor = self._guarded.connection.cursor()
            try:
                return cursor.execute(sql).fetchall()
            finally:
                cursor.close()

        return self.call(ask)

    def short(self, table: str) -> str:
        """A whole name of a table as it can be written here."""
        database = self._guarded.database
        return table.removeprefix(f"{shown(database)}.main." if database else "memory.main.")

    def kinds(self, text: str) -> tuple[str, ...]:
        """The kinds of statements in a text, none when DuckDB does not understand it.  Raises
        `VaultError` for what the guard refuses."""

        def look() -> tuple[str, ...]:
            try:
                return self._guarded.check(text)
            except duckdb.Error:
                return ()

        return self.call(look)

    def call(self, work: Callable[[], T]) -> T:
        """Do `work` in DuckDB's thread, and what the guard asks for meanwhile.  Raises `VaultError`;
        `KeyboardInterrupt` when a signal came and the work has ended."""
        try:
            with no_file_grows():
                return self._worker.submit(work).result()
        except KeyboardInterrupt:
            self._end()
            raise
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            failure = self._attached.take_failure() if self._attached is not None else None
            raise failure or _told(error, self._statement) from None

    def close(self) -> None:
        """Detach the vault and close what was opened."""
        if self.is_stuck:
            return

        def close() -> None:
            with suppress(VaultError):  # an open transaction: it ends with the connection
                self.attached.detach()
            self._guarded.connection.close()
            self.printer.close()

        self.call(close)
        self._worker.shutdown()

    def _end(self) -> None:
        """End what DuckDB's thread does.  The signal may have come before it is known here what that is,
        and the same once more while it ends changes nothing."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.is_stuck = True
        idle = self._worker.submit(lambda: None)
        for _ in range(round(PATIENCE_SECONDS / NUDGE_SECONDS)):
            if self._attached is not None:
                self._attached.interrupt()
            if wait([idle], NUDGE_SECONDS).done:
                self.is_stuck = False
                break
        if self._attached is not None:
            self._attached.take_failure()
        signal.signal(signal.SIGINT, before)

    def _begin(self, text: str, most_rows: int | None) -> Result | None:
        kinds = self._guarded.check(text)
        if not kinds:
            return None
        kind = kinds[-1]
        relation = self._guarded.connection.sql(text)
        if relation is None:  # DuckDB 1.5 on what has no rows
            return None
        names = list(relation.columns)
        if most_rows is not None and kinds == ("SELECT",):
            relation = relation.limit(most_rows)
        reader = relation.to_arrow_reader(ROWS_AT_A_TIME if most_rows is None else most_rows)
        if kind in SILENT or names == ["Success"] or (kind in COUNTING and names == ["Count"]):
            reader.read_all()
            return None
        result = Result(self, reader, is_plan=kind == "EXPLAIN")
        types = result.printed(None, lambda: list(self.printer.table("batch").types))
        result.columns = [
            Column(name, cast("Type", type_)) for name, type_ in zip(names, types, strict=True)
        ]
        return result


def _select(sql: Sequence[str]) -> str:
    return f"SELECT {', '.join(sql)} FROM batch"  # noqa: S608 - written by sql_values


def _told(error: Exception, statement: str) -> VaultError:
    text = str(error).strip()
    first = text.partition("\n")[0]
    kind, colon, _ = first.partition(" Error: ")
    if not colon or len(kind) >= LONGEST_KIND:
        kind = type(error).__name__
    note = READ_ONLY_NOTE if "read-only mode" in first else ""
    note = MEMORY_NOTE if kind.startswith("Out of Memory") else note
    return StatementError(f"{kind} Error: {_harmless(kind, first, statement)}{note}", text + note)


def _harmless(kind: str, first: str, statement: str) -> str:
    """What may be told of an error anywhere: nothing that was read from a table is in it."""
    for saying in SAYINGS:
        if saying in first:
            return saying
    if kind in {"Out of Memory", "INTERRUPT", "Interrupt"}:
        return first.partition(" Error: ")[2]
    named = NAMED.match(first)
    if named is not None and all(name in statement for name in named.groups() if name is not None):
        return named[0].partition(" Error: ")[2]
    return WITHHELD
