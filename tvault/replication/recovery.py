"""What a node may believe of its own disk when it starts."""

from __future__ import annotations

from dataclasses import dataclass

from tvault.replication.entry import ORIGIN, Journal, Positions
from tvault.replication.promise import Promise, Standing, with_boot


@dataclass(frozen=True)
class Identity:
    """What the configuration says that this node is; `keys` is the fingerprint of its token key."""

    cluster: str
    ensemble: tuple[str, ...]
    node: str
    keys: str


class ForeignFolder(Exception):
    """The folder belongs to another cluster, ensemble, node or token key: nothing in it is touched."""


@dataclass(frozen=True)
class Recovered:
    """The promise to start with, and why the journal must be set aside first, if it must."""

    promise: Promise
    set_aside: str | None = None


def recover(
    found: Promise | None, *, damaged: str | None, journal: Journal, identity: Identity, incarnation: str
) -> Recovered:
    """Decide what this node's memory is worth.

    `found` is the content of the promise file, None when there is none or it cannot be read; `damaged`
    says what cannot be read, if anything.  `incarnation` was never used before: it names this life, and
    the incarnation if the memory is doubtful.  The node then is blank: it counts for nothing until a
    view that holds it has committed its barrier.
    Raises `ForeignFolder`.
    """
    if found is not None:
        refuse_foreign(found, identity)
    why = damaged or doubt_of(found, journal)
    if found is not None and why is None:
        return Recovered(with_boot(found, incarnation))
    if why is None and found is None:
        return Recovered(_blank(identity, incarnation, set_aside=False))
    return Recovered(_blank(identity, incarnation, set_aside=True), set_aside=why)


def refuse_foreign(found: Promise, identity: Identity) -> None:
    """Raise `ForeignFolder` unless the promise is of this node in this cluster and ensemble, under this
    token key: under another one, values would get second tokens, and none of those stored would open."""
    if found.cluster != identity.cluster:
        raise ForeignFolder(f"it belongs to cluster {found.cluster}")
    if found.node != identity.node:
        raise ForeignFolder(f"it belongs to node {found.node}")
    if found.ensemble != identity.ensemble:
        raise ForeignFolder(f"its ensemble is {', '.join(found.ensemble)}, in this order")
    if found.keys != identity.keys:
        raise ForeignFolder("it was filled under another token key than [keys] token names")


def doubt_of(found: Promise | None, journal: Positions) -> str | None:
    """Why the journal beside a promise cannot be what the node had, or None.  SQLite drops a damaged
    tail in silence; a journal below its mark has lost what was acknowledged."""
    last = journal.last()
    if found is None:
        return "a journal without a promise file" if last != ORIGIN else None
    mark = found.mark
    if journal.position(mark.seq) != mark:
        return f"the journal ends at entry {last.seq} and does not hold entry {mark.seq} as acknowledged"
    return None


def _blank(identity: Identity, incarnation: str, *, set_aside: bool) -> Promise:
    promise = Promise(
        cluster=identity.cluster,
        ensemble=identity.ensemble,
        node=identity.node,
        keys=identity.keys,
        incarnation=incarnation,
        standing=Standing.BLANK,
        set_aside=set_aside,
    )
    return with_boot(promise, incarnation)
