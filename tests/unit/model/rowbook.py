"""The records port over plain dictionaries, for tests of the judge."""

from __future__ import annotations

from collections.abc import Sequence

from tvault.model.commands import Rows
from tvault.model.records import NewestSecret


def split(digests: bytes) -> list[bytes]:
    """The single digests of those that stand side by side."""
    return [digests[at : at + 16] for at in range(0, len(digests), 16)]


class Rowbook:
    """Entries are written whole, one seq each."""

    def __init__(self) -> None:
        self.seq = 0
        self.tokens: dict[tuple[str, int, bytes], int] = {}
        self.epochs: dict[str, tuple[int, int]] = {}
        self.secrets: dict[tuple[str, str], NewestSecret] = {}
        self.stamps: dict[str, int] = {}
        self.requests: dict[tuple[str, bytes], int] = {}

    def newest_epoch(self, owner: str) -> tuple[int, int]:
        return self.epochs.get(owner, (1, 0))

    def exists(self, owner: str, epoch: int, digests: bytes) -> int:
        return max(self.tokens.get((owner, epoch, digest), 0) for digest in split(digests))

    def newest_secret(self, owner: str, name: str) -> NewestSecret:
        return self.secrets.get((owner, name), NewestSecret())

    def newest_secrets(self, owner: str, names: Sequence[str]) -> list[NewestSecret]:
        return [self.newest_secret(owner, name) for name in names]

    def newest_stamp(self, owner: str) -> int:
        return self.stamps.get(owner, 0)

    def request_seq(self, owner: str, request: bytes) -> int:
        return self.requests.get((owner, request), 0)

    def write(self, rows: Rows) -> None:
        """Write an entry, as strict as a store: no token, version or request twice, epochs and versions
        rise by one."""
        self.seq += 1
        for start in rows.epochs:
            assert start.epoch == self.newest_epoch(start.owner)[0] + 1
            self.epochs[start.owner] = (start.epoch, self.seq)
        for block in rows.blocks:
            for digest in split(block.digests):
                assert (block.owner, block.epoch, digest) not in self.tokens
                self.tokens[block.owner, block.epoch, digest] = self.seq
        for request in rows.requests:
            assert (request.owner, request.request) not in self.requests
            self.requests[request.owner, request.request] = self.seq
        self._write_secrets(rows)

    def _write_secrets(self, rows: Rows) -> None:
        changes = [(row.valid_from, 1, row.owner, row.name, row.version) for row in rows.versions]
        changes += [(row.valid_to, 0, row.owner, row.name, row.version) for row in rows.ends]
        for stamp, begins, owner, name, version in sorted(changes):
            newest = self.newest_secret(owner, name)
            assert version == newest.version + begins
            assert begins or newest.is_live
            self.secrets[owner, name] = NewestSecret(version, bool(begins), self.seq)
            self.stamps[owner] = max(stamp, self.newest_stamp(owner))
