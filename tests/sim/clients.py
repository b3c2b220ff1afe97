"""Simulated clients: each runs one operation after another against some node, as the API would.

An operation is a generator that yields what it waits for; the same steps as in `server.tokenize`:
compute under the epoch believed active, look up, propose what is missing, confirm what was only read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING

from tests.sim.node import SimNode
from tvault.engine import StaleEpoch, TokensExist, Written
from tvault.model.commands import Block, Mint, Rotate
from tvault.ordering import Verdict
from tvault.replication.ready import Answer

if TYPE_CHECKING:
    from tests.sim.world import World

TIMEOUT_MS = 3_000
ROUNDS = 8

Result = Verdict | Answer | None
Step = Callable[[Callable[[Result], None]], None]
Operation = Generator[Step, Result, None]


class Client:
    """Submits overlapping values, reads them back, rotates now and then, until told to stop."""

    def __init__(self, world: World, name: str, *, sticky: bool) -> None:
        self._world = world
        self._name = name
        self._node = world.dice.choice(list(world.nodes)) if sticky else None
        self._turn = 0
        self.stopped = False

    def go(self) -> None:
        """Begin the next operation, on a node that lives."""
        if self.stopped:
            return
        dice = self._world.dice
        node = self._world.nodes[self._node or dice.choice(list(self._world.nodes))]
        self._turn += 1
        if node.life is None:
            self._world.after(dice.randint(10, 60), self.go)
            return
        owner = dice.choice(("alpha", "beta"))
        operations = (
            self._tokenize,
            self._tokenize,
            self._miss,
            self._read_back,
            self._epoch,
            self._rotate,
        )
        chosen = dice.choices(operations, weights=(6, 6, 2, 4, 2, 1))[0]
        self._drive(chosen(node, owner), self._turn, None)

    def _drive(self, operation: Operation, turn: int, result: Result) -> None:
        """Go one step on; a result for a step that is over comes too late."""
        if turn != self._turn:
            return
        self._turn += 1
        turn = self._turn
        try:
            step = operation.send(result)
        except StopIteration:
            self._world.after(self._world.dice.randint(1, 30), self.go)
            return
        self._world.after(TIMEOUT_MS, lambda: self._give_up(turn))
        step(lambda result: self._drive(operation, turn, result))

    def _give_up(self, turn: int) -> None:
        if turn == self._turn:
            self._turn += 1
            self._world.after(self._world.dice.randint(1, 30), self.go)

    # Operations.

    def _tokenize(self, node: SimNode, owner: str) -> Operation:
        dice, checks, store = self._world.dice, self._world.checks, node.disk.store
        values = [b"v%d" % v for v in dice.sample(range(400), dice.randint(1, 6))]
        at_least = checks.epochs.get(owner, 1)
        for _ in range(ROUNDS):
            vantage = node.vantage
            epoch = store.newest_epoch(owner)[0]
            digests = {digest_of(owner, epoch, value): value for value in values}
            places = store.find(owner, epoch, list(digests))
            missing = [d for d, block in zip(digests, places.block_of, strict=True) if block < 0]
            if missing:
                block = Block(owner, epoch, b"".join(missing), b"|".join(digests[d] for d in missing))
                result = yield lambda done: node.submit(Mint(owner, epoch, (block,)), done)  # noqa: B023
            else:
                result = yield partial(node.confirm, vantage)
            yield wait_for(node, max(places.seq, result.seq if isinstance(result, TokensExist) else 0))
            if isinstance(result, StaleEpoch | TokensExist):
                continue
            confirmed = isinstance(result, Answer) and result.result == "confirmed"
            if confirmed and store.newest_epoch(owner)[0] != epoch:
                continue
            if confirmed or isinstance(result, Written):
                assert epoch >= at_least, f"{owner} got tokens of epoch {epoch} after {at_least} began"
                for digest, value in digests.items():
                    checks.told_token(owner, epoch, digest, value)
            return

    def _read_back(self, node: SimNode, owner: str) -> Operation:
        """Whatever has been acknowledged is found, unless this node cannot answer now."""
        known = [key for key in self._world.checks.tokens if key[0] == owner]
        if not known:
            return
        _, epoch, digest = self._world.dice.choice(known)
        yield from self._must_find(node, owner, epoch, digest, known=True)

    def _miss(self, node: SimNode, owner: str) -> Operation:
        """A token that was never submitted is not found; neither is another owner's."""
        other = "beta" if owner == "alpha" else "alpha"
        foreign = [key for key in self._world.checks.tokens if key[0] == other]
        digest = self._world.dice.choice(foreign)[2] if foreign else bytes(16)
        yield from self._must_find(node, owner, 1, digest, known=False)

    def _must_find(
        self, node: SimNode, owner: str, epoch: int, digest: bytes, *, known: bool
    ) -> Operation:
        vantage = node.vantage
        places = node.disk.store.find(owner, epoch, [digest])
        if places.block_of[0] >= 0:
            yield wait_for(node, places.seq)
            assert known, "a token that was never issued was found"
            return
        result = yield partial(node.confirm, vantage)
        if isinstance(result, Answer) and result.result == "confirmed":
            assert not known, f"{node.name} says an acknowledged token of {owner} is not found"

    def _epoch(self, node: SimNode, owner: str) -> Operation:
        at_least = self._world.checks.epochs.get(owner, 1)
        vantage = node.vantage
        epoch, seq = node.disk.store.newest_epoch(owner)
        result = yield partial(node.confirm, vantage)
        if isinstance(result, Answer) and result.result == "confirmed":
            yield wait_for(node, seq)
            assert epoch >= at_least, f"{node.name} reads epoch {epoch} of {owner} after {at_least}"
            self._world.checks.told_epoch(owner, epoch)

    def _rotate(self, node: SimNode, owner: str) -> Operation:
        to = node.disk.store.newest_epoch(owner)[0] + 1
        result = yield lambda done: node.submit(Rotate(owner, to), done)
        if isinstance(result, Written):
            self._world.checks.told_epoch(owner, to)


def digest_of(owner: str, epoch: int, value: bytes) -> bytes:
    """A token of the simulated vault: like the real one, of nothing but owner, epoch and value."""
    return hashlib.blake2b(value, digest_size=16, key=f"{owner}/{epoch}".encode()).digest()


def wait_for(node: SimNode, seq: int) -> Step:
    """A step that ends when the node knows entry `seq` to be committed."""
    life = node.life

    def look(done: Callable[[Result], None]) -> None:
        if life is None or node.life is not life:
            return
        state = life.replica.state()
        if state.committed >= seq:
            done(None)
        else:
            node.world.after(5, lambda: look(done))

    return look
