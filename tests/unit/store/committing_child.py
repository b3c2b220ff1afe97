"""A process that commits without end and says so, to be killed: `python -m … FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.conformance.naive import block_of, digest_of
from tests.conformance.naive_secrets import request_of, version_of
from tvault.model.commands import Rows, SecretEnd, encode_rows
from tvault.replication.entry import Entry, Kind, Position, follow
from tvault.store.sqlite import SqliteStore

VALUES = 40


def entry_after(previous: Position) -> Entry:
    """The one entry that may follow: parent and child make the same.

    It brings the next version of two secrets, begins one of its own and ends that of the entry before.
    """
    seq = previous.seq + 1
    first = VALUES * previous.seq
    digests = [digest_of(number) for number in range(first, first + VALUES)]
    blocks = [
        block_of("anna", 1, digests[:30], b"s" * 900),
        block_of("anna", 1, digests[30:], b"t" * 90),
    ]
    rows = Rows(
        blocks=tuple(blocks),
        versions=(
            version_of("left", seq, seq),
            version_of("right", seq, seq, size=5000),
            version_of(own_name(seq), 1, seq),
        ),
        ends=(SecretEnd("anna", own_name(seq - 1), 1, seq),) if seq > 1 else (),
        requests=(request_of(seq),),
    )
    return follow(previous, 1, Kind.ROWS, encode_rows(rows))


def own_name(seq: int) -> str:
    """The secret that entry `seq` alone begins."""
    return f"own-{seq}"


def main() -> None:
    store = SqliteStore(Path(sys.argv[1]), run_tokens=200)
    while True:
        entry = entry_after(store.last())
        store.write(None, [entry], entry.seq - 1)
        store.settle(entry.seq - 1)
        os.write(1, f"{entry.seq}\n".encode())


if __name__ == "__main__":
    main()
