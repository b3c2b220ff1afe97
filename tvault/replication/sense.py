"""Which messages make no sense: bytes of the right form that no correct node of the ensemble sends.

The door refuses them, so that the replica may rely on what its rules say of every message.  What a
correct node *could* have said is not refused here, however late or unwelcome it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tvault.replication.entry import Entry, Kind, Position
from tvault.replication.messages import (
    Ack,
    Append,
    Envelope,
    HeartbeatReturn,
    Learn,
    Learned,
    NewView,
    Prepare,
    Presence,
    Promised,
    Sync,
)
from tvault.replication.view import Member, View, majority


def nonsense(envelope: Envelope, ensemble: tuple[str, ...]) -> str | None:
    """Why no correct node of `ensemble` says this, in words that tell nothing of its content; None for
    what one might say."""
    match envelope.message:
        case Ack(held=held, acked=acked) | HeartbeatReturn(held=held, acked=acked):
            return "more acknowledged than held" if acked > held else None
        case Append(previous=previous, entries=entries) | Learned(previous=previous, entries=entries):
            return _flaw_of_entries(previous, entries, envelope.view)
        case Presence() as presence:
            return _flaw_of_presence(presence, envelope, ensemble)
        case Sync(positions=places) | Learn(positions=places):
            falls = all(one.seq >= other.seq for one, other in pairwise(places))
            return None if falls else "places of a journal that do not fall"
        case Promised(account=account):
            return _flaw_of_names(account.hears, ensemble)
        case _:
            return _flaw_of_question(envelope, ensemble)


def _flaw_of_question(envelope: Envelope, ensemble: tuple[str, ...]) -> str | None:
    """Of what one node asks or tells all others."""
    match envelope.message:
        case Prepare() as prepare:
            return _flaw_of_prepare(prepare, envelope, ensemble)
        case NewView(view=view):
            if view.number != envelope.view or view.head != _sender_of(envelope):
                return "a view in another's name"
            return _flaw_of_view(view, ensemble)
        case _:
            return None


def _flaw_of_entries(previous: Position, entries: Sequence[Entry], view: int) -> str | None:
    last: Position | Entry = previous
    for entry in entries:
        if entry.seq != last.seq + 1 or not last.view <= entry.view <= view:
            return "entries that do not follow each other"
        if (entry.kind is Kind.BARRIER) == bool(entry.body):
            return "an entry whose kind and body do not fit"
        last = entry
    return None


def _flaw_of_presence(presence: Presence, envelope: Envelope, ensemble: tuple[str, ...]) -> str | None:
    account, part = presence.account, presence.part
    if presence.committed > account.last.seq:
        return "more committed than held"
    if part is None:
        return _flaw_of_names(account.hears, ensemble)
    if part.view.member(envelope.sender) != _sender_of(envelope):
        return "a part in a chain without it"
    if part.view.number > presence.promised:
        return "a part in a view that was not promised"
    return _flaw_of_names(account.hears, ensemble) or _flaw_of_view(part.view, ensemble)


def _flaw_of_prepare(prepare: Prepare, envelope: Envelope, ensemble: tuple[str, ...]) -> str | None:
    if not _may_open(envelope.sender, envelope.view, ensemble):
        return "a view number of another node"
    founders = prepare.founders
    if not founders:
        return None
    whole = sorted(member.node for member in founders) == sorted(ensemble)
    return None if whole and _sender_of(envelope) in founders else "a founding without some node"


def _flaw_of_view(view: View, ensemble: tuple[str, ...]) -> str | None:
    names = [member.node for member in view.chain]
    if view.barrier < 1 or len(names) < majority(len(ensemble)):
        return "a view without a majority or without a barrier"
    if not _may_open(names[0], view.number, ensemble):
        return "a view number of another node"
    return _flaw_of_names(names, ensemble)


def _flaw_of_names(names: Sequence[str], ensemble: tuple[str, ...]) -> str | None:
    known = len(set(names)) == len(names) and all(name in ensemble for name in names)
    return None if known else "a node that is unknown or named twice"


def _may_open(node: str, view: int, ensemble: tuple[str, ...]) -> bool:
    """See `view.next_own_view`."""
    return view > 0 and node in ensemble and view % len(ensemble) == ensemble.index(node)


def _sender_of(envelope: Envelope) -> Member:
    return Member(envelope.sender, envelope.incarnation)
