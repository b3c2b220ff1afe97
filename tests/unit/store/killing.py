"""Children that write, settle and merge, and are killed meanwhile: `python -m … FOLDER SEED COUNT`.

All in one process that forks, since to start an interpreter takes longer than what a child lives.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.conformance.naive import block_of, digest_of, rows_entry
from tvault.replication.entry import Entry, Position
from tvault.store.opening import MASKS_FILE
from tvault.store.ports import Checked
from tvault.store.sqlite import INDEX_FOLDER, SqliteStore

RUN_TOKENS = 60
MOST_TOKENS = 40
SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""Odd: what is multiplied by it is spread over all digests, as real ones are."""

MOST_ACKNOWLEDGED = 60
MOST_SECONDS_LATER = 0.01


def entry_after(previous: Position) -> Entry:
    """The one entry that may follow: entry `seq` brings as many tokens as its number says."""
    seq = previous.seq + 1
    return rows_entry(previous, [block_of("anna", 1, tokens_of_entry(seq), b"sealed")])


def tokens_of_entry(seq: int) -> list[bytes]:
    numbers = range(seq * MOST_TOKENS, seq * MOST_TOKENS + 1 + seq * 7 % MOST_TOKENS)
    return [digest_of(number * SPREAD % 2**128) for number in numbers]


def write(folder: Path, out: int) -> None:
    """Write without end; each entry that is durable is said, the one before it is settled."""
    store = SqliteStore(folder, run_tokens=RUN_TOKENS)
    while True:
        entry = entry_after(store.last())
        store.write(None, [entry], entry.seq - 1)
        os.write(out, b".")
        store.settle(entry.seq - 1)


def check(folder: Path, least: int) -> int:
    """The store has at least so many entries, and its index is that of them all; how many there are."""
    with closing(SqliteStore(folder, run_tokens=RUN_TOKENS)) as store:
        end = store.last().seq
        assert end >= least, f"the journal ends at {end}, and {least} were acknowledged"
        asked = [digest for seq in range(1, end + 2) for digest in tokens_of_entry(seq)]
        unknown = len(tokens_of_entry(end + 1))
        known = len(asked) - unknown
        assert store.find("anna", 1, b"".join(asked)).missing() == list(range(known, known + unknown))
        assert store.counts() == (end, known)
        upto = store.committed_hint()
        assert upto >= end - 1
        assert not upto or store.check_slice(Checked(), upto, lambda: False).last.seq == upto
        assert store._index.wait_until_idle(20)
        store.settle(upto)
        for run in store._index.snapshot.runs:
            run.check()
        held = {run.path for run in store._index.snapshot.runs}
        held.add(folder / INDEX_FOLDER / MASKS_FILE)
    assert set((folder / INDEX_FOLDER).iterdir()) == held, "files are left over"
    return end


def forked(work: Callable[[], None]) -> int:
    """The id of a child that does `work` and ends: with 0, or with 1 and its failure on stderr."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:  # noqa: BLE001  whatever it is, the parent must not go on twice
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def kill_one(folder: Path, dice: random.Random, before: int) -> int:
    """Let a child write, kill it somewhere; how many entries were acknowledged by then."""
    here, there = os.pipe()
    child = forked(lambda: write(folder, there))
    os.close(there)
    acknowledged = before
    until = before + dice.randint(1, MOST_ACKNOWLEDGED)
    while acknowledged < until and (said := os.read(here, 1)):
        acknowledged += len(said)
    select.select([], [], [], dice.uniform(0, MOST_SECONDS_LATER))  # somewhere in the midst of a step
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while said := os.read(here, 1 << 16):
        acknowledged += len(said)
    os.close(here)
    return acknowledged


def check_in_child(folder: Path, least: int) -> int | None:
    """How many entries there are, or None when something is wrong."""
    here, there = os.pipe()

    def work() -> None:
        os.write(there, str(check(folder, least)).encode())

    status = os.waitpid(forked(work), 0)[1]
    os.close(there)
    said = os.read(here, 100)
    os.close(here)
    return None if status else int(said)


def main() -> int:
    folder, dice = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    entries: int | None = 0
    for _ in range(int(sys.argv[3])):
        assert entries is not None
        entries = check_in_child(folder, kill_one(folder, dice, entries))
        if entries is None:
            return 1
    sys.stdout.write(f"{entries}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
