"""Names in SQL: written so that they mean what they are, and read as people write them."""

from __future__ import annotations

import re

from tvault.errors import VaultError

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_PART = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\s".]+))\s*')


def quoted(*parts: str) -> str:
    """The name as SQL takes it, whatever it holds."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def shown(*parts: str) -> str:
    """The name for people: in quotes where it is no plain word."""
    return ".".join(part if _PLAIN.fullmatch(part) else quoted(part) for part in parts)


def text(value: str) -> str:
    """A text as SQL takes it."""
    return "'" + value.replace("'", "''") + "'"


def parts_of(name: str) -> list[str]:
    """The parts of a name with dots between them; in quotes a part may hold anything.  Raises
    `VaultError` (`usage`)."""
    parts: list[str] = []
    at = 0
    while True:
        match = _PART.match(name, at)
        if match is None:
            break
        parts.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        at = match.end()
        if at == len(name):
            return parts
        if name[at] != ".":
            break
        at += 1
    raise VaultError("usage", f"{name!r} is no name of a column, such as visits.ssn")
