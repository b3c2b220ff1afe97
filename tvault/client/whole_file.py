"""Output files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(target: Path, mode: int = 0o666, *, is_private: bool = False) -> Iterator[BinaryIO]:
    """A file to write, put in the place of `target` when the block ends without an exception.

    It grows beside `target` and is synced before it is renamed; after an exception it is removed, and
    `target` is as it was.  An existing target keeps its mode and its owner; a new one gets `mode` less
    the umask.  With `is_private` an existing one gets `mode`, too.  A link is followed.  What is no
    ordinary file (a pipe, `/dev/null`) is written as it is.
    Raises `OSError`.
    """
    place = Path(os.path.realpath(target))
    try:
        existing = target.stat()  # not of its real path, which a pipe has not
    except FileNotFoundError:
        existing = None
    if existing is not None and not stat.S_ISREG(existing.st_mode):
        with target.open("wb") as direct:
            yield direct
        return
    beside = place.with_name(f".{place.name[:200]}.{secrets.token_hex(6)}.part")
    begin_mode = mode if existing is None else existing.st_mode & mode
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, begin_mode)
        with os.fdopen(descriptor, "wb", buffering=1 << 20) as opened:
            if existing is not None:
                _keep_owner(opened.fileno(), existing)
            yield opened
            opened.flush()
            if is_private:
                os.fchmod(opened.fileno(), mode)
            elif existing is not None:
                os.fchmod(opened.fileno(), stat.S_IMODE(existing.st_mode))
            os.fsync(opened.fileno())
        beside.replace(place)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    _sync_folder(place.parent)


def _keep_owner(descriptor: int, existing: os.stat_result) -> None:
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (existing.st_uid, existing.st_gid):
        os.fchown(descriptor, existing.st_uid, existing.st_gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
