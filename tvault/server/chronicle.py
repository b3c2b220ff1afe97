"""What the node's thread tells people: the events of each step, and the last change for who asks."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tvault.events import EventLog
from tvault.replication.ready import Notice, Ready
from tvault.server.health import complaint_of


@dataclass(frozen=True)
class Change:
    """The last time that this node's part in views changed: `at` is in seconds since 1970 (UTC),
    `before` the chain that it knew before, if it entered another one."""

    at: float
    view: int
    why: str
    before: tuple[str, ...]


class Chronicle:
    """Records what `Ready` says for people.  Its attributes may be read by any thread.

    `complaint` is why no view comes about, `change` the last change of this node's part in views.
    """

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self.complaint: str | None = None
        self.change: Change | None = None

    def tell(self, ready: Ready, view: int, took_s: float) -> None:
        """A step was carried out in `view`, and its journal write took so long."""
        for notice in ready.notices:
            self._events.record(notice.event, **notice.details)
            self._keep(notice)
        if ready.entries:
            self._events.record(
                "stored",
                first=ready.entries[0].seq,
                last=ready.entries[-1].seq,
                bytes=sum(len(entry.body) for entry in ready.entries),
                view=view,
                duration_ms=round(took_s * 1000, 3),
            )

    def _keep(self, notice: Notice) -> None:
        match notice.event:
            case "no-majority":
                self.complaint = complaint_of(notice)
            case "view" | "left-view":
                view, why = notice.details["view"], notice.details["why"]
                before = notice.details.get("before", ())
                assert isinstance(view, int)
                assert isinstance(before, list | tuple)
                self.change = Change(time.time_ns() / 1e9, view, str(why), tuple(before))
