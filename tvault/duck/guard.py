"""A DuckDB from which recovered values reach no disk.

Four fences, each for what the ones before let through:
 * the main database is in memory, the user's file is attached read-only, nothing is spilled, and
   DuckDB's own configuration forbids other files and is locked;
 * statements that write files or change what is attached are refused: a detached file could be attached
   again to be written, and a file that may be read could be written over;
 * while DuckDB runs, this process can write to no file at all, whatever DuckDB tries;
 * a crash leaves no core.
"""

from __future__ import annotations

import contextlib
import re
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tvault.duck.changes import first_line
from tvault.duck.names import quoted
from tvault.duck.names import text as literal
from tvault.errors import VaultError

PART_OF_MEMORY = 0.75
"""How much of DuckDB's own limit is used by itself.  That is 80 % of the machine, or of what a container
may have, and what more is used may be put into swap, on a disk."""

SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "temp_directory": "",
    "allow_persistent_secrets": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "arrow_lossless_conversion": "true",
}
"""What is set before anything is opened."""

LOCKS = ("SET enable_external_access = false", "SET lock_configuration = true")
"""What is said last, in this order."""

TAKEN = frozenset({"vault", "main", "memory", "temp", "system", "pg_catalog", "information_schema"})
"""Names that mean something else in DuckDB or here."""

READERS = {
    ".parquet": "read_parquet",
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".json": "read_json",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
}
"""The function that reads a file, by its suffix."""

ALLOWED = frozenset(
    {
        *("SELECT", "EXPLAIN", "MULTI", "CALL", "PRAGMA", "SET", "VARIABLE_SET", "TRANSACTION"),
        *("CREATE", "DROP", "ALTER", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "VACUUM", "ANALYZE"),
    }
)
"""Kinds of statements that work on what is attached, in memory."""

REFUSED_WORDS = frozenset({b"copy"})
REFUSED_NAMES = frozenset({b"enable_logging", b"enable_profile", b"enable_profiling"})
"""What writes a file from inside of another statement: keywords, and names of functions."""

WAY_OUT = "recovered values are written by --out FILE --allow-plaintext alone"

_TOKEN_FORMAT = re.compile(rb'"?(?P<name>(?<=")[^"]*|(?P<word>[A-Za-z_][A-Za-z0-9_]*))')


@dataclass(frozen=True)
class Guarded:
    """The connection, the name that the user's file has in it, and things worth telling."""

    connection: duckdb.DuckDBPyConnection
    database: str | None
    notes: tuple[str, ...]

    def lock(self) -> None:
        """Close the guard.  Nothing can be attached or set from now on."""
        for statement in LOCKS:
            self.connection.execute(statement)

    def check(self, text: str) -> tuple[str, ...]:
        """The kinds of the statements in a text.  Raises `VaultError` for one that could carry values
        to a file, and DuckDB's own errors for one that it does not understand."""
        try:
            kinds = tuple(_kind(each) for each in self.connection.extract_statements(text))
        except ValueError:  # a kind that Python has no name for
            kinds = ("statement",)
        refused = [kind for kind in kinds if kind not in ALLOWED]
        refused += _refused_inside(text)
        if refused:
            what = refused[0].replace("_", " ") if refused[0].isupper() else refused[0]
            raise VaultError("malformed", f"{what} is not for this shell: {WAY_OUT}")
        return kinds


def open_guarded(
    database: Path | None, reads: Sequence[Path] = (), memory_limit: str | None = None
) -> Guarded:
    """A DuckDB in memory with the file attached read-only, and other files as views that have their
    stems as names.  Unqualified names are looked for in the file first.  Call `lock` before values come.

    Raises `VaultError`.
    """
    connection = duckdb.connect(":memory:", config=SETTINGS)
    try:
        _limit(connection, memory_limit)
        connection.execute("SET TimeZone = 'UTC'")
        name, notes = None, []
        if database is not None:
            name = free_name(database.stem)
            if name != database.stem:
                notes.append(f"{database} is called {name} here: {database.stem} means something else")
            _attach(connection, database, name)
            path = f"{quoted(name)}.main,memory.main"
            connection.execute(f"SET search_path = {literal(path)}")
        _read(connection, reads, name)
    except BaseException:
        connection.close()
        raise
    return Guarded(connection, name, tuple(notes))


def free_name(stem: str) -> str:
    """What a database is called that has this stem."""
    return f"{stem}_db" if stem.casefold() in TAKEN else stem


