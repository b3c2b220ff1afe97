"""One node asked once, for those who look at nodes rather than use the vault."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from tvault import wire
from tvault.client.retries import untrusted
from tvault.client.sessions import open_session
from tvault.errors import VaultError
from tvault.trust import distrust


def node_health(url: str, timeout_s: float, ca: str | Path | None = None) -> str | None:
    """A node's own word on its health (`ok`, `degraded`, `unavailable`); None when it is not there.

    Raises `VaultError` (`unreachable`) when its certificate is not trusted, as `peer_status` does.
    """
    return _one_answer(url, wire.HEALTH, {}, timeout_s, ca, {200, 503}).get("status")


def peer_status(
    url: str, credential: str, timeout_s: float, ca: str | Path | None = None
) -> dict[str, Any] | None:
    """What one node says of itself to a bearer of the cluster's credential, or None when it does not."""
    headers = {"Authorization": f"Bearer {credential}"}
    return _one_answer(url, wire.PEER_STATUS, headers, timeout_s, ca, {200}) or None


def ask_peer(
    url: str, path: str, credential: str, timeout_s: float, ca: str | Path | None = None
) -> dict[str, Any]:
    """What one node answers a bearer of the cluster's credential at `path` of its peer port.

    Raises `VaultError`: `unreachable` when no answer comes or its certificate is not trusted, and what
    the node refuses with.
    """
    headers = {"Authorization": f"Bearer {credential}"}
    try:
        with open_session([url], 1, ca) as session:
            answer = session.get(url + path, headers=headers, timeout=timeout_s, allow_redirects=False)
            status, body = answer.status_code, answer.content
    except requests.exceptions.RequestException as error:
        why = distrust(error)
        refusal = (
            VaultError("unreachable", f"no answer from {url}") if why is None else untrusted(url, why)
        )
    else:
        if status == HTTPStatus.OK:
            document = wire.decode_json(body)
            return document if isinstance(document, dict) else {}
        refusal = wire.error_from_problem(status, body)
    raise refusal


def _one_answer(
    url: str, path: str, headers: dict[str, str], timeout_s: float, ca: str | Path | None, good: set[int]
) -> dict[str, Any]:
    try:
        with open_session([url], 1, ca) as session:
            answer = session.get(url + path, headers=headers, timeout=timeout_s, allow_redirects=False)
            body = answer.content if answer.status_code in good else b"null"
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
        return {}
    return document if isinstance(document, dict) else {}
