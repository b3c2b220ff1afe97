"""A `.env` file as commands take it: its text, to the byte, and where in it something is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tvault.errors import VaultError
from tvault.model.envfile_references import References
from tvault.wire import Limits

MOST_BYTES = Limits.body_bytes
"""The longest file that is read: a node takes no longer body, and memory would have no bound."""


@dataclass(frozen=True, repr=False)
class Source:
    """What was read, from a file unless `file` is `-`, and what the file was like then."""

    file: str
    content: str
    seen: os.stat_result | None = None

    @property
    def name(self) -> str:
        """The file in a message."""
        return "stdin" if self.file == "-" else self.file

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Say of a refusal of the content which file it is about, and on which lines."""
        try:
            yield
        except VaultError as error:
            if error.code not in {"unresolved", "invalid_value", "too_large"}:
                raise
            told = self._unresolved(error) if error.code == "unresolved" else error.detail
            if told.startswith("Line "):
                told = told.replace("Line", "line", 1).replace(" of the content", "", 1)
            refusal = replace(error, detail=f"{self.name}: {told}")
        else:
            return
        raise refusal

    def refuse_changed(self) -> None:
        """Raise `VaultError` (`usage`) when the file is another one by now."""
        before = self.seen
        now = Path(self.file).stat()
        if before is None or _state(before) != _state(now):
            why = "it was changed meanwhile and is left as it is; run the command again"
            raise VaultError("usage", f"cannot write {self.file}: {why}")

    def _unresolved(self, error: VaultError) -> str:
        names = [entry.field for entry in error.errors if entry.field]
        if not names:
            return error.detail
        references = References(self.content)
        asked, used = references.first("enc"), references.first("secret")
        places = []
        for name in dict.fromkeys(names):
            found = used.get(name) or asked.get(name)
            places.append(name if found is None else f"{name} (line {found.line})")
        return f"no value for {', '.join(places)}"


def read_source(file: str) -> Source:
    """The text of a file, or of stdin for `-`.  Raises `VaultError`."""
    seen = None
    try:
        if file == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                seen = os.fstat(opened.fileno())
                content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        name = "stdin" if file == "-" else file
        raise VaultError("usage", f"cannot read {name}: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise VaultError("too_large", f"{Source(file, '').name} is longer than {MOST_BYTES} bytes")
    try:
        return Source(file, content.decode("utf-8"), seen)
    except UnicodeDecodeError as error:
        line = 1 + len(content[: error.start].splitlines()) - (not _begins_line(content, error.start))
    # Raised out here so that the refusal does not carry the decoder's error, which holds the content.
    raise VaultError("malformed", f"{Source(file, '').name} line {line} is not UTF-8")


def _begins_line(content: bytes, at: int) -> bool:
    return at == 0 or content[at - 1 : at] in {b"\n", b"\r"}


def _state(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
