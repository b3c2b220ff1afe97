"""What a node must remember beside its journal, or lose its vote."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from tvault.replication.entry import ORIGIN, Position


class Standing(IntEnum):
    """Whether a node counts towards a majority.

    BLANK: its memory of votes or journal is lost or doubtful, it counts for nothing.
    FOUNDER: it has voted in a founding that is not finished as far as it knows.  While it holds nothing
    it counts for that founding, and for those alone that hold its barrier.
    VOTER: it counts.
    """

    BLANK = 0
    FOUNDER = 1
    VOTER = 2


class KnownLife(msgspec.Struct, frozen=True, array_like=True):
    """The latest life that a node has heard of another one, and the incarnations before it."""

    incarnation: str
    boot: int
    life: str
    past: tuple[str, ...] = ()


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the promise file.

    `incarnation` changes whenever the node's memory was lost or put aside; `boot` rises with every
    start, and `life` is drawn anew.  Two lives of one boot betray a folder that was put back from a
    copy: `lives` is what this node has heard of the others, so that it notices.  `promised` never
    falls.  `mark` is the journal's end that the node last acknowledged: it may lag the journal, never
    lead it, and is lowered and synced before any cut below it.  `keys` is the fingerprint of the token
    key that the journal was filled under.  `set_aside`: files were put aside in this folder, so the
    node never takes part in a founding.  `start` is the end of the journal that an operator has filled
    the folder with, from a backup, or the longest of those that other nodes were filled with: a node
    that holds no more remembers nothing.  `founding` is the first one that this incarnation promised.
    """

    cluster: str
    ensemble: tuple[str, ...]
    node: str
    keys: str
    incarnation: str
    boot: int = 0
    life: str = ""
    standing: Standing = Standing.BLANK
    set_aside: bool = False
    promised: int = 0
    mark: Position = ORIGIN
    start: Position = ORIGIN
    founding: int = 0
    lives: dict[str, KnownLife] = {}


def with_boot(promise: Promise, life: str) -> Promise:
    """The promise of a node that starts once more, under a name that no other start has."""
    return msgspec.structs.replace(promise, boot=promise.boot + 1, life=life)
