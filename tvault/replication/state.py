"""What a node says of itself, for health, status and people."""

from __future__ import annotations

import msgspec

from tvault.replication.account import Condition
from tvault.replication.promise import Standing


class State(msgspec.Struct, frozen=True):
    """What a node says of itself, at one moment.

    An outsider that hears a live chain tells of that one: its `view` and `chain`, and whether it could
    pass writes on to it (`can_write`).  `degraded`: that chain is shorter than the ensemble.

    `readable` is the view whose barrier this journal durably holds, 0 when there is none: whoever looks
    at the journal after that, and then has this same view confirmed, has missed nothing.
    """

    node: str
    incarnation: str
    standing: Standing
    condition: Condition
    promised: int
    role: str
    view: int
    chain: tuple[str, ...]
    last: int
    committed: int
    can_write: bool
    degraded: bool
    caught_up: bool
    readable: int
