"""A vault of secrets that does one thing at a time, and histories of clients whose calls overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from tests.history.operations import Operation
from tests.history.secret_operations import (
    NONE_LIVE,
    Absent,
    Condition,
    Done,
    End,
    Ended,
    Get,
    GetAll,
    Mark,
    Put,
    PutAll,
    ReadHistory,
    ReadNames,
    SecretAsked,
    Unmet,
)

OWNER = "A"
CLOSING = 1000.0
"""When the histories are read that close a random one, at the earliest."""

MOST_AT_ONCE = 4

Kept = tuple[Mark, str]
Secrets = Mapping[str, tuple[Kept, ...]]
"""All versions of each secret with their values, oldest first."""


def live_in(secrets: Secrets, name: str) -> Kept | None:
    """The version that is valid."""
    kept = secrets.get(name, ())
    return kept[-1] if kept and kept[-1][0].valid_to is None else None


def answer(secrets: Secrets, asked: SecretAsked, moment: int) -> tuple[SecretAsked, Secrets]:
    """`asked` with its result, and the secrets after it; what it changes it changes at this moment."""
    if isinstance(asked, Put | End):
        return _write(secrets, asked, moment)
    match asked:
        case PutAll(values=values, needed=needed):
            required = (name for name in needed if name not in dict(values))
            absent = tuple(name for name in required if live_in(secrets, name) is None)
            if absent:
                return replace(asked, result=Absent(absent)), secrets
            for name, value in values:
                secrets = _with(secrets, name, value, moment)
            done = tuple((name, secrets[name][-1][0].version) for name in dict(values))
            return replace(asked, result=done), secrets
        case Get(name=name):
            found = _wanted(secrets, asked)
            return replace(asked, result=found or Absent((name,))), secrets
        case GetAll(names=names):
            live = [live_in(secrets, name) for name in names]
            absent = tuple(name for name, kept in zip(names, live, strict=True) if kept is None)
            values_there = tuple(kept[1] for kept in live if kept is not None)
            return replace(asked, result=Absent(absent) if absent else values_there), secrets
        case ReadHistory(name=name):
            return replace(asked, result=tuple(mark for mark, _ in secrets.get(name, ()))), secrets
        case ReadNames():
            there = tuple(sorted(name for name in secrets if live_in(secrets, name)))
            return replace(asked, result=there), secrets


def _write(secrets: Secrets, asked: Put | End, moment: int) -> tuple[SecretAsked, Secrets]:
    live = live_in(secrets, asked.name)
    version = live[0].version if live else None
    if isinstance(asked, End) and live is None:
        return replace(asked, result=Absent((asked.name,))), secrets
    if asked.condition is not None and (version or NONE_LIVE) != asked.condition:
        return replace(asked, result=Unmet(version)), secrets
    if isinstance(asked, End):
        assert version is not None
        ended = _ended(secrets, asked.name, moment)
        return replace(asked, result=Ended(version, moment)), {**secrets, asked.name: ended}
    after = _with(secrets, asked.name, asked.value, moment)
    mark = after[asked.name][-1][0]
    return replace(asked, result=Done(mark.version, mark.valid_from, after is not secrets)), after


def _with(secrets: Secrets, name: str, value: str, moment: int) -> Secrets:
    live = live_in(secrets, name)
    if live is not None and live[1] == value:
        return secrets
    kept = _ended(secrets, name, moment)
    return {**secrets, name: (*kept, (Mark(len(kept) + 1, moment, None), value))}


def _ended(secrets: Secrets, name: str, moment: int) -> tuple[Kept, ...]:
    kept = secrets.get(name, ())
    if live_in(secrets, name) is None:
        return kept
    mark, value = kept[-1]
    return (*kept[:-1], (replace(mark, valid_to=moment), value))


def _wanted(secrets: Secrets, asked: Get) -> Kept | None:
    if asked.version is None and asked.at is None:
        return live_in(secrets, asked.name)
    for mark, value in secrets.get(asked.name, ()):
        if mark.version == asked.version or _covers(mark, asked.at):
            return mark, value
    return None


def _covers(mark: Mark, at: int | None) -> bool:
    if at is None or at < mark.valid_from:
        return False
    return mark.valid_to is None or at < mark.valid_to


@dataclass(frozen=True)
class Habits:
    """What random clients do: out of how many names they choose, and out of how many values (0: each
    value is new); how long calls take in turns (one turn: the mean time between calls), how many end
    unknown, if times are whole turns."""

    names: int = 3
    values: int = 0
    longest: float = 6.0
    unknown: float = 0.15
    conditions: float = 0.4
    whole_turns: bool = False


class SecretDice:
    """Seeded random calls of one owner, and sound histories."""

    def __init__(self, seed: int, habits: Habits | None = None) -> None:
        self.random = Random(seed)
        self.habits = habits or Habits()
        self.names = [f"S{number}" for number in range(self.habits.names)]
        self.secrets: Secrets = {}
        self._moment = 100
        self._count = 0

    def history(self, count: int) -> list[Operation]:
        """So many operations that a vault has answered one after another, and those that close the
        history.  Sorted by their end."""
        now, operations = 10.0, []
        for number in range(count):
            now += 1 if self.habits.whole_turns else self.random.expovariate(1)
            operations.append(self._operation(number, now))
        operations.sort(key=lambda operation: operation.end)
        return operations + self.closing(max(now, 0.0) + CLOSING)

    def closing(self, now: float) -> list[Operation]:
        """The histories of all secrets, and the values of all versions, read one after another."""
        asked: list[SecretAsked] = []
        for name in self.names:
            asked += [Get(OWNER, name, at + 1) for at in range(len(self.secrets.get(name, ())))]
            asked.append(ReadHistory(OWNER, name))
        return [
            Operation("last", "n1", now + 2 * at, now + 2 * at + 1, self.answer(each))
            for at, each in enumerate(asked)
        ]

    def answer(self, asked: SecretAsked) -> SecretAsked:
        """What the vault says, and does."""
        self._moment += self.random.randint(2, 9)
        answered, self.secrets = answer(self.secrets, asked, self._moment)
        return answered

    def _operation(self, number: int, now: float) -> Operation:
        asked = self.asked()
        client, node = f"c{number % 8}", f"n{self.random.randrange(3) + 1}"
        begin, end = now - self.span(), now + self.span()
        if self.random.random() < self.habits.unknown:
            if self.random.random() < 0.6:
                self.answer(asked)
            return Operation(client, node, begin, None, asked)
        return Operation(client, node, begin, end, self.answer(asked))

    def span(self) -> float:
        """Half of how long a call takes."""
        span = self.random.random() ** 2 * self.habits.longest / 2
        return float(round(span)) if self.habits.whole_turns else span

    def asked(self) -> SecretAsked:
        """A random call."""
        dice, turn = self.random, self.random.random()
        name = dice.choice(self.names)
        several = tuple(dice.sample(self.names, dice.randint(1, min(MOST_AT_ONCE, len(self.names)))))
        if turn < 0.28:
            return Put(OWNER, name, self._value(), self._condition(name))
        if turn < 0.40:
            needed = tuple(dice.sample(self.names, 1)) if dice.random() < 0.3 else ()
            return PutAll(OWNER, tuple((each, self._value()) for each in several), needed)
        if turn < 0.52:
            return End(OWNER, name, self._condition(name))
        if turn < 0.68:
            return Get(OWNER, name)
        if turn < 0.76:
            return self._old(name)
        if turn < 0.88:
            return GetAll(OWNER, several)
        return ReadHistory(OWNER, name) if turn < 0.95 else ReadNames(OWNER)

    def _old(self, name: str) -> Get:
        count = len(self.secrets.get(name, ()))
        if self.random.random() < 0.5:
            return Get(OWNER, name, self.random.randint(0, count + 1))
        return Get(OWNER, name, at=self._moment - self.random.randint(0, 30))

    def _value(self) -> str:
        self._count += 1
        return f"v{self.random.randrange(self.habits.values) if self.habits.values else self._count}"

    def _condition(self, name: str) -> Condition:
        if self.random.random() >= self.habits.conditions:
            return None
        newest = len(self.secrets.get(name, ()))
        return max(NONE_LIVE, newest - self.random.choice((0, 0, 0, 1, -1)))
