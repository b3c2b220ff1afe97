"""A filter and a cursor as the query of a URL: what one asks and the other understands."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec

from tvault.errors import VaultError
from tvault.events.reading import Filter

MOST_EVENTS = 1000
"""Events on a page, at most."""

MOST_SEQS = 1000
"""Entries that one question may name, at most."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
NAMES = ("event", "owner", "request", "since", "seq", "after", "limit")
_ONCE = ("request", "since", "after", "limit")


class Question(NamedTuple):
    """Which events are wanted, from where on, and how many at most."""

    wanted: Filter
    after: str = ""
    limit: int = MOST_EVENTS


def query_of(question: Question) -> str:
    """The question as the query of a URL; empty when everything is wanted."""
    wanted = question.wanted
    pairs = [("event", name) for name in sorted(wanted.events)]
    pairs += [("owner", name) for name in sorted(wanted.owners)]
    if wanted.request_id is not None:
        pairs.append(("request", wanted.request_id))
    if wanted.since is not None:
        pairs.append(("since", repr(wanted.since)))
    pairs += [("seq", str(seq)) for seq in sorted(wanted.seqs)]
    if question.after:
        pairs.append(("after", question.after))
    if question.limit != MOST_EVENTS:
        pairs.append(("limit", str(question.limit)))
    return urlencode(pairs)


def question_of(query: str) -> Question:
    """What the query asks.  Raises `VaultError` (`malformed`) that says what was expected."""
    found: dict[str, list[str]] = {name: [] for name in NAMES}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError:
        raise VaultError("malformed", "the query is not 'name=value&…' in UTF-8") from None
    for name, value in pairs:
        if name not in found:
            raise VaultError("malformed", f"unknown in the query; known are {', '.join(NAMES)}")
        found[name].append(value)
    for name in _ONCE:
        if len(found[name]) > 1:
            raise VaultError("malformed", f"{name}: stands in the query more than once")
    if len(found["seq"]) > MOST_SEQS:
        raise VaultError("malformed", f"seq: a query names {MOST_SEQS} at most")
    wanted = Filter(
        events=frozenset(found["event"]),
        owners=frozenset(found["owner"]),
        request_id=found["request"][0] if found["request"] else None,
        since=since_of(found["since"][0]) if found["since"] else None,
        seqs=frozenset(_number("seq", text, 10**18) for text in found["seq"]),
    )
    limit = _number("limit", found["limit"][0], MOST_EVENTS) if found["limit"] else MOST_EVENTS
    return Question(wanted, found["after"][0] if found["after"] else "", limit)


def since_of(text: str) -> float:
    """Seconds since 1970 of a time: such seconds, or RFC 3339; in UTC when no zone is given, at
    the begin of the day when no time is.

    Raises `VaultError` (`malformed`).
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_of(text)
    if not math.isfinite(seconds):
        raise _no_time()
    return seconds


def _seconds_of(text: str) -> float:
    try:
        moment = msgspec.convert(f"{text}T00:00:00" if _DATE.fullmatch(text) else text, datetime)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (msgspec.ValidationError, OverflowError):
        raise _no_time() from None


def _no_time() -> VaultError:
    example = "2026-11-25T17:29:15Z"
    return VaultError("malformed", f"since: expected a time as '{example}', or seconds since 1970")


def _number(name: str, text: str, most: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else 0
    if not 1 <= number <= most:
        raise VaultError("malformed", f"{name}: expected a number from 1 to {most}")
    return number
