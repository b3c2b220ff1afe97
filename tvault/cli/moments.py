"""The time of day, for people: now, how long ago, and from when on."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from tvault.errors import VaultError

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
NAMES = {"d": "d", "h": "h", "m": "min", "s": "s"}

_DURATION = re.compile(r"(\d{1,9})([dhms])", re.ASCII)


def now() -> datetime:
    """The time of this machine, in UTC."""
    return datetime.now(timezone.utc)


def text_of(moment: datetime) -> str:
    """A moment as RFC 3339, to the microsecond."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment_of(text: str) -> datetime:
    """An RFC 3339 moment, as nodes write it.  Raises `ValueError`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))


def since(wish: str) -> float:
    """Seconds since 1970 of a wish such as `10m`, `2h` or `2026-11-25T17:29:15Z` (UTC without a zone).

    Raises `VaultError` (`usage`).
    """
    duration = _DURATION.fullmatch(wish)
    try:
        if duration is not None:
            return (now() - timedelta(seconds=int(duration[1]) * UNITS[duration[2]])).timestamp()
        moment = moment_of(wish)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        known = "a duration such as 90s, 10m, 2h or 3d, or a time such as 2026-11-25T17:29:15Z"
        raise VaultError("usage", f"--since {wish}: expected {known}") from None


def duration_text(seconds: float) -> str:
    """A duration in the largest unit that counts."""
    unit = next((each for each, size in UNITS.items() if seconds >= 2 * size), "s")
    return f"{seconds / UNITS[unit]:.{1 if unit == 's' and seconds < 10 else 0}f} {NAMES[unit]}"
