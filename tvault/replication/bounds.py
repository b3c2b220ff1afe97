"""How large and long what travels between nodes may be: nothing that an honest node says comes near.

The codec refuses what is beyond, before anything is made of it: such numbers do not fit a database,
and such texts and lists would have to be kept, sent back or looked up one by one.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

MOST_ENTRIES: Final = 1 << 16
"""Entries in one message, at most: whoever sends more, of few bytes each, sends them in several."""

Count = Annotated[int, Meta(ge=0, le=1 << 48)]
"""A place in the journal, or the number of a view: a new one each millisecond for 9,000 years.  So a
nonsensical one (-1 as 64 bits, a time in nanoseconds) is never promised, nor has to be gone beyond."""

Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""Of a round, a session, a ticket."""

Boot = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]

Milliseconds = Annotated[int, Meta(ge=0, le=1 << 40)]

Name = Annotated[str, Meta(min_length=1, max_length=128)]
"""Of a node, of an incarnation."""

Life = Annotated[str, Meta(max_length=256)]
"""The name of a life."""

Why = Annotated[str, Meta(max_length=256)]
"""A reason, in words for people."""

Request = Annotated[str, Meta(max_length=128)]
"""The id of a client's request, empty when there is none."""

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
