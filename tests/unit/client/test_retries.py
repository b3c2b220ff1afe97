"""When a call is asked again, and when not."""

from __future__ import annotations

import socket
import time

import pytest

from tests.unit.client.canned import BREAK_OFF, Canned, TimelessPatience, canned, nobody
from tvault.client.one_node import ask_peer, node_health
from tvault.client.retries import HASTY_ROUNDS
from tvault.client.routing import LONG_REST_SECONDS, REST_SECONDS, Nodes, checked_url
from tvault.client.vault import Vault
from tvault.errors import VaultError
from tvault.wire import PEER_STATUS, encode_json, problem

EPOCH = Canned(200, b'{"epoch":3}')
KEY = "tvk_secret"


def refusing(error: VaultError, **headers: str) -> Canned:
    document = problem(error)
    return Canned(document["status"], encode_json(document), headers)


UNAVAILABLE = refusing(VaultError("unavailable", "no majority"))


def vault(*urls: str, patience: TimelessPatience | None = None, deadline_s: float = 60.0) -> Vault:
    return Vault(urls, KEY, deadline_s=deadline_s, patience=patience or TimelessPatience())


def test_a_node_that_is_not_there_is_passed_over() -> None:
    with canned([EPOCH]) as node, vault(nobody(), node.url) as client:
        assert client.epoch() == 3


def test_a_node_that_breaks_off_is_asked_again() -> None:
    with canned([Canned(BREAK_OFF), EPOCH]) as node, vault(node.url) as client:
        assert client.epoch() == 3


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_node_that_cannot_answer_now_is_passed_over(status: int) -> None:
    patience = TimelessPatience()
    with canned([Canned(status, b"<html>")]) as first, canned([EPOCH]) as second:
        with vault(first.url, second.url, patience=patience) as client:
            assert client.epoch() == 3
        assert len(first.seen) == 1
    assert patience.waits == []


def test_only_when_all_nodes_failed_does_a_call_wait_and_longer_each_time() -> None:
    patience = TimelessPatience()
    with (
        canned([UNAVAILABLE] * 4 + [EPOCH]) as node,
        vault(node.url, nobody(), patience=patience) as client,
    ):
        assert client.epoch() == 3
    assert patience.waits == [0.05, 0.1, 0.2, 0.3]


def test_the_wait_that_a_busy_node_asks_for_is_kept() -> None:
    patience = TimelessPatience()
    slow = refusing(VaultError("overloaded", "busy"), **{"Retry-After": "1"})
    slower = refusing(VaultError("overloaded", "busy"), **{"Retry-After": "30"})
    odd = refusing(VaultError("overloaded", "busy"), **{"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    with canned([slow, slower, odd, EPOCH]) as node, vault(node.url, patience=patience) as client:
        assert client.epoch() == 3
    assert patience.waits == [1.0, 30.0, 0.2]


def test_while_a_chain_forms_anew_the_nodes_are_asked_again_soon_whatever_they_ask_for() -> None:
    patience = TimelessPatience()
    refused = refusing(VaultError("unavailable", "no chain"), **{"Retry-After": "1"})
    answers = [refused] * (HASTY_ROUNDS + 1)
    with canned([*answers, EPOCH]) as node, vault(node.url, patience=patience) as client:
        assert client.epoch() == 3
    assert patience.waits[:HASTY_ROUNDS] == [0.3] * HASTY_ROUNDS
    assert patience.waits[HASTY_ROUNDS] == 2.0, "then they are left alone for longer"


def test_a_node_that_stands_still_is_given_up_after_a_while_and_then_asked_last_for_long() -> None:
    """Its port is open, as that of a process is that was stopped, and nothing answers."""
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        canned([EPOCH]) as node,
    ):
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with vault(url, node.url) as client:
            began = time.monotonic()
            assert client.epoch() == 3
            assert time.monotonic() - began < 12
            began = time.monotonic()
            for _ in range(6):
                assert client.epoch() == 3
            assert time.monotonic() - began < 4
    assert LONG_REST_SECONDS > 2 * REST_SECONDS


@pytest.mark.parametrize(
    "code",
    [
        "malformed",
        "unauthorized",
        "epoch_conflict",
        "too_large",
        "invalid_value",
        "collision",
        "internal",
    ],
)
def test_any_other_refusal_is_raised_at_once_with_what_it_says(code: str) -> None:
    said = VaultError(code, "no", members={"epoch": 4})  # type: ignore[arg-type]
    with canned([refusing(said), EPOCH]) as node, vault(node.url) as client:
        with pytest.raises(VaultError) as caught:
            client.rotate_epoch(9)
        assert len(node.seen) == 1
    assert (caught.value.code, caught.value.detail, caught.value.members) == (code, "no", {"epoch": 4})


def test_past_its_deadline_a_call_raises_the_last_refusal() -> None:
    patience = TimelessPatience()
    with (
        canned([UNAVAILABLE]) as node,
        vault(node.url, patience=patience, deadline_s=5) as client,
        pytest.raises(VaultError, match="no majority") as caught,
    ):
        client.epoch()
    assert caught.value.code == "unavailable"
    assert sum(patience.waits) == pytest.approx(5, abs=0.1)


def test_past_its_deadline_a_call_that_reached_no_node_names_them_all() -> None:
    urls = [nobody(), nobody()]
    with (
        vault(*urls, deadline_s=2) as client,
        pytest.raises(VaultError) as caught,
    ):
        client.epoch()
    assert caught.value.code == "unreachable"
    assert all(f"{url} (connection refused)" in caught.value.detail for url in urls)


def test_a_call_gives_up_when_its_vault_is_closed() -> None:
    with vault(nobody()) as client:
        client.close()
        with pytest.raises(VaultError, match="given up"):
            client.epoch()


def test_a_redirect_is_not_followed_so_that_the_key_goes_nowhere_else() -> None:
    with (
        canned([EPOCH]) as other,
        canned([Canned(307, b"", {"Location": other.url + "/epoch"})]) as node,
    ):
        with vault(node.url) as client, pytest.raises(VaultError):
            client.epoch()
        assert other.seen == []


def test_nothing_is_taken_from_the_environment_of_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    with canned([EPOCH]) as node, canned([Canned(500)]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        with vault(node.url) as client:
            assert client.epoch() == 3
        assert proxy.seen == []


def test_the_key_is_sent_and_not_shown() -> None:
    with canned([EPOCH]) as node, vault(node.url) as client:
        client.epoch()
        assert node.seen[0].headers["Authorization"] == f"Bearer {KEY}"
        assert KEY not in repr(client)


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "ключ"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(VaultError) as caught:
        Vault([nobody()], key)
    assert caught.value.code == "usage"
    assert not key or key not in caught.value.detail


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"epoch":"1"}', b"[" * 100_000])
def test_an_answer_that_no_node_gives_is_refused(body: bytes) -> None:
    refused = pytest.raises(VaultError, match="it does not answer as a tvault node does")
    with canned([Canned(200, body)]) as node, vault(node.url) as client, refused:
        client.epoch()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:7101", "ftp://x", "http://", "http://x:99999", "http://x?a=b", ""]
)
def test_what_is_no_url_of_a_node_is_refused(url: str) -> None:
    with pytest.raises(VaultError, match="no URL of a node"):
        checked_url(url)


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(VaultError) as caught:
        checked_url("http://me:hunter2@host:1")
    assert "hunter2" not in caught.value.detail


