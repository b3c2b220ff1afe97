"""Who is told the metrics: on a node's peer port and on a gateway's client port, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.unit.server.ports import listening
from tests.unit.server.serving import KEYS, serving
from tests.unit.server.test_peer_port import SECRET, headers, hello_of
from tvault.server.framing import make_server
from tvault.server.metrics import Metrics
from tvault.server.metrics_api import MetricsApi
from tvault.server.peer_api import PeerApi
from tvault.server.web import json_answer
from tvault.wire import METRICS, PEER_HELLO, PEER_STATUS, PEER_STREAM

SCRAPER = "cd" * 32
OTHER = "/peer/other"
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "DELETE")
NOT_ITS_OWN: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": f"Basic {SCRAPER}"},
)


@contextmanager
def peer_port() -> Iterator[tuple[str, PeerApi]]:
    """A peer port with the metrics and another path, both beside its own."""
    api = PeerApi(
        hello_of("n1"),
        SECRET,
        deliver=lambda _: None,
        lost=lambda _: None,
        status=lambda: {"node": "n1"},
        refused=lambda _: None,
        differs=lambda _: None,
        more={**MetricsApi(Metrics()).routes(), OTHER: ("GET", lambda _: json_answer({}))},
        weaker={METRICS: SCRAPER},
    )
    with listening(make_server(api.app, "127.0.0.1", 0, 4)) as server:
        yield f"http://127.0.0.1:{server.port}", api


def told(method: str, url: str, given: dict[str, str]) -> tuple[int, str, frozenset[Any]]:
    """All of an answer but what differs from one to the next."""
    answer = requests.request(method, url, headers=given, timeout=10)
    kept = {name: text for name, text in answer.headers.items() if name not in {"Date", "Request-Id"}}
    return answer.status_code, answer.text, frozenset(kept.items())


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    with peer_port() as (url, _):
        yield url


@pytest.mark.parametrize("credential", [SCRAPER, SECRET])
def test_the_scraper_and_the_cluster_are_told_the_metrics(port: str, credential: str) -> None:
    given = {"Authorization": f"Bearer {credential}"}
    answer = requests.get(port + METRICS, headers=given, timeout=10)
    assert answer.status_code == 200
    assert "tvault_build_info" in answer.text


@pytest.mark.parametrize(
    "path", [PEER_HELLO, PEER_STREAM, PEER_STATUS, OTHER, "/", "/none", f"{METRICS}/"]
)
def test_the_scrapers_credential_opens_nothing_else(port: str, path: str) -> None:
    for method in METHODS:
        stranger = told(method, port + path, {})
        assert stranger[0] == 401
        assert told(method, port + path, headers(hello_of("n2"), SCRAPER)) == stranger


def test_without_a_credential_the_metrics_are_answered_as_any_other_path(port: str) -> None:
    for method in METHODS:
        answers = {
            told(method, port + path, given) for path in (METRICS, "/none") for given in NOT_ITS_OWN
        }
        assert len(answers) == 1
        assert answers.pop()[0] == 401


def test_requests_with_a_credential_that_does_not_open_what_they_ask_for_are_counted() -> None:
    with peer_port() as (url, api):
        for path, credential in ((PEER_STATUS, "wrong"), (PEER_STATUS, SCRAPER), (METRICS, SCRAPER)):
            requests.get(url + path, headers={"Authorization": f"Bearer {credential}"}, timeout=10)
        assert api.account == (0, 2)


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """A client port with the metrics beside the API."""
    with serving() as node:
        app = MetricsApi(Metrics()).beside(node.api.app, SCRAPER)
        with listening(make_server(app, "127.0.0.1", 0, 4)) as server:
            yield f"http://127.0.0.1:{server.port}"


def test_a_gateway_tells_its_metrics_to_the_scraper(gateway: str) -> None:
    given = {"Authorization": f"Bearer {SCRAPER}"}
    answer = requests.get(gateway + METRICS, headers=given, timeout=10)
    assert answer.status_code == 200
    assert "tvault_build_info" in answer.text


def test_to_others_there_are_no_metrics_of_a_gateway(gateway: str) -> None:
    for method in METHODS:
        for given in (*NOT_ITS_OWN, {"Authorization": f"Bearer {KEYS['alice']}"}):
            assert told(method, gateway + METRICS, given) == told(method, gateway + "/none", given)
        with_body = {"Authorization": f"Bearer {SCRAPER}", "Content-Length": "0"}
        if method != "GET":
            assert told(method, gateway + METRICS, with_body) == told(
                method, gateway + "/none", with_body
            )


def test_the_scrapers_credential_is_no_api_key(gateway: str) -> None:
    given = {"Authorization": f"Bearer {SCRAPER}"}
    assert requests.get(gateway + "/status", headers=given, timeout=10).status_code == 401
