"""What the secrets of a real cluster have to be: known to those who write them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Book:
    """A secret, or several that are always written together, with one writer, who knows its state after
    so many steps: each begins the next version, or, of a mortal one, each second step ends it.

    A step is asked for before it is acknowledged.  Version n has the value that says so.
    """

    names: tuple[str, ...]
    is_mortal: bool = False
    asked: int = 0
    steps: int = 0
    moments: dict[int, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The first of the names."""
        return self.names[0]

    def value(self, version: int) -> str:
        """The value that a version has."""
        return f"{self.name} {version}"

    def state(self, step: int) -> tuple[int, bool]:
        """The newest version after so many steps, 0 for none, and whether it is valid."""
        return ((step + 1) // 2, step % 2 == 1) if self.is_mortal else (step, step > 0)

    def check(self, known: int, newest: int | None, told: object) -> None:
        """Raise unless an answer may be true, to a question that was asked when `known` steps were
        acknowledged: that `newest` is the valid version, None for none."""
        states = [self.state(step) for step in range(known, self.asked + 1)]
        told_states = [version if is_live else None for version, is_live in states]
        assert newest in told_states, f"{self.name} is {told}, after {known} of {self.asked} steps"

    def check_history(self, known: int, versions: Sequence[dict[str, Any]]) -> None:
        """Raise unless a history may be what there is after `known` steps or more."""
        newest = len(versions)
        states = [self.state(step) for step in range(known, self.asked + 1)]
        is_live = bool(versions) and versions[-1]["valid_to"] is None
        assert (newest, is_live) in states, f"{self.name} has {versions}, after {known} steps"
        check_intervals(versions)
        for version in versions:
            began = self.moments.get(version["version"], version["valid_from"])
            assert version["valid_from"] == began, f"{self.name} {version} began at {began}"


@dataclass
class Race:
    """A secret with several writers, who overwrite the version that they have read and no other."""

    name: str
    winners: dict[int, str] = field(default_factory=dict)
    losers: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def newest(self) -> int:
        """The newest version that is known to be there."""
        return max(self.winners, default=0)

    def won(self, version: int, value: str) -> None:
        """A writer is told that its value is this version."""
        with self.lock:
            other = self.winners.setdefault(version, value)
        assert other == value, f"{other} and {value} are both version {version} of {self.name}"

    def check(self, known: int, version: int, value: str) -> None:
        """Raise unless a version may be valid, when `known` was acknowledged before."""
        assert version >= known, f"version {version} of {self.name} is told after {known}"
        assert value == self.winners.get(version, value), f"version {version} of {self.name} is {value}"
        assert value not in self.losers, f"{value} was refused, and is {self.name}"


def check_intervals(versions: Sequence[dict[str, Any]]) -> None:
    """Raise unless versions count from 1, and none begins before the one before it has ended."""
    assert [each["version"] for each in versions] == list(range(1, len(versions) + 1)), versions
    moments = [each[end] for each in versions for end in ("valid_from", "valid_to")]
    known = moments[:-1] if moments and moments[-1] is None else moments
    assert None not in known, versions
    assert known == sorted(known), versions
    began = [each["valid_from"] for each in versions]
    assert len(set(began)) == len(began), versions
