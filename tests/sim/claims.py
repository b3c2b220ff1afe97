"""What a message says of its sender's disk, and whether that is so when it leaves.

Each claim returns what is wrong with it, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.sim.disk import Disk
from tvault.replication.account import Account
from tvault.replication.entry import Position
from tvault.replication.messages import (
    Ack,
    Append,
    Confirmed,
    Envelope,
    Heartbeat,
    HeartbeatReturn,
    Learned,
    NewView,
    Prepare,
    Presence,
    PreVote,
    PreVoteAnswer,
    Promised,
    Refused,
    Superseded,
    Sync,
)
from tvault.replication.promise import Standing


@dataclass(frozen=True)
class Ground:
    """What a claim is held against.

    What is said in one step is said together, after all of it is durable: a message may come from before
    the node promised a later view in that step (`promised` is from before it), or cut its journal in it
    (`has_cut`).
    """

    envelope: Envelope
    disk: Disk
    committed: Sequence[Position]
    promised: int
    has_cut: bool

    def acts(self) -> str | None:
        """For a view: one that the sender has durably promised, and no later one."""
        if self.envelope.view < self.promised:
            return f"acts below its promise of view {self.promised}"
        return self.has_promised(self.envelope.view)

    def holds(self, seq: int) -> str | None:
        """The journal goes that far."""
        held = self.has_cut or self.disk.store.last().seq >= seq
        return None if held else f"does not hold entry {seq}"

    def is_at(self, *positions: Position) -> str | None:
        """The journal holds these."""
        if self.has_cut:
            return None
        store = self.disk.store
        missing = [p for p in positions if store.position(p.seq) != p]
        return f"does not hold {missing[0]}" if missing else None

    def knows(self, committed: int) -> str | None:
        """The entry is committed."""
        return None if committed < len(self.committed) else f"leads with commit position {committed}"

    def has_promised(self, view: int) -> str | None:
        """The promise is durable."""
        return None if self.disk.promised >= view else f"has not synced its promise of view {view}"

    def gives(self, account: Account) -> str | None:
        """What the account says is durable."""
        return (self.votes() if account.may_vote else None) or self.is_at(account.last)

    def votes(self) -> str | None:
        """The sender counts."""
        return "is blank, and counts itself" if self.disk.standing is Standing.BLANK else None


def _append(ground: Ground, message: Append) -> str | None:
    return ground.acts() or ground.knows(message.committed)


def _ack(ground: Ground, message: Ack | HeartbeatReturn) -> str | None:
    wrong = ground.acts() or ground.holds(message.held)
    return wrong or (None if message.acked <= message.held else "passes on more than it holds")


def _heartbeat(ground: Ground, message: Heartbeat) -> str | None:
    return ground.acts() or ground.knows(message.committed)


def _sync(ground: Ground, message: Sync) -> str | None:
    return ground.acts() or ground.is_at(*message.positions)


def _confirmed(ground: Ground, _: Confirmed) -> str | None:
    later = ground.envelope.view < ground.promised
    return ("has promised a later view" if later else None) or ground.votes()


def _learned(ground: Ground, message: Learned) -> str | None:
    past = [entry for entry in message.entries if entry.position != _at(ground, entry.seq)]
    return ground.knows(message.committed) or (f"teaches {past[0].seq}" if past else None)


def _at(ground: Ground, seq: int) -> Position | None:
    return ground.committed[seq] if seq < len(ground.committed) else None


def _new_view(ground: Ground, message: NewView) -> str | None:
    if message.view.head.node != ground.envelope.sender:
        return None
    barrier = ground.disk.store.position(message.view.barrier)
    held = barrier is not None and barrier.view == message.view.number
    return ground.acts() or (None if held else "announces a view without its barrier")


def _presence(ground: Ground, message: Presence) -> str | None:
    wrong = ground.knows(message.committed) or ground.gives(message.account)
    return wrong or ground.has_promised(message.promised)


def _pre_vote(ground: Ground, message: PreVote) -> str | None:
    return ground.is_at(message.last) or ground.votes()


def _pre_vote_answer(ground: Ground, message: PreVoteAnswer) -> str | None:
    return ground.has_promised(message.promised) or (ground.votes() if message.granted else None)


def _prepare(ground: Ground, message: Prepare) -> str | None:
    wrong = ground.has_promised(ground.envelope.view) or ground.is_at(message.last)
    return wrong or ground.votes()


def _promised(ground: Ground, message: Promised) -> str | None:
    return ground.has_promised(ground.envelope.view) or ground.gives(message.account)


def _refused(ground: Ground, message: Refused) -> str | None:
    return ground.has_promised(message.promised)


def _superseded(ground: Ground, message: Superseded) -> str | None:
    return ground.has_promised(message.promised)


CLAIMS: dict[type, Callable[[Ground, Any], str | None]] = {
    Ack: _ack,
    Append: _append,
    Confirmed: _confirmed,
    Heartbeat: _heartbeat,
    HeartbeatReturn: _ack,
    Learned: _learned,
    NewView: _new_view,
    Prepare: _prepare,
    Presence: _presence,
    PreVote: _pre_vote,
    PreVoteAnswer: _pre_vote_answer,
    Promised: _promised,
    Refused: _refused,
    Superseded: _superseded,
    Sync: _sync,
}
