"""What all calls have in common: keys, media types, limits, ids, and refusals that tell nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.one_node import eventually
from tests.unit.server.serving import KEYS, STATUS_DOCUMENT, Node, problem_of, serving
from tvault.errors import VaultError
from tvault.server.turns import WAIT_SECONDS
from tvault.wire import Limits

VALUE = "123-45-6789"
CALLS = [
    ("POST", "/tokenize", b'{"values":[]}'),
    ("POST", "/detokenize", b'{"tokens":[]}'),
    ("POST", "/rotate-epoch", b'{"to":1}'),
    ("GET", "/epoch", None),
    ("GET", "/status", None),
]
POSTS = [path for method, path, _ in CALLS if method == "POST"]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer tvk_unknown",
        KEYS["alice"],
        f"Basic {KEYS['alice']}",
        f"Bearer {KEYS['alice']} {KEYS['bob']}",
        f"Bearer {KEYS['alice'][:-1]}",
        "Bearer \u00e9",
    ],
)
def test_no_key_and_any_wrong_key_get_one_answer(
    shared: Node, method: str, path: str, body: bytes | None, header: str
) -> None:
    answer = shared.request(method, path, body, None, Authorization=header, Request_Id="one")
    without = shared.request(method, path, body, None, Request_Id="one")

    assert problem_of(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.content == without.content
    assert {**answer.headers, "Date": ""} == {**without.headers, "Date": ""}


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_a_key_opens_every_call(
    shared: Node, method: str, path: str, body: bytes | None, scheme: str
) -> None:
    answer = shared.request(method, path, body, None, Authorization=f"{scheme} {KEYS['bob']}")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/tokenize/", "/tokenize/x", "/Tokenize", "/tokenize%FF"]
)
@pytest.mark.parametrize("owner", ["alice", None])
def test_an_unknown_path_is_not_found_with_or_without_a_key(
    shared: Node, path: str, owner: str | None
) -> None:
    assert problem_of(shared.get(path, owner)) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/tokenize", "OPTIONS, POST"),
        ("PUT", "/detokenize", "OPTIONS, POST"),
        ("DELETE", "/rotate-epoch", "OPTIONS, POST"),
        ("POST", "/epoch", "GET, HEAD, OPTIONS"),
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("BREW", "/status", "GET, HEAD, OPTIONS"),
    ],
)
def test_another_method_is_refused_with_those_allowed(
    shared: Node, method: str, path: str, allowed: str
) -> None:
    answer = shared.request(method, path, None)

    assert problem_of(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed


def test_options_tells_the_methods(shared: Node) -> None:
    answer = shared.request("OPTIONS", "/epoch", None, None)

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/epoch", 200), ("/tokenize", 405)])
def test_head_is_get_without_the_body(shared: Node, path: str, status: int) -> None:
    head = shared.request("HEAD", path, None)
    get = shared.get(path)

    assert (head.status_code, head.content) == (status, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text/plain",
        "application/jsonx",
        "application/problem+json",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/json;charset=utf-16",
    ],
)
def test_a_body_that_is_not_json_in_utf8_is_an_unsupported_media_type(
    shared: Node, path: str, media_type: str
) -> None:
    answer = shared.post(path, {}, Content_Type=media_type)

    assert problem_of(answer) == (415, "unsupported_media_type")


def test_a_compressed_body_is_an_unsupported_media_type(shared: Node) -> None:
    answer = shared.post("/tokenize", {}, Content_Encoding="gzip")

    assert problem_of(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json ; profile=x",
    ],
)
def test_json_in_utf8_is_taken_however_it_is_announced(shared: Node, media_type: str) -> None:
    assert shared.post("/tokenize", {"values": []}, Content_Type=media_type).status_code == 200


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("media_type", ["application/json", ""])
def test_no_body_is_malformed(shared: Node, path: str, media_type: str) -> None:
    answer = shared.request("POST", path, b"", Content_Type=media_type)

    assert problem_of(answer) == (400, "malformed")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"unknown":1}',
        b"\xff",
        b"[" * 100_000,
        b'{"values":[],"records":[]}',
        b'{"tokens":[],"token":"x"}',
        b'{"values":[],"unknown":1}',
        b'{"to":1,"unknown":1}',
        b'{"tokens":[],"unknown":1}',
    ],
)
def test_a_body_of_another_shape_is_malformed(shared: Node, path: str, body: bytes) -> None:
    assert problem_of(shared.post(path, body)) == (400, "malformed")


def test_a_refusal_names_no_unknown_member(shared: Node) -> None:
    answer = shared.post("/tokenize", {"values": [], VALUE: 1})

    assert problem_of(answer) == (400, "malformed")
    assert VALUE not in answer.text


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_an_owner_id_and_queries_are_ignored(
    shared: Node, method: str, path: str, body: bytes | None
) -> None:
    if body is not None:
        body = b'{"owner_id":"bob",' + body[1:]

    assert shared.request(method, f"{path}?owner_id=bob&x=1", body, "alice").status_code == 200


def test_the_key_alone_says_whose_values_they_are(node: Node) -> None:
    answer = node.post("/tokenize?owner_id=bob", {"owner_id": "bob", "values": [VALUE]}, "alice")
    [token] = answer.json()["tokens"]

    assert node.detokenize([token], "alice") == [VALUE]
    assert node.post("/detokenize?owner_id=alice", {"token": token}, "bob").status_code == 404


def test_a_sane_request_id_comes_back(shared: Node) -> None:
    assert shared.get("/epoch", Request_Id="Batch-7.a_b").headers["Request-Id"] == "Batch-7.a_b"
    assert shared.get("/nowhere", Request_Id="x" * 64).headers["Request-Id"] == "x" * 64


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "a;b", "a\tb", "\u00e9"])
def test_any_other_request_id_is_replaced_by_a_new_one(shared: Node, sent: str) -> None:
    ids = {shared.get("/epoch", Request_Id=sent).headers["Request-Id"] for _ in range(2)}

    assert len(ids) == 2
    assert sent not in ids


def test_no_header_tells_what_the_server_is_made_of(shared: Node) -> None:
    for answer in (shared.get("/health"), shared.get("/nowhere"), shared.post("/tokenize", b"x")):
        assert answer.headers["Server"] == "tvault"
        assert "X-Powered-By" not in answer.headers


def test_health_needs_no_key(node: Node) -> None:
    answer = node.get("/health", None)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_health_tells_a_chain_that_is_shorter_than_the_ensemble(node: Node) -> None:
    node.engine.is_short = True

    answer = node.get("/health", None)

    assert (answer.status_code, answer.json()) == (200, {"status": "degraded"})


def test_health_tells_a_node_that_takes_no_writes(node: Node) -> None:
    node.engine.is_writable = False

    answer = node.get("/health", None)

    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    assert answer.headers["Retry-After"] == "1"


def test_status_is_what_the_node_says(shared: Node) -> None:
    assert shared.get("/status").json() == STATUS_DOCUMENT


class FailingEngine(LoneEngine):
    """An engine whose confirmed reads fail as they are told to."""

    failure: Exception

    def read_epoch(self, owner: str, deadline: float) -> int:
        super().read_epoch(owner, deadline)
        raise self.failure


@pytest.mark.parametrize(("method", "path", "body"), CALLS[2:4])
def test_an_unexpected_failure_tells_the_client_nothing_and_the_log_where(
    method: str, path: str, body: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    engine = FailingEngine(KEYS)
    engine.failure = KeyError(VALUE)

    with serving(engine) as node, caplog.at_level(logging.INFO):
        answer = node.request(method, path, body, Request_Id="r1")

    assert problem_of(answer) == (500, "internal")
    assert answer.headers["Request-Id"] == "r1"
    assert VALUE not in answer.text + caplog.text
    assert "request r1 failed: KeyError in read_epoch (test_web.py:" in caplog.text


@pytest.mark.parametrize("code", ["unavailable", "overloaded", "key_unavailable"])
def test_what_is_safe_to_retry_says_when(code: Any) -> None:
    engine = FailingEngine(KEYS)
    engine.failure = VaultError(code, "Not now.")

    with serving(engine) as node:
        answer = node.get("/epoch")

    assert problem_of(answer) == (503, code)
    assert answer.headers["Retry-After"] == "1"


class SlowEngine(LoneEngine):
    """An engine whose confirmed reads wait until they are let go."""

    def __init__(self) -> None:
        super().__init__(KEYS)
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()

    def read_epoch(self, owner: str, deadline: float) -> int:
        self.entered.release()
        assert self.leave.wait(20)
        return super().read_epoch(owner, deadline)


@contextmanager
def all_places_taken(node: Node, engine: SlowEngine, count: int) -> Iterator[list[int]]:
    """As many requests as are worked on at once; the status of their answers, once they may go on."""
    answers: list[int] = []

    def ask() -> None:
        headers = {"Authorization": f"Bearer {KEYS['alice']}"}
        answers.append(requests.get(f"{node.url}/epoch", headers=headers, timeout=20).status_code)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert engine.entered.acquire(timeout=20)
    yield answers
    engine.leave.set()
    for thread in threads:
        thread.join()


def test_a_node_whose_places_stay_taken_is_overloaded_and_still_tells_its_health() -> None:
    engine = SlowEngine()
    with serving(engine, Limits(requests_at_once=2)) as node:
        with all_places_taken(node, engine, 2) as answers:
            assert node.get("/health", None).status_code == 200
            assert node.get("/status").status_code == 200
            began = time.monotonic()
            refused = node.get("/epoch")
            assert problem_of(refused) == (503, "overloaded")
            assert refused.headers["Retry-After"] == "1"
            assert WAIT_SECONDS <= time.monotonic() - began < WAIT_SECONDS + 3
        assert answers == [200, 200]
        assert node.get("/epoch").status_code == 200, "the places were given back"


def test_a_request_beyond_the_places_is_answered_once_one_is_free() -> None:
    engine = SlowEngine()
    with serving(engine, Limits(requests_at_once=1)) as node:
        with all_places_taken(node, engine, 1) as answers:
            later = threading.Thread(target=lambda: answers.append(node.get("/epoch").status_code))
            later.start()
            eventually(lambda: bool(node.api.app._turns._count))
            assert answers == []
        later.join()
        assert answers == [200, 200]


def test_a_refused_request_gives_its_place_back() -> None:
    with serving(limits=Limits(requests_at_once=1)) as node:
        for _ in range(3):
            assert node.post("/tokenize", b"{").status_code == 400
            assert node.post("/tokenize", {}, Content_Type="text/plain").status_code == 415

        assert node.get("/epoch").status_code == 200
