"""One request and its answer, by each way over the wire: what a call relies on, both do."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.certificates import issued
from tests.unit.client.canned import Canned, canned, nobody
from tests.unit.client.test_hostile_answers import HEAD, talking, trickling
from tests.unit.client.test_sessions import HOST, secure_server
from tvault.client.direct import Direct
from tvault.client.exchanges import (
    MOST_ANSWER_BYTES,
    READ_BYTES,
    Answer,
    Exchanger,
    Failure,
    Request,
)
from tvault.client.pooled import Pooled
from tvault.client.vault import Vault
from tvault.errors import VaultError

Ca = Path | None
Open = Callable[[Sequence[str], Ca], Exchanger]

GET = Request("GET", "/epoch", {"Authorization": "Bearer tvk_secret"})
SILENT = Failure("no answer in time", is_silent=True)

SEEN: list[tuple[str, set[str], bytes]] = []
"""What arrived at `answering`: the first line, the other lines, the body."""


def pooled(urls: Sequence[str], ca: Ca) -> Exchanger:
    return Pooled(urls, 2, ca)


@pytest.fixture(params=[pooled, Direct])
def opened(request: pytest.FixtureRequest) -> Open:
    found: Open = request.param
    return found


def asked(opened: Open, url: str, request: Request = GET, seconds: float = 20) -> Answer | Failure:
    exchanger = opened([url], None)
    try:
        return exchanger.exchange(url, request, seconds)
    finally:
        exchanger.close()


def refused(outcome: Answer | Failure) -> str:
    assert isinstance(outcome, Failure)
    assert outcome.is_lasting
    return outcome.why


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("body", [None, b"{}", b"x" * 3_000_000])
def test_a_request_arrives_as_it_is_and_so_does_its_answer(
    opened: Open, method: str, body: bytes | None
) -> None:
    said = Canned(409, b"y" * (2 * READ_BYTES + 1), {"Retry-After": "7"})
    path = "/secrets/A.b-c?at=2026-01-01T00%3A00%3A00Z"
    with talking(answering(said)) as url:
        headers = {"Authorization": "Bearer k", "If-Match": '"3"'}
        answer = asked(opened, url, Request(method, path, headers, body))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (409, said.body)
    assert [answer.headers.get(name) for name in ("retry-AFTER", "Retry-After", "none")] == [
        "7",
        "7",
        None,
    ]
    line, lines, arrived = SEEN.pop()
    assert line == f"{method} {path} HTTP/1.1"
    assert {"authorization: bearer k", 'if-match: "3"', "accept-encoding: identity"} <= lines
    assert f"host: {url.removeprefix('http://')}" in lines
    assert arrived == (body or b"")


def answering(said: Canned) -> Callable[[socket.socket, bytes], None]:
    """Reads a request to its end, remembers it, and answers."""

    def talk(connection: socket.socket, request: bytes) -> None:
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        head, _, body = request.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        told = {each.lower() for each in lines}
        length = next((int(each.split(":")[1]) for each in told if each.startswith("content-length")), 0)
        while len(body) < length:
            body += connection.recv(65536)
        SEEN.append((line, told, body))
        more = "".join(f"{name}: {text}\r\n" for name, text in said.headers.items())
        size = f"Content-Length: {len(said.body)}\r\n\r\n"
        connection.sendall(f"HTTP/1.1 {said.status} X\r\n{more}{size}".encode() + said.body)

    return talk


def test_a_path_before_the_paths_of_the_calls_is_kept(opened: Open) -> None:
    with talking(answering(Canned(200))) as url:
        assert isinstance(asked(opened, url + "/vault/x"), Answer)
    assert SEEN.pop()[0] == "GET /vault/x/epoch HTTP/1.1"


def test_who_cannot_be_reached_is_told_apart_from_who_is_silent(opened: Open) -> None:
    assert asked(opened, nobody()) == Failure("connection refused")
    assert asked(opened, "http://no-such-host.invalid:1") == Failure("unknown host")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert asked(opened, f"http://127.0.0.1:{mute.getsockname()[1]}", seconds=0.3) == SILENT


@pytest.mark.parametrize("first", [b"HT", HEAD + b"X-", HEAD + b"Content-Length: 100000\r\n\r\n"])
def test_the_time_is_for_all_of_an_exchange(opened: Open, first: bytes) -> None:
    with talking(trickling(first)) as url:
        began = time.monotonic()
        assert asked(opened, url, seconds=0.5) == SILENT
        assert 0.4 < time.monotonic() - began < 3


@pytest.mark.parametrize(
    "said",
    [
        b"",
        HEAD + b'Content-Length: 20\r\n\r\n{"epoch":9}',
        HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"epo',
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        HEAD + b"X: " + b"x" * 100_000,
        HEAD + b"X: y\r\n" * 1000,
    ],
)
def test_what_is_no_whole_answer_is_a_failure(opened: Open, said: bytes) -> None:
    def talk(connection: socket.socket, request: bytes) -> None:  # noqa: ARG001
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)

    with talking(talk) as url:
        assert asked(opened, url) == Failure("the connection broke off")


def test_an_answer_without_end_has_no_body(opened: Open) -> None:
    sent = [0]

    def endless(connection: socket.socket, request: bytes) -> None:  # noqa: ARG001
        connection.sendall(HEAD + b"\r\n")
        while True:
            sent[0] += connection.send(bytes(1 << 20))

    with talking(endless) as url:
        answer = asked(opened, url)
    assert isinstance(answer, Answer)
    assert answer.body is None
    assert sent[0] < MOST_ANSWER_BYTES * 1.2


def test_a_long_body_that_is_refused_before_it_is_read_gets_its_refusal(opened: Open) -> None:
    def early(connection: socket.socket, request: bytes) -> None:  # noqa: ARG001
        connection.sendall(b"HTTP/1.1 413 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)

    with talking(early) as url:
        answer = asked(opened, url, Request("POST", "/x", {}, bytes(1 << 26)))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (413, b"{}")


def test_no_redirect_is_followed_and_nothing_is_taken_from_the_environment(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", nobody())
    monkeypatch.setenv("ALL_PROXY", nobody())
    with canned([Canned(302, b"", {"Location": nobody()})]) as node:
        answer = asked(opened, node.url)
    assert isinstance(answer, Answer)
    assert answer.status == 302


def test_only_a_node_that_the_ca_vouches_for_is_told_anything(opened: Open, tmp_path: Path) -> None:
    files, other = issued(tmp_path, HOST), issued(tmp_path / "other", HOST)
    with secure_server(files) as (url, told):
        for ca in (None, other.ca):
            why = refused(opened([url], ca).exchange(url, GET, 10))
            assert why.startswith("its certificate is not trusted")
        elsewhere = url.replace(HOST, "localhost")
        why = refused(opened([elsewhere], files.ca).exchange(elsewhere, GET, 10))
        assert "mismatch" in why
        assert told == []
        answer = opened([url], files.ca).exchange(url, GET, 10)
    assert isinstance(answer, Answer)
    assert (answer.body, told) == (b"ok", ["Bearer tvk_secret"])


def test_without_a_ca_the_store_of_the_system_holds(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = issued(tmp_path, HOST)
    with secure_server(files) as (url, _):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.ca))
        assert "not trusted" in refused(opened([url], None).exchange(url, GET, 10))
        monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
        assert isinstance(opened([url], None).exchange(url, GET, 10), Answer)


def test_a_file_that_holds_no_ca_is_refused_at_once(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"ca: .*none\.pem cannot be read: No such file"):
        opened(["https://127.0.0.1:1"], tmp_path / "none.pem")


def test_a_node_that_speaks_no_tls_is_told_apart(opened: Open, tmp_path: Path) -> None:
    ca = issued(tmp_path, HOST).ca
    with canned([Canned(200)]) as node:
        url = node.url.replace("http:", "https:")
        assert refused(opened([url], ca).exchange(url, GET, 10)) == "it speaks no TLS"


def test_nothing_that_is_shown_holds_a_key_or_a_value() -> None:
    shown = repr(Request("PUT", "/secrets/A", {"Authorization": "Bearer tvk_secret"}, b"hidden"))
    shown += repr(Answer(200, {}, b"hidden"))
    assert "tvk_secret" not in shown
    assert "hidden" not in shown


def test_a_vault_that_keeps_no_connections_loads_no_library_for_them() -> None:
    look = "import sys, tvault; tvault.Vault(['http://127.0.0.1:1'], 'k', connections={}); "
    told = "print('requests' in sys.modules or 'urllib3' in sys.modules)"
    for connections, loads in ((0, "False"), (1, "True")):
        command = [sys.executable, "-c", look.format(connections) + told]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == loads
    with pytest.raises(VaultError, match="0 or more"):
        Vault(["http://127.0.0.1:1"], "k", connections=-1)


def test_a_vault_that_keeps_no_connections_is_asked_like_any_other() -> None:
    with canned([Canned(503, b""), Canned(200, b'{"epoch":3}')]) as node:
        with Vault([nobody(), node.url], "k", connections=0) as vault:
            assert [vault.epoch() for _ in range(3)] == [3] * 3
        assert {seen.headers["Authorization"] for seen in node.seen} == {"Bearer k"}
