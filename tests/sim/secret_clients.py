"""Simulated clients that write and read secrets: few of them, so that their calls meet."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.sim.clients import OWNERS, Client, Memory, Tally
from tests.sim.secret_calls import (
    AnyCall,
    EndSecret,
    GetSecret,
    GetSecrets,
    PutSecret,
    PutSecrets,
    ReadHistory,
    ReadNames,
)
from tvault.model.secret_looks import VersionMark, Wanted
from tvault.server.preconditions import Condition, condition_in, tag_of
from tvault.server.secret_vault import PutDone, Secret

if TYPE_CHECKING:
    from tests.sim.world import World

NAMES = ("A", "B", "C", "D")
VALUES = ("", "red", "green", "blue")
KEYED = 0.75
USED_KEYS = 0.04
"""How often a write bears the key of another one, by mistake."""

NO_CONDITION = condition_in(None, None)


@dataclass
class SecretMemory:
    """What clients know together: newest versions, moments, and keys that were used, by owner."""

    newest: dict[tuple[str, str], int] = field(default_factory=dict)
    stamps: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    keys: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def learn(self, answered: AnyCall) -> None:
        """Take what an answer says."""
        owner = answered.owner
        match answered:
            case PutSecret(name=name, result=PutDone(version)):
                self._saw(owner, name, version)
            case PutSecrets(result=tuple(done)):
                for name, version in done:
                    self._saw(owner, name, version)
            case GetSecret(wanted=Wanted(name), result=Secret(version=version)):
                self._saw(owner, name, version)
            case ReadHistory(result=tuple(marks)):
                self.stamps[owner] = [_end_of(mark) for mark in marks]

    def _saw(self, owner: str, name: str, version: int) -> None:
        self.newest[owner, name] = max(self.newest.get((owner, name), 0), version)


class SecretClient(Client):
    """Makes calls about secrets until it is told to stop."""

    twice = 0.2

    def __init__(
        self, world: World, name: str, known: SecretMemory, tally: Tally, *, node: str | None = None
    ) -> None:
        super().__init__(world, name, Memory(), tally, node=node)
        self._known = known

    def learn(self, answer: AnyCall) -> None:
        self._known.learn(answer)

    def look_at(self, answer: AnyCall) -> AnyCall | None:
        match answer:
            case PutSecret(owner, name) | EndSecret(owner, name):
                return GetSecret(owner, Wanted(name))
            case PutSecrets(owner, values):
                return GetSecrets(owner, tuple(name for name, _ in values))
        return None

    def next_call(self) -> AnyCall:
        dice = self.world.dice
        owner, name, roll = dice.choice(OWNERS), dice.choice(NAMES), dice.random()
        if roll < 0.28:
            return PutSecret(
                owner, name, dice.choice(VALUES), self._condition(owner, name), self._key(owner)
            )
        if roll < 0.38:
            return self._put_several(owner)
        if roll < 0.46:
            return EndSecret(owner, name, self._condition(owner, name), self._key(owner))
        if roll < 0.74:
            return GetSecret(owner, self._wanted(owner, name))
        if roll < 0.86:
            return GetSecrets(owner, tuple(dice.sample(NAMES, dice.randint(2, len(NAMES)))))
        return ReadHistory(owner, name) if roll < 0.94 else ReadNames(owner)

    def _put_several(self, owner: str) -> PutSecrets:
        dice = self.world.dice
        names = dice.sample(NAMES, dice.randint(2, len(NAMES)))
        needed = tuple(dice.sample(NAMES, 1)) if dice.random() < 0.3 else ()
        values = tuple((name, dice.choice(VALUES)) for name in names)
        return PutSecrets(owner, values, needed, self._key(owner))

    def _wanted(self, owner: str, name: str) -> Wanted:
        dice, stamps = self.world.dice, self._known.stamps[owner]
        roll = dice.random()
        if roll < 0.5:
            return Wanted(name)
        if roll < 0.8 or not stamps:
            newest = self._known.newest.get((owner, name), 0)
            return Wanted(name, version=max(0, newest - dice.choice((-1, 0, 0, 1, 2))))
        return Wanted(name, at=dice.choice(stamps) + dice.choice((-1, 0, 0, 1)))

    def _condition(self, owner: str, name: str) -> Condition:
        """None, mostly; else the version that is thought to be the newest, or none."""
        roll = self.world.random()
        if roll < 0.55:
            return NO_CONDITION
        if roll < 0.9:
            return condition_in(tag_of(self._known.newest.get((owner, name), 1)), None)
        return condition_in(None, "*") if roll < 0.97 else condition_in("*", None)

    def _key(self, owner: str) -> str | None:
        dice, keys = self.world.dice, self._known.keys[owner]
        if dice.random() >= KEYED:
            return None
        if keys and dice.random() < USED_KEYS:
            return dice.choice(keys)
        keys.append(f"k{len(keys)}")
        return keys[-1]


def _end_of(mark: VersionMark) -> int:
    return mark.valid_from if mark.valid_to is None else mark.valid_to
