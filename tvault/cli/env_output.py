"""Where `tvault env` writes a content."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from tvault.cli.env_file import Source
from tvault.cli.targets import is_stdout, output_file, writing
from tvault.client.whole_file import whole_file
from tvault.errors import VaultError


def write(output: str | None, text: str, new_mode: int) -> None:
    """The text, to the byte: a file that appears whole or not at all, or stdout for None and `-`.  A new
    file gets `new_mode` less the umask."""
    with output_file(output, new_mode) as target:
        target.write(text.encode("utf-8"))


def write_back(source: Source, text: str) -> None:
    """Put the text in the place of what was read, whole or not at all.

    Raises `VaultError` when the file was changed meanwhile, and leaves it as it is.
    """
    with writing(source.file), whole_file(Path(source.file)) as target:
        target.write(text.encode("utf-8"))
        target.flush()
        source.refuse_changed()


class _NothingToWrite(Exception):
    """A file that was begun is taken back."""


def refuse_unwritable(file: str | None) -> None:
    """Raise `VaultError` when no file can be put there, before anything is done that it is to tell."""
    if is_stdout(file) or file is None or (Path(file).exists() and not Path(file).is_file()):
        return
    with suppress(_NothingToWrite), writing(file), whole_file(Path(file)):
        raise _NothingToWrite


def refuse_same(file: str, output: str | None, hint: str = "") -> None:
    """Raise `VaultError` (`usage`) when the output would take the place of what is read."""
    if file == "-" or output is None or output == "-":
        return
    if Path(file).exists() and Path(output).exists() and Path(file).samefile(output):
        raise VaultError("usage", f"{output} is {file} itself{hint}")


def refuse_in_place(source: Source) -> None:
    """Raise `VaultError` (`usage`) when the file cannot be written over so that nothing of its old
    content stays: it is no ordinary file, or has other names."""
    if source.seen is None or not stat.S_ISREG(source.seen.st_mode):
        raise VaultError("usage", f"cannot write {source.name} in place: it is no ordinary file")
    names = source.seen.st_nlink
    if names > 1:
        why = f"it has {names} names (hard links), and the others would keep the old content"
        raise VaultError("usage", f"cannot write {source.name} in place: {why}")
