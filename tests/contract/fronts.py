"""What clients talk to, running, and one request at a time to it, down to the bytes."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.cluster import Cluster, eventually, free_base_port
from tvault.wire import decode_json, encode_json

TOKEN_KEY = bytes(range(32))
"""The token key of every vault here, so that a value has the same token in each run."""

FIELDS = ("ssn", "patient.mrn", "contacts[*].phone")
SECONDS = 30


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: Message
    body: bytes

    @property
    def document(self) -> Any:
        """Its JSON."""
        return decode_json(self.body)

    @property
    def refusal(self) -> tuple[int, str]:
        """The status and code of a problem document, whose form and headers are right."""
        document = self.document
        assert self.headers["Content-Type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "code"} <= set(document)
        assert document["status"] == self.status
        assert document["type"] == f"urn:tvault:problem:{document['code']}"
        self.check_common()
        return self.status, document["code"]

    def without_date(self) -> tuple[int, str, bytes]:
        """All of it that may not differ between two answers that tell the same."""
        headers = [f"{name}: {text}" for name, text in self.headers.items() if name != "Date"]
        return self.status, "\n".join(headers), self.body

    def check_common(self) -> None:
        """Assert what every answer has."""
        assert self.headers.get_all("Cache-Control") == ["no-store"]
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", self.headers["Request-Id"])
        assert (self.headers["Retry-After"] is not None) == (self.status == 503)
        assert (self.headers["WWW-Authenticate"] is not None) == (self.status == 401)
        assert self.headers["ETag"] is None or self.status == 200


@dataclass(frozen=True)
class Front:
    """A node or a gateway: its address, and the API keys of the owners `A` and `B`."""

    url: str
    keys: dict[str, str]

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        owner: str | None = "B",
        **headers: str,
    ) -> Reply:
        """One request on a connection of its own.  `body` is bytes, or a document that becomes JSON;
        a `_` in the name of a header stands for `-`, and an empty header is not sent."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if owner is not None:
            sent.setdefault("Authorization", f"Bearer {self.keys[owner]}")
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        data = body if body is None or isinstance(body, bytes) else encode_json(body)
        connection = HTTPConnection(self.netloc, timeout=SECONDS)
        try:
            connection.request(method, path, data, {name: text for name, text in sent.items() if text})
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def send(self, request: bytes) -> Reply:
        """The answer to these bytes, after which the connection must be closed by the other side."""
        host, _, port = self.netloc.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
            connection.sendall(request)
            answer = HTTPResponse(connection)
            answer.begin()
            reply = Reply(answer.status, answer.headers, answer.read())
            assert connection.recv(1) == b"", "the connection stays open"
        return reply

    @property
    def netloc(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


def configured(folder: Path, nodes: int = 1, **settings: int) -> Cluster:
    """A vault with these settings, whose nodes do not run yet."""
    cluster = Cluster(folder, nodes=nodes, fields=FIELDS)
    (folder / "keys" / "token.key").write_text(TOKEN_KEY.hex() + "\n", encoding="ascii")
    text = cluster.config.read_text(encoding="utf-8")
    for name, number in settings.items():
        text, count = re.subn(rf"^# {name} = .*$", f"{name} = {number}", text, flags=re.MULTILINE)
        assert count == 1, f"tvault.toml shows no setting {name}"
    cluster.config.write_text(text, encoding="utf-8")
    return cluster


@contextmanager
def serving(kind: str, folder: Path, **settings: int) -> Iterator[Front]:
    """A node of a vault of its own, or a gateway before one: `kind` says which."""
    with configured(folder, **settings) as cluster:
        cluster.start()
        cluster.wait_until_whole()
        if kind == "node":
            yield Front(cluster.nodes["n1"], cluster.keys)
        else:
            with gateway_of(cluster) as url:
                yield Front(url, cluster.keys)
        assert cluster.ended() == [], "a node ended by itself"


def is_healthy(url: str) -> bool:
    """Whether what is there, if anything is, takes writes."""
    try:
        return Front(url, {}).ask("GET", "/health", owner=None).status == 200
    except OSError:
        return False


@contextmanager
def gateway_of(cluster: Cluster) -> Iterator[str]:
    """The address of a gateway before this vault."""
    address = f"127.0.0.1:{free_base_port(1) + 1}"
    command = [sys.executable, "-m", "tvault", "serve", "--gateway", "--listen", address]
    with cluster.log("gateway").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--config", str(cluster.config)], stdout=subprocess.DEVNULL, stderr=log
        )
    try:
        url = f"http://{address}"
        eventually(lambda: is_healthy(url))
        yield url
        assert process.poll() is None, "the gateway ended by itself"
    finally:
        process.kill()
        process.wait()
