"""What a node hears of the others: who is there, in which life, in which view, and who is gone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tvault.replication.memory import Memory
from tvault.replication.messages import (
    Challenge,
    Doubted,
    Envelope,
    Part,
    Prepare,
    Presence,
    Present,
    PreVote,
    Promised,
    Refused,
)
from tvault.replication.promise import KnownLife
from tvault.replication.view import Member, View

HELD_MESSAGES = 64
"""How many messages of a life that has not proved itself are kept of each node."""

PAST_INCARNATIONS = 4
"""How many incarnations before the latest are remembered of each node."""


@dataclass(frozen=True)
class Heard:
    """The last presence of a node, in the life that spoke, and when it came."""

    member: Member
    presence: Presence
    at: int


@dataclass(frozen=True)
class _Said:
    """What an incarnation said to be committed: in its latest boot, and in those before."""

    boot: int = 0
    lately: int = 0
    before: int = 0

    def then(self, boot: int, committed: int) -> _Said:
        """With what it says in `boot`."""
        if boot > self.boot:
            return _Said(boot, committed, max(self.before, self.lately))
        return _Said(self.boot, max(self.lately, committed), self.before)


class Peers:
    """The other nodes of the ensemble as this one hears them."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._heard_at: dict[str, int] = {}
        self._presences: dict[str, Heard] = {}
        self._gone: set[str] = set()
        self._said: dict[str, _Said] = {}
        self._held: dict[str, deque[Envelope]] = {}
        self._nonces: dict[str, int] = {}
        self._challenged_at: dict[str, int] = {}

    def admit(self, envelope: Envelope, now: int) -> tuple[Envelope, ...]:
        """The messages to take now that this one has come: itself, if it is of its sender's present
        life; none of an earlier one, of which its sender remembers nothing.

        A life that is not the one known is asked to prove that it is the present one: whatever answers
        is, since a node has one process; late messages of its earlier lives answer nothing.  Until then
        its messages are held.  A life is recorded, durably, before anything that relies on it is said.
        """
        sender = envelope.sender
        if sender not in self._memory.others:
            return ()
        known = self._memory.promise.lives.get(sender)
        message = envelope.message
        if isinstance(message, Challenge):
            self._memory.say(sender, 0, Present(message.nonce))
            return ()
        is_proof = isinstance(message, Present) and message.nonce == self._nonces.get(sender)
        if known is None:
            self._record(envelope, ())
        elif not _is_life(known, envelope):
            if not is_proof:
                self._challenge(envelope, now)
                return ()
            if not self._succeed(known, envelope):
                return ()
        if is_proof:
            del self._nonces[sender]
        held = self._held.pop(sender, ()) if is_proof else ()
        self._heard_at[sender] = now
        self._gone.discard(sender)
        taken = (*held, envelope)
        return tuple(
            each
            for each in taken
            if _life_of(each) == _life_of(envelope) and not isinstance(each.message, Present)
        )

    def _challenge(self, envelope: Envelope, now: int) -> None:
        """Ask a life for a proof, and again now and then: by one number, since the answer to the first
        question may take longer than the time until the next."""
        sender = envelope.sender
        held = self._held.setdefault(sender, deque(maxlen=HELD_MESSAGES))
        is_asked = bool(held) and _life_of(held[-1]) == _life_of(envelope)
        held.append(envelope)
        if not is_asked:
            self._nonces[sender] = self._memory.new_round()
        elif now - self._challenged_at[sender] < self._memory.timing.heartbeat_ms // 2:
            return
        self._challenged_at[sender] = now
        self._memory.say(sender, 0, Challenge(self._nonces[sender]))

    def _succeed(self, known: KnownLife, envelope: Envelope) -> bool:
        """Whether the present life of a node follows the one known.  If it lies before that, its folder
        was put back from a copy: it lives again a life of which others have heard the end."""
        if envelope.incarnation == known.incarnation:
            follows, past = envelope.boot > known.boot, known.past
        else:
            follows = envelope.incarnation not in known.past
            past = (known.incarnation, *known.past)[:PAST_INCARNATIONS]
        if follows:
            self._record(envelope, past)
        else:
            doubted = Doubted(envelope.incarnation, envelope.boot, envelope.life)
            self._memory.say(envelope.sender, 0, doubted)
        return follows

    def _record(self, envelope: Envelope, past: tuple[str, ...]) -> None:
        life = KnownLife(envelope.incarnation, envelope.boot, envelope.life, past)
        lives = self._memory.promise.lives
        self._memory.remember(lives={**lives, envelope.sender: life})
        self._presences.pop(envelope.sender, None)

    def has_forgotten(self, envelope: Envelope) -> bool:
        """Whether a node's journal ends before what an earlier boot of it said to be committed: a sound
        one keeps that, so its folder was put back from a copy; it is told so.

        Within one boot messages may overtake each other, and prove nothing.
        """
        message = envelope.message
        match message:
            case Presence(account=account) | Promised(account=account):
                end = account.last.seq
            case Prepare(last=last) | PreVote(last=last) | Refused(last=last):
                end = last.seq
            case _:
                return False
        said = self._said.get(envelope.incarnation, _Said())
        if isinstance(message, Presence):
            said = said.then(envelope.boot, message.committed)
            self._said[envelope.incarnation] = said
        forgotten = end < said.before and envelope.boot >= said.boot
        if forgotten:
            doubted = Doubted(envelope.incarnation, envelope.boot, envelope.life)
            self._memory.say(envelope.sender, 0, doubted)
        return forgotten

    def boot_of(self, member: Member) -> int:
        """The latest boot heard of this life of a node, 0 when there is none."""
        known = self._memory.promise.lives.get(member.node)
        return known.boot if known is not None and known.incarnation == member.incarnation else 0

    def is_member_gone(self, member: Member) -> bool:
        """Whether this life of a node has ended: its port refuses, or a later incarnation was heard."""
        known = self._memory.promise.lives.get(member.node)
        reborn = known is not None and member.incarnation in known.past
        return member.node in self._gone or reborn

    def on_presence(self, sender: Member, presence: Presence, now: int) -> None:
        """Keep what a node says of itself."""
        self._presences[sender.node] = Heard(sender, presence, now)

    def unreachable(self, node: str) -> None:
        """The port of `node` refuses connections: its process is gone.  A hint, until it is heard."""
        if node in self._memory.others:
            self._gone.add(node)
            self._presences.pop(node, None)

    def hears(self, now: int) -> tuple[str, ...]:
        """The other nodes that were heard lately, in the ensemble's order.

        Lately is less than what makes a chain suspect: whose silence broke a chain is not among them.
        """
        return tuple(node for node in self._memory.others if self.is_heard(node, now))

    def is_heard(self, node: str, now: int) -> bool:
        """Whether the node was heard lately and is not known to be gone."""
        timing = self._memory.timing
        limit = max(timing.suspect_ms - 2 * timing.heartbeat_ms, timing.heartbeat_ms)
        return node not in self._gone and now - self._heard_at.get(node, -limit - 1 + now) <= limit

    def heard(self, now: int) -> list[Heard]:
        """The presences that came lately, in the ensemble's order."""
        limit = self._memory.timing.suspect_ms
        heard = (self._presences.get(node) for node in self._memory.others)
        return [each for each in heard if each is not None and now - each.at <= limit]

    def live_view(self, now: int) -> View | None:
        """For an outsider: the newest view of which a member was heard to say that it is alive.

        One whose head is gone, or is this node, which orders in it no more, is dead.
        """
        parts = (each.presence.part for each in self.heard(now))
        views = [part.view for part in parts if part is not None and part.alive]
        views = [view for view in views if not self._has_lost_head(view)]
        return max(views, key=lambda view: view.number, default=None)

    def flows(self, view: View, now: int) -> bool:
        """Whether the head of `view` hears this node, and said lately that a write gets through."""
        return any(
            each.member == view.head and part.flows and part.view == view
            for each, part in self._members_that_hear_me(now)
        )

    def teachers(self, view: View, now: int) -> list[str]:
        """The members of `view` that can say what is committed, from the tail up."""
        able = {
            each.member.node
            for each, part in self._members_that_hear_me(now)
            if part.open and part.view == view
        }
        return [member.node for member in reversed(view.chain) if member.node in able]

    def _members_that_hear_me(self, now: int) -> list[tuple[Heard, Part]]:
        me = self._memory.me.node
        return [
            (each, each.presence.part)
            for each in self.heard(now)
            if each.presence.part is not None and me in each.presence.account.hears
        ]

    def _has_lost_head(self, view: View) -> bool:
        return view.head.node == self._memory.me.node or self.is_member_gone(view.head)


def _life_of(envelope: Envelope) -> tuple[str, int, str]:
    return envelope.incarnation, envelope.boot, envelope.life


def _is_life(known: KnownLife, envelope: Envelope) -> bool:
    return (known.incarnation, known.boot, known.life) == _life_of(envelope)


def presence_of(
    memory: Memory, hears: tuple[str, ...], now: int, *, part: Part | None, caught_up: bool
) -> Presence:
    """The presence of this node, with its part in a view, if it has one."""
    return Presence(
        account=memory.account(hears, now),
        promised=memory.promise.promised,
        part=part,
        committed=memory.log.committed,
        caught_up=caught_up,
    )
