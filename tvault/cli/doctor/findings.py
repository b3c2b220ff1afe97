"""What a check has found, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import click

from tvault.cli.output import visible

Result = Literal["ok", "warning", "failed"]

RESULTS: tuple[Result, ...] = ("ok", "warning", "failed")

COLOURS: dict[Result, str] = {"ok": "green", "warning": "yellow", "failed": "red"}

CHECKS = {
    "configuration": "`tvault.toml` can be read, and each setting is one",
    "timing": "the intervals fit each other",
    "owners": "each owner has an API key",
    "keys": "each key can be read, by its owner alone, and no two are the same",
    "exposure": "what is sent to a port can be read by nobody on the way",
    "certificate": "it fits its key, comes from a trusted CA, names the hosts, and is valid for a while",
    "folder": "a node's data folder can be used, by its owner alone, and is this node's",
    "disk": "it has room, is of a kind that keeps a journal well, and syncs quickly",
    "ports": "a node's ports are free, or its own",
    "limits": "a node may open as many files as it needs",
    "software": "which versions are installed here",
    "service": "each node answers on its peer port",
    "releases": "all nodes run one version of tvault",
    "agreement": "all nodes have this configuration and these keys",
    "clocks": "the clocks of this machine and of all nodes agree",
    "chain": "all nodes are in one chain, with one history",
    "nodes": "no node is in trouble, damaged or far behind",
    "room": "a node's disk has room",
    "events": "no event was lost",
    "master-keys": "no master key is missing on a node",
}
"""Each check by its name, and what is so when it is ok."""


@dataclass(frozen=True)
class Finding:
    """One line: the result of a check `about` a node, a setting or, when empty, all of it; what was
    `found`, and what to do, if anything."""

    check: str
    about: str
    result: Result
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        assert self.check in CHECKS, self.check

    def document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)

    def cells(self) -> tuple[str, str, str, str]:
        """For people: a line of a table."""
        text = f"{self.found}; {self.advice}" if self.advice else self.found
        result = click.style(self.result, fg=COLOURS[self.result])
        return result, self.check, visible(self.about), visible(text)


def guarded(check: str, about: str, found: Iterator[Finding]) -> Iterator[Finding]:
    """The same, and a failure where the system refuses to tell."""
    try:
        yield from found
    except OSError as error:
        yield Finding(check, about, "failed", f"{error.filename}: {error.strerror}")


def size_text(size: int) -> str:
    """Bytes in the largest unit that counts."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
