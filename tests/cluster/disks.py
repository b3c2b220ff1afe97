"""What happens to the disk of a node: damage to the files of a stopped one, and a disk that is full."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path
from random import Random

BALLAST = "ballast"
NO_DISK = "a disk that is really full: no file system may be mounted"
SPARE_BYTES = 16 * 1024
"""What each file may still grow by under a limit on the size of files."""


def wipe(folder: Path) -> None:
    """Leave an empty folder."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def flip_bits(file: Path, dice: Random, count: int) -> None:
    """Flip as many bits, anywhere in the file."""
    content = bytearray(file.read_bytes())
    for _ in range(count if content else 0):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    file.write_bytes(content)


def flip_bit(file: Path, at: int, bit: int = 4) -> None:
    """Flip one bit of the byte at `at`; whoever has mapped the file sees it."""
    with file.open("r+b") as opened:
        opened.seek(at)
        (value,) = opened.read(1)
        opened.seek(at)
        opened.write(bytes([value ^ (1 << bit)]))


def truncate(file: Path, dice: Random) -> None:
    """Cut the file off anywhere."""
    os.truncate(file, dice.randrange(file.stat().st_size or 1))


def copy(folder: Path, target: Path) -> None:
    """Keep all of a stopped node's state as it is now."""
    shutil.copytree(folder, target)


def restore(folder: Path, source: Path) -> None:
    """Make a stopped node's state what it was when it was copied."""
    wipe(folder)
    shutil.copytree(source, folder, dirs_exist_ok=True)


class SmallDisk:
    """A file system of its own for a folder, which can be filled to the last byte.

    Where none may be mounted (`is_mounted` is false), a limit on the size of the files that a process
    may write stands for it: to a node this is a disk that fails, not one that is full.
    """

    def __init__(self, folder: Path, mib: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        command = ("mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tvault-test", str(folder))
        self.is_mounted = shutil.which("mount") is not None and _succeeds(*command)

    def fill(self, pid: int) -> None:
        """Leave no room for the node with this process."""
        if not self.is_mounted:
            _limit_files(pid, max(file.stat().st_size for file in self._folder.iterdir()) + SPARE_BYTES)
            return
        with (self._folder / BALLAST).open("ab") as ballast:
            while room := self.room():
                end = ballast.seek(0, os.SEEK_END)
                try:
                    os.posix_fallocate(ballast.fileno(), end, room)
                except OSError:  # the node has just taken some of it
                    continue

    def clear(self, pid: int | None) -> None:
        """Give the room back."""
        if self.is_mounted:
            (self._folder / BALLAST).unlink(missing_ok=True)
        elif pid is not None:
            _limit_files(pid, resource.RLIM_INFINITY)

    def room(self) -> int:
        """Bytes that are free."""
        state = os.statvfs(self._folder)
        return state.f_bavail * state.f_frsize

    def close(self, keep: Path | None = None) -> None:
        """Take the file system away, with what is on it; first copy it to `keep`, if given."""
        if not self.is_mounted:
            return
        if keep is not None:
            shutil.copytree(self._folder, keep, ignore=shutil.ignore_patterns(BALLAST))
        self.is_mounted = not _succeeds("umount", "--lazy", str(self._folder))


def _limit_files(pid: int, size: int) -> None:
    _, hardest = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hardest))


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
