"""What nodes say to each other: frozen values, one meaning each.

Every message travels in an `Envelope`, which names the sender's life (incarnation and boot) and the
view that the message belongs to.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from tvault.replication.account import Account
from tvault.replication.bounds import MOST_ENTRIES, Boot, Count, Life, Name, Number, Request
from tvault.replication.entry import Entry, Position
from tvault.replication.promise import Standing
from tvault.replication.view import MOST_NODES, Member, View

Positions = Annotated[tuple[Position, ...], msgspec.Meta(min_length=1, max_length=128)]
"""Places of a journal that lie further and further apart."""

Entries = Annotated[tuple[Entry, ...], msgspec.Meta(max_length=MOST_ENTRIES)]
Verdict = Annotated[bytes, msgspec.Meta(max_length=4096)]


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The form shared by all messages: an array that begins with the message's name."""


class FoundingAsk(_Message, frozen=True, array_like=True, tag="founding-ask"):
    """Is your journal empty, and have you set nothing aside?"""

    round: Number


class FoundingAnswer(_Message, frozen=True, array_like=True, tag="founding-answer"):
    """The answer, for the incarnation in the envelope."""

    round: Number
    empty: bool
    promised: Count


class PreVote(_Message, frozen=True, array_like=True, tag="pre-vote"):
    """Would you leave your view for mine?  Changes nothing.  `founded`: see `Memory.founded`."""

    round: Number
    last: Position
    founded: Count = 0


class PreVoteAnswer(_Message, frozen=True, array_like=True, tag="pre-vote-answer"):
    """`granted`: the sender misses its chain, too, and has no longer journal."""

    round: Number
    granted: bool
    standing: Standing
    promised: Count


class Prepare(_Message, frozen=True, array_like=True, tag="prepare"):
    """Promise me the envelope's view.  `last` is the candidate's journal end; `founders` names every
    node and its incarnation in a founding, and is empty otherwise; `founded`: see `Memory.founded`."""

    last: Position
    founders: Annotated[tuple[Member, ...], msgspec.Meta(max_length=MOST_NODES)] = ()
    founded: Count = 0


class Promised(_Message, frozen=True, array_like=True, tag="promised"):
    """The sender has left its view, and will act for none below the envelope's.  From a blank node
    it counts for nothing but presence."""

    account: Account


class Refused(_Message, frozen=True, array_like=True, tag="refused"):
    """No promise: the sender promised `promised` already, or its journal is longer."""

    promised: Count
    last: Position


class Superseded(_Message, frozen=True, array_like=True, tag="superseded"):
    """What you sent belongs to a view that the sender has left for `promised`."""

    promised: Count