@contextlib.contextmanager
def no_file_grows() -> Iterator[None]:
    """The process can write to no file meanwhile, but to pipes and terminals: attempts are errors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def leave_no_core() -> None:
    """A crash of this process leaves no image of its memory from now on."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit(connection: duckdb.DuckDBPyConnection, memory_limit: str | None) -> None:
    if memory_limit is None:
        ((usual,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
        size, _, unit = usual.partition(" ")
        memory_limit = f"{float(size) * PART_OF_MEMORY:.3f} {unit}"
    try:
        if not memory_limit[:1].isdigit():  # DuckDB takes a negative amount for none
            raise duckdb.InvalidInputException(memory_limit)
        connection.execute(f"SET memory_limit = {literal(memory_limit)}")
    except duckdb.Error:
        raise VaultError("usage", f"'{memory_limit}' is no amount of memory: give 8GB, say") from None


def _attach(connection: duckdb.DuckDBPyConnection, database: Path, name: str) -> None:
    _readable(database)
    # An absolute path: none of it is taken for the address of something else.
    path = literal(str(database.absolute()))
    try:
        connection.execute(f"ATTACH {path} AS {quoted(name)} (READ_ONLY, TYPE duckdb)")
    except duckdb.Error as error:
        raise _no_database(database, str(error)) from None


def _no_database(database: Path, why: str) -> VaultError:
    if "Could not set lock" in why:
        holder = re.search(r"\(PID (\d+)\)", why)
        who = f"process {holder[1]}" if holder else "another process"
        return VaultError("internal", f"cannot read {database}: {who} has it open for writing")
    version = re.search(r"version number (\d+)", why)
    if version or "newer version" in why.lower():
        return VaultError(
            "usage",
            f"cannot read {database}: it was written by another DuckDB (storage version "
            f"{version[1] if version else 'unknown'}), and this is {duckdb.__version__}: install the "
            "duckdb that wrote it, or a later one",
        )
    if "encrypt" in why.lower():
        return VaultError("usage", f"cannot read {database}: it is encrypted")
    if "not a valid DuckDB database" in why:
        return VaultError("usage", f"cannot read {database}: it is no DuckDB database")
    return VaultError("usage", f"cannot read {database}: {why.splitlines()[0]}")


def _read(connection: duckdb.DuckDBPyConnection, reads: Sequence[Path], database: str | None) -> None:
    names: dict[str, Path] = {}
    for file in reads:
        _readable(file)
        name, reader = _name_and_reader(file)
        if name.casefold() in names:
            raise VaultError(
                "usage", f"{names[name.casefold()]} and {file} are both called {name}: {LINK}"
            )
        if name.casefold() in _tables(connection, database):
            raise VaultError("usage", f"there is a table {name} besides {file}: {LINK}")
        names[name.casefold()] = file
        source = f"{reader}({literal(str(file.absolute()))})"
        try:
            connection.execute(f"CREATE VIEW memory.main.{quoted(name)} AS SELECT * FROM {source}")
        except duckdb.Error as error:
            raise VaultError("usage", f"cannot read {file}: {first_line(error)}") from None
    if names:
        paths = ", ".join(literal(str(file.absolute())) for file in names.values())
        connection.execute(f"SET allowed_paths = [{paths}]")


LINK = "give the file another name, as a link does"


def _name_and_reader(file: Path) -> tuple[str, str]:
    plain = file.with_suffix("") if file.suffix.lower() == ".gz" else file
    suffix = plain.suffix.lower()
    if suffix not in READERS or (suffix == ".parquet" and plain != file):
        known = ", ".join(READERS)
        raise VaultError("usage", f"cannot tell what {file} is: its suffix is none of {known}")
    if set(str(file.absolute())) & set("*?["):
        raise VaultError("usage", f"cannot read {file}: DuckDB takes *, ? and [ for patterns; {LINK}")
    return plain.stem, READERS[suffix]


def _tables(connection: duckdb.DuckDBPyConnection, database: str | None) -> set[str]:
    """The names in the main schema of the user's file, in lower case."""
    if database is None:
        return set()
    query = (
        "SELECT table_name FROM duckdb_columns() "
        "WHERE database_name = $1 AND schema_name = 'main' AND NOT internal"
    )
    return {name.casefold() for (name,) in connection.execute(query, [database]).fetchall()}


def _readable(file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise VaultError("usage", f"cannot read {file}: {error.strerror}") from None


def _kind(statement: duckdb.Statement) -> str:
    return str(statement.type).rpartition(".")[2]


def _refused_inside(text: str) -> list[str]:
    """What would write a file, wherever it stands in a statement but in literals and comments."""
    encoded, found = text.encode(), []
    for offset, _ in duckdb.tokenize(text):
        match = _TOKEN_FORMAT.match(encoded[offset:])
        if match and match["word"] and match["word"].lower() in REFUSED_WORDS:
            found.append(match["word"].upper().decode())
        elif match and match["name"].lower() in REFUSED_NAMES:
            found.append(match["name"].decode())
    return found
