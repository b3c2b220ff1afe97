"""What the files of an event log are called, and how a time stands in them.

The newest is `events.jsonl`.  When it is full it gets a number, larger than all before it, and keeps it:
a number and an offset are a place in the log for as long as the file is kept.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

FILE_NAME = "events.jsonl"

_ROLLED = re.compile(r"events\.([0-9]{6,18})\.jsonl", re.ASCII)


def rolled_name(number: int) -> str:
    """The name of a file that is full."""
    return f"events.{number:06}.jsonl"


def rolled_numbers(folder: Path) -> list[int]:
    """The numbers of the files that are full, the oldest first.  Raises `OSError`."""
    found = (_ROLLED.fullmatch(entry.name) for entry in folder.iterdir())
    return sorted(int(each[1]) for each in found if each and rolled_name(int(each[1])) == each[0])


def written_time(moment: datetime) -> str:
    """A moment in UTC.  All are written alike, so that their texts compare as they do."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
