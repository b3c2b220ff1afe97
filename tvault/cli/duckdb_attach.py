"""`tvault duckdb-attach`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from tvault.cli.invocation import VaultCommand, api_key_file_option, json_option, tidied_up_when_ended
from tvault.cli.opening import open_vault
from tvault.cli.output import NOT_FOUND
from tvault.cli.targets import are_one
from tvault.errors import VaultError
from tvault.wire import Limits

MOST_BYTES = Limits.body_bytes
"""The longest SQL that is read."""

CONNECTIONS = 6
"""As many as a query makes requests at a time."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    db: str | None
    sql: str | None
    sql_file: str | None
    columns: tuple[str, ...]
    read: tuple[str, ...]
    as_json: bool
    as_csv: bool
    out: str | None
    allow_plaintext: bool
    memory_limit: str | None
    api_key_file: str | None

    @property
    def is_prompt(self) -> bool:
        """Whether SQL is typed."""
        return self.sql is None and self.sql_file is None and sys.stdin.isatty()

    def refuse_contradictions(self) -> None:
        """Raise `VaultError` (`usage`) for options that say two things."""
        if self.sql is not None and self.sql_file is not None:
            raise VaultError("usage", "-c and -f both give SQL: give one of them")
        if self.as_json and self.as_csv:
            raise VaultError("usage", "--json and --csv are two ways to print: give one of them")
        if self.out is not None and (self.as_json or self.as_csv):
            raise VaultError("usage", "the suffix of --out tells its format: leave --json and --csv out")
        if self.out is not None and not self.allow_plaintext:
            raise VaultError(
                "usage",
                f"{self.out} would hold recovered values in the clear: if it may, add --allow-plaintext",
            )
        if self.allow_plaintext and self.out is None:
            raise VaultError("usage", "--allow-plaintext is for --out FILE, and there is none")
        if self.out is not None and self.is_prompt:
            raise VaultError("usage", "--out takes the result of a statement from -c, -f or stdin")
        inputs = [Path(each) for each in (self.db, *self.read) if each is not None]
        if self.out is not None and any(are_one(Path(self.out), each) for each in inputs):
            raise VaultError("usage", f"--out would write over {self.out}, which is read")


@click.command("duckdb-attach", cls=VaultCommand)
@click.argument("db", metavar="[DB]", required=False)
@click.option("-c", "sql", metavar="SQL", help="Run this; without -c and -f, stdin or a prompt.")
@click.option("-f", "sql_file", metavar="FILE", help="Run the SQL in FILE; '-' is stdin.")
@click.option(
    "--columns",
    metavar="TABLE.COLUMN,…",
    multiple=True,
    help="The columns that hold tokens; else a sample tells. May repeat.",
)
@click.option(
    "--read",
    metavar="FILE",
    multiple=True,
    help="A Parquet, CSV or JSON file as a table with the file's name. May repeat.",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--out", metavar="FILE", help="Write the result to FILE, by its suffix.")
@click.option(
    "--allow-plaintext", is_flag=True, help="With --out: FILE may hold recovered values in the clear."
)
@click.option("--memory-limit", metavar="SIZE", help="How much memory DuckDB may use, such as 4GB.")
@api_key_file_option
@click.pass_context
def command(ctx: click.Context, /, **options: object) -> None:
    """Query a DuckDB file that holds tokens, with their values at hand.

    DB is opened read-only, and its tables are there by their names. For each table in which a sample
    of a column is tokens there is a view vault.TABLE with the values in that column. In any query,
    detokenize(token) gives a value, token_of(value) and tokens_of(value) find tokens and make none,
    and vault.revealed('SELECT token …') is a table of token and value for large joins. What is not
    found is NULL, and the exit code is 3.

    On a terminal SQL is typed at a prompt, whose history is kept nowhere; off it, SQL comes from
    stdin. The first statement that fails ends -c, -f and stdin.

    Recovered values reach no file: nothing is spilled to a disk, and COPY, EXPORT, ATTACH and the
    like are refused. Only --out FILE --allow-plaintext writes them: CSV, JSON, JSON Lines or Parquet,
    whole or not at all, for its owner alone.
    """
    asked = Asked(**options)  # type: ignore[arg-type]
    asked.refuse_contradictions()
    text = None if asked.is_prompt else _sql(asked)
    columns = [name.strip() for each in asked.columns for name in each.split(",") if name.strip()]
    importlib.import_module("tvault.duck")  # tells when a package is missing
    serve: Callable[..., bool] = importlib.import_module("tvault.cli.sql_shell").serve
    with (
        tidied_up_when_ended(),
        open_vault(ctx, asked.api_key_file, CONNECTIONS) as vault,
    ):
        has_missing = serve(vault, asked, columns, text)
    if has_missing:
        ctx.exit(NOT_FOUND)


def _sql(asked: Asked) -> str:
    if asked.sql is not None:
        if any("\ud800" <= sign <= "\udfff" for sign in asked.sql):
            raise VaultError("malformed", "the SQL of -c is not UTF-8")
        return asked.sql
    file = asked.sql_file or "-"
    name = "stdin" if file == "-" else file
    try:
        if file == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise VaultError("usage", f"cannot read {name}: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise VaultError("too_large", f"{name} is longer than {MOST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"{name} is not UTF-8 (byte {error.start + 1})"
    raise VaultError("malformed", why)
