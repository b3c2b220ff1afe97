"""Whom `inspect state` and `inspect verify` look at, all at once, and how far they have come."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import click

from tvault.cli.backup_copy import BackupCopy
from tvault.cli.copies import Tell
from tvault.cli.node_copies import FolderCopy, NodeCopy
from tvault.cli.nodes import Nodes
from tvault.cli.opening import read_config
from tvault.cli.progress import BEGINNING_OF_LINE, FIRST_SECONDS, NEXT_SECONDS, USUAL_COLUMNS
from tvault.errors import VaultError

Inspected = NodeCopy | FolderCopy
Checkable = NodeCopy | FolderCopy | BackupCopy
_Told = TypeVar("_Told")
_Each = TypeVar("_Each", NodeCopy | FolderCopy, NodeCopy | FolderCopy | BackupCopy)


def open_inspected(
    ctx: click.Context, names: Sequence[str], folders: Sequence[str], stack: ExitStack
) -> list[Inspected]:
    """The nodes of these names and the stopped ones with these folders; without either, all nodes of the
    configuration, which is not read for folders alone.  Raises `VaultError`."""
    found: list[Inspected] = []
    if names or not folders:
        config = read_config(ctx)
        nodes = Nodes(config)
        chosen = [config.node(name) for name in dict.fromkeys(names)] or config.nodes
        found += [NodeCopy(nodes, node) for node in chosen]
    for folder in dict.fromkeys(folders):
        found.append(FolderCopy(Path(folder)))
        stack.callback(found[-1].close)
    return found


def ask_all(
    inspected: Sequence[_Each], ask: Callable[[_Each, Tell], _Told]
) -> list[tuple[_Each, _Told | VaultError]]:
    """What each answers, or why it does not; all asked at once."""
    progress = Lines([each.name for each in inspected])

    def answer(each: _Each) -> _Told | VaultError:
        try:
            return ask(each, lambda done: progress.tell(each.name, done))
        except VaultError as error:
            return error

    try:
        with ThreadPoolExecutor(len(inspected)) as pool:
            return list(zip(inspected, pool.map(answer, inspected), strict=True))
    finally:
        progress.end()


class Lines:
    """How far each has come, on one line of a terminal, until `end`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._done = dict.fromkeys(names, 0.0)
        self._is_shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._next = time.monotonic() + FIRST_SECONDS
        self._has_line = False
        self._lock = threading.Lock()

    def tell(self, name: str, done: float) -> None:
        """Note it.  Any thread."""
        with self._lock:
            self._done[name] = min(done, 1.0)
            if not self._is_shown or time.monotonic() < self._next:
                return
            self._next = time.monotonic() + NEXT_SECONDS
            self._has_line = True
            text = "  ".join(f"{each} {int(100 * share)} %" for each, share in self._done.items())
            self._write(BEGINNING_OF_LINE + text[: USUAL_COLUMNS - 1])

    def end(self) -> None:
        """Take the line away."""
        with self._lock:
            if self._has_line:
                self._write(BEGINNING_OF_LINE)

    def _write(self, text: str) -> None:
        """A terminal that is gone ends the display, not the work."""
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self._is_shown = self._has_line = False
