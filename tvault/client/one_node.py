"""One node asked once, for those who look at nodes rather than use the vault."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from tvault import wire
from tvault.client.retries import untrusted
from tvault.client.sessions import open_session
from tvault.errors import VaultError
from tvault.trust import distrust

_HEALTH_STATUSES = {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}


def node_health(url: str, timeout_s: float, ca: str | Path | None = None) -> str | None:
    """A node's own word on its health (`ok`, `degraded`, `unavailable`); None when it is not there.

    Raises `VaultError` (`unreachable`) when its certificate is not trusted.
    """
    try:
        with open_session([url], 1, ca) as session:
            answer = session.get(url + wire.HEALTH, timeout=timeout_s, allow_redirects=False)
            body = answer.content if answer.status_code in _HEALTH_STATUSES else b"null"
    except requests.exceptions.RequestException as error:
        why = distrust(error)
        body = b"null"
    else:
        why = None
    if why is not None:
        raise untrusted(url, why)
    try:
        document = wire.decode_json(body)
    except VaultError:
        return None
    return document.get("status") if isinstance(document, dict) else None


class PeerPort:
    """The peer port of one node, for a bearer of the cluster's credential; keeps its connection.

    A context manager, for one thread.  Calls raise `VaultError`: `unreachable` when no answer comes or
    the certificate is not trusted, and what the node refuses with.
    """

    def __init__(
        self, url: str, credential: str, timeout_s: float, ca: str | Path | None = None
    ) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._session = open_session([url], 1, ca)
        self._session.headers["Authorization"] = f"Bearer {credential}"

    def __repr__(self) -> str:
        return f"PeerPort({self._url!r})"

    def __enter__(self) -> PeerPort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def get(self, path: str) -> bytes:
        """The body of what it answers at `path`."""
        try:
            answer = self._session.get(self._url + path, timeout=self._timeout_s, allow_redirects=False)
            status, body = answer.status_code, answer.content
        except requests.exceptions.RequestException as error:
            why = distrust(error)
            if why is None:
                refusal = VaultError("unreachable", f"no answer from {self._url}")
            else:
                refusal = untrusted(self._url, why)
        else:
            if status == HTTPStatus.OK:
                return body
            refusal = wire.error_from_problem(status, body)
        raise refusal  # out here, so that it does not carry the request, in which the credential is


def ask_peer(
    url: str, path: str, credential: str, timeout_s: float, ca: str | Path | None = None
) -> dict[str, Any]:
    """The document that one node answers at `path` of its peer port.  Raises as `PeerPort` does."""
    with PeerPort(url, credential, timeout_s, ca) as port:
        document = wire.decode_json(port.get(path))
    return document if isinstance(document, dict) else {}
