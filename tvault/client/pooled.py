"""Exchanges over connections that stay open from call to call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests
import urllib3
from urllib3.exceptions import NewConnectionError

from tvault.client.connections import StaleConnectionError
from tvault.client.exchanges import (
    MOST_ANSWER_BYTES,
    READ_BYTES,
    Answer,
    Failure,
    Request,
    failure_of,
)
from tvault.client.sessions import open_session
from tvault.trust import causes

_TIMEOUTS = (TimeoutError, urllib3.exceptions.TimeoutError)


class Pooled:
    """Keeps up to `connections` to each node open.  Safe for many threads."""

    def __init__(self, urls: Sequence[str], connections: int, ca: str | Path | None) -> None:
        self._session = open_session(urls, connections, ca)
        self._known: dict[tuple[str, str], requests.PreparedRequest] = {}

    def close(self) -> None:
        """End all connections."""
        self._session.close()

    def exchange(self, url: str, request: Request, seconds: float) -> Answer | Failure:
        """As every exchanger does it; a connection that had gone stale is replaced at once."""
        while True:
            try:
                return self._send(url, request, seconds)
            except (
                requests.exceptions.RequestException,
                urllib3.exceptions.HTTPError,
                OSError,
            ) as error:
                failure = _failure(error)
            if failure is not None:
                return failure

    def _send(self, url: str, request: Request, seconds: float) -> Answer:
        prepared = self._prepared(url, request.method).copy()
        prepared.url = url + request.path
        prepared.headers.update(request.headers)
        if request.body is not None:
            prepared.body = request.body
            prepared.headers["Content-Length"] = str(len(request.body))
        # The adapter itself: a session would follow the body of a redirect without end.
        adapter = self._session.get_adapter(url)
        limit: Any = urllib3.Timeout(total=seconds, connect=seconds)
        answer = adapter.send(prepared, timeout=limit, proxies={}, stream=True)
        pieces: list[bytes] = []
        size = 0
        for piece in answer.raw.stream(READ_BYTES, decode_content=False):
            pieces.append(piece)
            size += len(piece)
            if size > MOST_ANSWER_BYTES:
                answer.close()
                return Answer(answer.status_code, answer.headers, None)
        return Answer(answer.status_code, answer.headers, b"".join(pieces))

    def _prepared(self, url: str, method: str) -> requests.PreparedRequest:
        """A request without path and body: to prepare one costs as much as to send it."""
        known = self._known.get((url, method))
        if known is None:
            request = requests.Request(method, url)
            known = self._known[url, method] = self._session.prepare_request(request)
        return known


def _failure(error: Exception) -> Failure | None:
    """What went wrong; None when only a connection had gone stale, which says nothing of the node."""
    chain = list(causes(error))
    if any(isinstance(each, StaleConnectionError) for each in chain):
        return None
    # A connection that cannot be made counts as a timeout there, whatever the reason.
    is_timeout = any(
        isinstance(each, _TIMEOUTS) and not isinstance(each, NewConnectionError) for each in chain
    )
    return failure_of(error, is_timeout=is_timeout)
