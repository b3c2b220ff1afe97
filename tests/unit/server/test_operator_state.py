"""What a node tells operators of what it holds: a moment's count at a time, and all of it in the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.naive import block_of, digest_of, rows_entry
from tests.conformance.naive_secrets import secrets_entry, version_of
from tvault.errors import VaultError
from tvault.model.commands import EpochStart
from tvault.replication.entry import ORIGIN
from tvault.server.operator_state import StateApi
from tvault.store.failures import JournalDamaged
from tvault.store.memory import MemoryStore
from tvault.store.ports import Counted
from tvault.store.sqlite import SqliteStore

HIDDEN = "never-to-be-told"


def filled(store: MemoryStore | SqliteStore) -> None:
    """Two entries are committed, a third one is not."""
    block = block_of("anna", 1, [digest_of(1), digest_of(2)])
    first = rows_entry(ORIGIN, [block], [EpochStart("anna", 2)])
    version = version_of(HIDDEN, 1, 10)
    second = secrets_entry(first.position, [version])
    third = rows_entry(second.position, [block_of("anna", 2, [digest_of(1)])], [EpochStart("anna", 3)])
    store.write(None, [first, second, third], 2)


def state_of(
    store: MemoryStore | SqliteStore,
    folder: Path,
    doubt: Callable[[str], None] = pytest.fail,
    clock: Callable[[], float] = lambda: 0.0,
) -> StateApi:
    owners = ["anna", "zoe"]
    return StateApi(store, owners, folder, committed=lambda: 2, doubt=doubt, clock=clock)


def told(api: StateApi) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(api.tell({}).body)
    return document


def test_owners_are_told_with_their_epochs_and_counts_of_what_is_committed(tmp_path: Path) -> None:
    store = MemoryStore()
    filled(store)
    document = told(state_of(store, tmp_path))
    position = store.position(2)
    assert position is not None
    assert document["journal"] == {
        "last": 3,
        "committed": 2,
        "digest": position.digest.hex(),
        "entries": 2,
        "blocks": 1,
        "tokens": 2,
    }
    none = {"names": 0, "versions": 0, "ended": 0}
    assert document["owners"] == [
        {
            "owner": "anna",
            "active": 2,
            "epochs": [
                {"epoch": 1, "begun": 0, "tokens": 2, "blocks": 1},
                {"epoch": 2, "begun": 1, "tokens": 0, "blocks": 0},
            ],
            "secrets": {"names": 1, "versions": 1, "ended": 0},
        },
        {
            "owner": "zoe",
            "active": 1,
            "epochs": [{"epoch": 1, "begun": 0, "tokens": 0, "blocks": 0}],
            "secrets": none,
        },
    ]
    assert HIDDEN not in json.dumps(document)


def test_sizes_of_files_are_told_by_part_and_sqlites_log_apart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    try:
        filled(store)
        document = told(state_of(store, tmp_path))
    finally:
        store.close()
    assert set(document["sizes"]) == {"journal", "wal", "index", "events", "set_aside", "other"}
    assert document["sizes"]["wal"] > 0
    assert document["sizes"]["journal"] > 0
    assert document["free"] > 0


class Slow(MemoryStore):
    """Each slice of a count takes the time that one request has; three make a whole."""

    slices = 0
    now = 0.0

    def count_slice(self, done: Counted, upto: int, is_over: Callable[[], bool]) -> Counted:
        self.slices += 1
        self.now += 1.0
        if self.slices % 3:
            return done
        return super().count_slice(done, upto, is_over)


def test_a_long_count_is_answered_a_part_at_a_time_and_what_was_counted_is_kept(tmp_path: Path) -> None:
    store = Slow()
    filled(store)
    api = state_of(store, tmp_path, clock=lambda: store.now)
    assert [set(told(api)) for _ in range(2)] == [{"counted", "of"}] * 2
    assert told(api)["journal"]["tokens"] == 2
    assert told(api)["journal"]["tokens"] == 2
    assert store.slices == 3


class Rotten(MemoryStore):
    """Its rows are not what was written."""

    def count_slice(self, done: Counted, upto: int, is_over: Callable[[], bool]) -> Counted:
        assert not is_over()
        raise JournalDamaged(f"rows up to entry {upto}, from {done.upto} on, are damaged")


def test_damage_that_a_count_meets_is_noted_and_refused(tmp_path: Path) -> None:
    store = Rotten()
    filled(store)
    doubts: list[str] = []
    with pytest.raises(VaultError) as caught:
        state_of(store, tmp_path, doubts.append).tell({})
    assert caught.value.code == "unavailable"
    assert doubts == ["rows up to entry 2, from 0 on, are damaged"]
