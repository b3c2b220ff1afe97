"""Simulated clients: each makes one call after another to some node, and keeps what it is told.

They overlap, retry, stick to a node, ask two nodes the same, and give up; what they saw is judged by
`tests.history` when the run is over.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.history.operations import (
    Conflict,
    Detokenize,
    Operation,
    ReadEpoch,
    Rotate,
    Tokenize,
)
from tests.sim.api import REQUEST_MS, Handler, digest_of, token_text
from tests.sim.secret_calls import AnyCall, SecretCall, kind_of

if TYPE_CHECKING:
    from tests.sim.world import World

OWNERS = ("alpha", "beta")
LOOKS_AFTER_WRITE = 0.3
TRIES = 4
LAST_TRY = 9
"""The number of a try that is not repeated."""

WINDOW = 24
"""How many values are in use at a time: few, so that calls meet."""


@dataclass
class Memory:
    """What clients know together: epochs, tokens that were issued, values in use."""

    epochs: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: {o: [] for o in OWNERS})
    oldest: int = 0

    def learn(self, answered: AnyCall) -> None:
        """Take what an answer says."""
        owner = answered.owner
        if isinstance(answered, Tokenize) and answered.result is not None:
            epoch, tokens = answered.result
            self.tokens[owner] += [(epoch, token) for token in tokens if token is not None]
            self._saw(owner, epoch)
        elif isinstance(answered, ReadEpoch) and answered.result is not None:
            self._saw(owner, answered.result)
        elif isinstance(answered, Rotate) and isinstance(answered.result, Conflict):
            self._saw(owner, answered.result.active)
        elif isinstance(answered, Rotate):
            self._saw(owner, answered.to)

    def _saw(self, owner: str, epoch: int) -> None:
        self.epochs[owner] = max(self.epochs.get(owner, 1), epoch)


@dataclass
class Tally:
    """How many calls ended how, by kind; and the values of the last acknowledged tokenizations."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    refused: int = 0


class Call:
    """One call to one node.  It ends once: with an answer, or with nobody knowing."""

    def __init__(self, client: Client, node: str, asked: AnyCall, tries: int) -> None:
        self._client = client
        self._world = client.world
        self._node = node
        self._asked = asked
        self._tries = tries
        self._is_over = False
        self._invoked = self._world.moment
        dice = self._world.dice
        client.calls[self] = True
        self._world.post(dice.randint(0, 3), self._arrive)
        patience = dice.choice((250, 700, 1_500, 3_000)) if tries < LAST_TRY else REQUEST_MS
        self._world.post(patience, self.give_up)

    def _arrive(self) -> None:
        """The request reaches the node's port, even when the client waits no more."""
        node = self._world.nodes[self._node]
        if node.life is None:
            self._refused()
        elif node.is_paused:
            node.hold(self._arrive)
        else:
            Handler(node.life, self._asked, self)

    def _refused(self) -> None:
        """Nobody listens, or so the answer says: the call did and will do nothing."""
        if self._end():
            self._client.tally.refused += 1
            self._client.was_refused(self._asked, self._tries)

    def replied(self, answer: AnyCall | None, *, is_done: bool) -> None:
        """The node has answered; half an answer is none."""
        weather = self._world.network.weather
        if self._world.random() >= weather.loss:
            delay = int(self._world.random() * 3)
            if is_done:
                self._world.post(delay, self._told, answer)
            else:
                self._world.post(delay, self._refused)

    def _told(self, answer: AnyCall | None) -> None:
        if answer is None:
            self.give_up()
        elif self._end():
            self._keep(answer, self._world.moment)
            self._client.tally.acknowledged[kind_of(answer)] += 1
            self._client.learn(answer)
            self._client.was_told(answer)

    def give_up(self) -> None:
        """Nobody knows what became of the call."""
        if self._end():
            self._client.tally.unknown[self._asked.kind] += 1
            if isinstance(self._asked, Tokenize | Rotate):
                self._keep(self._asked, None)
            self._client.was_left_alone(self._asked, self._tries)

    def _end(self) -> bool:
        was_over, self._is_over = self._is_over, True
        if not was_over:
            del self._client.calls[self]
        return not was_over

    def _keep(self, what: AnyCall, returned: float | None) -> None:
        if isinstance(what, SecretCall):
            return  # the ledger has judged it
        kept = Operation(self._client.name, self._node, self._invoked, returned, what)
        self._world.operations.append(kept)
        if self._world.trace.full:
            self._world.note(str(kept))


