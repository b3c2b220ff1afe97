"""The answers 503, of nodes that truly cannot: too busy, or without a majority."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, eventually
from tests.contract.fronts import Front, Reply, configured
from tests.docs.pages import REFERENCE, read

TIMEOUT_MS = 3000
"""Longer than a request waits for its turn, by enough that one sent a moment later is refused first."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three nodes that work on one request each at a time, and suspect each other only after a while."""
    with configured(
        tmp_path / "vault",
        nodes=3,
        requests_at_once=1,
        request_timeout_ms=TIMEOUT_MS,
        suspect_ms=3 * TIMEOUT_MS,
    ) as cluster:
        cluster.start()
        cluster.wait_until_whole(60)  # a ballot that comes to nothing is repeated after that time
        yield cluster


def check_unavailable(reply: Reply) -> None:
    """Assert that it is a refusal after which one tries again, with a `Request-Id` as on all others."""
    assert reply.refusal == (503, "unavailable")
    assert reply.headers["Retry-After"] == "1"
    assert reply.headers["Request-Id"] == "mine"


def test_a_node_that_is_too_busy_and_one_without_a_majority_say_so_and_when_to_try_again(
    cluster: Cluster,
) -> None:
    head = cluster.by_role("head")
    others = [name for name in cluster.nodes if name != head]
    front = Front(cluster.nodes[head], cluster.keys)
    (token,) = front.ask("POST", "/tokenize", {"values": ["known"]}).document["tokens"]
    for value in ("ended", "valid"):
        assert front.ask("PUT", "/secrets/N", {"value": value}).status == 200

    for name in others:
        cluster.signal(name, signal.SIGSTOP)
    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(front.ask, "POST", "/tokenize", {"values": [value]}, Request_Id="mine")
            for value in ("first", "second")
        ]
        asked_meanwhile = [front.ask("GET", path) for path in ("/health", "/status")]
        replies = {reply.document["code"]: reply for reply in (done.result() for done in waiting)}
    assert [reply.status for reply in asked_meanwhile] == [200, 200], "they wait for no place"
    assert set(replies) == {"overloaded", "unavailable"}
    shown = read(REFERENCE / "errors.md").splitlines()
    assert [code for code, reply in replies.items() if reply.body.decode() not in shown] == []
    check_unavailable(replies["unavailable"])
    assert replies["overloaded"].refusal == (503, "overloaded")
    assert replies["overloaded"].headers["Retry-After"] == "1"
    assert replies["overloaded"].headers["Request-Id"] == "mine"

    for name in others:
        cluster.kill(name)
    eventually(lambda: cluster.health(head) == "unavailable")
    health = front.ask("GET", "/health", owner=None)
    assert (health.status, health.document) == (503, {"status": "unavailable"})
    assert health.headers["Retry-After"] == "1"
    health.check_common()
    check_unavailable(front.ask("POST", "/tokenize", {"values": ["third"]}, Request_Id="mine"))
    check_unavailable(front.ask("GET", "/epoch", Request_Id="mine"))
    check_unavailable(front.ask("PUT", "/secrets/N", {"value": "third"}, Request_Id="mine"))
    for path in ("/secrets", "/secrets/N", "/secrets/N?version=2", "/secrets/N/history"):
        check_unavailable(front.ask("GET", path, Request_Id="mine"))
    check_unavailable(front.ask("DELETE", "/secrets/N", Request_Id="mine"))
    check_unavailable(front.ask("POST", "/env/expand", {"content": "A=secret(N)"}, Request_Id="mine"))
    assert front.ask("GET", "/secrets/N?version=1").document["value"] == "ended", "which nothing changes"
    assert front.ask("GET", "/status").status == 200
    assert front.ask("POST", "/detokenize", {"token": token}).document == {"value": "known"}
