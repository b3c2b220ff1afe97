"""What must always hold, looked at after every event, and what clients may believe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvault.replication.entry import Position

if TYPE_CHECKING:
    from tests.sim.world import World


class Checks:
    """Global invariants of `docs`' replication page, and the record of what was acknowledged."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._committed: dict[int, Position] = {}
        self._chains: dict[int, tuple[str, ...]] = {}
        self._promised: dict[str, int] = {}
        self._seen: dict[str, tuple[int, int, int, int]] = {}
        self.tokens: dict[tuple[str, int, bytes], bytes] = {}
        self.epochs: dict[str, int] = {}
        self.views = 0
        self.acknowledged = 0

    def after_event(self) -> None:
        """Look at whatever may have changed."""
        for name, node in self._world.nodes.items():
            if node.life is None:
                self._seen.pop(name, None)
                continue
            state = node.life.replica.state()
            promised = node.disk.promised
            looked = (state.view, state.committed, state.last, promised)
            if self._seen.get(name) == looked:
                continue
            self._seen[name] = looked
            self._one_chain_per_view(state.view, state.chain)
            self._promises_rise(name, state.incarnation, promised)
            self._committed_is_one_history(name, min(state.committed, state.last))

    def _one_chain_per_view(self, view: int, chain: tuple[str, ...]) -> None:
        if chain:
            if view not in self._chains:
                self.views += 1
            assert self._chains.setdefault(view, chain) == chain, f"two chains in view {view}"

    def _promises_rise(self, name: str, incarnation: str, promised: int) -> None:
        key = f"{name}/{incarnation}"
        assert promised >= self._promised.get(key, 0), f"{name} went back on a promise"
        self._promised[key] = promised

    def _committed_is_one_history(self, name: str, committed: int) -> None:
        """Nobody holds another entry at a committed place, and each is on the disks it must be on."""
        store = self._world.nodes[name].disk.store
        seq = committed
        while seq and seq not in self._committed:
            position = store.position(seq)
            assert position is not None, f"{name} counts entry {seq} as committed and does not hold it"
            self._committed[seq] = position
            self._is_durable(seq, position)
            seq -= 1
        if seq:
            assert store.position(seq) == self._committed[seq], (
                f"{name} differs at committed entry {seq}"
            )

    def _is_durable(self, seq: int, position: Position) -> None:
        holders = [
            name for name, node in self._world.nodes.items() if node.disk.store.position(seq) == position
        ]
        must_hold = self._world.nodes.keys() - self._world.wiped
        assert must_hold <= set(holders), f"entry {seq} is committed but only on {holders}"

    # What clients have been told.

    def told_token(self, owner: str, epoch: int, digest: bytes, value: bytes) -> None:
        """A tokenization was acknowledged."""
        self.acknowledged += 1
        assert self.tokens.setdefault((owner, epoch, digest), value) == value, "one token, two values"

    def told_epoch(self, owner: str, epoch: int) -> None:
        """A rotation was acknowledged, or the active epoch was read."""
        self.epochs[owner] = max(self.epochs.get(owner, 1), epoch)

    def at_the_end(self) -> None:
        """With all nodes agreed: every node holds all that was acknowledged."""
        for node in self._world.nodes.values():
            store = node.disk.store
            assert {seq: store.position(seq) for seq in self._committed} == self._committed
            for (owner, epoch, digest), value in self.tokens.items():
                places = store.find(owner, epoch, [digest])
                assert places.block_of[0] >= 0, f"{node.name} lost an acknowledged token of {owner}"
                assert places.blocks[0].sealed.split(b"|")[places.place_of[0]] == value
            for owner, epoch in self.epochs.items():
                assert store.newest_epoch(owner)[0] >= epoch
