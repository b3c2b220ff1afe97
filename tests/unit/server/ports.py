"""A server that listens on a port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tvault.server.framing import Server


@contextmanager
def listening(server: Server) -> Iterator[Server]:
    """A server that serves in a thread of its own."""
    server.expiration_interval = 0.02
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
