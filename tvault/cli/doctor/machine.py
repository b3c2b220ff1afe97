"""The machine: what a process may open, and which software is installed."""

from __future__ import annotations

import platform
import re
import resource
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version

from tvault.cli.doctor.findings import Finding
from tvault.server.door import MOST_CONNECTIONS
from tvault.server.status import VERSION
from tvault.store import library

OTHER_FILES = 256
"""What a node has open besides connections of clients: its database, the files of its index, its log,
and streams to and from the other nodes."""

FILES_NEEDED = 2 * MOST_CONNECTIONS + OTHER_FILES

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_USED = re.compile(r"extra == ['\"](duckdb|parquet)['\"]")


def machine_found(running: Sequence[tuple[str, int]] = ()) -> Iterator[Finding]:
    """Limits and software.  `running` has nodes that run here with their processes, whose own limits
    count; those that will be started have this process's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limit_found("", soft, hard)
    for node, process in running:
        try:
            soft, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
        except (OSError, ValueError):
            continue
        yield limit_found(node, soft, hard)
    race = " (its WAL race does no harm: a node has one connection that writes)"
    sqlite = f"SQLite {library.VERSION}{race if library.has_wal_race() else ''}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield Finding("software", "", "ok", f"tvault {VERSION}, {python}, {sqlite}")
    yield Finding("software", "packages", "ok", ", ".join(_packages()))


def limit_found(about: str, soft: int, hard: int) -> Finding:
    """Whether so many files are enough; `RLIM_INFINITY` is."""
    whose = "it may" if about else "a process started from here may"
    if soft == resource.RLIM_INFINITY or soft >= FILES_NEEDED:
        told = "any number of" if soft == resource.RLIM_INFINITY else str(soft)
        return Finding("limits", about, "ok", f"{whose} open {told} files")
    found = f"{whose} open {soft} files where {FILES_NEEDED} may be needed"
    raised = hard == resource.RLIM_INFINITY or hard >= FILES_NEEDED
    how = f"ulimit -n {FILES_NEEDED}" if raised else "LimitNOFILE= of its unit, or limits.conf"
    advice = f"with many clients connections are refused; raise it ({how}) and restart the node"
    return Finding("limits", about, "warning", found, advice)


def _packages() -> Iterator[str]:
    """What tvault needs, and of what its extras need what is installed, with their versions."""
    needed = [each for each in requires("tvault") or () if "extra" not in each or _USED.search(each)]
    names = (_NAME.match(each) for each in needed)
    for name in dict.fromkeys(found[0] for found in names if found):
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"
