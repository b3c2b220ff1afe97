"""The event log on the peer port, page by page, as its operators read it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.unit.server.ports import listening
from tests.unit.server.test_peer_port import SECRET, hello_of
from tvault.client.events import ask_events
from tvault.client.one_node import ask_peer
from tvault.errors import VaultError
from tvault.events import END, EventLog, Filter, Room, pages
from tvault.server.framing import make_server
from tvault.server.operator_events import EventsApi
from tvault.server.peer_api import PeerApi
from tvault.wire import PEER_EVENTS

NUMBERS = range(1, 2501)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[EventLog, Path]:
    folder = tmp_path_factory.mktemp("data")
    log = EventLog(folder, "n1", Room(100_000, 100))
    for number in NUMBERS:
        log.record("e" if number % 100 else "h", seq=number, owner="A&B")
    return log, folder


@pytest.fixture(scope="module")
def url(log: tuple[EventLog, Path]) -> Iterator[str]:
    api = PeerApi(
        hello_of("n1"),
        SECRET,
        deliver=lambda _: None,
        lost=lambda _: None,
        status=dict,
        refused=lambda _: None,
        differs=lambda _: None,
        more=EventsApi(log[1]).routes(),
    )
    with listening(make_server(api.app, "127.0.0.1", 0, 4)) as server:
        yield f"http://127.0.0.1:{server.port}"


def ask(url: str, path: str) -> dict[str, Any]:
    return ask_peer(url, path, SECRET, 10.0)


def test_all_pages_together_are_the_log_and_none_is_long(url: str) -> None:
    found = list(pages(partial(ask_events, partial(ask, url), Filter())))
    assert [event["seq"] for page in found for event in page.events] == list(NUMBERS)
    assert all(len(page.events) <= 1000 for page in found)
    assert [page.is_end for page in found] == [False] * (len(found) - 1) + [True]


def test_a_filter_goes_along(url: str) -> None:
    wanted = Filter(events=frozenset({"h"}), owners=frozenset({"A&B"}), seqs=frozenset({99, 100, 2500}))
    page = ask_events(partial(ask, url), wanted)
    assert [event["seq"] for event in page.events] == [100, 2500]
    assert ask_events(partial(ask, url), Filter(owners=frozenset({"A"}))).events == []


def test_who_follows_is_told_what_comes_later(url: str, log: tuple[EventLog, Path]) -> None:
    end = ask_events(partial(ask, url), Filter(), END)
    assert (end.events, end.is_end) == ([], True)
    log[0].record("later")
    page = ask_events(partial(ask, url), Filter(), end.next)
    assert [(event["node"], event["event"]) for event in page.events] == [("n1", "later")]
    assert ask_events(partial(ask, url), Filter(), page.next).events == []


def test_an_answer_has_as_many_events_as_were_asked_for_at_most(url: str) -> None:
    first = ask_events(partial(ask, url), Filter(), limit=3)
    second = ask_events(partial(ask, url), Filter(), first.next, limit=1)
    assert [event["seq"] for event in first.events + second.events] == [1, 2, 3, 4]
    assert not second.is_end


@pytest.mark.parametrize("query", ["page=2", "after=somewhere", "limit=-1", "since=now", "seq=1&seq=x"])
def test_a_query_that_is_not_understood_is_refused(url: str, query: str) -> None:
    with pytest.raises(VaultError) as caught:
        ask(url, f"{PEER_EVENTS}?{query}")
    assert caught.value.code == "malformed"


def test_nobody_else_is_told_an_event(url: str) -> None:
    for given in ({}, {"Authorization": "Bearer wrong"}):
        answer = requests.get(url + PEER_EVENTS, headers=given, timeout=10)
        assert answer.status_code == 401
        assert "A&B" not in answer.text


def test_what_answers_and_is_no_node_is_told_apart() -> None:
    for answer in ({}, {"events": [], "next": 7, "end": True, "skipped": 0}):
        with pytest.raises(VaultError, match="no node of this version"):
            ask_events(lambda _path, given=answer: given, Filter())  # type: ignore[misc]