class Client:
    """Makes calls until it is told to stop.  One with a `node` stays there as long as that listens; a
    loyal one asks no other at all.  `twice`: how often it asks two nodes the same."""

    twice = 0.05

    def __init__(
        self,
        world: World,
        name: str,
        memory: Memory,
        tally: Tally,
        *,
        node: str | None = None,
        is_loyal: bool = False,
    ) -> None:
        self.world = world
        self.name = name
        self.memory = memory
        self.tally = tally
        self.calls: dict[Call, bool] = {}
        self.is_stopped = False
        self._node = node
        self._is_loyal = is_loyal

    def go(self) -> None:
        """Begin the next call, or two of the same kind to two nodes."""
        if self.is_stopped:
            return
        asked = self.next_call()
        self._call(asked, 1)
        if self.world.random() < self.twice:
            self._call(asked, LAST_TRY)

    def was_told(self, answer: AnyCall) -> None:
        """An answer came.  Often the client looks at once whether any node knows it, too."""
        if isinstance(answer, Tokenize):
            self.memory.oldest += self.world.random() < 0.7
        look = self.look_at(answer) if self.world.random() < LOOKS_AFTER_WRITE else None
        if look is not None and not self.is_stopped:
            Call(self, self._any_node(), look, LAST_TRY)
        else:
            self._go_soon(20)

    def was_refused(self, asked: AnyCall, tries: int) -> None:
        """Another node may listen."""
        if self._node is not None and self.world.random() < 0.5:
            self._node = self._any_node()
        self._again(asked, tries, 40)

    def was_left_alone(self, asked: AnyCall, tries: int) -> None:
        """Try it again, on any node, or let it be."""
        self._again(asked, tries, 120)

    def _again(self, asked: AnyCall, tries: int, pause: int) -> None:
        if not self.is_stopped and tries < TRIES and self.world.random() < 0.7:
            self.world.post(self.world.dice.randint(1, pause), self._call, asked, tries + 1)
        elif not self.calls:
            self._go_soon(pause)

    def _go_soon(self, pause: int) -> None:
        if not self.calls:
            self.world.post(1 + int(self.world.random() * pause), self._go_alone)

    def _go_alone(self) -> None:
        if not self.calls:
            self.go()

    def _call(self, asked: AnyCall, tries: int) -> None:
        if not self.is_stopped:
            node = self._any_node() if tries == LAST_TRY else self._node or self._any_node()
            Call(self, node, asked, tries)

    def _any_node(self) -> str:
        if self._is_loyal and self._node is not None:
            return self._node
        return self.world.dice.choice(list(self.world.nodes))

    # What to ask.

    def learn(self, answer: AnyCall) -> None:
        """Take what an answer says."""
        self.memory.learn(answer)

    def look_at(self, answer: AnyCall) -> AnyCall | None:
        """What to ask to see one's own write."""
        if isinstance(answer, Tokenize) and answer.result is not None:
            return Detokenize(answer.owner, answer.result[1])
        return ReadEpoch(answer.owner) if isinstance(answer, Rotate) else None

    def next_call(self) -> AnyCall:
        """What to ask next."""
        owner = self.world.dice.choice(OWNERS)
        roll = self.world.random()
        if roll < 0.50:
            return self._tokenize(owner)
        if roll < 0.75:
            return self._detokenize(owner)
        if roll < 0.86:
            return self._guess(owner)
        if roll < 0.955:
            return ReadEpoch(owner)
        return Rotate(owner, self.memory.epochs.get(owner, 1) + (self.world.random() < 0.8))

    def _tokenize(self, owner: str) -> Tokenize:
        dice, oldest = self.world.dice, self.memory.oldest
        values = [
            b"v%d" % (oldest + dice.randrange(WINDOW)) for _ in range(dice.choice((1, 1, 2, 3, 5)))
        ]
        return Tokenize(owner, tuple(values))

    def _detokenize(self, owner: str) -> AnyCall:
        """Tokens that were issued, of now and of long ago."""
        known = self.memory.tokens[owner]
        if not known:
            return ReadEpoch(owner)
        dice = self.world.dice
        recent = known[-20:]
        tokens = [
            dice.choice(recent if dice.random() < 0.6 else known)[1] for _ in range(dice.randint(1, 4))
        ]
        return Detokenize(owner, tuple(tokens))

    def _guess(self, owner: str) -> Detokenize:
        """Tokens that may come into being just now, or never; and those of another owner."""
        dice, oldest = self.world.dice, self.memory.oldest
        newest = self.memory.epochs.get(owner, 1)
        tokens = []
        for _ in range(dice.randint(1, 3)):
            epoch = dice.choice((newest, newest, max(1, newest - 1), newest + 1))
            scope = owner if dice.random() < 0.85 else OWNERS[owner == OWNERS[0]]
            value = b"v%d" % (oldest + dice.randrange(WINDOW + 8))
            tokens.append(token_text(epoch, digest_of(scope, epoch, value)))
        return Detokenize(owner, tuple(tokens))
