"""The clients that make single calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.callers import PAUSE_SECONDS, Task, run
from tvault.server.framing import make_server

Start = Callable[[str, list[tuple[str, str]]], Any]


class Answering:
    """A WSGI application that refuses every third call and closes the connection, as a node does that
    has too many of them."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._lock = threading.Lock()
        self._calls = 0

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        with self._lock:
            self._calls += 1
            is_refused = self._calls % 3 == 0
            if not is_refused:
                self.bodies.append(body)
        if is_refused:
            start("503 Service Unavailable", [("Content-Length", "0"), ("Connection", "close")])
            return []
        start("200 OK", [("Content-Length", "2")])
        return [b"{}"]


@contextmanager
def serving(app: Answering) -> Iterator[int]:
    server = make_server(app, "127.0.0.1", 0, 4)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server.port
    finally:
        server.stop()
        thread.join()


def test_every_call_is_answered_once_and_a_refused_try_is_made_again_and_counted() -> None:
    app = Answering()
    with serving(app) as port:
        told = run(Task("127.0.0.1", port, "/tokenize", clients=3, seconds=0.5, prefix="v-"))
    assert len(app.bodies) == len(set(app.bodies)), "a value was sent twice though it was answered"
    assert told.calls == len(app.bodies) - 3, "all but the first call of each client is measured"
    assert told.refused > 0
    assert 0 < told.p50_ms <= told.p99_ms <= told.worst_ms
    assert told.worst_ms >= 1e3 * PAUSE_SECONDS, "the latency runs from the first try"
    assert 0 < told.client_share <= 1


def test_tokens_are_asked_for_in_turn() -> None:
    app = Answering()
    with serving(app) as port:
        run(Task("127.0.0.1", port, "/detokenize", clients=1, seconds=0.1, tokens=["a", "b"]))
    assert set(app.bodies) == {b'{"token":"a"}', b'{"token":"b"}'}
