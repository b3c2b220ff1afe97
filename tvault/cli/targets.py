"""Where a command writes."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from tvault.client.whole_file import whole_file
from tvault.errors import VaultError


def is_stdout(output: str | None) -> bool:
    """Whether the output goes there: for None and `-`."""
    return output is None or output == "-"


@contextmanager
def output_file(output: str | None, new_mode: int) -> Iterator[BinaryIO]:
    """Where to write: a file that appears whole or not at all, or stdout for None and '-'."""
    file = None if is_stdout(output) else output
    place = nullcontext(sys.stdout.buffer) if file is None else whole_file(Path(file), new_mode)
    with writing(file), place as target:
        yield cast("BinaryIO", target)


@contextmanager
def writing(file: str | None) -> Iterator[None]:
    """Tell of an `OSError` as one in writing to this file, or to stdout.  That nobody reads stdout any
    more is told elsewhere."""
    try:
        yield
    except OSError as error:
        if file is None and error.errno == errno.EPIPE:
            raise
        why = error.strerror or error
        raise VaultError("internal", f"cannot write {file or 'stdout'}: {why}") from None


def are_one(one: Path | None, other: Path | None) -> bool:
    """Whether two names lead to one file, or will when it is made; None leads nowhere."""
    if one is None or other is None:
        return False
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))
