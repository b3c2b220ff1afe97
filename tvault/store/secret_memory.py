"""The secrets of a store in RAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from tvault.model.commands import Rows, SecretEnd, SecretRequest, SecretVersion
from tvault.model.records import NewestSecret, refuse_long_look
from tvault.model.secret_looks import (
    FoundHistory,
    FoundNames,
    FoundSecrets,
    FoundVersion,
    VersionMark,
    Wanted,
)
from tvault.store.ports import SecretCount


@dataclass
class _Secret:
    """The rows of one secret, each with the entry that brought it."""

    versions: list[tuple[int, SecretVersion]] = field(default_factory=list)  # version n at n - 1
    ends: dict[int, tuple[int, SecretEnd]] = field(default_factory=dict)

    def validity(self, version: int) -> tuple[int | None, int]:
        """When the version ended, None when it has not, and the highest entry that tells so."""
        seq = self.versions[version - 1][0]
        if version in self.ends:
            brought_by, end = self.ends[version]
            return end.valid_to, max(seq, brought_by)
        if version < len(self.versions):
            brought_by, following = self.versions[version]
            return following.valid_from, max(seq, brought_by)
        return None, seq

    def newest(self) -> NewestSecret:
        version = len(self.versions)
        ended, seq = self.validity(version)
        return NewestSecret(version, ended is None, seq)

    def find(self, wanted: Wanted) -> SecretVersion | None:
        for _, row in reversed(self.versions):
            if wanted.version is not None:
                if row.version == wanted.version:
                    return row
            elif wanted.at is None or row.valid_from <= wanted.at:
                return row
        return None


class SecretMemory:
    """Rows of secrets as they came, and the looks at them; not safe to use in several threads."""

    def __init__(self) -> None:
        self._secrets: dict[str, dict[str, _Secret]] = {}
        self._requests: dict[tuple[str, bytes], tuple[int, SecretRequest]] = {}
        self._stamps: dict[str, list[int]] = {}  # of each row of an owner, the latest one by then

    def append(self, seq: int, rows: Rows) -> None:
        """Add what entry `seq` brought."""
        for row in rows.versions:
            secret = self._secrets.setdefault(row.owner, {}).setdefault(row.name, _Secret())
            secret.versions.append((seq, row))
            self._note(row.owner, row.valid_from)
        for end in rows.ends:
            self._secrets[end.owner][end.name].ends[end.version] = (seq, end)
            self._note(end.owner, end.valid_to)
        for request in rows.requests:
            self._requests[request.owner, request.request] = (seq, request)

    def drop(self, rows: Rows) -> None:
        """Take back what the last entry brought."""
        for request in rows.requests:
            del self._requests[request.owner, request.request]
        for end in rows.ends:
            del self._secrets[end.owner][end.name].ends[end.version]
            self._stamps[end.owner].pop()
        for row in reversed(rows.versions):
            names = self._secrets[row.owner]
            names[row.name].versions.pop()
            if not names[row.name].versions:
                del names[row.name]
            self._stamps[row.owner].pop()

    def newest_secret(self, owner: str, name: str) -> NewestSecret:
        """As in `model.records.Records`."""
        secret = self._secret(owner, name)
        return secret.newest() if secret else NewestSecret()

    def newest_stamp(self, owner: str) -> int:
        """As in `model.records.Records`."""
        stamps = self._stamps.get(owner)
        return stamps[-1] if stamps else 0

    def request_seq(self, owner: str, request: bytes) -> int:
        """As in `model.records.Records`."""
        return self._requests.get((owner, request), (0, None))[0]

    def secrets(self, owner: str, wanted: Sequence[Wanted], request: bytes | None) -> FoundSecrets:
        """As in `store.ports.Store`."""
        found = [self._find(owner, each) for each in wanted]
        sizes = [
            len(version.sealed.ciphertext)
            for (version, _), each in zip(found, wanted, strict=True)
            if version and each.size is None
        ]
        refuse_long_look(len(sizes), sum(sizes))
        done_by, done = self._requests.get((owner, request or b""), (0, None))
        return FoundSecrets(
            versions=tuple(version for version, _ in found),
            request=done,
            seq=max([done_by, *(seq for _, seq in found)]),
        )

    def history(self, owner: str, name: str) -> FoundHistory:
        """As in `store.ports.Store`."""
        secret = self._secret(owner, name) or _Secret()
        marks: list[VersionMark] = []
        highest = 0
        for _, row in secret.versions:
            valid_to, seq = secret.validity(row.version)
            marks.append(VersionMark(row.version, row.valid_from, valid_to, row.sealed.key_id))
            highest = max(highest, seq)
        return FoundHistory(tuple(marks), highest)

    def names(self, owner: str) -> FoundNames:
        """As in `store.ports.Store`."""
        newest = {name: secret.newest() for name, secret in self._secrets.get(owner, {}).items()}
        return FoundNames(
            names=tuple(sorted(name for name, secret in newest.items() if secret.is_live)),
            seq=max((secret.seq for secret in newest.values()), default=0),
        )

    def counts(self) -> dict[str, SecretCount]:
        """What each owner has."""
        return {
            owner: SecretCount(
                secrets=len(names),
                versions=sum(len(secret.versions) for secret in names.values()),
                ended=sum(not secret.newest().is_live for secret in names.values()),
            )
            for owner, names in self._secrets.items()
            if names
        }

    def samples(self) -> list[SecretVersion]:
        """As `store.ports.Store.sample_secrets`."""
        rows = [row for names in self._secrets.values() for s in names.values() for _, row in s.versions]
        return list({row.sealed.key_id: row for row in rows}.values())

    def kept(self, keep: int) -> KeptOf:
        """The rows of entries up to `keep`."""
        return KeptOf(self._secrets, self._requests, keep)

    def _secret(self, owner: str, name: str) -> _Secret | None:
        return self._secrets.get(owner, {}).get(name)

    def _note(self, owner: str, stamp: int) -> None:
        self._stamps.setdefault(owner, []).append(max(stamp, self.newest_stamp(owner)))

    def _find(self, owner: str, wanted: Wanted) -> tuple[FoundVersion | None, int]:
        secret = self._secret(owner, wanted.name) or _Secret()
        row = secret.find(wanted)
        if row is None:
            return None, 0
        valid_to, seq = secret.validity(row.version)
        at = wanted.at if wanted.version is None else None
        if at is not None and valid_to is not None and valid_to <= at:
            return None, seq
        sealed = row.sealed
        if not wanted.takes(len(sealed.ciphertext)):
            sealed = msgspec.structs.replace(sealed, ciphertext=b"")
        return FoundVersion(row.version, row.valid_from, valid_to, sealed), seq


class KeptOf:
    """Fills `store.secret_rows.KeptSecrets` with the rows of entries up to `keep`."""

    def __init__(
        self,
        secrets: dict[str, dict[str, _Secret]],
        requests: dict[tuple[str, bytes], tuple[int, SecretRequest]],
        keep: int,
    ) -> None:
        self._secrets = secrets
        self._requests = requests
        self._keep = keep

    def newest_version(self, owner: str, name: str) -> int:
        secret = self._secrets.get(owner, {}).get(name, _Secret())
        return sum(seq <= self._keep for seq, _ in secret.versions)

    def is_ended(self, owner: str, name: str, version: int) -> bool:
        secret = self._secrets.get(owner, {}).get(name, _Secret())
        return version in secret.ends and secret.ends[version][0] <= self._keep

    def has_request(self, owner: str, request: bytes) -> bool:
        return 0 < self._requests.get((owner, request), (0, None))[0] <= self._keep
