"""What a `.env` file comes to: names and values, exactly, and as a POSIX shell reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final

from tvault.errors import VaultError
from tvault.model.envfile import parse
from tvault.model.envfile_references import bad_lines

Pair = tuple[str, str]
"""A name and its value."""

_SHELL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_OF_THE_SHELL: Final = re.compile(
    r"_|BASHOPTS|BASHPID|BASH_ARGV0|BASH_COMMAND|BASH_SUBSHELL|BASH_VERSINFO|COMP_WORDBREAKS|DIRSTACK"
    r"|EPOCHREALTIME|EPOCHSECONDS|EUID|FUNCNAME|GROUPS|HISTCMD|LINENO|OPTIND|PPID|RANDOM|SECONDS"
    r"|SHELLOPTS|SRANDOM|UID"
)
"""Names whose values some shell sets itself, or lets nobody set."""


def pairs(content: str) -> list[Pair]:
    """The variables that python-dotenv would set, without interpolation, in the order in which their
    names first stand in the content: of several values the last one holds, and a name that last stands
    without `=` is not set.

    Raises `VaultError` `invalid_value` with the lines that cannot be read.
    """
    file = parse(content)
    if file.unreadable:
        raise bad_lines(
            (line.line for line in file.unreadable),
            "unreadable",
            "it must be NAME=value or a comment, and quotes closed",
        )
    last = {binding.name: binding.value for binding in file.bindings}
    return [(name, value.text) for name, value in last.items() if value is not None]


def only(content: str, names: Container[str]) -> str:
    """The lines of the content that say something of these names."""
    return "".join(
        content[binding.start : binding.end]
        for binding in parse(content).bindings
        if binding.name in names
    )


def for_environment(found: Sequence[Pair]) -> dict[str, str]:
    """The pairs as the environment of a program.

    Raises `VaultError` `invalid_value` with the names that no environment can hold, or not with such a
    value.
    """
    _refuse(found, lambda pair: "=" in pair[0], "An environment has no names with an equals sign")
    _refuse(found, lambda pair: "\0" in pair[0] + pair[1], "An environment holds no NUL character")
    return dict(found)


def as_shell(found: Sequence[Pair]) -> str:
    """Lines that a POSIX shell reads, by `.` or `eval`, to export the same values.

    Raises `VaultError` `invalid_value` with the names that a shell cannot set, or not to such a value.
    """
    _refuse(found, lambda pair: _SHELL_NAME.fullmatch(pair[0]) is None, "A shell has no such names")
    _refuse(
        found, lambda pair: _OF_THE_SHELL.fullmatch(pair[0]) is not None, "Shells set these themselves"
    )
    quoted = ((name, value.replace("'", "'\\''")) for name, value in for_environment(found).items())
    return "".join(f"export {name}='{value}'\n" for name, value in quoted)


def _refuse(found: Iterable[Pair], is_refused: Callable[[Pair], bool], why: str) -> None:
    names = [pair[0] if pair[0].isprintable() else ascii(pair[0]) for pair in found if is_refused(pair)]
    if names:
        raise VaultError("invalid_value", f"{why}: {', '.join(names)}.")
