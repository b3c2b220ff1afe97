"""The event log of one node: JSON lines for people, never replicated, no values in it.

`EventLog` writes it, `read` reads it, also while it is written; `EVENTS` says what stands in it.
"""

from tvault.events.catalog import EVENTS, FIELDS, Event
from tvault.events.files import FILE_NAME
from tvault.events.log import WAITING_EVENTS, Detail, EventLog
from tvault.events.reading import END, Bounds, Filter, Page, pages, read
from tvault.events.rolling import Room

__all__ = [
    "END",
    "EVENTS",
    "FIELDS",
    "FILE_NAME",
    "WAITING_EVENTS",
    "Bounds",
    "Detail",
    "Event",
    "EventLog",
    "Filter",
    "Page",
    "Room",
    "pages",
    "read",
]
