"""What a node says of itself, for health, status and people."""

from __future__ import annotations

from dataclasses import dataclass

from tvault.replication.promise import Standing


@dataclass(frozen=True)
class State:
    """What a node says of itself, at one moment.

    `readable` is the view whose barrier this journal durably holds, 0 when there is none: whoever looks
    at the journal after that, and then has this same view confirmed, has missed nothing.
    """

    node: str
    incarnation: str
    standing: Standing
    promised: int
    role: str
    view: int
    chain: tuple[str, ...]
    last: int
    committed: int
    can_write: bool
    readable: int
