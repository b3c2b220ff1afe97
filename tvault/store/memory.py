"""A store in RAM, for the simulator and for tests: the same surface and the same refusals as on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tvault.model.commands import DIGEST_BYTES, Block, Rows, SecretVersion
from tvault.model.records import NewestSecret, Places, refuse_long_look
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.replication.entry import ORIGIN, Entry, Position
from tvault.store.journal import (
    advance_commit,
    keep_after_cut,
    refuse_odd_digests,
    rows_that_follow,
    with_starts,
)
from tvault.store.ports import (
    Checked,
    Counted,
    EpochCount,
    Epochs,
    IndexWork,
    RowCounts,
    StoreViolation,
)
from tvault.store.secret_memory import SecretMemory
from tvault.store.secret_rows import refuse_wrong_secrets

_Scope = tuple[str, int]
_Spot = tuple[int, Block, int]  # the entry that brought the token, its block, its place there


class MemoryStore:
    """Fills `store.ports.Store`; nothing outlives the object.

    Entries are kept as they came.  A lock makes every call atomic, so a look sees an entry whole or not
    at all.  Raises what the port says, and never the failures of a disk.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._rows: list[Rows] = []
        self._tokens: dict[_Scope, dict[bytes, _Spot]] = {}
        self._epochs: dict[str, list[tuple[int, int]]] = {}
        self._secrets = SecretMemory()
        self._hint = 0
        self._settled = 0
        self._blocks = 0
        self._values = 0

    def last(self) -> Position:
        with self._lock:
            return self._position(len(self._entries))

    def position(self, seq: int) -> Position | None:
        with self._lock:
            return self._position(seq) if 0 <= seq <= len(self._entries) else None

    def entries(self, after: int, max_bytes: int) -> Sequence[Entry]:
        with self._lock:
            end = after
            size = 0
            while end < len(self._entries):
                size += len(self._entries[end].body)
                if size > max_bytes and end > after:
                    break
                end += 1
            return self._entries[after:end]

    def write(self, cut_after: int | None, entries: Sequence[Entry], committed: int) -> None:
        with self._lock:
            floor = max(self._settled, self._hint)
            keep = keep_after_cut(cut_after, len(self._entries), floor)
            brought = rows_that_follow(self._position(keep), entries)
            self._refuse_repeats(keep, brought)
            refuse_wrong_secrets(self._secrets.kept(keep), entries, brought)
            while len(self._entries) > keep:
                self._drop_last()
            for entry, rows in zip(entries, brought, strict=True):
                self._append(entry, rows)
            self._hint = advance_commit(self._hint, committed, len(self._entries))

    def committed_hint(self) -> int:
        return self._hint

    def has_room(self) -> bool:
        return True

    def settle(self, committed: int) -> None:
        with self._lock:
            self._settled = advance_commit(self._settled, committed, len(self._entries))

    def newest_epoch(self, owner: str) -> tuple[int, int]:
        with self._lock:
            started = self._epochs.get(owner)
            return started[-1] if started else (1, 0)

    def find(self, owner: str, epoch: int, digests: bytes) -> Places:
        refuse_odd_digests(digests)
        with self._lock:
            spots = list(map(self._tokens.get((owner, epoch), {}).get, _split(digests)))
        numbers: dict[int, int] = {}  # by identity: equal blocks cannot stand twice
        blocks: list[Block] = []
        block_of: list[int] = []
        place_of: list[int] = []
        seq = 0
        for spot in spots:
            if spot is None:
                block_of.append(-1)
                place_of.append(-1)
                continue
            brought_by, block, place = spot
            number = numbers.setdefault(id(block), len(blocks))
            if number == len(blocks):
                blocks.append(block)
            block_of.append(number)
            place_of.append(place)
            seq = max(seq, brought_by)
        refuse_long_look(len(blocks), sum(len(block.sealed) for block in blocks))
        return Places(
            blocks=blocks,
            block_of=np.array(block_of, dtype=np.int64),
            place_of=np.array(place_of, dtype=np.int64),
            seq=seq,
        )

    def exists(self, owner: str, epoch: int, digests: bytes) -> int:
        with self._lock:
            known = self._tokens.get((owner, epoch))
            if not known:
                return 0
            return max((known[digest][0] for digest in _split(digests) if digest in known), default=0)

    def newest_secrets(self, owner: str, names: Sequence[str]) -> list[NewestSecret]:
        with self._lock:
            return [self._secrets.newest_secret(owner, name) for name in names]

    def newest_stamp(self, owner: str) -> int:
        with self._lock:
            return self._secrets.newest_stamp(owner)

    def request_seq(self, owner: str, request: bytes) -> int:
        with self._lock:
            return self._secrets.request_seq(owner, request)

    def secrets(self, owner: str, wanted: Sequence[Wanted], request: bytes | None) -> FoundSecrets:
        with self._lock:
            return self._secrets.secrets(owner, wanted, request)

    def history(self, owner: str, name: str) -> FoundHistory:
        with self._lock:
            return self._secrets.history(owner, name)

    def names(self, owner: str) -> FoundNames:
        with self._lock:
            return self._secrets.names(owner)

    def sample_secrets(self) -> Sequence[SecretVersion]:
        with self._lock:
            return self._secrets.samples()

    def counts(self) -> tuple[int, int]:
        with self._lock:
            return self._blocks, self._values

    def index_work(self) -> IndexWork:
        """There are no files."""
        return IndexWork()

    def epochs(self) -> Epochs:
        with self._lock:
            return {owner: tuple(started) for owner, started in self._epochs.items() if started}

    def count_slice(self, done: Counted, upto: int, is_over: Callable[[], bool]) -> Counted:  # noqa: ARG002
        """All at once, and anew."""
        with self._lock:
            brought = self._rows[:upto]
        tokens: dict[tuple[str, int], EpochCount] = {}
        secrets = SecretMemory()
        for seq, rows in enumerate(brought, start=1):
            for block in rows.blocks:
                before = tokens.get((block.owner, block.epoch), EpochCount())
                more = EpochCount(before.blocks + 1, before.tokens + len(block))
                tokens[block.owner, block.epoch] = more
            secrets.append(seq, rows)
        return Counted(upto, RowCounts().and_of(brought), tokens, secrets.counts())

    def check_slice(self, done: Checked, upto: int, is_over: Callable[[], bool]) -> Checked:
        """Nothing was ever away from memory."""
        with self._lock:
            after, end = done.last.seq, done.last.seq + 1 if is_over() else upto
            brought = self._rows[after:end]
            epochs = with_starts(done.epochs, list(enumerate(brought, start=after + 1)))
            return done._replace(last=self._position(end), rows=done.rows.and_of(brought), epochs=epochs)

    def check_runs(self) -> Iterator[str | None]:
        return iter(())

    def check_database(self, is_over: Callable[[], bool]) -> str | None:  # noqa: ARG002
        """There is none."""
        return None

    def indexed(self, upto: int) -> int:
        return upto

    def count_index(self, upto: int) -> Iterator[int]:
        with self._lock:
            spots = [spot for known in self._tokens.values() for spot in known.values()]
        yield sum(seq <= upto for seq, _, _ in spots)

    def close(self) -> None:
        """Nothing to end."""

    def _position(self, seq: int) -> Position:
        return self._entries[seq - 1].position if seq else ORIGIN

    def _refuse_repeats(self, keep: int, brought: Sequence[Rows]) -> None:
        """Raise when a token of `brought` stands in an entry up to `keep`, or twice in `brought`."""
        fresh: dict[_Scope, set[bytes]] = {}
        for seq, rows in enumerate(brought, start=keep + 1):
            for block in rows.blocks:
                scope = (block.owner, block.epoch)
                known = self._tokens.get(scope, {})
                seen = fresh.setdefault(scope, set())
                for digest in _split(block.digests):
                    if digest in seen or (digest in known and known[digest][0] <= keep):
                        raise StoreViolation(f"entry {seq} brings a token that stands in the journal")
                    seen.add(digest)

    def _append(self, entry: Entry, rows: Rows) -> None:
        self._entries.append(entry)
        self._rows.append(rows)
        for start in rows.epochs:
            self._epochs.setdefault(start.owner, []).append((start.epoch, entry.seq))
        for block in rows.blocks:
            known = self._tokens.setdefault((block.owner, block.epoch), {})
            for place, digest in enumerate(_split(block.digests)):
                known[digest] = (entry.seq, block, place)
            self._blocks += 1
            self._values += len(block)
        self._secrets.append(entry.seq, rows)

    def _drop_last(self) -> None:
        self._entries.pop()
        rows = self._rows.pop()
        self._secrets.drop(rows)
        for start in rows.epochs:
            self._epochs[start.owner].pop()
        for block in rows.blocks:
            known = self._tokens[block.owner, block.epoch]
            for digest in _split(block.digests):
                del known[digest]
            self._blocks -= 1
            self._values -= len(block)


def _split(digests: bytes) -> Iterator[bytes]:
    """The single digests of those that stand side by side."""
    return (digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES))
