"""Connections whose time limits hold for a whole exchange, and that tell when they had gone stale.

A timeout of a socket is for one reading, so a server that sends a byte now and then could keep a call
for ever.  Here a timeout is for all that follows until another one is set.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

CONNECT_SECONDS = 3.0
"""How long it may take until a node takes a connection."""

_AT_ONCE = 1e-6
"""A timeout of zero would mean not to wait, and that is another error than a timeout."""


class StaleConnectionError(ConnectionResetError):
    """A connection kept from an earlier call was ended by the other side, which may be well."""


class _UntilThen:
    """What a timeout means to a socket."""

    _end: float | None = None

    def settimeout(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        super().settimeout(seconds)  # type: ignore[misc]

    def recv_into(self, *args: Any) -> int:
        if self._end is not None:
            super().settimeout(max(_AT_ONCE, self._end - time.monotonic()))  # type: ignore[misc]
        received: int = super().recv_into(*args)  # type: ignore[misc]
        return received


class _Socket(_UntilThen, socket.socket):
    """A socket in the clear.  Sending has one limit for all of it in any case."""


class TlsSocket(_UntilThen, ssl.SSLSocket):
    """A socket with TLS: the `sslsocket_class` of a context."""


class _Reused:
    """A connection that knows whether it is new."""

    _has_answered = False

    def _new_conn(self) -> socket.socket:
        self._has_answered = False
        return _connected(self)  # type: ignore[arg-type]

    def request(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
        except (ConnectionError, ssl.SSLError) as error:
            self._check(error)
            raise

    def getresponse(self) -> Any:
        try:
            answer = super().getresponse()  # type: ignore[misc]
        except (ConnectionError, ssl.SSLError) as error:
            self._check(error)
            raise
        self._has_answered = True
        return answer

    def _check(self, error: OSError) -> None:
        if self._has_answered and not isinstance(error, TimeoutError):
            raise StaleConnectionError from None


class _Connection(_Reused, HTTPConnection):
    """A connection in the clear."""


class _TlsConnection(_Reused, HTTPSConnection):
    """A connection with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}
"""The pools of each scheme."""


def _connected(connection: HTTPConnection) -> socket.socket:
    """A new socket to the first address that takes a connection.  Of the connection's timeout, what is
    left then is for what follows."""
    seconds = float(connection.timeout or CONNECT_SECONDS)
    began = time.monotonic()
    last = began + min(seconds, CONNECT_SECONDS)
    host = connection._dns_host  # noqa: SLF001 - as in the method that this stands for
    failure: OSError | None = None
    try:
        places = socket.getaddrinfo(host, connection.port, 0, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise NameResolutionError(host, connection, socket.gaierror(str(error))) from None
    for family, kind, protocol, _, address in places:
        opened = _Socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                opened.setsockopt(*option)
            opened.settimeout(max(_AT_ONCE, last - time.monotonic()))
            opened.connect(address)
            opened.settimeout(max(_AT_ONCE, began + seconds - time.monotonic()))
        except OSError as error:
            opened.close()
            failure = error
            continue
        return opened
    if isinstance(failure, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time")
    raise NewConnectionError(connection, "no connection") from failure