def test_calls_spread_over_the_nodes_and_ask_failed_ones_last_for_a_while() -> None:
    now = [0.0]
    nodes = Nodes(["http://a", "http://b/", "http://c", "http://a"], lambda: now[0])
    assert len(nodes) == 3
    assert nodes.in_turn() == ["http://a", "http://b", "http://c"]
    nodes.failed("http://b")
    assert nodes.in_turn() == ["http://c", "http://a", "http://b"]
    now[0] += REST_SECONDS
    assert nodes.in_turn() == ["http://c", "http://a", "http://b"]
    assert nodes.in_turn() == ["http://a", "http://b", "http://c"]
    nodes.failed("http://a", is_silent=True)
    now[0] += REST_SECONDS
    assert [nodes.in_turn()[-1] for _ in range(3)] == ["http://a"] * 3
    now[0] += LONG_REST_SECONDS
    assert {nodes.in_turn()[0] for _ in range(3)} == {"http://a", "http://b", "http://c"}
    nodes.failed("http://a")
    nodes.answered("http://a")
    nodes.in_turn()
    nodes.in_turn()
    assert nodes.in_turn()[0] == "http://a"


def test_the_nodes_that_are_left_share_the_calls_evenly() -> None:
    nodes = Nodes(["http://a", "http://b", "http://c"], lambda: 0.0)
    nodes.failed("http://b")
    first = [nodes.in_turn()[0] for _ in range(100)]
    assert [first.count(f"http://{name}") for name in "abc"] == [50, 0, 50]


def test_one_node_tells_its_health_and_what_it_is_asked_or_why_not() -> None:
    with canned([Canned(503, b'{"status":"unavailable"}')]) as node:
        assert node_health(node.url, 5) == "unavailable"
    with canned([Canned(200, b'{"node":"n1"}')]) as node:
        assert ask_peer(node.url, PEER_STATUS, "ab", 5) == {"node": "n1"}
        assert (node.seen[0].path, node.seen[0].headers["Authorization"]) == (
            "/peer/status",
            "Bearer ab",
        )
    with canned([Canned(401, b'{"node":"n1"}')]) as node:
        with pytest.raises(VaultError) as refused:
            ask_peer(node.url, PEER_STATUS, "ab", 5)
        assert refused.value.code == "unauthorized"
    with pytest.raises(VaultError, match="no answer"):
        ask_peer(nobody(), PEER_STATUS, "ab", 5)
    assert node_health(nobody(), 5) is None
