"""The event logs of all nodes as one, in the order of time: asked of the nodes, or read from folders."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import click

from tvault.cli.nodes import ANSWER_SECONDS, Nodes
from tvault.cli.opening import read_config
from tvault.cli.output import say, visible, width
from tvault.client.events import ask_events
from tvault.config import NodeConfig
from tvault.errors import VaultError
from tvault.events import FILE_NAME, Filter, Page, read
from tvault.events.files import rolled_numbers

Event = dict[str, Any]

MOMENT_COLUMNS = len("2026-11-25T17:29:15.208759Z")
"""Every event has a time of this length."""

AWAY_SECONDS = 1.0
"""How long a node may take to answer that did not the last time: the others are not to wait for it."""

FAULTS_OF_OURS = frozenset({"configuration", "usage", "malformed"})
"""Any other refusal is of a node that says nothing now."""


class Log(Protocol):
    """The log of one node."""

    name: str

    def page(self, wanted: Filter, after: str) -> Page | None:
        """The next of it from a cursor on; None when it cannot be read now, which people are told."""


class FolderLog:
    """The log in a node's data folder.  Raises `VaultError` (`usage`) when there is none."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder
        try:
            has_log = bool(rolled_numbers(folder)) or (folder / FILE_NAME).is_file()
        except OSError as error:
            raise VaultError("usage", f"{folder} cannot be read: {error.strerror}") from None
        if not has_log:
            known = "expected the data folder of a node, such as data/n1"
            raise VaultError("usage", f"{folder} holds no {FILE_NAME}: {known}")

    def page(self, wanted: Filter, after: str) -> Page | None:
        """Raises `VaultError` (`not_found`) when the folder is gone."""
        return read(self._folder, wanted, after)


class NodeLog:
    """The log of a node that is asked for it; while it does not answer, the one in its folder, if that
    is on this machine."""

    def __init__(self, nodes: Nodes, node: NodeConfig) -> None:
        self.name = node.id
        self._ask = partial(nodes.ask, node)
        self._folder = node.data
        self._told = ""

    def page(self, wanted: Filter, after: str) -> Page | None:
        """Raises `VaultError` when the fault is on this side."""
        try:
            seconds = AWAY_SECONDS if self._told else ANSWER_SECONDS
            page = ask_events(partial(self._ask, timeout_s=seconds), wanted, after)
        except VaultError as error:
            if error.code in FAULTS_OF_OURS:
                raise
            return self._page_of_folder(wanted, after, error.detail)
        self._told = ""
        return page

    def _page_of_folder(self, wanted: Filter, after: str, why: str) -> Page | None:
        page = None
        if self._folder.is_dir():
            try:
                page = read(self._folder, wanted, after)
            except VaultError as error:
                why = f"{why}; {error.detail}"
        rest = "" if page is None else f"; its events are read from {self._folder}"
        if self._told != (told := f"{self.name}: {why}{rest}"):
            self._told = told
            say(f"tvault: {told}")
        return page


class Logs:
    """Several logs, merged.  No more of each than a page is held."""

    def __init__(self, logs: Sequence[Log], only: Collection[str] = ()) -> None:
        """With `only`, events of these nodes alone."""
        self._logs = logs
        self._only = frozenset(only)
        self._has_read = False
        self._told: set[str] = set()

    @property
    def node_columns(self) -> int:
        """How wide the names of nodes are: data folders are called so."""
        return max(width(visible(Path(log.name).name)) for log in self._logs)

    def events(self, wanted: Filter, cursors: dict[str, str] | None = None) -> Iterator[Event]:
        """What is in the logs, in the order of time.

        With `cursors` only what has come since everything was taken with them the last time: the first
        time they are empty.
        """
        places = {} if cursors is None else cursors
        return heapq.merge(*(self._events(log, wanted, places) for log in self._logs), key=_time_of)

    def _events(self, log: Log, wanted: Filter, places: dict[str, str]) -> Iterator[Event]:
        is_end = False
        while not is_end:
            page = log.page(wanted, places.get(log.name, ""))
            if page is None:
                return
            self._has_read = True
            self._tell_skipped(log, page)
            for event in page.events:
                if not self._only or event["node"] in self._only:
                    yield event
            places[log.name], is_end = page.next, page.is_end

    def _tell_skipped(self, log: Log, page: Page) -> None:
        if page.skipped and log.name not in self._told:
            self._told.add(log.name)
            say(f"tvault: {log.name}: lines of its log are no events, and are left out")

    def require_any(self) -> None:
        """Raise `VaultError` (`unreachable`) unless something could be read."""
        if not self._has_read:
            raise VaultError("unreachable", "no node answered, and none of their folders is here")


def open_logs(ctx: click.Context, names: Sequence[str], folders: Sequence[str]) -> Logs:
    """The logs in these folders, without a configuration; without folders those of the configured nodes.
    With `names`, of these nodes alone.  Raises `VaultError`."""
    if folders:
        return Logs([FolderLog(Path(folder)) for folder in dict.fromkeys(folders)], names)
    config = read_config(ctx)
    chosen = [config.node(name) for name in dict.fromkeys(names)] or config.nodes
    nodes = Nodes(config)
    return Logs([NodeLog(nodes, node) for node in chosen])


def _time_of(event: Event) -> str:
    return str(event["time"])
