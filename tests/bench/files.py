"""What a store's files cost, without a cluster: bytes of a value on the disk by its length and by how
full blocks are, opening, rebuilding and checking, and the files of the token index.

Times are CPU with files that the system still has in memory: a disk that is slower adds its own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count, islice
from pathlib import Path

import numpy as np

from tests.bench.report import Row
from tests.bench.scale import Scale
from tvault.events import EventLog
from tvault.model.blocks import seal
from tvault.model.commands import BLOCK_VALUES, Rows, encode_rows
from tvault.model.keys import Scope
from tvault.replication.entry import ORIGIN, Entry, Kind, Position, follow
from tvault.store.building import FAN_IN, in_parts, joint_stretch, write_run
from tvault.store.masked import ABSENT, Keys
from tvault.store.ports import Checked
from tvault.store.runs import Columns, Run, Stretch
from tvault.store.sqlite import FILE_NAME, INDEX_FOLDER, SqliteStore

LENGTHS = (9, 32, 100)
FULL_ENTRY = 5_000
"""Values of an entry of full blocks; entries of single values hold one each."""

ENTRIES_A_WRITE = 256
SMALL_RUN = 2**12
IDLE_SECONDS = 60.0
TIMED = 3
"""How many times as many values are read back: so many that they become runs at once."""

RUN_TIMES = 10
"""How many times as many tokens a run holds that is read, merged and asked."""

ASKED, ASKS = 5_000, 9
OWNER, EPOCH = "A", 1


def measure(folder: Path, scale: Scale) -> list[Row]:
    """All of it."""
    rows: list[Row] = []
    for length in LENGTHS:
        for fill in (BLOCK_VALUES, 1):
            kept = folder / f"{length}-{fill}"
            fill_store(kept, scale.probe, length, fill)
            rows.append(disk_row(kept, scale.probe, length, fill))
            shutil.rmtree(kept)
    for fill, values in ((BLOCK_VALUES, TIMED * scale.probe), (1, scale.probe)):
        kept = folder / f"timed-{fill}"
        fill_store(kept, values, LENGTHS[1], fill)
        rows += reading_rows(kept, values, fill)
        shutil.rmtree(kept)
    return [*rows, *run_rows(folder, RUN_TIMES * scale.probe), event_row(folder, scale.probe)]


def entries_of(values: int, length: int, fill: int) -> Iterator[Entry]:
    """Entries of so many values in blocks of `fill`, one after the other."""
    scope = Scope(bytes(range(32)), OWNER, EPOCH)
    nonces = count()
    last = follow(ORIGIN, 1, Kind.BARRIER, b"")
    yield last
    size = 1 if fill == 1 else FULL_ENTRY
    for start in range(0, values, size):
        texts = [b"s%0*d" % (length, number) for number in range(start, min(start + size, values))]
        blocks = seal(scope, scope.digests(texts), texts, lambda: next(nonces).to_bytes(12, "big"))
        last = follow(last.position, 1, Kind.ROWS, encode_rows(Rows(blocks=blocks)))
        yield last


def fill_store(folder: Path, values: int, length: int, fill: int) -> None:
    """Make a store with all that, settled and closed."""
    with closing(SqliteStore(folder, run_tokens=SMALL_RUN)) as store:
        following = entries_of(values, length, fill)
        while some := list(islice(following, ENTRIES_A_WRITE)):
            store.write(None, some, some[-1].seq)
            store.settle(some[-1].seq)
        assert store.counts()[1] == values
        assert store._index.wait_until_idle(IDLE_SECONDS)


def disk_row(folder: Path, values: int, length: int, fill: int) -> Row:
    """Bytes of the closed file for a value, without those that an empty one has."""
    empty = folder / "empty"
    fill_store(empty, 0, length, fill)
    size = (folder / FILE_NAME).stat().st_size - (empty / FILE_NAME).stat().st_size
    return Row("files", f"journal, {length} characters, {_blocks(fill)}", size / values, "bytes a value")


def reading_rows(folder: Path, values: int, fill: int) -> list[Row]:
    """Making the index anew from the journal, and checking the journal beside the index."""
    shutil.rmtree(folder / INDEX_FOLDER)
    with closing(SqliteStore(folder)) as store:
        assert store.counts()[1] == values, "not all was read"
    shutil.rmtree(folder / INDEX_FOLDER)
    began = time.process_time()
    with closing(SqliteStore(folder)) as store:
        made = time.process_time() - began
        upto = store.committed_hint()
        done = Checked()
        began = time.process_time()
        while done.last.seq < upto:
            done = store.check_slice(done, upto, lambda: False)
        checked = time.process_time() - began
    return [
        Row("files", f"{what}, {_blocks(fill)}", 1e6 * seconds / values, "us CPU a value")
        for what, seconds in (("index made anew", made), ("journal checked", checked))
    ]


def event_row(folder: Path, events: int) -> Row:
    """Writing the event of a request."""
    log = EventLog(folder, "n1")
    counts = {"epoch": 1, "values": 100, "new": 100, "known": 0, "view": 7, "seq": 4711}
    began = time.process_time()
    for number in range(events):
        log.record("tokenize", owner=OWNER, request_id=f"{number:032x}", duration_ms=1.234, **counts)
    spent = time.process_time() - began
    log.close()
    return Row("files", "an event, written", 1e6 * spent / events, "us CPU an event")


def run_rows(folder: Path, tokens: int) -> list[Row]:
    """Files of the index: one that is read, several that are merged, and one that is asked."""
    sources = [write_run(folder, *_random_run(tokens // FAN_IN, number)) for number in range(FAN_IN)]
    began = time.process_time()
    merged = write_run(folder, joint_stretch(sources), in_parts([source.columns for source in sources]))
    merging = time.process_time() - began
    size = merged.path.stat().st_size
    began = time.process_time()
    merged.check()
    checking = time.process_time() - began
    dice = np.random.default_rng(1)
    absent = Keys(*dice.integers(0, 2**64, (2, ASKED), dtype=np.uint64))
    some = np.sort(dice.integers(0, tokens, ASKED))
    present = Keys(merged.columns.high[some], merged.columns.low[some])
    title = f"a run of {tokens:,} tokens"
    return [
        Row("files", f"{title}, merged of {FAN_IN}", 1e6 * merging / tokens, "us CPU a token"),
        Row("files", f"{title}, on the disk", size / tokens, "bytes a token"),
        Row("files", f"{title}, filter in memory", merged.filter.nbytes / tokens, "bytes a token"),
        Row("files", f"{title}, checksums compared", size / checking / 2**20, "MiB/s"),
        Row("files", f"{title}, asked for unknown tokens", _asked_us(merged, absent), "us CPU a token"),
        Row("files", f"{title}, asked for its tokens", _asked_us(merged, present), "us CPU a token"),
    ]


def _asked_us(run: Run, keys: Keys) -> float:
    took = []
    for _ in range(ASKS):
        began = time.process_time()
        run.find_into(keys, np.full(len(keys), ABSENT, dtype=np.int64))
        took.append(time.process_time() - began)
    return 1e6 * sorted(took)[ASKS // 2] / len(keys)


def _random_run(tokens: int, number: int) -> tuple[Stretch, Iterator[Columns]]:
    dice = np.random.default_rng(number)
    high = np.sort(dice.integers(0, 2**64, tokens, dtype=np.uint64))
    low = dice.integers(0, 2**64, tokens, dtype=np.uint64)
    spots = np.arange(tokens, dtype=np.int64)
    after, last = (Position(seq=number + at, view=1, digest=bytes(32)) for at in (0, 1))
    stretch = Stretch(after, last, tokens, tokens, tokens, bytes(16), bytes(8))
    return stretch, in_parts([Columns(high, low, spots)])


def _blocks(fill: int) -> str:
    return "blocks of one value" if fill == 1 else f"blocks of {fill}"
