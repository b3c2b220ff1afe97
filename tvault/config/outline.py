"""On which line of the file something stands.

The TOML parser of the standard library forgets lines.  The file has been parsed when this looks at
it, so a look at how its lines begin is enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEADER = re.compile(r"\s*\[\[?\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*([\"']?)([A-Za-z0-9_.-]+)\1\s*=")


@dataclass(frozen=True)
class Line:
    """A line that begins a section (`key` is None) or a setting."""

    number: int
    section: str
    index: int
    key: str | None


class Outline:
    """The lines of a TOML file that begin a section or a setting."""

    def __init__(self, text: str) -> None:
        self._texts = text.splitlines()
        self._lines: list[Line] = []
        seen: dict[str, int] = {}
        section = ""
        for number, line in enumerate(self._texts, 1):
            header, key = _HEADER.match(line), _KEY.match(line)
            if header:
                section = header[1]
                seen[section] = seen.get(section, -1) + 1
            if header or key:
                name = key[2] if key else None
                self._lines.append(Line(number, section, seen.get(section, 0), name))

    def line_of(
        self, section: str, index: int = 0, key: str | None = None, needle: str | None = None
    ) -> int | None:
        """The line of a setting, else of its section, else None.

        A `needle` is looked for from the setting's line on: an array may run over many lines.
        """
        begin = self._find(section, index, key) or self._find(section, index, None)
        if begin is None and section == "":
            return None
        if begin is None:
            return self._find("", 0, section)
        if needle is not None:
            return self._line_with(needle, begin)
        return begin

    def _find(self, section: str, index: int, key: str | None) -> int | None:
        for line in self._lines:
            if (line.section, line.index, line.key) == (section, index, key):
                return line.number
        return None

    def _line_with(self, needle: str, begin: int) -> int:
        for number in range(begin, len(self._texts) + 1):
            if needle in self._texts[number - 1]:
                return number
        return begin
