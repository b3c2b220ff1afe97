"""A cluster under load on which faults are let loose, and what may be expected of it meanwhile."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from tests.cluster import disks
from tests.cluster.cluster import POLL_SECONDS, Cluster
from tests.cluster.crowd import CLIENTS, Crowd
from tests.cluster.disks import SmallDisk
from tests.cluster.namespaces import Namespaces
from tests.cluster.wires import Pair, Wires
from tvault.store.index import RUN_TOKENS

WRITES_SECONDS = 10.0
"""How long a majority of healthy nodes may take to write again, on a machine with much to do."""

UP_SECONDS = 60.0
"""How long a process may take to start, on a machine that has other things to do."""

WHOLE_SECONDS = 60.0
END_SECONDS = 20.0
DISK_MIB = 256
STOCK_BATCH = 5_000
STOCK_VALUES = 2 * RUN_TOKENS + STOCK_BATCH
STOCK_STEP = 500
FATAL = "Fatal Python error: "
"""What the dump of all threads begins with that a fatal signal leaves behind."""

SAID_CHARACTERS = 2_000
DUMP_CHARACTERS = 6_000
AFTER_FAULT = {"tokenize": 30, "detokenize": 8, "miss": 8, "epoch": 6}
"""How many calls of each kind must be acknowledged after every fault before the next one."""


class Fallen(AssertionError):
    """The cluster did what it must not do, or did not do in time what it must."""


class Stage:
    """The cluster with its wires, the clients, and the dice that faults are thrown with.

    The last node's folder lies on a small disk of its own; clients call a gateway, too.  `say` is told
    what happens; times at random are `pace` times as long.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int,
        seed: int,
        say: Callable[[str], None],
        wires: Callable[[Cluster], Wires | Namespaces] = Wires,
    ) -> None:
        self.dice = Random(seed)
        self.pace = 1.0
        self.cluster = Cluster(folder, nodes)
        self.names = list(self.cluster.nodes)
        self.views: set[int] = set()
        self._say = say
        self._paused: set[str] = set()
        self._copies = 0
        self.small = self.names[-1]
        self.disk = SmallDisk(self.cluster.data(self.small), DISK_MIB)
        self.wires = wires(self.cluster)
        if isinstance(self.wires, Wires):  # a gateway has no namespace of its own
            self.cluster.start_gateway()
        self.crowd = Crowd(self.cluster, seed)
        self.began = time.monotonic()
        self.stock: dict[str, str] = {}
        """Some of the tokens of the first owner that are there from the beginning, and their values."""

    def open(self) -> None:
        """Start all nodes, until they take writes; store enough for each to have files of the index."""
        self.cluster.start()
        self.until(self.is_whole, WHOLE_SECONDS, "the cluster does not start")
        for first in range(0, STOCK_VALUES, STOCK_BATCH):
            values = [f"in stock {number}" for number in range(first, first + STOCK_BATCH)]
            tokens = self.cluster.tokenize(self.names[0], values)
            self.stock.update(zip(tokens[::STOCK_STEP], values[::STOCK_STEP], strict=True))

    def close(self, *, keep: bool) -> None:
        """End everything; what the nodes have stored is kept for people, or left to go."""
        self.cluster.stop()
        self.wires.close()
        self.disk.close(self.cluster.folder / f"{self.small}-as-it-was" if keep else None)

    def say(self, what: str) -> None:
        """Tell what happens, with the time since the start."""
        self._say(f"{time.monotonic() - self.began:7.1f} s  {what}")

    # What can be seen.

    @property
    def majority(self) -> int:
        return len(self.names) // 2 + 1

    def states(self) -> dict[str, Any]:
        """What each node says of itself that runs and answers."""
        asked = [name for name in self.names if name in self.cluster.processes.keys() - self._paused]
        told = {name: self.cluster.glance(name) for name in asked}
        return {name: status for name, status in told.items() if status is not None}

    def chain(self) -> list[str]:
        """The newest chain that a node knows of, all nodes when none knows any."""
        known = [status for status in self.states().values() if status["chain"]]
        newest = max(known, key=lambda status: status["view"], default=None)
        return newest["chain"] if newest is not None else self.names

    def is_whole(self) -> bool:
        """Whether all nodes are in one chain."""
        return not self._paused and self.cluster.is_whole()

    # How long, and who is to be hit.

    def seconds(self, least: float, most: float) -> float:
        """A time at random; a run in a hurry makes it shorter."""
        return self.pace * self.dice.uniform(least, most)

    def member(self) -> str:
        """The head, one in the middle or the tail, each as likely."""
        chain = self.chain()
        place = self.dice.choice(("head", "middle", "tail"))
        chosen = {"head": chain[0], "tail": chain[-1]}.get(place) or self.dice.choice(
            chain[1:-1] or self.names
        )
        self.say(f"  {chosen} of {' '.join(chain)}")
        return chosen

    def others(self, name: str) -> list[str]:
        return [other for other in self.names if other != name]

    def links(self, name: str, *, sends: bool = True, hears: bool = True) -> list[Pair]:
        """The pairs of a node with all others: those in which it sends, those in which it hears."""
        out = [(name, other) for other in self.others(name)] if sends else []
        return out + ([(other, name) for other in self.others(name)] if hears else [])

    # What is done to nodes.

    def kill(self, *names: str) -> None:
        """End nodes as a crash does, all before any is waited for."""
        for name in names:
            self.cluster.signal(name, signal.SIGKILL)
        for name in names:
            self.cluster.wait_for_end(name)

    def terminate(self, name: str) -> None:
        """Ask a node to end, which it must do cleanly."""
        self.cluster.signal(name, signal.SIGTERM)
        process = self.cluster.processes[name]
        self._wait(lambda: process.poll() is not None, END_SECONDS, f"{name} does not end", {name})
        code, stderr = self.cluster.wait_for_end(name)
        if code != 0:
            raise Fallen(f"{name} was asked to end and did so with code {code}: {gist(stderr)}")

    def stop(self, name: str) -> None:
        """End a node in one way or the other."""
        if self.dice.random() < 0.5:
            self.kill(name)
        else:
            self.terminate(name)

    def start(self, *names: str) -> None:
        """Start nodes that were stopped."""
        self.cluster.start(*names)

    def pause(self, *names: str) -> None:
        """Stop the processes where they stand."""
        for name in names:
            self.cluster.signal(name, signal.SIGSTOP)
            self._paused.add(name)

    def go_on(self, *names: str) -> None:
        """Let paused processes go on."""
        for name in names:
            self.cluster.signal(name, signal.SIGCONT)
            self._paused.discard(name)

    def wipe(self, name: str) -> None:
        """Empty the folder of a stopped node; the views that it has noted are kept in mind."""
        self.note_views(name)
        disks.wipe(self.cluster.data(name))

    def copy(self, name: str) -> Path:
        """A copy of a stopped node's folder."""
        self._copies += 1
        copied = self.cluster.folder / f"copy-{self._copies}"
        disks.copy(self.cluster.data(name), copied)
        return copied

    def restore(self, name: str, copied: Path) -> None:
        """Put the copy in the place of a stopped node's folder."""
        self.note_views(name)
        disks.restore(self.cluster.data(name), copied)
        disks.wipe(copied)
        copied.rmdir()

    def drop_what_was_set_aside(self) -> None:
        """As an operator does who has looked at it."""
        for name in self.names:
            for aside in self.cluster.data(name).glob("set-aside-*"):
                shutil.rmtree(aside)

    def note_views(self, *names: str) -> None:
        """Keep the views in mind that nodes have noted in their events."""
        for name in names:
            self.views |= {event["view"] for event in self.cluster.events(name, "view")}

    # What is waited for.

    def stand(self, seconds: float) -> None:
        """Let things take their course for a while."""
        end = time.monotonic() + seconds
        self._wait(lambda: time.monotonic() >= end, seconds + 1, "")

    def writes(self, why: str = "") -> None:
        """Until a write is acknowledged that was begun after the call: all but one a client were."""
        self.answers({"tokenize": CLIENTS + 1}, f"no writes {why}")

    def answers(self, more: dict[str, int], why: str) -> None:
        """Until so many more calls of each kind are acknowledged.  The time that is allowed begins when
        the processes that were started do their work."""
        self._wait(self._are_up, UP_SECONDS, "a node does not start")
        before = self.crowd.pulse.counts()

        def are_there() -> bool:
            now = self.crowd.pulse.counts()
            return all(now[kind] - before[kind] >= count for kind, count in more.items())

        self._wait(are_there, WRITES_SECONDS, why)

    def _are_up(self) -> bool:
        running = self.cluster.processes.keys() - self._paused
        return all(self.cluster.health(name) for name in running)

    def whole(self) -> None:
        """Until all nodes are in the chain."""
        self._wait(self.is_whole, WHOLE_SECONDS, "not all nodes come back into the chain")

    def _wait(
        self, true: Callable[[], bool], seconds: float, why: str, ending: Iterable[str] = ()
    ) -> None:
        def is_true() -> bool:
            self.crowd.check()
            for name in set(self.cluster.ended()) - set(ending):
                code = self.cluster.processes[name].returncode
                said = gist(self.cluster.said(name))
                raise Fallen(f"{name} has ended by itself with code {code}: {said}")
            return true()

        self.until(is_true, seconds, why)

    def until(self, true: Callable[[], object], seconds: float, why: str) -> None:
        """Wait for what must come true in time."""
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not true():
            if time.monotonic() > deadline:
                states = {name: _short(status) for name, status in self.states().items()}
                raise Fallen(f"{why} within {seconds:g} s: {states}")
            pause.wait(POLL_SECONDS)


def gist(stderr: str) -> str:
    """The end of what a process wrote.  When a fatal signal ended it, also what came just before, which
    signal that was, and the stacks of the thread that it hit and of the newest threads."""
    before, fatal, dump = stderr.partition(FATAL)
    if not fatal:
        return stderr[-SAID_CHARACTERS:]
    hit = [stack for stack in dump.split("\n\n") if stack.startswith("Current thread ")]
    parts = (before[-SAID_CHARACTERS:] + fatal + dump[:DUMP_CHARACTERS], *hit, dump[-SAID_CHARACTERS:])
    return "\n[…]\n".join(parts)


def _short(status: dict[str, Any]) -> str:
    journal = status["journal"]
    return (
        f"{status['role']} in view {status['view']} of {' '.join(status['chain'])}, "
        f"{journal['committed']} of {journal['last']} committed"
    )
