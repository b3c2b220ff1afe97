"""Both stores behind one fixture: a function that opens the store of the test, again if asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tvault.store.memory import MemoryStore
from tvault.store.ports import Store
from tvault.store.sqlite import SqliteStore

OpenStore = Callable[[], Store]


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the store; a second call closes it first, and the one on disk is opened again."""
    opened: list[Store] = []

    def in_memory() -> Store:
        if not opened:
            opened.append(MemoryStore())
        return opened[-1]

    def on_disk() -> Store:
        if opened:
            opened[-1].close()
        opened.append(SqliteStore(tmp_path / "n1", run_tokens=16))
        return opened[-1]

    yield in_memory if request.param == "memory" else on_disk
    for store in opened[-1:]:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """An empty store."""
    return open_store()
