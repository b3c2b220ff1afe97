"""One node's part in views: it takes part in a chain, asks for one, or copies from outside of it.

`Replica` is its door; here is what happens behind it.  At any moment a node is a member of one view,
with a `Chain`, or an outsider, which copies from a live chain that it hears of, or else wants a view.
"""

from __future__ import annotations

from collections import deque

from tvault.replication.account import Condition
from tvault.replication.catchup import Learner
from tvault.replication.chain import Chain
from tvault.replication.election import Election
from tvault.replication.entry import Kind, follow
from tvault.replication.membership import THROTTLE_MS, Membership
from tvault.replication.memory import Memory
from tvault.replication.messages import HandOver, Leave, NewView, Part, Sync
from tvault.replication.presence import Peers, presence_of
from tvault.replication.reads import Confirmations, Indexes
from tvault.replication.ready import Answer
from tvault.replication.state import State
from tvault.replication.view import Member, View

NO_CHAIN = "no chain was heard"
"""Why a node asks for a view that has none to miss."""

ALONE_HEARTBEATS = 3
"""For so many heartbeats the others must have been too few before a node leaves without handing over."""


class Participant:
    """The views of one node, and who waits for what in them."""

    def __init__(self, memory: Memory, now: int, jitter: float) -> None:
        self.memory = memory
        self._log = memory.log
        self.peers = Peers(memory)
        self.election = Election(memory, self.peers, now, jitter)
        self.membership = Membership(memory, self.peers)
        self.learner = Learner(memory, self.peers)
        self.indexes = Indexes(memory, self.peers)
        self.reads: Confirmations | None = None
        self._waiting: deque[tuple[int, int]] = deque()
        self._early: dict[Member, tuple[int, Sync]] = {}
        self._ticked_at = now
        self._greeted_at = now - memory.timing.heartbeat_ms
        self._ordered_at = now
        self._head_boot = 0
        self._suspected: tuple[int, str, str] | None = None
        self._is_draining = False
        self._is_let_go = False
        self._alone_since: int | None = None
        self.chain: Chain | None = None
        self.is_reforming = False
        self.doubt: str | None = None

    # In.

    def tick(self, now: int, jitter: float) -> None:
        """Time has passed."""
        timing = self.memory.timing
        stall = now - self._ticked_at
        self._ticked_at = now
        if self.chain is not None:
            if stall > 2 * timing.heartbeat_ms:
                self.chain.excuse(stall)
            self.chain.tick(now)
        if self.reads is not None:
            self.reads.tick(now)
        alone = not self.membership.others_can_go_on(now)
        self._alone_since = (self._alone_since or now) if alone else None
        self._lead(now)
        live = self.live_view(now)
        self.indexes.tick(live, now)
        self._look_for_view(live, now, jitter)
        if now - self._greeted_at >= timing.heartbeat_ms:
            self._greeted_at = now
            self._greet(now)

    def unreachable(self, node: str) -> None:
        """The process of a node is gone."""
        self.peers.unreachable(node)

    def disk_full(self, now: int) -> None:
        """The node cannot take part in a chain, nor ask for one."""
        self.leave_view("the disk is full")
        self.election.give_way(now)

    def leave(self) -> None:
        """The node is to end; one that no chain relies on may go at once."""
        self.memory.condition = Condition.LEAVING
        self._is_let_go = self.chain is None and not self.is_reforming

    def order(self, body: bytes, ticket: int, now: int) -> int:
        """Append an entry to the chain that this node heads, and forward it."""
        assert self.chain is not None
        entry = follow(self._log.end, self.chain.view.number, Kind.ROWS, body)
        self._log.append(entry)
        self._waiting.append((entry.seq, ticket))
        self._ordered_at = now
        self.chain.flow()
        return entry.seq

    def keep(self, sender: Member, view: int, sync: Sync) -> None:
        """A successor has entered a view before this node: it is not to ask twice."""
        self._early[sender] = view, sync

    def confirm(self, ticket: int, looked_in: int, now: int) -> None:
        """See `Replica.confirm`."""
        stays = looked_in == self.view_number()
        if self.reads is None or not self.may_confirm() or not stays:
            self.memory.answers.append(Answer(ticket, "lost"))
        else:
            self.reads.wait(ticket, now)

    def ask_index(self, ticket: int, now: int) -> None:
        """See `Replica.ask_index`."""
        self.indexes.ask(ticket, self.live_view(now), now)

    # What it is.

    def may_confirm(self) -> bool:
        """Whether this node is a member whose journal holds its view's barrier."""
        return self.chain is not None and self.chain.joined

    def may_order(self, now: int) -> bool:
        """Whether nothing but the window keeps a head from ordering another entry now."""
        paced = not self.membership.is_throttled or now - self._ordered_at >= THROTTLE_MS
        return paced and not self._is_draining

    def heads_live_chain(self) -> bool:
        """Whether this node is the head of a chain of which every member has been heard lately."""
        chain = self.chain
        return chain is not None and chain.is_head and not self._is_broken(chain, self._ticked_at)

    def known_view(self, now: int) -> View | None:
        """The view of this node, or the live one that an outsider hears of."""
        return self.chain.view if self.chain is not None else self.live_view(now)

    def view_number(self) -> int:
        """The number of this node's view, 0 for an outsider."""
        return self.chain.view.number if self.chain is not None else 0

    def has_left(self, now: int) -> bool:
        """Whether nothing relies on this node any more, after `leave`."""
        if self.memory.condition is not Condition.LEAVING or self.is_reforming:
            return False
        if self._is_alone(now):
            return self.chain is None or not self.chain.is_head or self.chain.unacknowledged == 0
        if self.chain is not None:
            is_drained = self.chain.is_head and self.chain.unacknowledged == 0
            return is_drained and not self.membership.is_dispensable(self.chain, now)
        live = self.live_view(now)
        goes_on = live is not None and live.number >= self.memory.promise.promised
        return self._is_let_go or goes_on

    def _is_alone(self, now: int) -> bool:
        """Whether the others have been too few for a chain for a while, not only for a moment."""
        memory = self.memory
        if len(memory.others) < memory.majority:
            return True
        since = self._alone_since
        return since is not None and now - since >= ALONE_HEARTBEATS * memory.timing.heartbeat_ms

    def state(self, now: int) -> State:
        """What this node is and holds."""
        promise, chain = self.memory.promise, self.chain
        view = self.known_view(now)
        if chain is not None:
            can_write = chain.flows(now) and not self._is_broken(chain, now)
        else:
            can_write = view is not None and self.peers.flows(view, now)
        return State(
            node=promise.node,
            incarnation=promise.incarnation,
            standing=promise.standing,
            condition=self.memory.condition,
            promised=promise.promised,
            role=chain.view.role(promise.node) if chain is not None else "outside",
            view=view.number if view is not None else promise.promised,
            chain=tuple(member.node for member in view.chain) if view is not None else (),
            last=self._log.durable.seq,
            committed=self._log.committed,
            can_write=can_write,
            degraded=view is None or len(view.chain) < len(promise.ensemble),
            caught_up=self.learner.caught_up,
            readable=chain.view.number if chain is not None and chain.joined else 0,
        )

    # Views.

    def _look_for_view(self, live: View | None, now: int, jitter: float) -> None:
        """Rest while there is a live chain, from outside copy what it has, and else ask for a view."""
        why = self._suspicion(self.chain, now) if self.chain is not None else None
        if self.election.is_balloting:
            self.open(self.election.tick(now, jitter), now)
            self.give_up_reform()
        elif self.chain is not None and why is not None:
            self._tell_suspicion(self.chain, *why)
            if self.chain.is_head:
                self.reform(now, " ".join(why))
            else:
                self.election.because(" ".join(why))
                self.open(self.election.tick(now, jitter), now)
        elif self.chain is not None or live is not None:
            view = self.chain.view if self.chain is not None else live
            assert view is not None
            self.election.rest(now, jitter, [member.node for member in view.chain])
        else:
            self.election.because(NO_CHAIN)
            self.open(self.election.tick(now, jitter), now)
        if self.chain is None and live is not None and not self.election.is_balloting:
            self.learner.tick(live, now)
        else:
            self.learner.stop()

    def _lead(self, now: int) -> None:
        """What the head of an open and live chain decides about it."""
        chain = self.chain
        if chain is None or not chain.open or self._is_broken(chain, now):
            return
        leaves = self.memory.condition is Condition.LEAVING
        if not chain.is_head:
            if leaves and now - self._greeted_at >= self.memory.timing.heartbeat_ms:
                self.memory.say(chain.view.head.node, chain.view.number, Leave())
            return
        self.membership.watch_outsiders(chain, now)
        if leaves or self._is_draining or self.membership.should_hand_over(chain, now):
            self._hand_over(chain, now)
        elif (why := self.membership.reason_to_reform(chain, now)) is not None:
            self.reform(now, why)

    def _hand_over(self, chain: Chain, now: int) -> None:
        """Order nothing more; once all that was ordered is committed, another may ask for a view."""
        self._is_draining = True
        if chain.unacknowledged:
            return
        heir = self.membership.heir(chain, now)
        if heir is None:
            self._is_draining = self.memory.condition is Condition.LEAVING
            return
        self.memory.say(heir, chain.view.number, HandOver())
        self.leave_view("handed over")
        self.election.give_way(now)

    def reform(self, now: int, why: str) -> None:
        """As the head, ask for a view at once.  What was ordered stays in the journal, and whoever waits
        for it goes on waiting: if this node heads the next view, too, it will be committed there."""
        self.is_reforming = True
        self._leave_chain(f"forms the chain anew: {why}")
        self.open(self.election.reform(now, why), now)

    def give_up_reform(self) -> None:
        """The ballot came to nothing: nobody knows what becomes of that which waited for it."""
        if self.is_reforming and self.chain is None and not self.election.is_balloting:
            self._lose_waiting()

    def open(self, view: View | None, now: int) -> None:
        """Head a decided view: its barrier is durable here before it is announced.  Who asked for one
        has promised it, and acts no more for its own."""
        if self.chain is not None and self.memory.promise.promised > self.chain.view.number:
            self.leave_view("asks for a later view")
        if view is None:
            return
        self._log.append(follow(self._log.end, view.number, Kind.BARRIER, b""))
        self.enter(view, now)
        self.memory.say_to_others(view.number, NewView(view))

    def enter(self, view: View, now: int) -> None:
        self.is_reforming = False
        self._is_draining = False
        self.indexes.abandon()
        self.learner.stop()
        self.chain = Chain(self.memory, view, now)
        self._head_boot = self.peers.boot_of(view.head)
        self.reads = Confirmations(self.memory, view.number)
        chain = [member.node for member in view.chain]
        role = view.role(self.memory.me.node)
        self.memory.notice(
            "view",
            view=view.number,
            chain=chain,
            role=role,
            why=view.why,
            voted=list(view.voted),
            before=list(self.election.order),
        )
        self.election.rest(now, 0.0, chain)
        self.chain.start(now)
        for sender, (number, sync) in self._early.items():
            if number == view.number and self.chain.comes_from_below(sender.node, sender.incarnation):
                self.chain.on_sync(sync)
        self._early.clear()

    def leave_view(self, why: str) -> None:
        """Act no more for the current view: whoever waits for it is told that the outcome is unknown."""
        self._leave_chain(why)
        self._lose_waiting()

    def _leave_chain(self, why: str) -> None:
        if self.chain is None:
            return
        self.memory.notice("left-view", view=self.chain.view.number, why=why)
        self.chain = None
        if self.reads is not None:
            self.reads.abandon()
            self.reads = None

    def _lose_waiting(self) -> None:
        self.is_reforming = False
        for _, ticket in self._waiting:
            self.memory.answers.append(Answer(ticket, "lost"))
        self._waiting.clear()

    def progress(self) -> None:
        """Acknowledge, commit and answer what is durable by now."""
        if self.chain is not None:
            self.chain.progress()
        # Only who orders knows that what is committed there is what it ordered.
        orders = self.chain is not None and self.chain.is_head
        while orders and self._waiting and self._waiting[0][0] <= self._log.committed:
            seq, ticket = self._waiting.popleft()
            self.memory.answers.append(Answer(ticket, "committed", seq))

    def misses_chain(self, now: int) -> bool:
        if self.chain is not None:
            return self._is_broken(self.chain, now)
        return self.live_view(now) is None

    def _is_broken(self, chain: Chain, now: int) -> bool:
        """Whether the chain cannot be counted on."""
        return self._suspicion(chain, now) is not None

    def _suspicion(self, chain: Chain, now: int) -> tuple[str, str] | None:
        """Who keeps the chain from being counted on, and why: silence for too long, or a process known
        to be gone that only a new view replaces: the head's, or for the head any member's."""
        silent = chain.silent(now)
        if silent is not None:
            return silent.node, f"was silent for {self.memory.timing.suspect_ms} ms, or a node behind it"
        followers = chain.view.chain[1:] if chain.is_head else (chain.view.head,)
        for member in followers:
            if self.peers.is_member_gone(member):
                return member.node, "is gone"
        if not chain.is_head and self._has_restarted_head(chain):
            return chain.view.head.node, "has restarted"
        return None

    def _tell_suspicion(self, chain: Chain, peer: str, why: str) -> None:
        suspicion = chain.view.number, peer, why
        if suspicion != self._suspected:
            self._suspected = suspicion
            self.memory.notice("suspect", peer=peer, why=f"{peer} {why}", view=chain.view.number)

    def _has_restarted_head(self, chain: Chain) -> bool:
        """Whether the head lives another life than the one that opened the view: it orders no more."""
        boot = self.peers.boot_of(chain.view.head)
        if not self._head_boot:
            self._head_boot = boot
        return boot > self._head_boot

    def live_view(self, now: int) -> View | None:
        return self.peers.live_view(now) if self.chain is None else None

    def _greet(self, now: int) -> None:
        chain = self.chain
        part: Part | None = None
        if chain is not None:
            alive = not self._is_broken(chain, now)
            part = Part(chain.view, alive, open=chain.open, flows=alive and chain.flows(now))
        hears = self.peers.hears(now)
        presence = presence_of(self.memory, hears, now, part=part, caught_up=self.learner.caught_up)
        self.memory.say_to_others(0, presence)
