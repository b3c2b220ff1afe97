"""What a node or a gateway writes to standard error, through `logging`: as text or as JSON."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timezone
from typing import TextIO

import msgspec
from pythonjsonlogger.json import JsonFormatter

from tvault.events.files import written_time

_TEXT = "%(asctime)s %(levelname)s %(message)s"
_MEMBERS = "%(asctime)s %(levelname)s %(name)s %(message)s"
_NAMES = {"asctime": "time", "levelname": "level", "name": "logger"}


class EventLine(dict[str, object]):
    """A message that is an event: its members are those of the JSON line, or its JSON is the text."""

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()


class _JsonLines(JsonFormatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        """As in the event log, so that lines of both can be sorted together."""
        return written_time(datetime.fromtimestamp(record.created, timezone.utc))


def begin_logs(form: str, level: str, node: str, stream: TextIO = sys.stderr) -> None:
    """Write what this package logs, from `level` on; of others only what is important, for their lines
    may hold what ours never do, such as the path of a request."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _JsonLines(_MEMBERS, rename_fields=_NAMES, static_fields={"node": node})
        if form == "json"
        else logging.Formatter(_TEXT)
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("tvault").setLevel(level.upper())
