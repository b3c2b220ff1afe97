"""The file that events are appended to: it is begun anew when it is full, or gone."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

import msgspec

from tvault.events.files import FILE_NAME, rolled_name, rolled_numbers

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_CLOSED = -1

_log = logging.getLogger("tvault.events")


class Room(msgspec.Struct, frozen=True):
    """What a log may take: a file is full at `bytes`, and `files` of those that are full are kept."""

    bytes: int = 16 << 20
    files: int = 8


class RollingFile:
    """Appends whole lines to the newest file of a log.  Nothing is opened before the first line.

    `dropped` are names of files that were removed to make room, until whoever tells of it empties it.
    Not for several threads at once.
    """

    def __init__(self, folder: Path, room: Room) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._room = room
        self._file = _CLOSED
        self._identity = (0, 0)
        self._full_at = room.bytes
        self.dropped: list[str] = []

    def append(self, line: bytes) -> None:
        """Write the line, or nothing of it: half a line would spoil the next one.  Raises `OSError`."""
        size = self._ready()
        if size and size + len(line) > self._full_at:
            size = self._roll(size)
        written = os.write(self._file, line)
        if written < len(line):
            try:
                os.ftruncate(self._file, size)
            except OSError:
                self.close()  # half a line is closed when the file is opened again
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """End; the next line opens it again."""
        if self._file != _CLOSED:
            os.close(self._file)
            self._file = _CLOSED

    def _ready(self) -> int:
        """Have the file of that name open, also when somebody has moved or removed it; its size."""
        if self._file != _CLOSED:
            try:
                found = os.stat(self._path)  # noqa: PTH116 - for every event, so without detours
            except FileNotFoundError:
                found = None
            if found is not None and (found.st_dev, found.st_ino) == self._identity:
                return found.st_size
            self.close()
        return self._open()

    def _open(self) -> int:
        file = os.open(self._path, _FLAGS, 0o600)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, f"{FILE_NAME} is not a file")
            size = found.st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                # The power went while a line was written: what follows must not stand behind half of it.
                size += os.write(file, b"\n")
        except BaseException:
            os.close(file)
            raise
        self._file, self._identity = file, (found.st_dev, found.st_ino)
        self._full_at = self._room.bytes
        return size

    def _roll(self, size: int) -> int:
        """Begin a new file; the size of the one that is written to now."""
        try:
            numbers = rolled_numbers(self._folder)
            number = numbers[-1] + 1 if numbers else 1
            self._path.rename(self._folder / rolled_name(number))
        except OSError as error:
            # A log that is too long is better than none; it is tried again when it is twice as long.
            self._full_at = 2 * size
            _log.warning("the event log cannot be rolled: %s", error.strerror)
            return size
        self.close()
        self._drop([*numbers, number][: -self._room.files])
        return self._open()

    def _drop(self, numbers: list[int]) -> None:
        for number in numbers:
            name = rolled_name(number)
            try:
                (self._folder / name).unlink()
            except OSError as error:
                _log.warning("an old event log cannot be removed: %s: %s", name, error.strerror)
            else:
                self.dropped.append(name)
