"""What must hold of all nodes together, looked at after every step, where something has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.sim.claims import CLAIMS, Ground
from tvault.replication.entry import ORIGIN, Position
from tvault.replication.messages import Confirm, Envelope, NewView, Presence
from tvault.replication.promise import Standing
from tvault.replication.ready import Ready
from tvault.replication.state import State
from tvault.replication.view import View, majority

if TYPE_CHECKING:
    from tests.sim.node import SimNode
    from tests.sim.process import Look, Process
    from tests.sim.world import World

ROUNDS_KEPT = 64


@dataclass(frozen=True)
class Decided:
    """A view, and the moment from which it is known to be decided."""

    view: View
    moment: float


class Checks:
    """The ledger of everything that was ever committed, promised and decided in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._majority = majority(len(world.nodes))
        self._committed: list[Position] = [ORIGIN]
        self._committed_in: list[int] = [0]
        self._decided: dict[int, Decided] = {}
        self._newest = 0
        self._promised: dict[str, int] = {}
        self._voters: dict[tuple[str, str], bool] = {}
        self._last_seen: dict[str, tuple[object, int]] = {}

    @property
    def last_committed(self) -> Position:
        """The end of what anybody knows to be committed."""
        return self._committed[-1]

    @property
    def views(self) -> int:
        """How many views were decided."""
        return len(self._decided)

    @property
    def committed(self) -> list[Position]:
        """The positions of all committed entries, the origin first."""
        return self._committed

    # Disks.

    def promised(self, node: SimNode) -> None:
        """A promise was written: it never falls, over any crash, while the node remembers."""
        promise = node.disk.promise
        if promise is None:
            return
        life = f"{node.name}/{promise.incarnation}"
        before = self._promised.get(life, 0)
        assert promise.promised >= before, f"{node.name} goes back on its promise of view {before}"
        self._promised[life] = promise.promised
        if promise.standing is not Standing.BLANK:
            self._voters[node.name, promise.incarnation] = True

    def forget_promise(self, node: SimNode, promised: int) -> None:
        """The disk was put back to an older state."""
        promise = node.disk.promise
        if promise is not None:
            self._promised[f"{node.name}/{promise.incarnation}"] = promised

    def before_write(self, node: SimNode, ready: Ready) -> None:
        """No committed entry is cut; what a node takes for committed is."""
        assert ready.committed < len(self._committed), f"{node.name} writes a commit hint that leads"
        if ready.cut_after is None or ready.cut_after >= len(self._committed) - 1:
            return
        first = node.disk.store.position(ready.cut_after + 1)
        if first is not None:
            differs = first != self._committed[first.seq]
            assert differs, f"{node.name} cuts entry {first.seq}, which is committed"

    def written(self, node: SimNode) -> None:
        """The hint in the journal tells of what is committed, and of what is there."""
        store = node.disk.store
        hint = store.committed_hint()
        differs = store.position(hint) != self._committed[hint]
        assert not differs, f"{node.name} has commit hint {hint} and another entry there"

    # Nodes.

    def published(self, node: SimNode, state: State) -> None:
        """What a node says of itself after a step."""
        key = node.disk.store, state.committed
        if self._last_seen.get(node.name) == key:
            return
        self._last_seen[node.name] = key
        seq = state.committed
        self.known(node, seq)
        same = node.disk.store.position(seq) == self._committed[seq]
        assert same, f"{node.name} holds another entry {seq} than the committed one"

    def known(self, node: SimNode, committed: int) -> None:
        """A node knows this to be committed; whoever knows it first holds it durably."""
        for fresh in range(len(self._committed), committed + 1):
            position = node.disk.store.position(fresh)
            assert position is not None, f"{node.name} counts entry {fresh} as committed, and lacks it"
            self._commit(position, node)

    def _commit(self, position: Position, node: SimNode) -> None:
        """An entry is known to be committed for the first time: in the view of its head, which began
        with a barrier behind it if it was ordered before."""
        assert node.life is not None
        view = max(node.life.replica.view_number() or node.disk.promised, position.view)
        self._committed.append(position)
        self._committed_in.append(view)
        holders = [
            other.name
            for other in self._world.nodes.values()
            if other.may_vote and other.disk.store.position(position.seq) == position
        ]
        needed = self._majority - (self._world.lost is not None)
        told = f"entry {position.seq} counts as committed at {node.name}, and is on {holders} alone"
        assert len(holders) >= needed, told
        if self._newest > view:
            for later in (decided.view for decided in self._decided.values()):
                covered = later.number <= view or later.barrier > position.seq
                assert covered, f"view {later.number} began without committed entry {position.seq}"
        entry = node.disk.store.entries(position.seq - 1, 1)[0]
        self._world.secrets.commit(position.seq, entry.body)

    def decided(self, view: View, sender: Process) -> None:
        """A view is spoken of: there is one chain for it, and that holds enough voters."""
        known = self._decided.get(view.number)
        if known is not None:
            assert known.view is view or known.view == view, f"two chains in view {view.number}"
            return
        self._decided[view.number] = Decided(view, self._world.moment)
        self._newest = max(self._newest, view.number)
        self._world.note(f"view {view.number}: {' '.join(member.node for member in view.chain)}")
        voters = sum((m.node, m.incarnation) in self._voters for m in view.chain)
        assert voters >= self._majority, f"view {view.number} has {voters} voters"
        assert view.head.node == sender.node.name, f"{sender.name} is first to tell of {view}"
        before = len(self._committed) - 1
        while self._committed_in[before] >= view.number:
            before -= 1
        is_held = sender.store.position(before) == self._committed[before] and view.barrier > before
        assert is_held, f"the head of view {view.number} lacks committed entry {before}"

    def acknowledged(self, seq: int) -> None:
        """A client is about to be told that entry `seq` holds what it wrote."""
        assert seq < len(self._committed), f"entry {seq} is acknowledged, and not committed"

    # Messages.

    def sent(self, life: Process, envelope: Envelope) -> None:
        """No message claims more than its sender's disk holds, or acts for a view below its promise."""
        message: Any = envelope.message
        claim: Callable[[Ground, Any], str | None] | None = CLAIMS.get(type(message))
        if claim is not None:
            ground = Ground(envelope, life.disk, self._committed, life.promised_before, life.has_cut)
            wrong = claim(ground, message)
            assert wrong is None, f"{life.name} {wrong}: {envelope}"
        if isinstance(message, Presence):
            if message.part is not None:
                self.decided(message.part.view, life)
        elif isinstance(message, NewView):
            self.decided(message.view, life)
        elif isinstance(message, Confirm) and message.round not in life.rounds:
            life.rounds[message.round] = (self._world.moment, {})
            if len(life.rounds) > ROUNDS_KEPT:
                del life.rounds[next(iter(life.rounds))]

    # Reads.

    def heard_confirmation(self, life: Process, envelope: Envelope) -> None:
        """Another node has confirmed a round."""
        message: Any = envelope.message
        if message.round in life.rounds:
            life.rounds[message.round][1][envelope.sender] = True

    def confirmed(self, life: Process, look: Look) -> None:
        """A reader is told that it missed nothing: by a round begun after it looked, in which a majority
        took part, and while no later view had been decided when it looked."""
        newer = [d for d in self._decided.values() if d.view.number > look.view]
        late = [d.view.number for d in newer if d.moment < look.asked]
        assert not late, (
            f"{life.name} confirms a look in view {look.view}, after view {late} was decided"
        )
        needed = self._majority - life.node.may_vote
        if needed:
            enough = any(
                began >= look.asked and len(heard) >= needed for began, heard in life.rounds.values()
            )
            assert enough, f"{life.name} confirms a look at {look.asked} by no round of a majority"

    # At the end.

    def at_the_end(self) -> None:
        """With all nodes agreed, every one holds everything that was ever committed."""
        for node in self._world.nodes.values():
            held = [node.disk.store.position(seq) for seq in range(len(self._committed))]
            assert held == self._committed, f"{node.name} lacks a committed entry"
            self._world.secrets.compare(node.name, node.disk.store)
