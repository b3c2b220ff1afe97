"""What both stores check about the rows of secrets before they keep them: each row stands once, and the
versions of a secret follow each other from 1 on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tvault.model.commands import REQUEST_BYTES, Rows
from tvault.replication.entry import Entry
from tvault.store.ports import StoreViolation

LARGEST_INTEGER = 2**63 - 1
"""SQLite's integers are signed and have 64 bits."""


class KeptSecrets(Protocol):
    """The rows of secrets that stay in a store while others are added."""

    def newest_version(self, owner: str, name: str) -> int:
        """The newest version that a secret ever had, or 0."""

    def is_ended(self, owner: str, name: str, version: int) -> bool:
        """Whether a version has an end."""

    def has_request(self, owner: str, request: bytes) -> bool:
        """Whether a request was carried out."""


def refuse_wrong_secrets(kept: KeptSecrets, entries: Sequence[Entry], brought: Sequence[Rows]) -> None:
    """Raise `StoreViolation`, naming the seq, unless the rows that `entries` brought may follow those
    that are kept."""
    newest: dict[tuple[str, str], int] = {}
    ended: set[tuple[str, str, int]] = set()
    done: set[tuple[str, bytes]] = set()
    for entry, rows in zip(entries, brought, strict=True):
        for row in rows.versions:
            secret = (row.owner, row.name)
            if row.version != (newest.get(secret) or kept.newest_version(*secret)) + 1:
                raise StoreViolation(f"entry {entry.seq} brings a version that follows none")
            newest[secret] = row.version
        for end in rows.ends:
            key = (end.owner, end.name, end.version)
            if end.version > (newest.get(key[:2]) or kept.newest_version(*key[:2])):
                raise StoreViolation(f"entry {entry.seq} ends a version that never began")
            if key in ended or kept.is_ended(*key):
                raise StoreViolation(f"entry {entry.seq} ends a version that has ended")
            ended.add(key)
        for request in rows.requests:
            name = (request.owner, request.request)
            if name in done or kept.has_request(*name):
                raise StoreViolation(f"entry {entry.seq} brings a request that was carried out")
            done.add(name)


def have_storable_secrets(rows: Rows) -> bool:
    """Whether all rows of secrets have a shape that a store keeps."""
    return not rows.brings_secrets or (
        all(_is_number(row.version) and _is_moment(row.valid_from) for row in rows.versions)
        and all(_is_number(row.version) and _is_moment(row.valid_to) for row in rows.ends)
        and all(
            len(row.request) == REQUEST_BYTES
            and len(row.fingerprint) == REQUEST_BYTES
            and all(_is_number(done.version) for done in row.done)
            for row in rows.requests
        )
    )


def _is_number(version: int) -> bool:
    return 1 <= version <= LARGEST_INTEGER


def _is_moment(stamp: int) -> bool:
    return 0 <= stamp <= LARGEST_INTEGER
