"""Folders on a disk: its room, and making the names of files durable."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import IO, Any

SPARED_BYTES = 32 * 2**20
"""Room on a disk, or a quarter of a smaller one, that is left to the newest entries."""


def has_room(folder: Path, for_bytes: int = 0) -> bool:
    """Whether the disk of `folder` has room for so many bytes besides what is spared.  A disk that was
    full has room again from there on.  Raises `OSError`."""
    disk = shutil.disk_usage(folder)
    return disk.free >= for_bytes + min(SPARED_BYTES, disk.total // 4)


def sync_folder(folder: Path) -> None:
    """Return once the names in `folder` are on the disk.  Raises `OSError`."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(file: IO[Any]) -> None:
    """Return once all that was written to an open file is on the disk.  Raises `OSError`."""
    file.flush()
    os.fsync(file.fileno())
