"""The disk below a data folder: its room, its file system, and how long a sync takes."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tvault.cli.doctor.findings import Finding, size_text
from tvault.server.sizes import sizes_of
from tvault.store.folders import has_room

MOUNTS = Path("/proc/mounts")

SYNCS = 10
SYNC_BYTES = 4096
SLOW_SYNC_MS = 50.0

UNFIT = {
    "nfs": "its locks and shared memory cannot be relied on",
    "nfs4": "its locks and shared memory cannot be relied on",
    "cifs": "its locks and shared memory cannot be relied on",
    "smb3": "its locks and shared memory cannot be relied on",
    "9p": "its locks and shared memory cannot be relied on",
    "fuse.sshfs": "its locks and shared memory cannot be relied on",
    "overlay": "what lies in a container's own layer is lost with the container",
    "tmpfs": "what lies in memory is lost with the machine",
    "ramfs": "what lies in memory is lost with the machine",
}
"""File systems on which SQLite's WAL, or what is in it, is not safe, and why."""


def disk_found(
    node: str, folder: Path, fsync: Callable[[int], None] = os.fsync, mounts: Path = MOUNTS
) -> Iterator[Finding]:
    """The disk of `folder`, which exists; its files stay as they are."""
    yield _room(node, folder)
    yield _file_system(node, folder, mounts)
    yield _sync(node, folder, fsync)


def _room(node: str, folder: Path) -> Finding:
    try:
        free, is_enough = shutil.disk_usage(folder).free, has_room(folder)
    except OSError as error:
        return Finding("disk", node, "failed", f"the disk of {folder} does not answer: {error.strerror}")
    sizes = sizes_of(folder)
    files = sizes["journal"] + sizes["index"]
    found = f"{size_text(free)} free; journal and index have {size_text(files)}"
    if not is_enough:
        return Finding("disk", node, "failed", found, "a node without room takes no writes")
    if free < files:
        return Finding("disk", node, "warning", found, "to rebuild the node takes as much again")
    return Finding("disk", node, "ok", found)


def _file_system(node: str, folder: Path, mounts: Path) -> Finding:
    kind = _kind_of(folder, mounts)
    if kind is None:
        return Finding("disk", node, "ok", "its file system cannot be told here")
    why = UNFIT.get(kind)
    if why is not None:
        return Finding("disk", node, "warning", f"the file system is {kind}: {why}", "use a local disk")
    return Finding("disk", node, "ok", f"the file system is {kind}")


def _kind_of(folder: Path, mounts: Path) -> str | None:
    """The type of the mount that holds the folder: the last one of the longest place."""
    real, found = folder.resolve(), (-1, "")
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        if len(words) < 3:
            continue
        place = Path(words[1].replace("\\040", " "))
        if (real == place or place in real.parents) and len(place.parts) >= found[0]:
            found = len(place.parts), words[2]
    return found[1] or None


def _sync(node: str, folder: Path, fsync: Callable[[int], None]) -> Finding:
    times: list[float] = []
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            for _ in range(SYNCS):
                file.write(bytes(SYNC_BYTES))
                begun = time.monotonic()
                fsync(file.fileno())
                times.append((time.monotonic() - begun) * 1000)
    except OSError as error:
        found = f"nothing can be written and synced in {folder}: {error.strerror}"
        return Finding("disk", node, "failed", found)
    median = statistics.median(times)
    found = f"a sync takes {median:.1f} ms, at most {max(times):.1f} ms of {SYNCS}"
    if median > SLOW_SYNC_MS:
        advice = "each write waits for one on every node: use a faster disk"
        return Finding("disk", node, "warning", found, advice)
    return Finding("disk", node, "ok", found)
