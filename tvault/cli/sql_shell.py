"""Statements from a text or a prompt, one after the other, and what is told of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from tvault.cli.output import say
from tvault.cli.sql_output import Table, form_of, write_csv, write_json
from tvault.cli.sql_prompt import Prompt
from tvault.cli.sql_session import Result, Session, StatementError
from tvault.cli.sql_statements import Statement, statements_of
from tvault.cli.targets import writing
from tvault.client.vault import Vault
from tvault.client.whole_file import whole_file
from tvault.duck.guard import leave_no_core, open_guarded
from tvault.duck.names import shown
from tvault.errors import VaultError

HAVE_ROWS = ("SELECT", "EXPLAIN", "MULTI")
"""Kinds of statements that have a result whatever they say."""

HELP = """\
SQL ends with a semicolon and may take several lines; Ctrl-C drops it, or stops what runs.
FROM vault.TABLE has recovered columns; detokenize(token), token_of(value), tokens_of(value).
.tables   what can be queried        .quit   end, as Ctrl-D does        .help   this"""

TABLES = """
    SELECT database_name AS "database", schema_name AS "schema", table_name AS "name"
    FROM duckdb_tables() WHERE NOT internal
    UNION ALL
    SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE NOT internal
    ORDER BY ALL"""


class Options(Protocol):
    """What the command line says of files, output and SQL."""

    @property
    def as_json(self) -> bool: ...
    @property
    def as_csv(self) -> bool: ...
    @property
    def out(self) -> str | None: ...
    @property
    def db(self) -> str | None: ...
    @property
    def read(self) -> Sequence[str]: ...
    @property
    def memory_limit(self) -> str | None: ...
    @property
    def sql(self) -> str | None: ...
    @property
    def sql_file(self) -> str | None: ...


@dataclass(frozen=True)
class Printing:
    """How results are printed, how many rows of one are wanted, and whether one is all that can be."""

    write: Callable[[Result, BinaryIO], int]
    most_rows: int | None = None
    is_alone: bool = False


def serve(vault: Vault, options: Options, columns: Sequence[str], text: str | None) -> bool:
    """Run the statements of `text`, or of a prompt; whether something was not found.  Raises
    `VaultError`."""
    leave_no_core()
    database = None if options.db is None else Path(options.db)
    guarded = open_guarded(database, [Path(each) for each in options.read], options.memory_limit)
    for note in guarded.notes:
        say(f"note: {note}")
    with closing(Session(guarded, vault, columns)) as session:
        _tell(session)
        if text is None:
            return _prompt(session, _printing(options))
        return _run(session, text, options)


def _printing(options: Options) -> Printing:
    if options.as_json:
        return Printing(write_json, is_alone=True)
    if options.as_csv:
        return Printing(write_csv, is_alone=True)
    table = Table.for_terminal() if sys.stdout.isatty() else Table()
    return Printing(table, table.most_rows)


def _tell(session: Session) -> None:
    """Say which columns hold tokens, and what is doubtful."""
    for found in session.attached.tables:
        for column in found.columns:
            how = f"{column.tokens} of {column.sampled} sampled values are tokens"
            how = "declared" if column.is_declared else how
            say(f"{session.short(found.source)}.{shown(column.name)}: {how} -> {found.view}")
    for found in session.attached.mixed:
        for column in found.columns:
            few = f"only {column.tokens} of {column.sampled} sampled values are tokens"
            name = f"{session.short(found.source)}.{shown(column.name)}"
            say(f"note: {name}: {few}; --columns recovers it all the same")
    for warning in session.attached.warnings:
        say(f"note: {warning}")


def _run(session: Session, text: str, options: Options) -> bool:
    """Run the statements of a text, and print or write what they give; whether something was not found.
    Raises `VaultError` for the first one that fails, with its place."""
    unit = f"{options.sql_file} line" if options.sql_file not in {None, "-"} else "stdin line"
    unit = "line" if options.sql is not None else unit
    statements = statements_of(text)
    if options.out is None:
        how = _printing(options)
    else:
        how = Printing(form_of(Path(options.out).suffix, options.out), is_alone=True)
    runner = _Runner(session, how, unit)
    if how.is_alone:
        runner.refuse_several(statements)
    target = (
        nullcontext(sys.stdout.buffer)
        if options.out is None
        else whole_file(Path(options.out), 0o600, is_private=True)
    )
    with writing(options.out), target as opened_target:
        for statement in statements:
            runner.run(statement, opened_target)
        if how.is_alone and not runner.results:
            raise VaultError("usage", "no statement has a result to write")
    return runner.has_missing


class _Runner:
    """Runs statements, tells of each what has to be told, and remembers what was not found."""

    def __init__(self, session: Session, how: Printing, unit: str | None) -> None:
        self.has_missing = False
        self.results = 0
        self._session = session
        self._how = how
        self._unit = unit

    def refuse_several(self, statements: Sequence[Statement]) -> None:
        """Raise `VaultError` when more than one of them surely has a result."""
        before = None
        for each in statements:
            kinds = self._session.kinds(each.text)
            if kinds and kinds[-1] in HAVE_ROWS:
                if before is not None:
                    raise self._second(each)
                before = each

    def run(self, statement: Statement, target: BinaryIO) -> None:
        """One statement, and its result to `target`.  Raises `VaultError`."""
        try:
            self._print(statement, target)
        except VaultError as error:
            raise self._placed(error, statement) from None
        finally:
            self._tell_missing()

    def _print(self, statement: Statement, target: BinaryIO) -> None:
        result = self._session.run(statement.text, self._how.most_rows)
        if result is None:
            return
        self.results += 1
        if self._how.is_alone and self._unit is not None and self.results > 1:
            raise self._second(statement)
        if self.results > 1 and self._unit is not None:
            target.write(b"\n")
        count = self._how.write(result, target)
        target.flush()
        if self._how.most_rows is not None and count >= self._how.most_rows:
            say(f"the first {count - 1} rows; --csv, --json or --out give all")

    def _second(self, statement: Statement) -> VaultError:
        return VaultError(
            "usage",
            f"{self._unit} {statement.line} has a result besides the one before it, and one is all that "
            "--json, --csv and --out hold",
        )

    def _placed(self, error: VaultError, statement: Statement) -> VaultError:
        detail = error.detail
        if isinstance(error, StatementError):
            detail = error.in_full if sys.stderr.isatty() else detail
            error = VaultError(error.code, detail)
        if self._unit is None or error.code == "usage":
            return error
        return replace(error, detail=f"{self._unit} {statement.line}: {detail}")

    def _tell_missing(self) -> None:
        sentence = self._session.attached.take_not_found()
        if sentence is not None:
            self.has_missing = True
            say(f"tvault: {sentence}")


def _prompt(session: Session, how: Printing) -> bool:
    """Run what is typed until it ends; whether something was not found."""
    runner = _Runner(session, how, None)
    say("Recovered values stay in memory; .help tells more.")
    typed = Prompt(lambda: [name for (name,) in session.ask(NAMES)])
    while _goes_on(runner, typed):
        if session.is_stuck:
            raise KeyboardInterrupt
    return runner.has_missing


def _goes_on(runner: _Runner, typed: Prompt) -> bool:
    """Do one thing that is typed, whatever comes of it; whether more is to be asked for."""
    try:
        return _answer(runner, typed.next())
    except VaultError as error:
        say(str(error))
    except KeyboardInterrupt as signal:
        if type(signal) is not KeyboardInterrupt:
            raise
        typed.forget()
        say("")
    return True


def _answer(runner: _Runner, line: Statement | str | None) -> bool:
    """Do what was typed; whether more is to be asked for.  Raises `VaultError`."""
    if isinstance(line, Statement):
        runner.run(line, sys.stdout.buffer)
    elif line == ".tables":
        runner.run(Statement(TABLES, 1), sys.stdout.buffer)
    elif line not in {None, ".quit", ".exit"}:
        say(HELP)
        return True
    return isinstance(line, Statement) or line == ".tables"


NAMES = """
    SELECT DISTINCT name FROM (
        SELECT unnest([table_name, column_name]) AS name FROM duckdb_columns() WHERE NOT internal
        UNION ALL SELECT database_name FROM duckdb_databases() WHERE NOT internal
        UNION ALL SELECT unnest(['detokenize', 'token_of', 'tokens_of', 'revealed'])
    )"""
