"""Connections of a pool, over sockets of ours, that tell when they had gone stale."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from tvault.client.sockets import CONNECT_SECONDS, connected


class StaleConnectionError(ConnectionResetError):
    """A connection kept from an earlier call was ended by the other side, which may be well."""


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
    """A new socket, by the connection's timeout, with the errors that the pools know."""
    host = connection._dns_host  # noqa: SLF001 - as in the method that this stands for
    seconds = float(connection.timeout or CONNECT_SECONDS)
    try:
        return connected(host, connection.port, seconds, connection.socket_options or ())
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from None
    except TimeoutError:
        raise ConnectTimeoutError(connection, "no connection in time") from None
    except OSError as error:
        raise NewConnectionError(connection, "no connection") from error
