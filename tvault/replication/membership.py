"""What a head decides about its own chain: whom to take in, whom to drop, when to hand over.

It forms the chain anew by a ballot without pre-vote, and only for a chain that it can expect to get: one
that leaves out nobody but whom it means to drop.  A returning node never does this by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tvault.replication.account import Condition
from tvault.replication.arrangement import Candidate, arrange, slow_nodes
from tvault.replication.chain import Chain
from tvault.replication.memory import Memory
from tvault.replication.presence import Heard, Peers
from tvault.replication.view import Member

FIRST_PAUSE_MS = 250
LONGEST_PAUSE_MS = 4_000
STABLE_MS = 30_000
"""A node that was taken in waits so long until it is taken in again: twice as long each time, until it
has been a member for `STABLE_MS`."""

SLOW_FOR_MS = 5_000
"""How long a node must be the slow one before it is dropped."""

BEHIND_FOR_MS = 10_000
THROTTLE_MS = 40
"""When an outsider has copied for `BEHIND_FOR_MS` without coming closer, the head orders an entry every
`THROTTLE_MS` at most."""


@dataclass
class _Invitation:
    """When a node may be taken in next, and the pause after that."""

    at: int
    not_before: int
    pause_ms: int


@dataclass
class _Gap:
    """How far an outsider was behind, and since when it has not come closer."""

    since: int
    entries: int


class Membership:
    """The judgement of one node while it heads a chain.  Outlives its views: pauses go on growing."""

    def __init__(self, memory: Memory, peers: Peers) -> None:
        self._memory = memory
        self._peers = peers
        self._invitations: dict[str, _Invitation] = {}
        self._slow_since: dict[str, int] = {}
        self._gaps: dict[str, _Gap] = {}
        self._leaving: set[str] = set()
        self.is_throttled = False

    def wants_to_leave(self, node: str) -> None:
        """A member asked to be left out."""
        self._leaving.add(node)

    def reason_to_reform(self, chain: Chain, now: int) -> str | None:
        """Why this head should form its open and live chain anew now, if it should."""
        members = [member.node for member in chain.view.chain]
        leaving, self._leaving = self._leaving.intersection(members), set()
        full = self._full(members, now)
        if leaving | full and self._is_possible(chain, now, without=leaving | full):
            full_disks = f"the disk of {_named(full)} is full"
            return full_disks if full else f"{_named(leaving)} was told to stop"
        slow = self._slow_for_long(chain, now) - {self._memory.me.node}
        if slow and self._is_possible(chain, now, without=slow):
            return f"the disk of {_named(slow)} is slow"
        joining = self._next_to_join(chain, now)
        if joining is None:
            return None
        self._invite(joining, now)
        self._memory.notice("join", peer=joining, view=chain.view.number)
        return f"{joining} has caught up"

    def should_hand_over(self, chain: Chain, now: int) -> bool:
        """Whether this head is the slow one, and others can go on without it."""
        me = self._memory.me.node
        return me in self._slow_for_long(chain, now) and self.is_dispensable(chain, now)

    def is_dispensable(self, chain: Chain, now: int) -> bool:
        """Whether the others can be expected to form a chain without this head."""
        return self.heir(chain, now) is not None

    def heir(self, chain: Chain, now: int) -> str | None:
        """The member that should ask for the next view when this head goes; None when the others are
        too few for one."""
        accounts = self._accounts(now)
        able = [
            member.node
            for member in chain.view.chain[1:]
            if member.node in accounts
            and accounts[member.node].account.may_vote
            and accounts[member.node].account.condition is Condition.READY
        ]
        return able[0] if len(able) >= self._memory.majority else None

    def others_can_go_on(self, now: int) -> bool:
        """Whether enough other nodes are there, and stay, for a chain without this one."""
        accounts = [heard.presence.account for heard in self._heard(now)]
        able = [each for each in accounts if each.may_vote and each.condition is Condition.READY]
        return len(able) >= self._memory.majority

    def watch_outsiders(self, chain: Chain, now: int) -> None:
        """Slow down a little for an outsider that copies and cannot come closer."""
        members = {member.node for member in chain.view.chain}
        end = self._memory.log.committed
        gaps: dict[str, _Gap] = {}
        for heard in self._peers.heard(now):
            presence = heard.presence
            ready = presence.account.condition is Condition.READY
            if heard.member.node in members or presence.caught_up or not ready:
                continue
            behind = max(end - presence.committed, 0)
            known = self._gaps.get(heard.member.node)
            closer = known is None or behind < known.entries * 0.9
            gaps[heard.member.node] = _Gap(now, behind) if closer or known is None else known
        self._gaps = gaps
        self.is_throttled = any(now - gap.since >= BEHIND_FOR_MS for gap in gaps.values())

    def _next_to_join(self, chain: Chain, now: int) -> str | None:
        """An outsider that lacks nothing, hears the head, and fits behind the members that stay.  When
        members are to end they may wait for just these: then all are taken in, without a pause."""
        members = {member.node for member in chain.view.chain}
        going = self._in_condition(Condition.LEAVING, members, now)
        outside = [heard for heard in self._peers.heard(now) if heard.member.node not in members]
        able = [heard.member.node for heard in outside if heard.presence.caught_up]
        if not going:
            able = [node for node in able if self._may_invite(node, now)]
        for node in able:
            arranged = self._arranged(chain, now, [*members, *(able if going else [node])])
            wanted = members - going | {node}
            if arranged is not None and wanted <= {member.node for member in arranged}:
                return node
        return None

    def _full(self, nodes: Collection[str], now: int) -> set[str]:
        """Those of the nodes that said that their disk is full: as members they have fallen silent."""
        return self._in_condition(Condition.FULL, nodes, now)

    def _in_condition(self, condition: Condition, nodes: Collection[str], now: int) -> set[str]:
        found = {
            heard.member.node
            for heard in self._heard(now)
            if heard.presence.account.condition is condition
        }
        return found.intersection(nodes)

    def _may_invite(self, node: str, now: int) -> bool:
        known = self._invitations.get(node)
        return known is None or now >= known.not_before

    def _invite(self, node: str, now: int) -> None:
        known = self._invitations.get(node)
        pause = FIRST_PAUSE_MS
        if known is not None and now - known.at < STABLE_MS:
            pause = min(2 * known.pause_ms, LONGEST_PAUSE_MS)
        self._invitations[node] = _Invitation(now, now + pause, pause)

    def _slow_for_long(self, chain: Chain, now: int) -> set[str]:
        accounts = self._accounts(now)
        accounts[self._memory.me.node] = self._mine(now)
        members = [accounts[m.node] for m in chain.view.chain if m.node in accounts]
        slow = slow_nodes(members)
        self._slow_since = {node: self._slow_since.get(node, now) for node in sorted(slow)}
        return {node for node, since in self._slow_since.items() if now - since >= SLOW_FOR_MS}

    def _is_possible(self, chain: Chain, now: int, without: Iterable[str]) -> bool:
        dropped = set(without)
        kept = [member.node for member in chain.view.chain if member.node not in dropped]
        arranged = self._arranged(chain, now, kept)
        return arranged is not None and set(kept) <= {member.node for member in arranged}

    def _arranged(self, chain: Chain, now: int, nodes: Iterable[str]) -> tuple[Member, ...] | None:
        """The chain that these nodes would make, as far as this head has heard of them."""
        accounts = self._accounts(now)
        me = self._memory.me.node
        order = [member.node for member in chain.view.chain] + list(self._memory.others)
        wanted = set(nodes)
        others = [accounts[node] for node in dict.fromkeys(order) if node in wanted and node in accounts]
        return arrange(
            self._mine(now),
            [each for each in others if me in each.account.hears],
            self._memory.majority,
        )

    def _mine(self, now: int) -> Candidate:
        return Candidate(self._memory.me, self._memory.account(self._peers.hears(now), now))

    def _accounts(self, now: int) -> dict[str, Candidate]:
        return {
            heard.member.node: Candidate(heard.member, heard.presence.account)
            for heard in self._heard(now)
        }

    def _heard(self, now: int) -> list[Heard]:
        """What those said last that are there now."""
        heard = self._peers.heard(now)
        return [each for each in heard if self._peers.is_heard(each.member.node, now)]


def _named(nodes: Iterable[str]) -> str:
    return " and ".join(sorted(nodes))
