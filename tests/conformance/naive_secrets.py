"""What a store must answer about secrets, worked out the slow way, and dice that write them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from tests.conformance.naive import NaiveJournal, block_of, digest_of
from tvault.model.commands import (
    REQUEST_BYTES,
    Done,
    EpochStart,
    Rows,
    Sealed,
    SecretEnd,
    SecretRequest,
    SecretVersion,
    encode_rows,
)
from tvault.model.records import NewestSecret
from tvault.model.secret_looks import (
    FoundHistory,
    FoundNames,
    FoundSecrets,
    FoundVersion,
    VersionMark,
    Wanted,
)
from tvault.replication.entry import Entry, Kind, Position, follow

NAMES = ("API_KEY", "api.key", "Z", "_", "a-very-long-name." * 7)


def sealed_of(number: int, key_id: str = "m1", size: int = 20) -> Sealed:
    """A value at rest that is no other number's."""
    digits = b"%012d" % number
    return Sealed((b"ciphertext " + digits).ljust(size, b"."), digits, b"wrapped!" * 5, key_id)


def version_of(
    name: str, version: int, valid_from: int, *, owner: str = "anna", key_id: str = "m1", size: int = 20
) -> SecretVersion:
    sealed = sealed_of(1000 * valid_from + version, key_id, size)
    return SecretVersion(owner, name, version, valid_from, sealed)


def request_of(number: int, done: Sequence[Done] = (), *, owner: str = "anna") -> SecretRequest:
    request, fingerprint = number.to_bytes(REQUEST_BYTES, "big"), b"fingerprint" + b"%05d" % number
    return SecretRequest(owner, request, fingerprint, tuple(done))


def secrets_entry(
    previous: Position,
    versions: Iterable[SecretVersion] = (),
    ends: Iterable[SecretEnd] = (),
    requests: Iterable[SecretRequest] = (),
    view: int = 1,
) -> Entry:
    rows = Rows(versions=tuple(versions), ends=tuple(ends), requests=tuple(requests))
    return follow(previous, view, Kind.ROWS, encode_rows(rows))


class NaiveSecrets:
    """The secrets of one owner in a journal."""

    def __init__(self, journal: NaiveJournal, owner: str) -> None:
        held = [(entry.seq, rows) for entry, rows in journal.held]
        self.versions = [(s, row) for s, rows in held for row in rows.versions if row.owner == owner]
        self.ends = [(s, row) for s, rows in held for row in rows.ends if row.owner == owner]
        self.requests = [(s, row) for s, rows in held for row in rows.requests if row.owner == owner]

    def of(self, name: str) -> list[tuple[FoundVersion, int]]:
        """All versions, oldest first, each with the highest entry that tells of it."""
        found = []
        for seq, row in self.versions:
            if row.name != name:
                continue
            bounds = [
                *((end.valid_to, s) for s, end in self.ends if self._is_of(end, name, row.version)),
                *((v.valid_from, s) for s, v in self.versions if self._is_of(v, name, row.version + 1)),
            ]
            valid_to, told_by = min(bounds, default=(None, seq))
            version = FoundVersion(row.version, row.valid_from, valid_to, row.sealed)
            found.append((version, max(seq, told_by)))
        return found

    def find(self, wanted: Wanted) -> tuple[FoundVersion | None, int]:
        versions = self.of(wanted.name)
        if wanted.version is not None:
            return next(((v, seq) for v, seq in versions if v.version == wanted.version), (None, 0))
        if wanted.at is None:
            return versions[-1] if versions else (None, 0)
        begun = [(v, seq) for v, seq in versions if v.valid_from <= wanted.at]
        if not begun:
            return None, 0
        version, seq = begun[-1]
        is_valid = version.valid_to is None or wanted.at < version.valid_to
        return (version if is_valid else None), seq

    def secrets(self, wanted: Sequence[Wanted], request: bytes | None) -> FoundSecrets:
        found = [self.find(each) for each in wanted]
        seq, done = next(((s, r) for s, r in self.requests if r.request == request), (0, None))
        return FoundSecrets(
            tuple(version for version, _ in found), done, max([seq, *(seq for _, seq in found)])
        )

    def history(self, name: str) -> FoundHistory:
        versions = self.of(name)
        return FoundHistory(
            tuple(
                VersionMark(v.version, v.valid_from, v.valid_to, v.sealed.key_id) for v, _ in versions
            ),
            max((seq for _, seq in versions), default=0),
        )

    def names(self) -> FoundNames:
        newest = {name: self.of(name)[-1] for name in {row.name for _, row in self.versions}}
        return FoundNames(
            tuple(sorted(name for name, (version, _) in newest.items() if version.is_live)),
            max((seq for _, seq in newest.values()), default=0),
        )

    def newest(self, name: str) -> NewestSecret:
        versions = self.of(name)
        if not versions:
            return NewestSecret()
        version, seq = versions[-1]
        return NewestSecret(version.version, version.is_live, seq)

    def newest_stamp(self) -> int:
        stamps = [row.valid_from for _, row in self.versions] + [end.valid_to for _, end in self.ends]
        return max(stamps, default=0)

    def request_seq(self, request: bytes) -> int:
        return next((seq for seq, row in self.requests if row.request == request), 0)

    @staticmethod
    def _is_of(row: SecretVersion | SecretEnd, name: str, version: int) -> bool:
        return (row.name, row.version) == (name, version)


