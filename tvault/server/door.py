"""Where connections come in, and where they wait: one thread for all of them, and a worker's thread for
none before its whole request is there.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from tvault.server.connections import Connection, Next
from tvault.server.seldom import Seldom

MOST_CONNECTIONS: Final = 512
"""Most connections that are open at once: beyond, the one that has waited longest is closed for the new
one, first one that never asked anything."""

UNSENT_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of answers that wait for slow clients: beyond, the slowest is given up."""

UNSENT_SECONDS: Final = 2.0
"""How long an answer may wait before it counts as one of these."""

DEAF_SECONDS: Final = 0.1
"""How long nobody is let in when that takes more files than the process may open."""

_ACCEPTED_AT_ONCE: Final = 64
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_EVENTS: Final = {Next.READ: selectors.EVENT_READ, Next.WRITE: selectors.EVENT_WRITE}

_log = logging.getLogger("tvault.server")
_tell = Seldom(_log)


class Door:
    """Lets connections in on `listener`, waits with them, and hands those that have a request to `work`.

    Fills the place of cheroot's ConnectionManager: `run` by one thread, `put` by any.
    """

    can_add_keepalive_connection = True

    def __init__(
        self,
        listener: socket.socket,
        open_connection: Callable[[socket.socket], Any],
        work: Callable[[Any], None],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._listener = listener
        self._open_connection = open_connection
        self._work = work
        self._tls = tls
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._waiting: dict[int, Connection] = {}
        self._open: set[Connection] = set()
        self._deaf_until: float | None = None
        self._stop_requested = False
        self._is_closed = False
        self._ended = threading.Event()
        self._ended.set()
        listener.setblocking(False)  # noqa: FBT003
        self._selector.register(listener, selectors.EVENT_READ)

    def put(self, connection: Connection) -> None:
        """Take a connection back from the thread that served it.  Never raises."""
        need = self._advanced(connection)
        if need is Next.WORK:
            self._work(connection)
        elif need is Next.CLOSE or not self._wait(connection, need):
            connection.close()
        elif need is Next.WRITE:
            self._bound_unsent()

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        self._open.discard(connection)

    def run(self, expiration_interval: float) -> None:
        """Serve until `stop`; look for connections that are overdue once in an interval."""
        self._ended.clear()
        try:
            swept = time.monotonic()
            while not self._stop_requested:
                for key, _ in self._selector.select(expiration_interval):
                    if key.data is None:
                        self._let_in()
                    else:
                        self._resume(key.data)
                now = time.monotonic()
                if now - swept >= expiration_interval or self._deaf_until is not None:
                    swept = now
                    self._sweep(now)
        finally:
            self._ended.set()

    def stop(self) -> None:
        """Let nobody in any more."""
        self._stop_requested = True
        self._ended.wait()

    def close(self) -> None:
        """Close all connections that wait; answers that are on their way have a second."""
        until = time.monotonic() + 1
        with self._lock:
            self._is_closed = True
        for connection in list(self._waiting.values()):
            connection.finish(max(0.0, until - time.monotonic()))
        self._selector.close()

    def close_rest(self) -> None:
        """Close what is open still once no thread serves any more: a request that came too late."""
        for connection in list(self._open):
            connection.close()

    def _let_in(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _FULL and not self._make_room():
                    _tell.tell(logging.WARNING, "no connection can be accepted: too many open files")
                    self._be_deaf()
                    return
                continue
            if len(self._open) >= MOST_CONNECTIONS and not self._make_room():
                accepted.close()
                continue
            self._welcome(accepted, address)

    def _welcome(self, accepted: socket.socket, address: tuple[Any, ...]) -> None:
        accepted.setblocking(False)  # noqa: FBT003
        try:
            if self._tls is not None:
                accepted = self._tls.wrap_socket(
                    accepted, server_side=True, do_handshake_on_connect=False
                )
            connection: Connection = self._open_connection(accepted)
        except (OSError, ValueError):
            accepted.close()
            return
        connection.remote_addr, connection.remote_port = address[:2]
        self._open.add(connection)
        self._go_on(connection, is_registered=False)

    def _resume(self, connection: Connection) -> None:
        if self._waiting.get(connection.socket.fileno()) is connection:  # not closed a moment ago
            self._go_on(connection, is_registered=True)

    def _advanced(self, connection: Connection) -> Next:
        """What the connection needs next; to be closed, whatever goes wrong with it: the threads that
        serve others must go on."""
        try:
            return connection.advance()
        except Exception as error:  # noqa: BLE001  as its docstring says
            _log.error("a connection failed: %s", type(error).__name__)
            return Next.CLOSE

    def _go_on(self, connection: Connection, *, is_registered: bool) -> None:
        need = self._advanced(connection)
        if is_registered and need not in _EVENTS:
            self._leave_off(connection)
        if need is Next.WORK:
            self._work(connection)
        elif need is Next.CLOSE or not (is_registered or self._wait(connection, need)):
            connection.close()
        elif is_registered:
            with self._lock:
                if self._selector.get_key(connection.socket).events != _EVENTS[need]:
                    self._selector.modify(connection.socket, _EVENTS[need], connection)

    def _wait(self, connection: Connection, need: Next) -> bool:
        """Look after a connection until it can go on.  False once nobody does any more."""
        with self._lock:
            if self._is_closed:
                return False
            self._waiting[connection.socket.fileno()] = connection
            self._selector.register(connection.socket, _EVENTS[need], connection)
            return True

    def _leave_off(self, connection: Connection) -> None:
        with self._lock:
            self._waiting.pop(connection.socket.fileno(), None)
            self._selector.unregister(connection.socket)

    def _make_room(self) -> bool:
        """Close the connection whose loss is the least.  Whether there is one."""
        waiting = list(self._waiting.values())
        if not waiting:
            return False
        least = min(waiting, key=lambda connection: connection.worth)
        self._leave_off(least)
        least.close()
        return True

    def _bound_unsent(self) -> None:
        """Give up answers, those that go slowest first, when too much waits that had its time.  By any
        thread: the connections are broken, and `run` finds them so."""
        now = time.monotonic()
        sending = [
            connection
            for connection in list(self._waiting.values())
            if connection.wfile.left and now - connection.since >= UNSENT_SECONDS
        ]
        unsent = sum(connection.wfile.left for connection in sending)
        for connection in sorted(sending, key=lambda connection: connection.wfile.rate(now)):
            if unsent <= UNSENT_BYTES:
                return
            unsent -= connection.wfile.left
            _tell.tell(logging.WARNING, "an answer is given up: its client takes it too slowly")
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def _sweep(self, now: float) -> None:
        """Close what is overdue; a request that comes too slowly is told so."""
        if self._deaf_until is not None and now >= self._deaf_until:
            self._deaf_until = None
            self._selector.register(self._listener, selectors.EVENT_READ)
        for connection in list(self._waiting.values()):
            if connection.due > now:
                continue
            if connection.is_late_request:
                connection.refuse("408 Request Timeout")
                self._resume(connection)
            else:
                self._leave_off(connection)
                connection.close()

    def _be_deaf(self) -> None:
        self._deaf_until = time.monotonic() + DEAF_SECONDS
        self._selector.unregister(self._listener)
