"""Streams between nodes over TLS: who shows no certificate that is trusted gets nothing at all."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path

import pytest
import trustme

from tests.certificates import Files, issued
from tests.unit.server.one_node import eventually
from tests.unit.server.test_links import Side, linked, proposed_by, say
from tests.unit.server.test_peer_port import hello_of
from tvault.replication import codec
from tvault.server.links import PAUSE_SECONDS

HOST = "127.0.0.1"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return issued(tmp_path, HOST)


def test_what_the_wire_does_not_take_at_once_arrives_whole_and_in_order(files: Files) -> None:
    first, second = Side(hello_of("n1"), files=files), Side(hello_of("n2"), files=files)
    sizes = [10, 5 * 2**20, 0, 3 * 2**20, *([100] * 50), 2**20, 7, *([300_000] * 30)]
    envelopes = [proposed_by(second.hello, number, size) for number, size in enumerate(sizes)]
    with first.listening(), linked(second.link(first)) as link:
        eventually(lambda: say(link))
        for envelope in envelopes:
            assert say(link, codec.encode(envelope))
        first.may_deliver.set()
        eventually(lambda: len(first.delivered) == len(envelopes))
        assert first.delivered == envelopes
        assert second.lost == [], "a wire that is full is no reason to begin anew"


def test_what_was_sent_before_a_link_ends_arrives(files: Files) -> None:
    first, second = Side(hello_of("n1"), files=files), Side(hello_of("n2"), files=files)
    envelope = proposed_by(second.hello, 1, 8 * 2**20)
    with first.listening():
        first.may_deliver.set()
        with linked(second.link(first)) as link:
            eventually(lambda: say(link))
            assert link.send(codec.encode(envelope))
        eventually(lambda: bool(first.delivered))
    assert first.delivered == [envelope]


def test_a_peer_whose_process_ends_is_noticed_and_taken_again_when_it_is_back(files: Files) -> None:
    first, second = Side(hello_of("n1"), files=files), Side(hello_of("n2"), files=files)
    with first.listening():
        link = second.link(first)
        link.start()
        eventually(lambda: say(link))

    def is_told() -> bool:
        say(link)  # as heartbeats are
        return bool(second.gone_at)

    eventually(is_told)
    with first.listening():
        eventually(lambda: say(link))
        link.stop()
    assert first.refusals == second.refusals == []


OTHERS = [
    ("another CA", "unable to get local issuer certificate"),
    ("another host", "certificate is not valid for '127.0.0.1'"),
    ("no TLS", "it speaks no TLS"),
]


@pytest.mark.parametrize(("case", "said"), OTHERS, ids=[case for case, _ in OTHERS])
def test_a_peer_that_is_not_shown_to_be_itself_is_refused_by_name_once_and_hears_nothing(
    tmp_path: Path, case: str, said: str
) -> None:
    ca = trustme.CA()
    second = Side(hello_of("n2"), files=issued(tmp_path, HOST, ca=ca))
    shown = {
        "another CA": issued(tmp_path / "other", HOST),
        "another host": issued(tmp_path, "127.0.0.9", ca=ca, name="other"),
        "no TLS": None,
    }
    first = Side(hello_of("n1"), files=shown[case])
    with first.listening():
        url = first.url = first.url.replace("http://", "https://")
        link = second.link(first)
        with linked(link):
            eventually(lambda: bool(second.refusals))
            threading.Event().wait(3 * PAUSE_SECONDS[1])
            assert not say(link)
    assert len(second.refusals) == 1, "told once, not at each try"
    told = second.refusals[0]
    assert told.startswith(
        f"node n1 at {url}: {'its certificate is not trusted: ' if shown[case] else ''}"
    )
    assert said in told
    assert (first.delivered, first.lost) == ([], [])


def test_a_peer_that_is_refused_is_taken_once_its_certificate_is_put_right(
    tmp_path: Path, files: Files
) -> None:
    first = Side(hello_of("n1"), files=issued(tmp_path / "other", HOST))
    second = Side(hello_of("n2"), files=files)
    with first.listening():
        link = second.link(first)
        link.start()
        eventually(lambda: bool(second.refusals))
    first.files = files
    with first.listening():
        eventually(lambda: say(link))
        link.stop()
    assert len(second.refusals) == 1


def test_a_look_whether_a_peer_is_there_leaves_no_trace_in_its_log(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Side(hello_of("n1"), files=files), Side(hello_of("n2"), files=files)
    with caplog.at_level(logging.INFO), first.listening():
        address = (HOST, int(first.url.rsplit(":", 1)[1]))
        for _ in range(20):
            socket.create_connection(address, 3).close()
        with linked(second.link(first)) as link:
            eventually(lambda: say(link))
    assert [
        record.getMessage() for record in caplog.records if "stream" not in record.getMessage()
    ] == []
