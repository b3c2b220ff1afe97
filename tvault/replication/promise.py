"""What a node must remember beside its journal, or lose its vote."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from tvault.replication.entry import ORIGIN, Position


class Standing(IntEnum):
    """Whether a node counts towards a majority.

    BLANK: its memory of votes or journal is lost or doubtful, it counts for nothing.
    FOUNDER: it has voted in a founding that is not finished as far as it knows; it counts.
    VOTER: it counts.
    """

    BLANK = 0
    FOUNDER = 1
    VOTER = 2


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the promise file.

    `incarnation` changes whenever the node's memory was lost or put aside; `boot` rises with every
    start.  `promised` never falls.  `mark` is the journal's end that the node last acknowledged: it
    may lag the journal, never lead it, and is lowered and synced before any cut below it.  `keys` is the
    fingerprint of the token key that the journal was filled under.
    `set_aside`: files were put aside in this folder, so the node never takes part in a founding.
    """

    cluster: str
    ensemble: tuple[str, ...]
    node: str
    keys: str
    incarnation: str
    boot: int = 0
    standing: Standing = Standing.BLANK
    set_aside: bool = False
    promised: int = 0
    mark: Position = ORIGIN


def with_boot(promise: Promise) -> Promise:
    """The promise of a node that starts once more."""
    return msgspec.structs.replace(promise, boot=promise.boot + 1)
