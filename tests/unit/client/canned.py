"""A server of real sockets that gives the answers it was told to, and a patience that costs no time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tvault.client.retries import Patience
from tvault.wire import JSON_TYPE, PROBLEM_TYPE, REQUEST_ID

BREAK_OFF = 0
"""The status of an answer that is none: the connection is closed."""


@dataclass(frozen=True)
class Canned:
    """One answer."""

    status: int
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class CannedNode:
    """Where the server is, and what it was asked."""

    url: str
    seen: list[Seen]


@contextmanager
def canned(answers: Sequence[Canned]) -> Iterator[CannedNode]:
    """A server that gives these answers in turn, the last one for ever."""
    seen: list[Seen] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            with lock:
                seen.append(Seen(self.command, self.path, dict(self.headers), body))
                chosen = answers[min(len(seen), len(answers)) - 1]
            if chosen.status == BREAK_OFF:
                self.close_connection = True
                return
            self.send_response(chosen.status)
            kind = PROBLEM_TYPE if b'"code"' in chosen.body else JSON_TYPE
            usual = {"Content-Type": kind, REQUEST_ID: self.headers.get(REQUEST_ID, "")}
            for name, text in (usual | chosen.headers).items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(chosen.body)))
            self.end_headers()
            self.wfile.write(chosen.body)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield CannedNode(f"http://127.0.0.1:{server.server_address[1]}", seen)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def nobody() -> str:
    """A URL where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


class TimelessPatience(Patience):
    """Waiting moves a clock of its own, and `waits` remembers it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        super().__init__(clock=lambda: self.now, dice=lambda: 1.0)

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += max(seconds, 0.001)
        return False