class Part(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A member's part in a view.  `alive`: heartbeats go round in it; `open`: its barrier is committed;
    `flows`: it could acknowledge a write now."""

    view: View
    alive: bool
    open: bool
    flows: bool


class Presence(_Message, frozen=True, array_like=True, tag="presence"):
    """To everyone, every heartbeat: the sender is there.

    `part` is None for an outsider; `caught_up`: it lacked nothing a moment ago.
    """

    account: Account
    promised: Count
    part: Part | None
    committed: Count
    caught_up: bool


class Challenge(_Message, frozen=True, array_like=True, tag="challenge"):
    """Messages in your name come from a life that the sender does not know: is it the present one?"""

    nonce: Number


class Present(_Message, frozen=True, array_like=True, tag="present"):
    """The life in the envelope is the present one: it has received `nonce`."""

    nonce: Number


class Doubted(_Message, frozen=True, array_like=True, tag="doubted"):
    """The sender has heard of a later life of the receiver than the one named here: whoever lives it
    stands on an older copy of its folder."""

    incarnation: Name
    boot: Boot
    life: Life


class NewView(_Message, frozen=True, array_like=True, tag="new-view"):
    """The view is decided, and its barrier is durable at its head."""

    view: View


class Leave(_Message, frozen=True, array_like=True, tag="leave"):
    """To the head: form the chain again without me."""


class HandOver(_Message, frozen=True, array_like=True, tag="hand-over"):
    """From a head that leaves to its successor: ask for a view at once."""


class Sync(_Message, frozen=True, array_like=True, tag="sync"):
    """From a successor: let us agree anew where we stand.

    `session` is a new one of the sender's; `positions` are places of its journal from the end down
    to what it knows as committed, so that the predecessor finds one that both hold.
    """

    session: Number
    positions: Positions


class Append(_Message, frozen=True, array_like=True, tag="append"):
    """From a predecessor: the entries that follow `previous`, and what is committed by now."""

    session: Number
    previous: Position
    entries: Entries
    committed: Count


class Ack(_Message, frozen=True, array_like=True, tag="ack"):
    """From a successor: it has persisted up to `held`, and so has everyone below it up to `acked`."""

    session: Number
    held: Count
    acked: Count


class Heartbeat(_Message, frozen=True, array_like=True, tag="heartbeat"):
    """Down the chain: `end` is the last entry sent in `session`, which is 0 when there is none."""

    number: Number
    session: Number
    end: Count
    committed: Count


class HeartbeatReturn(_Message, frozen=True, array_like=True, tag="heartbeat-return"):
    """Up the chain: heartbeat `number` has been at the tail."""

    number: Number
    session: Number
    held: Count
    acked: Count


class Confirm(_Message, frozen=True, array_like=True, tag="confirm"):
    """Have you promised a later view than the envelope's?"""

    round: Number


class Confirmed(_Message, frozen=True, array_like=True, tag="confirmed"):
    """No."""

    round: Number


class Learn(_Message, frozen=True, array_like=True, tag="learn"):
    """From an outsider: what is committed behind the first of these places that you hold?"""

    round: Number
    positions: Positions


class Learned(_Message, frozen=True, array_like=True, tag="learned"):
    """Committed entries that follow `previous`, and how far the sender knows the journal committed."""

    round: Number
    previous: Position
    entries: Entries
    committed: Count


class IndexAsk(_Message, frozen=True, array_like=True, tag="index-ask"):
    """From an outsider: up to where must I know the journal, to miss nothing acknowledged by now?"""

    round: Number


class Index(_Message, frozen=True, array_like=True, tag="index"):
    """Up to here; confirmed after the question arrived."""

    round: Number
    seq: Count


class Proposal(_Message, frozen=True, array_like=True, tag="proposal"):
    """To the head: order this command.  Between nodes, not for the replica.  `ticket` is the sender's,
    and means something to its present life alone: both come back in the outcome.  `request` is the id of
    the client's request, for people."""

    ticket: Number
    command: bytes
    life: Life
    request: Request = ""


class Outcome(_Message, frozen=True, array_like=True, tag="outcome"):
    """From the head: what became of the proposal `ticket` of the receiver's `life`."""

    ticket: Number
    verdict: Verdict
    life: Life


Message = (
    FoundingAsk
    | FoundingAnswer
    | PreVote
    | PreVoteAnswer
    | Prepare
    | Promised
    | Refused
    | Superseded
    | Presence
    | Challenge
    | Present
    | Doubted
    | NewView
    | Leave
    | HandOver
    | Sync
    | Append
    | Ack
    | Heartbeat
    | HeartbeatReturn
    | Confirm
    | Confirmed
    | Learn
    | Learned
    | IndexAsk
    | Index
    | Proposal
    | Outcome
)


class Envelope(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A message with its sender's node, incarnation, boot and life, and the view that it belongs to."""

    sender: Name
    incarnation: Name
    boot: Boot
    life: Life
    view: Count
    message: Message


def bytes_in(message: Message) -> int:
    """What a message holds of entries and commands; all else in it is small."""
    match message:
        case Append(entries=entries) | Learned(entries=entries):
            return sum(len(entry.body) for entry in entries)
        case Proposal(command=command):
            return len(command)
        case _:
            return 0
