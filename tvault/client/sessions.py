"""Connections to nodes that stay open from call to call."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from tvault.client.connections import POOLS
from tvault.client.sockets import TlsSocket
from tvault.trust import verifying_for

_HOSTS = 16


def open_session(urls: Iterable[str], connections: int, ca: str | Path | None) -> requests.Session:
    """A session that keeps up to `connections` to each node open, and over TLS talks only to nodes whose
    certificate comes from `ca`, a PEM file, or from a CA that the system trusts.

    Nothing is taken from the environment: a proxy set there must not see keys and values.  Raises
    `VaultError` (`configuration`) when `ca` is no file of certificates.
    """
    session = requests.Session()
    session.trust_env = False
    # Answers as they are: a packed one could be of any length when it is unpacked.
    session.headers["Accept-Encoding"] = "identity"
    session.mount("http://", _Adapter(_HOSTS, connections, max_retries=0))
    context = verifying_for(urls, ca)
    if context is not None:
        session.mount("https://", _VerifyingAdapter(connections, context))
    return session


class _Adapter(HTTPAdapter):
    """Opens connections of ours."""

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,  # noqa: FBT001, FBT002 - as it is there
        **pool: Any,
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, **pool)
        self.poolmanager.pool_classes_by_scheme = POOLS


class _VerifyingAdapter(_Adapter):
    """Verifies by one context for all connections.

    By itself `requests` reads the file of CAs again for each connection, and trusts a list of its own
    instead of the system's.
    """

    def __init__(self, connections: int, context: ssl.SSLContext) -> None:
        context.sslsocket_class = TlsSocket
        self._context = context
        super().__init__(_HOSTS, connections, max_retries=0)

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,  # noqa: FBT001, FBT002 - as it is there
        **pool: Any,
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **pool)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002
        """Leave it to the context, whatever a session says of it."""
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = conn.ca_cert_dir = None
