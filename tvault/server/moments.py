"""Moments as text and back: RFC 3339, in UTC, to the microsecond."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)
# In a query a plus sign stands for a space.
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,64}))?(?:[Zz]|([+ -])(\d\d):(\d\d))", re.ASCII
)


def moment_text(microseconds: int) -> str:
    """Microseconds since 1970 as `2026-11-26T01:22:02.123456Z`."""
    text = (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


def moment_in(text: str) -> int | None:
    """Microseconds since 1970 of an RFC 3339 moment, what is finer cut off; None if it is none."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day, time, fraction, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if offset >= timedelta(days=1) or int(minutes or 0) > 59:
        return None
    try:
        local = datetime.fromisoformat(f"{day}T{time}+00:00")
    except ValueError:
        return None
    since = local - _EPOCH + (offset if sign == "-" else -offset)
    return since // _MICROSECOND + int((fraction or "0").ljust(6, "0")[:6])
