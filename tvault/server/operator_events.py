"""`GET /peer/events`: the event log of a node for its operators, in pages."""

from __future__ import annotations

from pathlib import Path

from tvault.events import Bounds, read
from tvault.events.query import question_of
from tvault.server.peer_api import Handler
from tvault.server.web import Answer, Environ, json_answer
from tvault.wire import PEER_EVENTS


class EventsApi:
    """Reads the files of the log as they are: what an answer costs is bounded, and it keeps no state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def routes(self) -> dict[str, tuple[str, Handler]]:
        """Its path on the peer port, with its method and who answers."""
        return {PEER_EVENTS: ("GET", self._tell)}

    def _tell(self, environ: Environ) -> Answer:
        question = question_of(environ.get("QUERY_STRING", ""))
        page = read(self._folder, question.wanted, question.after, Bounds(events=question.limit))
        return json_answer(
            {"events": page.events, "next": page.next, "end": page.is_end, "skipped": page.skipped}
        )
