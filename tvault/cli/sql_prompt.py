"""A prompt for SQL.  What is typed may hold values: its history is in memory alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import suppress

from tvault.cli.output import say
from tvault.cli.sql_statements import Statement, Statements
from tvault.errors import VaultError

try:
    import readline
except ModuleNotFoundError:  # a Python without it: lines are typed as the terminal takes them
    readline = None  # type: ignore[assignment]

FIRST = "tvault> "
NEXT = "   ...> "
WORDS = (
    *(
        "ALL",
        "AND",
        "AS",
        "ASC",
        "BETWEEN",
        "BY",
        "CASE",
        "COUNT",
        "CREATE",
        "DESC",
        "DESCRIBE",
        "DISTINCT",
    ),
    *(
        "ELSE",
        "END",
        "EXPLAIN",
        "FROM",
        "GROUP",
        "HAVING",
        "INTERSECT",
        "IS",
        "JOIN",
        "LEFT",
        "LIKE",
        "LIMIT",
    ),
    *(
        "NOT",
        "NULL",
        "OFFSET",
        "ORDER",
        "OUTER",
        "SELECT",
        "SUMMARIZE",
        "TABLE",
        "TEMP",
        "THEN",
        "UNION",
    ),
    *("USING", "VALUES", "VIEW", "WHEN", "WHERE", "WITH"),
)
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


class Prompt:
    """Statements and commands that begin with a dot, as they are typed.

    `names` gives the names of tables and columns, for completion.
    """

    def __init__(self, names: Callable[[], list[str]]) -> None:
        self._typed = Statements()
        self._ended: list[Statement] = []
        self._names = names
        self._choices: list[str] = []
        # Python's input() edits lines only where both are terminals, and prompts on stdout else.
        self._is_edited = sys.stdin.isatty() and sys.stdout.isatty()
        if self._is_edited and readline is not None:
            readline.set_auto_history(False)
            readline.set_completer(self._complete)
            readline.set_completer_delims(" \t\n()[]{},;.=<>+-*/|'")
            is_libedit = "libedit" in (readline.__doc__ or "")
            readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")

    def next(self) -> Statement | str | None:
        """The next statement or command; None at the end."""
        while not self._ended:
            line = self._line()
            if line is None:
                say("")
                return None
            if not self._typed and line.strip().startswith("."):
                return line.strip().rstrip(";").strip()
            self._ended = self._typed.add(line + "\n")
        return self._ended.pop(0)

    def forget(self) -> None:
        """Drop what has been typed and not been asked for."""
        self._typed.forget()
        self._ended = []

    def _line(self) -> str | None:
        prompt = NEXT if self._typed else FIRST
        try:
            if self._is_edited:
                line = input(prompt)
                if line.strip() and readline is not None:
                    readline.add_history(line)
                return line
            sys.stderr.write(prompt)
            sys.stderr.flush()
            read = sys.stdin.readline()
        except EOFError:
            return None
        except UnicodeDecodeError:
            say("what was typed is not UTF-8")
            return ""
        return read.removesuffix("\n") if read else None

    def _complete(self, begin: str, state: int) -> str | None:
        """What readline asks for, one choice after the other."""
        if not state:
            names: list[str] = []
            with suppress(VaultError):
                names = [each if _PLAIN.fullmatch(each) else f'"{each}"' for each in self._names()]
            keywords = WORDS if begin.isupper() else [each.lower() for each in WORDS]
            folded = begin.casefold()
            self._choices = sorted(
                {
                    each
                    for each in (*names, *keywords)
                    if each.casefold().lstrip('"').startswith(folded.lstrip('"'))
                }
            )
        return self._choices[state] if state < len(self._choices) else None
