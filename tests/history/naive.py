"""A vault that does one thing at a time, and histories of clients whose calls to it overlap."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from tests.history.identity import mark_of
from tests.history.operations import (
    Asked,
    Conflict,
    Detokenize,
    Operation,
    ReadEpoch,
    Rotate,
    Tokenize,
    Value,
)

OWNERS = ("A", "B")


def token_of(owner: str, epoch: int, value: Value) -> str:
    """The token that every naive vault gives."""
    digest = hashlib.blake2b(repr((owner, epoch, mark_of(value))).encode(), digest_size=16)
    return f"tv1_{epoch}_{digest.hexdigest()}"


@dataclass
class NaiveVault:
    """Everything in RAM, one call after another."""

    epochs: dict[str, int] = field(default_factory=dict)
    values: dict[tuple[str, str], Value] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Asked:
        """`asked` with its result."""
        active = self.epochs.get(asked.owner, 1)
        if isinstance(asked, Tokenize):
            tokens = tuple(None if v is None else token_of(asked.owner, active, v) for v in asked.values)
            for token, value in zip(tokens, asked.values, strict=True):
                if token is not None and value is not None:
                    self.values[asked.owner, token] = value
            return replace(asked, result=(active, tokens))
        if isinstance(asked, Detokenize):
            found = tuple(self.values.get((asked.owner, token or "")) for token in asked.tokens)
            return replace(asked, result=found)
        if isinstance(asked, ReadEpoch):
            return replace(asked, result=active)
        if asked.to == active + 1:
            self.epochs[asked.owner] = asked.to
            return replace(asked, result="rotated")
        return replace(asked, result="already" if asked.to == active else Conflict(active))


@dataclass(frozen=True)
class Habits:
    """What random clients do: out of how many values and epochs they choose, how long calls take in
    turns (one turn: the mean time between calls), how many end unknown, if times are whole turns."""

    values: int = 30
    epochs: int = 4
    batch: int = 3
    longest: float = 6.0
    unknown: float = 0.1
    rotations: float = 0.03
    owners: Sequence[str] = OWNERS
    whole_turns: bool = False


class Dice:
    """Seeded random calls and sound histories."""

    def __init__(self, seed: int, habits: Habits | None = None) -> None:
        self.random = Random(seed)
        self.habits = habits or Habits()
        self.vault = NaiveVault()

    def history(self, count: int) -> list[Operation]:
        """So many operations that a vault has answered one after another; their intervals, which hold
        the moment of answering, overlap at random.  Sorted by their end."""
        now, operations = 10.0, []
        for number in range(count):
            now += 1 if self.habits.whole_turns else self.random.expovariate(1)
            operations.append(self._operation(number, now))
        operations.sort(key=lambda operation: operation.end)
        return operations

    def _operation(self, number: int, now: float) -> Operation:
        asked = self.asked()
        client, node = f"c{number % 8}", f"n{self.random.randrange(3) + 1}"
        begin, end = now - self.span(), now + self.span()
        if self.random.random() < self.habits.unknown:
            if self.random.random() < 0.6:
                self.vault.answer(asked)
            return Operation(client, node, begin, None, asked)
        return Operation(client, node, begin, end, self.vault.answer(asked))

    def span(self) -> float:
        """Half of how long a call takes."""
        span = self.random.random() ** 2 * self.habits.longest / 2
        return float(round(span)) if self.habits.whole_turns else span

    def asked(self) -> Asked:
        """A random call."""
        owner = self.random.choice(self.habits.owners)
        active = self.vault.epochs.get(owner, 1)
        turn = self.random.random()
        if turn < self.habits.rotations:
            to = active + self.random.choice((1, 1, 1, 0, 2, -1))
            return Rotate(owner, min(max(to, 1), self.habits.epochs))
        if turn < self.habits.rotations + 0.1:
            return ReadEpoch(owner)
        size = self.random.randint(1, self.habits.batch)
        values = [f"v{self.random.randrange(self.habits.values)}" for _ in range(size)]
        if turn < 0.6:
            return Tokenize(owner, tuple(values))
        epochs = [self.random.randint(1, active) for _ in values]
        whose = owner if self.random.random() < 0.9 else self.random.choice(self.habits.owners)
        tokens = [token_of(whose, epoch, value) for epoch, value in zip(epochs, values, strict=True)]
        return Detokenize(owner, tuple(tokens))
