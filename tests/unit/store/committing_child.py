"""A process that commits without end and says so, to be killed: `python -m … FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.conformance.naive import block_of, digest_of, rows_entry
from tvault.replication.entry import Entry, Position
from tvault.store.sqlite import SqliteStore

VALUES = 40


def entry_after(previous: Position) -> Entry:
    """The one entry that may follow: parent and child make the same."""
    first = VALUES * previous.seq
    digests = [digest_of(number) for number in range(first, first + VALUES)]
    blocks = [
        block_of("anna", 1, digests[:30], b"s" * 900),
        block_of("anna", 1, digests[30:], b"t" * 90),
    ]
    return rows_entry(previous, blocks)


def main() -> None:
    store = SqliteStore(Path(sys.argv[1]), run_tokens=200)
    while True:
        entry = entry_after(store.last())
        store.write(None, [entry], entry.seq - 1)
        store.settle(entry.seq - 1)
        os.write(1, f"{entry.seq}\n".encode())


if __name__ == "__main__":
    main()
