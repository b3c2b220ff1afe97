"""A real node carries out its steps in the order that `Ready` states: nothing leaves before its write.

The node runs over files that note what is done to them, and links that note what is said; the test is
its only neighbour.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from tvault.events import EventLog
from tvault.model.rules import Judge
from tvault.replication.entry import ORIGIN, Entry, Kind, follow
from tvault.replication.messages import Ack, Append, Envelope, Message, NewView, Prepare, Promised, Sync
from tvault.replication.promise import Promise, Standing
from tvault.replication.ready import Timing
from tvault.replication.view import Member, View
from tvault.server.folder import Opened
from tvault.server.node import Node
from tvault.store.memory import MemoryStore
from tvault.store.promise import PromiseFile

PATIENCE_SECONDS = 30
NAMES = ("n1", "n2", "n3")


class Notes:
    """What was done, in order, and what was said."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.said: queue.SimpleQueue[Envelope] = queue.SimpleQueue()

    def send(self, to: str, envelope: Envelope) -> bool:
        self.done.append(f"{type(envelope.message).__name__} to {to}")
        self.said.put(envelope)
        return True

    def flush(self) -> None:
        """Everything is said at once."""


class NotedPromiseFile(PromiseFile):
    """A promise file that notes every write."""

    def __init__(self, path: Path, notes: Notes) -> None:
        super().__init__(path)
        self._notes = notes

    def write(self, promise: Promise, *, sync: bool) -> None:
        super().write(promise, sync=sync)
        how = "synced" if sync else "written"
        self._notes.done.append(f"view {promise.promised}, mark {promise.mark.seq} {how}")


class NotedStore(MemoryStore):
    """A journal that notes every write."""

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._notes = notes

    def write(self, cut_after: int | None, entries: Sequence[Entry], committed: int) -> None:
        super().write(cut_after, entries, committed)
        self._notes.done += [f"entry {entry.seq}" for entry in entries]


class Neighbour:
    """n2, by hand, beside a running n1."""

    def __init__(self, node: Node, notes: Notes) -> None:
        self.node = node
        self.notes = notes

    def says(self, view: int, message: Message) -> None:
        self.node.deliver(Envelope("n2", "n2-1", 1, "n2's life", view, message))

    def hears(self, kind: type[Message]) -> Message:
        """The next message of this kind."""
        while True:
            message = self.notes.said.get(timeout=PATIENCE_SECONDS).message
            if isinstance(message, kind):
                return message


@pytest.fixture
def neighbour(tmp_path: Path) -> Iterator[Neighbour]:
    notes = Notes()
    promise = Promise(
        cluster="c",
        ensemble=NAMES,
        node="n1",
        keys="key",
        incarnation="n1-1",
        boot=1,
        life="n1's life",
        standing=Standing.VOTER,
    )
    promise_file = NotedPromiseFile(tmp_path / "promise", notes)
    promise_file.create(msgspec.structs.replace(promise, boot=0))
    store = NotedStore(notes)
    opened = Opened(promise, promise_file, store, None, None, lambda _: None)
    events = EventLog(tmp_path, "n1")
    patient = Timing(heartbeat_ms=1_000, suspect_ms=1_000_000)
    node = Node(opened, patient, Judge(store, ("A",), clock=lambda: 0), events)
    node.start(notes)
    yield Neighbour(node, notes)
    node.stop()
    promise_file.close()
    events.close()


def test_a_promise_is_synced_before_it_is_given(neighbour: Neighbour) -> None:
    neighbour.says(4, Prepare(ORIGIN))
    neighbour.hears(Promised)
    done = neighbour.notes.done
    assert done.index("view 4, mark 0 synced") < done.index("Promised to n2")


def test_an_acknowledgement_follows_the_journal_and_the_mark(neighbour: Neighbour) -> None:
    chain = (Member("n2", "n2-1"), Member("n1", "n1-1"))
    neighbour.says(4, NewView(View(4, chain, barrier=1)))
    sync = neighbour.hears(Sync)
    assert isinstance(sync, Sync)
    barrier = follow(ORIGIN, 4, Kind.BARRIER, b"")
    neighbour.says(4, Append(sync.session, ORIGIN, (barrier,), 0))
    while (ack := neighbour.hears(Ack)) != Ack(sync.session, 1, 1):
        assert ack == Ack(sync.session, 0, 0)
    done = neighbour.notes.done
    last = len(done) - 1 - done[::-1].index("Ack to n2")
    steps = [
        done.index("view 4, mark 0 synced"),
        done.index("entry 1"),
        done.index("view 4, mark 1 written"),
    ]
    assert steps == sorted(steps)
    assert steps[-1] < last
