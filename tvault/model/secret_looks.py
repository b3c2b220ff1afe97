"""What can be looked for among the secrets of an owner, and what a look finds.

A look is at one moment of the journal.  `seq` is the highest entry that brought any row it relies on,
0 when there is none.  Moments are microseconds since 1970 (UTC); a version is valid from `valid_from` up
to but without `valid_to`, which is the beginning of the next version or the deletion; None: still valid.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from tvault.model.commands import Sealed, SecretRequest

LARGEST: Final = 2**63 - 1
"""The largest number of a version, and the last moment, that can be wanted."""

Number = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """A version of a secret: the one of this number, or the one that was valid `at` a moment; without
    either the newest that it ever had, which may have ended.

    Its ciphertext is left empty when it has not `size` bytes; None: however many it has.
    """

    name: str
    version: Number | None = None
    at: Number | None = None
    size: Number | None = None

    def takes(self, size: int) -> bool:
        """Whether a ciphertext of so many bytes is wanted."""
        return self.size is None or self.size == size

    @property
    def is_numbered_or_dated(self) -> bool:
        """Whether it is not the newest version that is wanted, whichever that is."""
        return self.version is not None or self.at is not None


class FoundVersion(msgspec.Struct, frozen=True, array_like=True):
    """A version with its value at rest."""

    version: int
    valid_from: int
    valid_to: int | None
    sealed: Sealed

    @property
    def is_live(self) -> bool:
        """Whether it is the secret's value now."""
        return self.valid_to is None


class FoundSecrets(msgspec.Struct, frozen=True, array_like=True, tag="secrets"):
    """What was found of each `Wanted`, in this order, None where there is no such version; and the
    request that was asked about, None when it was not carried out."""

    versions: tuple[FoundVersion | None, ...]
    request: SecretRequest | None
    seq: int

    @property
    def has_ended(self) -> bool:
        """Whether all that was wanted is there and has ended: no later entry can change that."""
        return all(found is not None and not found.is_live for found in self.versions)


class VersionMark(msgspec.Struct, frozen=True, array_like=True):
    """A version without its value."""

    version: int
    valid_from: int
    valid_to: int | None
    key_id: str


class FoundHistory(msgspec.Struct, frozen=True, array_like=True, tag="history"):
    """All versions of a secret, oldest first; none when it never had one."""

    versions: tuple[VersionMark, ...]
    seq: int


class FoundNames(msgspec.Struct, frozen=True, array_like=True, tag="names"):
    """The names of the owner's secrets that are valid, sorted."""

    names: tuple[str, ...]
    seq: int
