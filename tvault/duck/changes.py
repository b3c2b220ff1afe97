"""What attaching a vault changes of a connection and its database, and how it is undone."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import duckdb
from duckdb.func import FunctionNullHandling, PythonUDFType

from tvault.duck.functions import Function
from tvault.duck.names import quoted, shown, text
from tvault.duck.recognition import asked
from tvault.errors import VaultError


@dataclass
class Changes:
    """Everything that was changed, without the connection itself; `home` is the statement that
    leads back to the schemas that were in use."""

    home: str
    functions: list[str] = field(default_factory=list)
    catalog: str | None = None
    temp_directory: str | None = None

    def add_functions(self, connection: duckdb.DuckDBPyConnection, functions: list[Function]) -> None:
        """Give SQL the functions.  Raises `VaultError` when a name is taken, and `duckdb.Error`."""
        names = ", ".join(text(function.name) for function in functions)
        taken = asked(
            connection,
            "SELECT function_name, database_name FROM duckdb_functions() "
            f"WHERE function_name IN ({names})",
        )
        for name, database in taken:
            if database == "system":
                told = "a vault is attached to this database already, by another connection: detach that"
            else:
                told = f"the database {shown(database)} has a function {name} of its own"
            raise VaultError("usage", told)
        for function in functions:
            connection.create_function(
                function.name,
                function.call,
                None if function.parameters is None else [*function.parameters],
                function.result,
                type=PythonUDFType.ARROW,
                null_handling=FunctionNullHandling.SPECIAL,
            )
            self.functions.append(function.name)

    def keep_in_memory(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        """Have DuckDB write nothing to its temporary directory; a sentence when it does not do so."""
        ((before,),) = asked(connection, "SELECT current_setting('temp_directory')")
        if not before:
            return None
        try:
            asked(connection, "SET temp_directory = ''")
        except duckdb.Error as error:
            return (
                f"recovered values may be written to {before} when memory does not hold a query: "
                f"{first_line(error)}"
            )
        self.temp_directory = before
        return None

    def undo(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Undo what is not undone yet.  Raises `duckdb.Error`."""
        # Nothing is done while a result waits to be read to its end.
        asked(connection, "SELECT 1")
        if self.catalog is not None:
            if asked(connection, "SELECT current_database()") == [(self.catalog,)]:
                asked(connection, self.home)
            asked(connection, f"DETACH DATABASE IF EXISTS {quoted(self.catalog)}")
            self.catalog = None
        while self.functions:
            # One that was made in a transaction that was rolled back is gone already.
            with contextlib.suppress(duckdb.CatalogException, duckdb.InvalidInputException):
                connection.remove_function(self.functions[-1])
            self.functions.pop()
        if self.temp_directory is not None:
            # What was set meanwhile stays.
            if asked(connection, "SELECT current_setting('temp_directory')") == [("",)]:
                asked(connection, f"SET temp_directory = {text(self.temp_directory)}")
            self.temp_directory = None


def refuse_writable(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse a connection that can write to a file of a database.  Raises `VaultError` (`usage`)."""
    writable = asked(
        connection,
        "SELECT database_name FROM duckdb_databases() "
        "WHERE NOT internal AND NOT readonly AND path IS NOT NULL ORDER BY database_name",
    )
    if writable:
        names = ", ".join(shown(name) for (name,) in writable)
        raise VaultError(
            "usage",
            f"recovered values could be written to the file of {names}: open it read-only, best beside "
            "an empty database (duckdb.connect(), then ATTACH 'FILE' (READ_ONLY)), or say "
            "allow_writable=True",
        )


def is_read_only(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether DuckDB adds no database that can be written to, not even in memory."""
    return asked(connection, "SELECT lower(current_setting('access_mode'))") == [("read_only",)]


def first_line(error: Exception) -> str:
    """What DuckDB says is wrong, without the statement that it points at."""
    return str(error).partition("\n")[0]
