"""A node that is an ensemble of its own, over a store in RAM that fails as it is told to."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.server.serving import RING
from tvault.engine import Written
from tvault.errors import VaultError
from tvault.events import EventLog
from tvault.model.blocks import seal
from tvault.model.commands import Mint
from tvault.model.records import Places
from tvault.model.rules import Judge
from tvault.model.values import encode_value
from tvault.replication.entry import Entry
from tvault.replication.messages import Envelope
from tvault.replication.promise import Promise
from tvault.replication.ready import Timing
from tvault.replication.recovery import Identity, recover
from tvault.server.chain_engine import ChainEngine
from tvault.server.folder import PROMISE_FILE, Opened
from tvault.server.node import Node, Told
from tvault.store.memory import MemoryStore
from tvault.store.promise import PromiseFile

TIMING = Timing(heartbeat_ms=20, suspect_ms=200)
SECONDS = 10.0


class FailingStore(MemoryStore):
    """Raises what it is told to, instead of writing or finding; writes wait until `may_write` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.of_writes: Exception | None = None
        self.of_looks: Exception | None = None
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_roomy = True
        self.probes = 0

    def write(self, cut_after: int | None, entries: Sequence[Entry], committed: int) -> None:
        self.may_write.wait(SECONDS)
        if self.of_writes is not None:
            raise self.of_writes
        super().write(cut_after, entries, committed)

    def find(self, owner: str, epoch: int, digests: bytes) -> Places:
        if self.of_looks is not None:
            raise self.of_looks
        return super().find(owner, epoch, digests)

    def has_room(self) -> bool:
        self.probes += 1
        return self.is_roomy


class FailingPromiseFile(PromiseFile):
    """Raises what it is told to, instead of writing."""

    failure: Exception | None = None

    def write(self, promise: Promise, *, sync: bool) -> None:
        if self.failure is not None:
            raise self.failure
        super().write(promise, sync=sync)


class NoLinks:
    """There is nobody else."""

    def send(self, to: str, envelope: Envelope) -> bool:
        raise AssertionError(f"nobody is called {to}: {envelope}")

    def flush(self) -> None:
        """Nothing is on its way."""


@dataclass
class OneNode:
    """A running node, its engine, its disk, and what it told."""

    node: Node
    engine: ChainEngine
    store: FailingStore
    promise_file: FailingPromiseFile
    events: list[str]
    doubts: list[str] = field(default_factory=list)
    told: queue.SimpleQueue[Told] = field(default_factory=queue.SimpleQueue)

    def mint(self, *values: str, seconds: float = SECONDS) -> int:
        """Have tokens of the values written; the entry that holds them."""
        scope = RING.scope("alice", 1)
        canonicals = [encode_value(value, 1000) for value in values]
        blocks = seal(scope, scope.digests(canonicals), canonicals, lambda: b"n" * 12)
        verdict = self.engine.mint(Mint("alice", 1, blocks), time.monotonic() + seconds)
        assert isinstance(verdict, Written)
        return verdict.seq

    def found(self, *values: str) -> list[bool]:
        """Which of the values have tokens that may be answered."""
        digests = RING.scope("alice", 1).digests([encode_value(value, 1000) for value in values])
        places = self.engine.look_up("alice", 1, b"".join(digests), time.monotonic() + SECONDS)
        return [bool(number >= 0) for number in places.block_of]

    def is_refused_a_write(self) -> None:
        with pytest.raises(VaultError) as caught:
            self.mint("refused", seconds=0.2)
        assert caught.value.code == "unavailable"


class Events(EventLog):
    """Keeps the names of events."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        super().__init__(folder, "n1")
        self._names = names

    def record(self, event: str, **details: object) -> None:
        self._names.append(event)
        super().record(event, **details)  # type: ignore[arg-type]


@contextmanager
def one_node(folder: Path, doubt: Callable[[str], None] | None = None) -> Iterator[OneNode]:
    """A node that runs; `doubt` is told in the place of the folder that its files are doubtful."""
    store, promise_file = FailingStore(), FailingPromiseFile(folder / PROMISE_FILE)
    identity = Identity("c", ("n1",), "n1", RING.fingerprint())
    promise = recover(None, damaged=None, journal=store, identity=identity, incarnation="a life").promise
    promise_file.create(promise)
    doubts: list[str] = []
    names: list[str] = []
    events = Events(folder, names)
    told: queue.SimpleQueue[Told] = queue.SimpleQueue()
    opened = Opened(promise, promise_file, store, None, None, doubt or doubts.append)
    node = Node(opened, TIMING, Judge(store, {"alice", "bob"}, clock=lambda: 0), events, told.put)
    running = OneNode(node, ChainEngine(node, store), store, promise_file, names, doubts, told)
    node.start(NoLinks())
    try:
        eventually(lambda: node.can_write)
        yield running
    finally:
        store.may_write.set()
        node.stop()
        events.close()
        with suppress(OSError):
            promise_file.close()


def eventually(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until something observable comes true."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        pause.wait(0.01)
