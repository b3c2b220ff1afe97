"""What the check in the background finds, how little it takes, and what it leaves alone."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.cluster.disks import flip_bit
from tests.conformance.naive import block_of, digest_of, rows_entry
from tvault.model.commands import EpochStart
from tvault.replication.entry import ORIGIN, Entry, Kind, follow
from tvault.store.checking import (
    ENTRIES_SECONDS,
    FIRST_SECONDS,
    RESTS,
    RUNS_SECONDS,
    SLICE_SECONDS,
    JournalCheck,
)
from tvault.store.failures import JournalDamaged, StoreBlocked, StoreBroken, StoreClosed
from tvault.store.memory import MemoryStore
from tvault.store.ports import Checked, Store
from tvault.store.sqlite import FILE_NAME, SqliteStore

ENTRIES = 40
TOKENS = 3
TABLES = ("entry", "block", "epoch")


def history(length: int) -> list[Entry]:
    """Every fifth entry begins an epoch, every seventh is a barrier; the others bring two blocks."""
    entries: list[Entry] = []
    for number in range(1, length + 1):
        previous = entries[-1].position if entries else ORIGIN
        digests = [digest_of(TOKENS * number + place) for place in range(TOKENS)]
        sealed = b"sealed of %02d" % number
        blocks = [block_of("anna", 1, digests[:2], sealed), block_of("bert", 1, digests[2:], sealed)]
        if number % 7 == 0:
            entries.append(follow(previous, number, Kind.BARRIER, b""))
        elif number % 5 == 0:
            entries.append(rows_entry(previous, epochs=[EpochStart("anna", 1 + number // 5)]))
        else:
            entries.append(rows_entry(previous, blocks))
    return entries


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = filled(tmp_path)
    yield store
    store.close()


def filled(folder: Path) -> SqliteStore:
    """Holds `history(ENTRIES)`, committed up to the last but one; half of it is in runs."""
    store = SqliteStore(folder, run_tokens=5 * TOKENS)
    entries = history(ENTRIES)
    for at in range(0, ENTRIES, 5):
        some = entries[at : at + 5]
        store.write(None, some, min(some[-1].seq, ENTRIES - 1))
    store.settle(ENTRIES // 2)
    assert store._index.wait_until_idle(10)
    assert store._index.snapshot.runs
    assert len(store._index.snapshot.generations) > 1
    return store


def checked_up_to(store: Store, upto: int) -> list[int]:
    """The ends of the slices of a check whose slices take an entry each."""
    done = Checked()
    ends = []
    while done.last.seq < upto:
        done = store.check_slice(done, upto, lambda: True)
        ends.append(done.last.seq)
    return ends


class Stopping(threading.Event):
    """What a check waits on: a wait is noted and over at once, and after `waits` of them it stops.

    It is a clock as well, on which waits take their time and each look takes `step` seconds.
    """

    def __init__(self, waits: int, step: float) -> None:
        super().__init__()
        self.waited: list[float] = []
        self._waits = waits
        self._step = step
        self._now = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waited.append(timeout)
        self._now += timeout
        if len(self.waited) > self._waits:
            self.set()
        return self.is_set()

    def look(self) -> float:
        self._now += self._step
        return self._now


@dataclass
class WholeCheck:
    """A check from its start to its end, and what it told."""

    store: Store
    waits: int = ENTRIES
    step: float = 0.0
    events: list[tuple[str, int]] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        stopping = Stopping(self.waits, self.step)
        check = JournalCheck(
            self.store, self._record, self.doubts.append, clock=stopping.look, stopping=stopping
        )
        check.start()
        check._thread.join()
        self.waited = stopping.waited

    def _record(self, event: str, *, entries: int, seconds: float) -> None:
        assert seconds < ENTRIES_SECONDS
        self.events.append((event, entries))


def test_a_sound_journal_is_checked_as_far_as_it_is_committed(store: SqliteStore) -> None:
    run = WholeCheck(store, waits=ENTRIES)
    assert (run.events[0], run.doubts) == (("checked", ENTRIES - 1), [])


@pytest.mark.parametrize("keep", [MemoryStore, None])
def test_a_slice_takes_one_entry_at_least_and_none_beyond_what_is_committed(
    store: SqliteStore, keep: type[MemoryStore] | None
) -> None:
    checked: Store = store
    if keep is not None:
        checked = keep()
        checked.write(None, history(ENTRIES), ENTRIES - 1)
    assert checked_up_to(checked, ENTRIES - 1) == list(range(1, ENTRIES))
    assert checked.check_slice(Checked(), ENTRIES - 1, lambda: False).last.seq == ENTRIES - 1


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("UPDATE block SET sealed = zeroblob(12) WHERE seq = 11", "entry 11"),
        ("UPDATE block SET digests = zeroblob(32) WHERE seq = 11 AND owner = 'anna'", "entry 11"),
        ("UPDATE block SET owner = 'carl' WHERE seq = 11 AND owner = 'anna'", "entry 11"),
        ("UPDATE block SET seq = 0 WHERE seq = 11", "entry 11"),
        ("UPDATE entry SET digest = zeroblob(32) WHERE seq = 11", "entry 11"),
        ("UPDATE entry SET view = view + 1 WHERE seq = 14", "entry 14"),
        ("UPDATE epoch SET epoch = 9 WHERE seq = 10", "entry 10"),
        ("DELETE FROM block WHERE seq = 11", "entry 11"),
        ("DELETE FROM entry WHERE seq = 11", "entry 12"),
        ("DELETE FROM entry WHERE seq > 11", "no entry after entry 11"),
        (";".join(map("DELETE FROM {} WHERE seq > 11".format, TABLES)), "entry 12 is gone"),
        ("UPDATE block SET id = 1000 WHERE seq = 11 AND owner = 'bert'", "entries up to 11"),
        ("UPDATE epoch SET id = 1000 WHERE seq = 10", "entries up to 15"),
    ],
)
def test_damage_anywhere_in_the_journal_is_reported_once_and_named(
    store: SqliteStore, tmp_path: Path, script: str, named: str
) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.executescript(script)
    run = WholeCheck(store, waits=10 * ENTRIES, step=SLICE_SECONDS)
    assert run.events == []
    (why,) = run.doubts
    assert named in why
    assert len(WholeCheck(store, waits=10 * ENTRIES).doubts) == 1


@pytest.mark.parametrize("what", ["sealed", "digests", "digest"])
def test_a_flipped_bit_in_what_the_runs_vouch_for_lets_the_store_open_and_is_found_later(
    tmp_path: Path, what: str
) -> None:
    filled(tmp_path).close()
    third = history(3)[-1]
    first_token = digest_of(3 * TOKENS)
    wanted = {"sealed": b"sealed of 03", "digests": first_token, "digest": third.digest}[what]
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    content[content.index(wanted) + 2] ^= 0x10
    (tmp_path / FILE_NAME).write_bytes(content)
    with closing(SqliteStore(tmp_path)) as store:
        assert store.last().seq == ENTRIES
        assert WholeCheck(store).doubts == ["the rows of entry 3 do not give its digest"]


def test_what_is_not_committed_is_not_looked_at(store: SqliteStore, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("UPDATE entry SET digest = zeroblob(32) WHERE seq = ?", (ENTRIES,))
        connection.commit()
    assert WholeCheck(store).doubts == []


def test_a_damaged_run_is_repaired_and_no_reason_to_doubt_the_journal(store: SqliteStore) -> None:
    (run, *_) = store._index.snapshot.runs
    whole = run.path.read_bytes()
    flip_bit(run.path, 520)  # of what the store has mapped
    done = store.check_slice(Checked(), ENTRIES - 1, lambda: False)
    assert done.last.seq == ENTRIES - 1
    assert WholeCheck(store, waits=20).doubts == []
    assert store._index.wait_until_idle(10)
    assert run not in store._index.snapshot.runs
    assert run.path.read_bytes() == whole
    assert len(WholeCheck(store, waits=ENTRIES).events) == 1


def test_an_index_that_has_lost_its_tokens_is_damage(store: SqliteStore) -> None:
    whole = store._index.snapshot
    for damaged in (replace(whole, runs=()), replace(whole, generations=())):
        store._index.snapshot = damaged
        (why,) = WholeCheck(store).doubts
        assert "the index does not find all tokens" in why


def test_a_check_begins_late_takes_a_tenth_of_one_core_and_comes_again_the_next_day(
    store: SqliteStore,
) -> None:
    """Every look at the clock takes half a slice, and nothing else takes any time."""
    run = WholeCheck(store, waits=20 * ENTRIES, step=SLICE_SECONDS / 2)
    first, *waited = run.waited
    assert first == FIRST_SECONDS
    rests = [seconds for seconds in waited if seconds != RUNS_SECONDS]
    assert len(run.events) > 2
    assert waited.count(RUNS_SECONDS) >= 23 * (len(run.events) - 1)
    assert sum(rests) / len(rests) >= RESTS * SLICE_SECONDS / 2
    assert max(rests) < RESTS * SLICE_SECONDS * 2.1


def test_between_two_slices_nothing_holds_a_checkpoint_up(store: SqliteStore, tmp_path: Path) -> None:
    done = store.check_slice(Checked(), ENTRIES - 1, lambda: True)
    store.write(None, [follow(store.last(), 99, Kind.BARRIER, b"")], ENTRIES - 1)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert store.check_slice(done, ENTRIES - 1, lambda: False).last.seq == ENTRIES - 1


class Failing(MemoryStore):
    """Raises what it is told to, once."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.write(None, history(ENTRIES), ENTRIES)
        self._failures = [failure]

    def check_slice(self, done: Checked, upto: int, is_over: Callable[[], bool]) -> Checked:
        for failure in self._failures:
            self._failures = []
            raise failure
        return super().check_slice(done, upto, is_over)


