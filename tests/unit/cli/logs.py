"""Event logs of stopped nodes, written as nodes write them, at times that a test chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def moment(seconds: float) -> str:
    """A time so many seconds after a whole minute."""
    return f"2026-11-25T17:29:{seconds:09.6f}Z"


def log_of(node: str, *events: dict[str, Any], folder: Path = Path("data")) -> str:
    """The data folder of a node whose log holds these events: each has `at`, the second when it was, and
    `event`, its name."""
    place = folder / node
    place.mkdir(parents=True, exist_ok=True)
    with (place / "events.jsonl").open("a", encoding="utf-8") as file:
        for given in events:
            event = dict(given)
            head = {"time": moment(event.pop("at")), "node": node, "event": event.pop("event")}
            file.write(json.dumps({**head, **event}, separators=(",", ":"), ensure_ascii=False) + "\n")
    return str(place)


def call(at: float, event: str, request_id: str, duration_ms: float, **more: Any) -> dict[str, Any]:
    """A call that was answered."""
    common = {"owner": "A", "request_id": request_id, "duration_ms": duration_ms}
    return {"at": at, "event": event, **common, **more}


def stored(at: float, first: int, last: int, view: int) -> dict[str, Any]:
    """Entries that are on disk."""
    return {
        "at": at,
        "event": "stored",
        "first": first,
        "last": last,
        "bytes": 80,
        "view": view,
        "duration_ms": 1.5,
    }


def ordered(at: float, seq: int, view: int, *requests: str) -> dict[str, Any]:
    """An entry that a head has made."""
    return {
        "at": at,
        "event": "ordered",
        "seq": seq,
        "view": view,
        "commands": len(requests),
        "requests": list(requests),
    }


def view(at: float, number: int, chain: str, why: str, voted: str, before: str) -> dict[str, Any]:
    """That a node takes part in a view; chains are names with blanks between."""
    return {
        "at": at,
        "event": "view",
        "view": number,
        "chain": chain.split(),
        "role": "member",
        "why": why,
        "voted": voted.split(),
        "before": before.split(),
    }
