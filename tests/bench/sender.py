"""A client in a process of its own that sends requests made beforehand, told what to do by JSON.

Of several API keys, so of several owners, from several threads, each of which asks the nodes in turn.
"""

from __future__ import annotations

import http.client
import itertools
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

SECONDS = 60.0


class Task(msgspec.Struct):
    """Lines of `file`: an API key, a blank, and the body of a request for `path`.  The bodies of the
    answers go to `answers`, in that order, a line each."""

    nodes: list[tuple[str, int]]
    path: str
    file: str
    answers: str
    threads: int


class Told(msgspec.Struct):
    """How long it took, from the first request to the last answer, and the CPU of this process in that
    time."""

    seconds: float
    cpu_seconds: float


class Sender:
    """Sends over connections that each thread keeps for itself, one to every node."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._threads = itertools.count()
        self._own = threading.local()

    def send(self, line: bytes) -> bytes:
        """One request; its answer's body."""
        key, _, body = line.partition(b" ")
        headers = {"Authorization": f"Bearer {key.decode()}", "Content-Type": "application/json"}
        connection = next(self._connections())
        connection.request("POST", self._task.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return content

    def _connections(self) -> itertools.cycle[http.client.HTTPConnection]:
        if not hasattr(self._own, "turn"):
            nodes = self._task.nodes
            first = next(self._threads) % len(nodes)
            self._own.turn = itertools.cycle(
                http.client.HTTPConnection(host, port, timeout=SECONDS)
                for host, port in nodes[first:] + nodes[:first]
            )
        turn: itertools.cycle[http.client.HTTPConnection] = self._own.turn
        return turn


def run(task: Task) -> Told:
    """Send all, and keep the answers."""
    lines = Path(task.file).read_bytes().splitlines()
    sender = Sender(task)
    with ThreadPoolExecutor(task.threads) as pool:
        wall, cpu = time.perf_counter(), time.process_time()
        answers = list(pool.map(sender.send, lines))
        told = Told(time.perf_counter() - wall, time.process_time() - cpu)
    Path(task.answers).write_bytes(b"\n".join(answers))
    return told


def main() -> None:
    """One task from stdin; its result on stdout."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    print(json.dumps(msgspec.to_builtins(run(task))))


if __name__ == "__main__":
    main()
