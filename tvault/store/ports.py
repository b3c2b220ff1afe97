"""What a store promises: one surface, kept by `store.sqlite` on disk and by `store.memory` in RAM.

One thread writes; any thread reads.  `tests/conformance` runs one suite over both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from tvault.model.commands import Rows, SecretVersion
from tvault.model.records import NewestSecret, Places
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.replication.entry import ORIGIN, Entry, Position


class StoreViolation(Exception):
    """The journal would break a rule that must never break (a token twice, a broken digest): the
    node stops and keeps its files."""


class RowCounts(NamedTuple):
    """How many entries there are, and rows of each kind, and tokens in the blocks."""

    entries: int = 0
    blocks: int = 0
    tokens: int = 0
    epochs: int = 0
    versions: int = 0
    ends: int = 0
    requests: int = 0

    def and_of(self, brought: Sequence[Rows]) -> RowCounts:
        """These, and one entry more for each of `brought`, with its rows."""
        return RowCounts(
            self.entries + len(brought),
            self.blocks + sum(len(rows.blocks) for rows in brought),
            self.tokens + sum(len(block) for rows in brought for block in rows.blocks),
            self.epochs + sum(len(rows.epochs) for rows in brought),
            self.versions + sum(len(rows.versions) for rows in brought),
            self.ends + sum(len(rows.ends) for rows in brought),
            self.requests + sum(len(rows.requests) for rows in brought),
        )


Epochs = Mapping[str, Sequence[tuple[int, int]]]
"""The epochs that each owner has begun, rising: each with the entry that began it."""


class Checked(NamedTuple):
    """How far a check of the journal has come: the last entry, the highest ids of its rows, how many
    rows there were, and the epochs begun."""

    last: Position = ORIGIN
    block_id: int = 0
    epoch_id: int = 0
    rows: RowCounts = RowCounts()
    epochs: Epochs = MappingProxyType({})


class EpochCount(NamedTuple):
    """What an owner has in one epoch."""

    blocks: int = 0
    tokens: int = 0


class SecretCount(NamedTuple):
    """The secrets of an owner that ever had a version, their versions, and the secrets among them that
    are not valid any more."""

    secrets: int = 0
    versions: int = 0
    ended: int = 0


class Counted(NamedTuple):
    """How far a count of the rows has come: all those of entries up to `upto`, and some of later ones.

    `tokens` is by owner and epoch, `secrets` by owner.  `marks` are the store's own.
    """

    upto: int = 0
    rows: RowCounts = RowCounts()
    tokens: Mapping[tuple[str, int], EpochCount] = MappingProxyType({})
    secrets: Mapping[str, SecretCount] = MappingProxyType({})
    marks: tuple[int, ...] = ()


class IndexWork(NamedTuple):
    """What the token index consists of, and what work there was on it since the store was opened: merges
    of its files, the time they took with their rests, and files that were damaged and made again."""

    runs: int = 0
    generations: int = 0
    merges: int = 0
    merge_seconds: float = 0.0
    repairs: int = 0


class Inspectable(Protocol):
    """What can be counted and checked: a store in use, and the files of one that is not.  Any thread.

    Besides what each call says, `StoreFailure` of `store.failures` is raised.
    """

    def last(self) -> Position:
        """The end of the journal; `ORIGIN` when empty."""

    def position(self, seq: int) -> Position | None:
        """The position of entry `seq` (`ORIGIN` for 0), or None when the journal ends before it."""

    def committed_hint(self) -> int:
        """The commit position stored with the last entry: it may lag, it never leads."""

    def epochs(self) -> Epochs:
        """The epochs that owners have begun, uncommitted entries included; who has begun none has 1."""

    def count_slice(self, done: Counted, upto: int, is_over: Callable[[], bool]) -> Counted:
        """Count rows that `done` does not hold, some at least and until `is_over`, none of entries
        beyond `upto`, which is committed and the same until the answer is `upto`.  Raises
        `JournalDamaged`."""

    def check_slice(self, done: Checked, upto: int, is_over: Callable[[], bool]) -> Checked:
        """Read again the entry after `done`, and further ones until `is_over`, none beyond `upto`, which
        is committed.  Raises `JournalDamaged`, naming the seq, when one is not what was written."""

    def check_runs(self) -> Iterator[str | None]:
        """Read again what leads to tokens and secrets, some at each step: the files of the token index,
        and the indexes of the tables of secrets.  A step gives the name of a file that is damaged: it is
        repaired when the store is in use.  Raises `JournalDamaged` when indexes do not agree with their
        tables."""

    def check_database(self, is_over: Callable[[], bool]) -> str | None:
        """What SQLite's own check finds wrong with the file, if anything; None also when it `is_over`
        before its end.  It holds a checkpoint up."""

    def indexed(self, upto: int) -> int:
        """Up to which entry, `upto` at most, the token index that is there holds all tokens."""

    def count_index(self, upto: int) -> Iterator[int]:
        """How many tokens of entries up to `upto` are in the token index, some at each step."""


class Store(Inspectable, Protocol):
    """The journal and the rows it brought.  Fills `replication.entry.Journal` and
    `model.rules.Records`."""

    # Journal: writer thread.
    def entries(self, after: int, max_bytes: int) -> Sequence[Entry]:
        """The entries that follow `after`, rebuilt from their rows, in order: at least one if there
        is one, further ones while the bodies' sum stays within `max_bytes`.  Any thread."""

    def write(self, cut_after: int | None, entries: Sequence[Entry], committed: int) -> None:
        """In one durable transaction: delete everything with `seq > cut_after` (if given), append
        `entries`, store `committed` as the hint.  Raises `StoreViolation` when a token would stand
        twice or the entries do not continue the journal's digest; nothing is written then."""

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

    def index_work(self) -> IndexWork:
        """What the token index consists of, and what was done for it.  Any thread."""

    def close(self) -> None:
        """End all connections; the store must not be used after."""
