"""Long secrets are read back a little at a time."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tvault.model.commands import (
    Done,
    Rows,
    Sealed,
    SecretRequest,
    SecretVersion,
    encode_rows,
)
from tvault.model.secret_looks import Wanted
from tvault.replication.entry import Kind, follow
from tvault.store.sqlite import SqliteStore

MIB = 1 << 20
SECRETS = 160

OPENING = """
import resource, sys
from pathlib import Path
from tvault.store.sqlite import SqliteStore
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
SqliteStore(Path(sys.argv[1])).close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
"""Prints by how many KiB the peak of a process rises when it opens a store."""


def fill(store: SqliteStore) -> None:
    for number in range(1, SECRETS + 1):
        name = f"secret{number}"
        sealed = Sealed(bytes([number]) * MIB, b"n" * 12, b"w" * 40, "m1")
        request = SecretRequest("A", number.to_bytes(16, "big"), bytes(16), (Done(name, 1, True),))
        rows = Rows(versions=(SecretVersion("A", name, 1, number, sealed),), requests=(request,))
        store.write(None, [follow(store.last(), 1, Kind.ROWS, encode_rows(rows))], 0)


def test_a_store_of_many_long_secrets_opens_in_bounded_memory(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        fill(store)
    ran = subprocess.run(
        [sys.executable, "-c", OPENING, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert int(ran.stdout) / 1024 < SECRETS / 2, "in MiB, of as many that are read"


def test_a_look_at_many_long_secrets_reads_only_what_is_wanted(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        fill(store)
        names = [f"secret{number}" for number in range(1, SECRETS + 1)]
        wanted = [Wanted(name, size=MIB if name == "secret7" else 5) for name in names]
        found = store.secrets("A", wanted, None).versions
    ciphertexts = {
        name: there.sealed.ciphertext for name, there in zip(names, found, strict=True) if there
    }
    assert ciphertexts.keys() == set(names)
    assert {name for name, ciphertext in ciphertexts.items() if ciphertext} == {"secret7"}
    assert ciphertexts["secret7"] == bytes([7]) * MIB
