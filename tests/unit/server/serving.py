"""A client API served on a real port, and two ways to talk to it: HTTP, and bytes on a socket."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.ports import listening
from tests.unit.server.remote import seen_remotely
from tvault.engine import Engine
from tvault.model.fields import Fields, parse_path
from tvault.model.keys import KeyRing
from tvault.model.owners import OwnerTable, hash_api_key, new_api_key
from tvault.model.secrets import MasterKeys
from tvault.server.client_api import ClientApi
from tvault.server.framing import make_server
from tvault.wire import Limits

KEYS = {owner: new_api_key(owner.encode().ljust(32, b".")) for owner in ("alice", "bob")}
FIELDS = ("ssn", "patient.mrn", "contacts[*].phone")
RING = KeyRing(bytes(range(32)))
MASTERS = MasterKeys("m1", {"m1": bytes(range(32, 64))}, os.urandom)
STATUS_DOCUMENT = {
    "node": "n1",
    "role": "single",
    "view": 1,
    "chain": ["n1"],
    "ensemble": ["n1"],
    "journal": {"last": 0, "committed": 0, "digest": ""},
}


@dataclass
class Node:
    """A node's client API on a port of this machine."""

    engine: LoneEngine
    api: ClientApi
    port: int
    session: requests.Session
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(
        self, path: str, document: Any, owner: str | None = "alice", **headers: str
    ) -> requests.Response:
        """Post a document, or bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.request("POST", path, body, owner, **headers)

    def get(self, path: str, owner: str | None = "alice", **headers: str) -> requests.Response:
        return self.request("GET", path, None, owner, **headers)

    def request(
        self, method: str, path: str, body: bytes | None, owner: str | None = "alice", **headers: str
    ) -> requests.Response:
        """A request; `headers` by name with `_` for `-`, an empty text drops the header."""
        sent: dict[str, str] = {} if owner is None else {"Authorization": f"Bearer {KEYS[owner]}"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        kept = {name: text for name, text in sent.items() if text}
        return self.session.request(method, self.url + path, data=body, headers=kept, timeout=20)

    def tokenize(self, values: list[Any], owner: str = "alice") -> list[Any]:
        answer = self.post("/tokenize", {"values": values}, owner)
        assert answer.status_code == 200, answer.text
        tokens: list[Any] = answer.json()["tokens"]
        return tokens

    def detokenize(self, tokens: list[Any], owner: str = "alice") -> list[Any]:
        answer = self.post("/detokenize", {"tokens": tokens}, owner)
        assert answer.status_code == 200, answer.text
        assert answer.json()["not_found"] == []
        values: list[Any] = answer.json()["values"]
        return values


@contextmanager
def serving(
    engine: LoneEngine | None = None,
    limits: Limits | None = None,
    threads: int = 6,
    *,
    by_gateway: bool = False,
    masters: MasterKeys = MASTERS,
) -> Iterator[Node]:
    """A node that serves, with an engine of its own unless one is given; or a gateway in front of it."""
    engine = engine or LoneEngine(KEYS)
    seen = seen_remotely(engine, RING) if by_gateway else nullcontext(engine)
    with seen as given:
        yield from _serving(engine, given, limits or Limits(), threads, masters)


def _serving(
    engine: LoneEngine, given: Engine, limits: Limits, threads: int, masters: MasterKeys
) -> Iterator[Node]:
    events: list[tuple[str, dict[str, Any]]] = []

    def record(event: str, **counts: str | float) -> None:
        events.append((event, counts))

    api = ClientApi(
        engine=given,
        keys=RING,
        masters=masters,
        fields=Fields(parse_path(text) for text in FIELDS),
        owners=OwnerTable({owner: [hash_api_key(key)] for owner, key in KEYS.items()}),
        limits=limits,
        status=lambda: STATUS_DOCUMENT,
        nonce=lambda: os.urandom(12),
        random=os.urandom,
        clock=time.monotonic,
        record=record,
    )
    with (
        listening(make_server(api.app, "127.0.0.1", 0, threads)) as server,
        requests.Session() as session,
    ):
        session.trust_env = False
        yield Node(engine, api, server.port, session, events)


def exchange(port: int, *pieces: bytes, wait_seconds: float = 5.0) -> bytes:
    """Everything the server sends until it closes, after all the pieces were sent and the sending side
    was ended.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=wait_seconds) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def answers_in(stream: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """The answers, each with a Content-Length, that stand in a stream: status, headers, body."""
    found = []
    while stream:
        head, _, rest = stream.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("Content-Length", "0"))
        found.append((int(first.split()[1]), headers, rest[:length]))
        stream = rest[length:]
    return found


def problem_of(answer: requests.Response) -> tuple[int, str]:
    """Status and code of a refusal that is told as every refusal must be."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Request-Id"]
    document = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= document.keys()
    assert document["status"] == answer.status_code
    return answer.status_code, document["code"]
