"""The event log of a running node, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tvault.errors import VaultError
from tvault.events import Filter, Page
from tvault.events.query import MOST_EVENTS, Question, query_of
from tvault.events.reading import is_event
from tvault.wire import PEER_EVENTS


class _Told(msgspec.Struct):
    """A node's answer."""

    events: list[dict[str, Any]]
    next: str
    end: bool
    skipped: int


def ask_events(
    ask: Callable[[str], Mapping[str, Any]], wanted: Filter, after: str = "", limit: int = MOST_EVENTS
) -> Page:
    """The next wanted events of a node from the cursor `after` on; `ask` gives its answer at a path of
    its peer port.

    Raises `VaultError` as `ask` does, and `internal` when the answer is none of a node.
    """
    query = query_of(Question(wanted, after, limit))
    answer = ask(f"{PEER_EVENTS}?{query}" if query else PEER_EVENTS)
    try:
        told = msgspec.convert(answer, _Told)
    except msgspec.ValidationError:
        raise VaultError("internal", "what answers is no node of this version: no events") from None
    events = [event for event in told.events if is_event(event)]
    return Page(events, told.next, told.end, told.skipped + len(told.events) - len(events))
