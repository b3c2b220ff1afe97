"""What a store promises: one surface, kept by `store.sqlite` on disk and by `store.memory` in RAM.

One thread writes; any thread reads.  `tests/conformance` runs one suite over both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from tvault.model.commands import SecretVersion
from tvault.model.records import NewestSecret, Places
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.replication.entry import ORIGIN, Entry, Position


class StoreViolation(Exception):
    """The journal would break a rule that must never break (a token twice, a broken digest): the
    node stops and keeps its files."""


class Checked(NamedTuple):
    """How far a check of the journal has come: the last entry, and the highest ids of its rows."""

    last: Position = ORIGIN
    block_id: int = 0
    epoch_id: int = 0


class Store(Protocol):
    """The journal and the rows it brought.  Fills `replication.entry.Journal` and
    `model.rules.Records`."""

    # Journal: writer thread.
    def last(self) -> Position:
        """The end of the journal; `ORIGIN` when empty.  Any thread."""

    def position(self, seq: int) -> Position | None:
        """The position of entry `seq` (`ORIGIN` for 0), or None when the journal ends before it."""

    def entries(self, after: int, max_bytes: int) -> Sequence[Entry]:
        """The entries that follow `after`, rebuilt from their rows, in order: at least one if there
        is one, further ones while the bodies' sum stays within `max_bytes`.  Any thread."""

    def write(self, cut_after: int | None, entries: Sequence[Entry], committed: int) -> None:
        """In one durable transaction: delete everything with `seq > cut_after` (if given), append
        `entries`, store `committed` as the hint.  Raises `StoreViolation` when a token would stand
        twice or the entries do not continue the journal's digest; nothing is written then."""

    def committed_hint(self) -> int:
        """The commit position stored with the last entry: it may lag, it never leads."""

    def has_room(self) -> bool:
        """Whether the disk can take another entry, tried by a small durable write."""

    def settle(self, committed: int) -> None:
        """Entries up to `committed` will never be cut: their tokens may move to sorted runs."""

    # Records: any thread.
    def newest_epoch(self, owner: str) -> tuple[int, int]:
        """The owner's newest epoch in the journal, uncommitted entries included, and the entry that
        began it: `(1, 0)` when no rotation is recorded."""

    def find(self, owner: str, epoch: int, digests: bytes) -> Places:
        """Where the values of these digests (16 bytes each, side by side) are, uncommitted entries
        included.  One look: an entry written during the call is seen whole or not at all.  Raises
        `model.records.LookTooLong` when they stand in several blocks that are too long together."""

    def exists(self, owner: str, epoch: int, digests: bytes) -> int:
        """The highest `seq` that brought one of the digests (16 bytes each, side by side), or 0 when
        none is there.  Cheaper than `find`: opens no block it need not."""

    # Secrets: any thread.
    def newest_secrets(self, owner: str, names: Sequence[str]) -> list[NewestSecret]:
        """The states of these secrets in one look, by uncommitted entries, too: version 0 when one never
        had any."""

    def newest_stamp(self, owner: str) -> int:
        """The latest moment at which a version of any secret of the owner began or ended, by uncommitted
        entries, too, in microseconds since 1970; 0 when none did."""

    def request_seq(self, owner: str, request: bytes) -> int:
        """The entry in which a request of the owner was carried out, or 0."""

    def secrets(self, owner: str, wanted: Sequence[Wanted], request: bytes | None) -> FoundSecrets:
        """What is wanted of the owner's secrets, and whether a request was carried out, in one look,
        uncommitted entries included.  Raises `model.records.LookTooLong` when there are several and
        the ciphertexts of those that are wanted in any size are too long together."""

    def history(self, owner: str, name: str) -> FoundHistory:
        """All versions of a secret, uncommitted ones included."""

    def names(self, owner: str) -> FoundNames:
        """The names of the owner's secrets that are valid, by uncommitted entries, too."""

    def sample_secrets(self) -> Sequence[SecretVersion]:
        """One version under each master key id that any has."""

    def counts(self) -> tuple[int, int]:
        """Blocks and tokens stored."""

    # For `store.checking`: any thread.
    def check_slice(self, done: Checked, upto: int, is_over: Callable[[], bool]) -> Checked:
        """Read again the entry after `done`, and further ones until `is_over`, none beyond `upto`, which
        is committed.  Raises `JournalDamaged`, naming the seq, when one is not what was written."""

    def check_runs(self) -> Iterator[None]:
        """Read again what leads to tokens and secrets, some at each step: the files of the token index,
        which are repaired, and the indexes of the tables of secrets.  Raises `JournalDamaged` when those
        do not agree with their tables."""

    def close(self) -> None:
        """End all connections; the store must not be used after."""