class Rotten(MemoryStore):
    """Its index is damaged."""

    def check_runs(self) -> Iterator[None]:
        yield
        raise JournalDamaged("a run of the index is damaged")


def test_a_failure_that_is_no_damage_breaks_a_check_off_until_the_next_one() -> None:
    run = WholeCheck(Failing(StoreBlocked("out of memory")), waits=4)
    assert run.waited[:2] == [FIRST_SECONDS, RUNS_SECONDS]
    assert (run.events, run.doubts) == ([("checked", ENTRIES)], [])


def test_a_disk_that_does_not_read_is_reported_and_a_store_that_was_closed_is_not() -> None:
    assert WholeCheck(Failing(StoreBroken("disk I/O error")), waits=4).doubts == ["disk I/O error"]
    assert WholeCheck(Failing(StoreClosed("the store is closed")), waits=4).doubts == []


def test_a_damaged_file_of_the_index_is_reported() -> None:
    run = WholeCheck(Rotten(), waits=4)
    assert (run.events, run.doubts) == ([], ["a run of the index is damaged"])


@pytest.mark.parametrize("first_s", [FIRST_SECONDS, 0.0])
def test_a_check_ends_at_once_when_it_is_to_stop(store: SqliteStore, first_s: float) -> None:
    told: list[str] = []
    check = JournalCheck(store, lambda event, **_: told.append(event), told.append, first_s=first_s)
    check.start()
    began = time.monotonic()
    check.stop()
    assert time.monotonic() - began < FIRST_SECONDS / 2
    assert set(told) <= {"checked"}


@pytest.mark.usefixtures("hasty_threads")
def test_a_check_takes_nothing_for_damage_while_entries_come_settle_and_are_cut(
    store: SqliteStore,
) -> None:
    checks = [0]
    written = threading.Event()
    found: list[str] = []

    def read() -> None:
        while not written.is_set():
            run = WholeCheck(store, waits=1000)
            found.extend(run.doubts)
            checks[0] += len(run.events)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1000, 1100):
        previous = store.last()
        digests = [digest_of(TOKENS * number + place) for place in range(TOKENS)]
        for view in (1, 2):
            entry = rows_entry(previous, [block_of("anna", 1, digests)], view=view)
            store.write(previous.seq, [entry], previous.seq)
        store.settle(previous.seq)
    written.set()
    reader.join()
    assert found == []
    assert checks[0] > 0
