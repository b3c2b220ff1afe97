"""Clients that make single calls, in a process of their own, told what to do by JSON.

All are driven by one thread over sockets that stay open, each sending its next call when the last one
was answered: a client that costs as little as one in Python can, so that what is measured is the server.
A call that is refused with 503 is made again after a short pause, on a new connection when the node
closed the old one; its latency runs from the first try.
"""

from __future__ import annotations

import heapq
import json
import re
import selectors
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from tests.bench.bulk_client import value_of

PAUSE_SECONDS = 0.02
SILENCE_SECONDS = 10.0
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)


class Task(msgspec.Struct):
    """Calls of `path` at one node by so many clients for so long.  The body is `body` if there is one;
    else a new value to tokenize, numbered under `prefix`, or one of `tokens` to detokenize.  A PUT gives
    a new value, and a GET has no body."""

    host: str
    port: int
    path: str
    clients: int
    seconds: float
    key: str = ""
    body: str = ""
    prefix: str = ""
    tokens: list[str] = []
    method: str = "POST"


class Told(msgspec.Struct):
    """Calls answered, their latencies in milliseconds, tries that were refused, and what share of the
    time this process was busy."""

    calls: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    per_second: float
    refused: int
    client_share: float


@dataclass
class Caller:
    """One connection and the call on its way; `began` is when its first try was sent."""

    socket: socket.socket
    request: bytes = b""
    began: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def send(self) -> None:
        """Send the request, again or for the first time."""
        self.received.clear()
        self.socket.sendall(self.request)

    def status_if_whole(self) -> int:
        """The status of the answer if all of it is there, else 0."""
        part = self.socket.recv(1 << 18)
        assert part, "the node closed the connection"
        self.received += part
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return 0
        length = _LENGTH.search(self.received, 0, end + 2)
        assert length, "an answer without a length"
        if len(self.received) < end + 4 + int(length[1]):
            return 0
        return int(self.received[9:12])

    def was_closed(self) -> bool:
        """Whether the last answer says that the connection ends with it."""
        return b"\r\nConnection: close\r\n" in self.received


def bodies(task: Task) -> Callable[[], bytes]:
    """What gives the body of the next call."""
    count = 0
    form = b'{"value":"%s"}' if task.method == "PUT" else b'{"values":["%s"]}'

    def new_value() -> bytes:
        nonlocal count
        count += 1
        return form % value_of(task.prefix, count).encode()

    def next_token() -> bytes:
        nonlocal count
        count += 1
        return b'{"token":"%s"}' % task.tokens[count % len(task.tokens)].encode()

    if task.body or task.method == "GET":
        return task.body.encode
    return next_token if task.tokens else new_value


def connected(address: tuple[str, int]) -> socket.socket:
    """A new connection."""
    link = socket.create_connection(address, SILENCE_SECONDS)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


class Crowd:
    """All callers of a task."""

    def __init__(self, task: Task) -> None:
        self._bodies = bodies(task)
        self._address = task.host, task.port
        self._head = (
            f"{task.method} {task.path} HTTP/1.1\r\nHost: {task.host}:{task.port}\r\n"
            f"Authorization: Bearer {task.key}\r\nContent-Type: application/json\r\n"
        ).encode()
        self._selector = selectors.DefaultSelector()
        self._waiting: list[tuple[float, int, Caller]] = []
        self._callers: list[Caller] = []
        self.latencies: list[float] = []
        self.refused = 0
        for _ in range(task.clients):
            self._callers.append(Caller(connected(self._address)))
            self._selector.register(self._callers[-1].socket, selectors.EVENT_READ, self._callers[-1])

    def call(self, seconds: float) -> None:
        """Call for so long; then wait for what is on its way."""
        end = time.perf_counter() + seconds
        on_their_way = len(self._callers)
        for caller in self._callers:
            self._begin(caller)
        while on_their_way:
            silence = SILENCE_SECONDS
            if self._waiting:
                silence = max(0.0, self._waiting[0][0] - time.perf_counter())
            events = self._selector.select(silence)
            assert events or self._waiting, "the node does not answer"
            for key, _ in events:
                if self._take(key.data):
                    if time.perf_counter() < end:
                        self._begin(key.data)
                    else:
                        on_their_way -= 1
            while self._waiting and self._waiting[0][0] <= time.perf_counter():
                heapq.heappop(self._waiting)[2].send()

    def _begin(self, caller: Caller) -> None:
        body = self._bodies()
        caller.request = b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body)
        caller.began = time.perf_counter()
        caller.send()

    def _take(self, caller: Caller) -> bool:
        """Read what has come; whether the call is done."""
        status = caller.status_if_whole()
        if status == 200:
            self.latencies.append(time.perf_counter() - caller.began)
            return True
        if status:
            assert status == 503, bytes(caller.received)
            self.refused += 1
            if caller.was_closed():
                self._selector.unregister(caller.socket)
                caller.socket.close()
                caller.socket = connected(self._address)
                self._selector.register(caller.socket, selectors.EVENT_READ, caller)
            again = time.perf_counter() + PAUSE_SECONDS
            heapq.heappush(self._waiting, (again, id(caller), caller))
        return False

    def close(self) -> None:
        """Close all connections."""
        self._selector.close()
        for caller in self._callers:
            caller.socket.close()


def run(task: Task) -> Told:
    """Call once with every client so that all that is made on first use is there, then measure."""
    crowd = Crowd(task)
    crowd.call(0.0)
    crowd.latencies.clear()
    crowd.refused = 0
    wall, cpu = time.perf_counter(), time.process_time()
    crowd.call(task.seconds)
    seconds, busy = time.perf_counter() - wall, time.process_time() - cpu
    crowd.close()
    taken = sorted(crowd.latencies)
    return Told(
        calls=len(taken),
        p50_ms=1e3 * taken[len(taken) // 2],
        p99_ms=1e3 * taken[len(taken) * 99 // 100],
        worst_ms=1e3 * taken[-1],
        per_second=len(taken) / seconds,
        refused=crowd.refused,
        client_share=busy / seconds,
    )


def main() -> None:
    """One task from stdin; its result on stdout."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    print(json.dumps(msgspec.to_builtins(run(task))))


if __name__ == "__main__":
    main()
