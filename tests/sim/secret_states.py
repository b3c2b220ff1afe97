"""The secrets of one owner, as they were at any moment of the committed journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tvault.model.commands import SecretRequest
from tvault.model.secret_looks import VersionMark


@dataclass(frozen=True)
class Kept:
    """A version, the entry that began it, and the one that ended it, 0 when none has."""

    version: int
    value: str
    key_id: str
    valid_from: int
    began: int
    valid_to: int | None = None
    ended: int = 0

    def at(self, seq: int) -> Kept:
        """The version as it was when the journal ended with entry `seq`, not before it began."""
        return self if self.ended <= seq else replace(self, valid_to=None, ended=0)

    @property
    def mark(self) -> VersionMark:
        """The version without its value."""
        return VersionMark(self.version, self.valid_from, self.valid_to, self.key_id)


@dataclass
class Vault:
    """All of one owner.  `changes` are the entries that brought any of it."""

    versions: dict[str, list[Kept]] = field(default_factory=dict)
    requests: dict[bytes, tuple[int, SecretRequest]] = field(default_factory=dict)
    changes: list[int] = field(default_factory=list)
    stamp: int = 0

    def between(self, since: int, upto: int) -> Iterator[Moment]:
        """What there was at each moment from entry `since` to entry `upto`, the last one first."""
        for seq in reversed(self.changes):
            if seq <= since:
                break
            if seq <= upto:
                yield Moment(self, seq)
        yield Moment(self, since)


@dataclass(frozen=True)
class Moment:
    """All of one owner when the journal ended with entry `seq`."""

    vault: Vault
    seq: int

    def versions(self, name: str) -> list[Kept]:
        """The versions that a secret had by then, oldest first."""
        return [k.at(self.seq) for k in self.vault.versions.get(name, ()) if k.began <= self.seq]

    def newest(self, name: str) -> Kept | None:
        """The newest version that it had by then."""
        versions = self.versions(name)
        return versions[-1] if versions else None

    def live(self, name: str) -> Kept | None:
        """The version that was valid then."""
        newest = self.newest(name)
        return newest if newest is not None and newest.valid_to is None else None

    def names(self) -> tuple[str, ...]:
        """The secrets that had a value then, sorted."""
        return tuple(sorted(name for name in self.vault.versions if self.live(name)))

    def knows(self, request: bytes) -> bool:
        """Whether a request was carried out by then."""
        known = self.vault.requests.get(request)
        return known is not None and known[0] <= self.seq
