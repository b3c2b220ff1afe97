"""The history of a cluster's chain, put together from the events of its nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tvault.cli.event_logs import Event
from tvault.cli.moments import duration_text, moment_of
from tvault.cli.overview import chain_text

EVENTS_OF_CHAINS = frozenset(
    {
        "disk-full",
        "doubtful",
        "failure",
        "join",
        "left-view",
        "loss-accepted",
        "no-majority",
        "start",
        "stop",
        "suspect",
        "view",
    }
)
"""Those that tell how chains change, and why."""

IMPLIED = ("promised another view", "forms the chain anew", "asks for a later view")
"""Why nodes leave a view when the next one says it all: left out of what people read."""

MOST_VIEWS = 10_000
"""Views that are told at most, the newest ones."""

MOST_EVENTS = 1000
"""Events within one view that are told at most, the first ones."""


@dataclass
class View:
    """One chain.  `since` is when the first node took part in it, `until` when its head left it, or the
    next one began; None when nothing tells that it has ended.  `nodes` are those who tell of it,
    `events` what happened until the next one."""

    number: int
    since: str
    chain: list[str]
    why: str
    voted: list[str]
    before: list[str]
    until: str | None = None
    nodes: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """How long it lasted."""
        if self.until is None:
            return None
        return (moment_of(self.until) - moment_of(self.since)).total_seconds()

    def document(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "view": self.number,
            "since": self.since,
            "until": self.until,
            "seconds": self.seconds,
            "chain": self.chain,
            "why": self.why,
            "voted": self.voted,
            "before": self.before,
            "nodes": self.nodes,
            "events": self.events,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Times and what was then, for people; no time where it belongs to the line before."""
        span = "since then" if self.seconds is None else f"for {duration_text(self.seconds)}"
        yield self.since, f"view {self.number}: {chain_text(self.chain)}, {span}"
        if self.why:
            yield "", f"why: {self.why}"
        yield "", f"voted: {', '.join(self.voted) or '-'}; before: {chain_text(self.before)}"
        for event in self.events:
            if not str(event.get("why")).startswith(IMPLIED):
                yield str(event["time"]), f"{event['node']} {_told(event)}"


def views_of(events: Iterable[Event], last: int | None = None) -> list[View]:
    """The views that these events tell of, the oldest first; with `last` so many of the newest."""
    views: deque[View] = deque(maxlen=MOST_VIEWS if last is None else min(last, MOST_VIEWS))
    for event in events:
        if event["event"] == "view":
            _take(views, event)
        elif views and len(views[-1].events) < MOST_EVENTS:
            views[-1].events.append(event)
    for view, following in zip(views, [*views, None][1:], strict=False):
        view.until = _end(view) or (None if following is None else following.since)
    return list(views)


def _take(views: deque[View], event: Event) -> None:
    """Note a view, or that one more node takes part in it."""
    node, number = str(event["node"]), event.get("view")
    view = next((each for each in reversed(views) if each.number == number), None)
    if view is None:
        if not isinstance(number, int):
            return
        chain, voted, before = (_names(event, name) for name in ("chain", "voted", "before"))
        view = View(number, str(event["time"]), chain, str(event.get("why", "")), voted, before)
        views.append(view)
    if node not in view.nodes:
        view.nodes.append(node)
    if view.chain[:1] == [node] and not view.before:
        view.before = _names(event, "before")


def _end(view: View) -> str | None:
    """When its head left it, if that was noted."""
    for event in view.events:
        left = event["event"] == "left-view" and event.get("view") == view.number
        if view.chain[:1] == [event["node"]] and (left or event["event"] in {"stop", "failure"}):
            return str(event["time"])
    return None


def _names(event: Event, name: str) -> list[str]:
    found = event.get(name)
    return [str(each) for each in found] if isinstance(found, list) else []


def _told(event: Event) -> str:
    """What a node says, in words."""
    name, why = str(event["event"]), event.get("why", "")
    words = {
        "disk-full": "has no room on its disk",
        "doubtful": f"no longer trusts its files: {why}",
        "failure": f"fails: {why}",
        "join": f"takes {event.get('peer')} in",
        "left-view": f"leaves view {event.get('view')}: {why}",
        "loss-accepted": "may vote again: an operator has accepted the loss",
        "no-majority": f"finds no majority: hears {', '.join(_names(event, 'heard')) or 'nobody'}",
        "start": "starts",
        "stop": f"ends: {why}",
        "suspect": f"looks for another view: {why}",
    }
    return words.get(name, name)