class SecretDice:
    """Seeded random entries of several commands, as the judge lets them pass, now and then with blocks
    and starts of epochs beside them."""

    OWNERS = ("anna", "bert")

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._drawn = 0

    def entries(self, journal: NaiveJournal, keep: int, count: int) -> list[tuple[Entry, Rows]]:
        """Entries that may follow the first `keep` of `journal`."""
        kept = NaiveJournal(journal.held[:keep])
        for _ in range(count):
            rows = self._rows(kept)
            kept.held.append(
                (follow(kept.last(), self.random.randrange(1, 99), Kind.ROWS, encode_rows(rows)), rows)
            )
        return kept.held[keep:]

    def wanted(self, journal: NaiveJournal) -> Wanted:
        """Something to look for: what is there, what was there, and what never was."""
        owner = NaiveSecrets(journal, self.random.choice(self.OWNERS))
        name, kind = self.random.choice(NAMES), self.random.random()
        if kind < 0.3:
            return Wanted(name)
        if kind < 0.5:
            return Wanted(name, version=self.random.randrange(6))
        stamps = [row.valid_from for _, row in owner.versions] + [row.valid_to for _, row in owner.ends]
        return Wanted(name, at=self.random.choice([*stamps, 0]) + self.random.choice((-1, 0, 1)))

    def request(self) -> bytes:
        return request_of(self.random.randrange(self._drawn + 2)).request

    def _rows(self, kept: NaiveJournal) -> Rows:
        self._drawn += 1
        blocks = [block_of("anna", 1, [digest_of(self._drawn)])] if self.random.random() < 0.2 else []
        epochs = [EpochStart("carl", 2 + self._drawn)] if self.random.random() < 0.1 else []
        versions: list[SecretVersion] = []
        ends: list[SecretEnd] = []
        requests: list[SecretRequest] = []
        for owner in self.random.choices(self.OWNERS, k=self.random.randrange(3)):
            shown = Rows(versions=tuple(versions), ends=tuple(ends))
            so_far = NaiveJournal([*kept.held, (follow(kept.last(), 1, Kind.BARRIER, b""), shown)])
            secrets = NaiveSecrets(so_far, owner)
            stamp = secrets.newest_stamp() + self.random.randrange(1, 9)
            done = []
            for name in self.random.sample(NAMES, self.random.randrange(1, 4)):
                version, is_live, _ = secrets.newest(name)
                step = self.random.random()
                if is_live and step < 0.3:
                    ends.append(SecretEnd(owner, name, version, stamp))
                elif not is_live or step < 0.8:
                    version += 1
                    key_id = self.random.choice(("m1", "m2"))
                    versions.append(version_of(name, version, stamp, owner=owner, key_id=key_id))
                done.append(Done(name, version, is_changed=step < 0.8))
            self._drawn += 1
            requests.append(request_of(self._drawn, done, owner=owner))
        return Rows(
            epochs=tuple(epochs),
            blocks=tuple(blocks),
            versions=tuple(versions),
            ends=tuple(ends),
            requests=tuple(requests),
        )
