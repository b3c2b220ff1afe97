"""Sockets whose time limits hold for a whole exchange.

A timeout of a socket is for one reading, so a server that sends a byte now and then could keep a call
for ever.  Here a timeout is for all that follows until another one is set.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

CONNECT_SECONDS = 3.0
"""How long it may take until a node takes a connection."""

AT_ONCE = 1e-6
"""A timeout of zero would mean not to wait, and that is another error than a timeout."""

NO_DELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


class _UntilThen:
    """What a timeout means to a socket."""

    _end: float | None = None

    def settimeout(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        super().settimeout(seconds)  # type: ignore[misc]

    def recv_into(self, *args: Any) -> int:
        if self._end is not None:
            super().settimeout(max(AT_ONCE, self._end - time.monotonic()))  # type: ignore[misc]
        received: int = super().recv_into(*args)  # type: ignore[misc]
        return received


class _Socket(_UntilThen, socket.socket):
    """A socket in the clear.  Sending has one limit for all of it in any case."""


class TlsSocket(_UntilThen, ssl.SSLSocket):
    """A socket with TLS: the `sslsocket_class` of a context."""


def connected(
    host: str, port: int, seconds: float, options: Iterable[tuple[int, int, Any]] = NO_DELAY
) -> socket.socket:
    """A new socket to the first address that takes a connection.  Of `seconds`, what is left then is for
    what follows.  Raises `OSError`: `socket.gaierror` for an unknown host, `TimeoutError`."""
    began = time.monotonic()
    last = began + min(seconds, CONNECT_SECONDS)
    failure: OSError | None = None
    try:
        places = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(str(error)) from None
    for family, kind, protocol, _, address in places:
        opened = _Socket(family, kind, protocol)
        try:
            for option in options:
                opened.setsockopt(*option)
            opened.settimeout(max(AT_ONCE, last - time.monotonic()))
            opened.connect(address)
            opened.settimeout(max(AT_ONCE, began + seconds - time.monotonic()))
        except OSError as error:
            opened.close()
            failure = error
            continue
        return opened
    raise failure or OSError("no address")
