"""Exchanges over a connection each, for those who ask once: little is loaded for it.

The rules are those of `pooled`: one time limit for all of an exchange, nothing taken from the
environment, no redirect followed, and over TLS only a node whose certificate is trusted.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from tvault.client.exchanges import (
    BROKE_OFF,
    MOST_ANSWER_BYTES,
    READ_BYTES,
    Answer,
    Failure,
    Request,
    failure_of,
)
from tvault.client.sockets import TlsSocket, connected
from tvault.trust import verifying_for


class Direct:
    """Makes a connection for each exchange.  Safe for many threads."""

    def __init__(self, urls: Iterable[str], ca: str | Path | None) -> None:
        self._context = verifying_for(urls, ca)
        if self._context is not None:
            self._context.sslsocket_class = TlsSocket

    def close(self) -> None:
        """Nothing is open."""

    def exchange(self, url: str, request: Request, seconds: float) -> Answer | Failure:
        """As every exchanger does it."""
        parts = urlsplit(url)
        connection = _Connection(
            parts.hostname or "", parts.port, seconds, self._context if parts.scheme == "https" else None
        )
        try:
            # Who refuses a long body may have said so before all of it was sent.
            with suppress(BrokenPipeError):
                connection.request(
                    request.method, parts.path + request.path, request.body, request.headers
                )
            return _answer(connection.getresponse())
        except (OSError, HTTPException) as error:
            return failure_of(error, is_timeout=isinstance(error, TimeoutError))
        finally:
            connection.close()


class _Connection(HTTPConnection):
    """A connection over a socket of ours."""

    def __init__(
        self, host: str, port: int | None, seconds: float, context: ssl.SSLContext | None
    ) -> None:
        if context is not None:
            self.default_port = 443
        super().__init__(host, port or self.default_port)
        self._seconds = seconds
        self._context = context

    def connect(self) -> None:
        self.sock: socket.socket = connected(self.host, self.port, self._seconds)
        if self._context is not None:
            # What is left of the time goes over to the new socket.
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def _answer(response: HTTPResponse) -> Answer | Failure:
    pieces: list[bytes] = []
    size = 0
    while piece := response.read(READ_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_ANSWER_BYTES:
            return Answer(response.status, response.headers, None)
    if response.length:  # an answer that is read in pieces may end early without an error
        return Failure(BROKE_OFF)
    return Answer(response.status, response.headers, b"".join(pieces))
