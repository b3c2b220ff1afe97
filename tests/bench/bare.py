"""What nothing can undercut on this machine: an HTTP round trip of the same stack, and a durable write.

Run as a module it is the server: bottle on the project's own cheroot server, giving back what it gets.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bottle  # type: ignore[import-untyped]
import requests

from tests.bench.callers import Told
from tests.bench.fleet import in_a_process
from tests.bench.report import Row
from tests.bench.scale import Scale
from tvault.server.framing import make_server

THREADS = 20
SMALL, LARGE = 100, 100_000
WRITES = 300


def serve() -> None:
    """Serve until killed; the port goes to stdout."""
    app = bottle.Bottle()

    @app.post("/echo")  # type: ignore[untyped-decorator]
    def echo() -> bytes:
        body: bytes = bottle.request.environ["wsgi.input"].read(bottle.request.content_length)
        return body

    server = make_server(app, "127.0.0.1", 0, THREADS)
    server.prepare()
    print(server.port, flush=True)
    server.serve()


@contextmanager
def echo_server() -> Iterator[int]:
    """The port of an echo server in a process of its own."""
    with subprocess.Popen([sys.executable, "-m", "tests.bench.bare"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def call_many(**task: Any) -> Told:
    """Single calls by clients in a process of their own: see `tests.bench.callers`."""
    return Told(**in_a_process("tests.bench.callers", task))


def round_trips(port: int, clients: int, seconds: float, size: int) -> Told:
    """Round trips of `size` bytes there and back."""
    task = {"host": "127.0.0.1", "port": port, "path": "/echo", "body": "x" * size}
    return call_many(**task, clients=clients, seconds=seconds)


def by_requests(port: int, seconds: float, size: int) -> float:
    """Milliseconds of the median round trip by one client that uses `requests`."""
    body, taken = b"x" * size, []
    with requests.Session() as session:
        session.trust_env = False
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            assert session.post(f"http://127.0.0.1:{port}/echo", data=body, timeout=10).content == body
            taken.append(time.perf_counter() - began)
    return 1e3 * sorted(taken)[len(taken) // 2]


def durable_write(folder: Path) -> Row:
    """A 4 KiB block appended to a file and flushed to the disk."""
    taken = []
    with (folder / "block").open("wb", buffering=0) as file:
        for _ in range(WRITES):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            taken.append(1e3 * (time.perf_counter() - began))
    taken.sort()
    details = {"p99_ms": taken[len(taken) * 99 // 100]}
    return Row(
        "single calls",
        "bare: 4 KiB write + fdatasync",
        taken[len(taken) // 2],
        "ms p50",
        details=details,
    )


@dataclass(frozen=True)
class Trips:
    """Rows of the round trips; those of 100 bytes by number of clients, and the median of one client
    that uses `requests`, as baselines of others."""

    rows: list[Row]
    small: dict[int, Told]
    by_requests_ms: float


def measure(scale: Scale) -> Trips:
    """All round trips."""
    with echo_server() as port:
        small = {count: round_trips(port, count, scale.seconds, SMALL) for count in scale.clients}
        large = round_trips(port, 1, scale.seconds, LARGE)
        by_size = {size: by_requests(port, scale.seconds, size) for size in (SMALL, LARGE)}
    rows = [_row(f"bare: HTTP, 100 B, {many(count)}", told) for count, told in small.items()]
    rows.append(_row("bare: HTTP, 100 kB, 1 client", large))
    rows += [
        Row("single calls", f"bare: HTTP by requests, {name}, 1 client", by_size[size], "ms p50")
        for size, name in ((SMALL, "100 B"), (LARGE, "100 kB"))
    ]
    return Trips(rows, small, by_size[SMALL])


def many(clients: int) -> str:
    """So many clients, in words."""
    return "1 client" if clients == 1 else f"{clients} clients"


def _row(title: str, told: Told) -> Row:
    details = {
        "p99_ms": told.p99_ms,
        "calls_per_s": told.per_second,
        "client_busy_percent": round(100 * told.client_share),
    }
    return Row("single calls", title, told.p50_ms, "ms p50", details=details)


if __name__ == "__main__":
    serve()
