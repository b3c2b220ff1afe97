"""What a node says of itself: to clients no more than they may know, to operators the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.server.one_node import OneNode, eventually, one_node
from tests.unit.server.serving import RING
from tvault.replication.codec import FORMAT
from tvault.server.hello import Hello
from tvault.server.status import VERSION, Status
from tvault.store.failures import StoreFull

HELLO = Hello(
    cluster="c",
    ensemble=("n1",),
    fields="f" * 32,
    owners="0" * 32,
    keys=RING.fingerprint(),
    master="m1",
    masters={"m1": "ab" * 8},
    node="n1",
    incarnation="a life",
    boot=1,
    life="a life",
)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[OneNode]:
    with one_node(tmp_path) as running:
        yield running


@pytest.fixture
def status(running: OneNode, tmp_path: Path) -> Status:
    return Status(
        node=running.node,
        store=running.store,
        hello=HELLO,
        folder=tmp_path,
        set_aside=None,
        missing=("m3", "m0"),
        lost=lambda: 7,
        clock=lambda: 1_700_000_000_123_456,
    )


def test_clients_learn_of_the_chain_and_the_journal_and_nothing_else(
    running: OneNode, status: Status
) -> None:
    last = running.mint("v")
    told = status.for_clients()
    assert set(told) == {"node", "role", "view", "chain", "ensemble", "journal"}
    assert (told["role"], told["chain"], told["ensemble"]) == ("single", ["n1"], ["n1"])
    position = running.store.position(last)
    assert position is not None
    assert told["journal"] == {"last": last, "committed": last, "digest": position.digest.hex()}


def test_operators_learn_what_the_doctor_compares(status: Status) -> None:
    told = status.for_operators()
    assert told.items() >= status.for_clients().items()
    assert (told["health"], told["trouble"], told["condition"], told["damage"]) == (
        "ok",
        None,
        "ready",
        None,
    )
    assert told["version"] == VERSION
    assert told["time"] == "2023-11-14T22:13:20.123456Z"
    assert 0 <= told["uptime_s"] < 60
    assert told["disk_free_bytes"] > 0
    assert told["events_lost"] == 7
    assert told["missing_keys"] == ["m0", "m3"]
    assert told["configuration"] == {
        "cluster": "c",
        "format": FORMAT,
        "fields": "f" * 32,
        "owners": "0" * 32,
        "keys": RING.fingerprint(),
        "master": "m1",
        "masters": {"m1": "ab" * 8},
    }


def test_operators_learn_when_the_view_began_and_why(status: Status) -> None:
    eventually(lambda: "changed_at" in status.for_operators())
    told = status.for_operators()
    assert told["changed_view"] == told["view"]
    assert told["changed_why"]
    assert told["changed_before"] == []
    assert told["changed_at"].startswith(time.strftime("%Y-", time.gmtime()))


def test_a_full_disk_is_told_and_one_that_does_not_answer_is_left_out(
    running: OneNode, status: Status
) -> None:
    running.store.of_writes, running.store.is_roomy = StoreFull("full"), False
    running.is_refused_a_write()
    assert status.for_operators()["condition"] == "full"
    assert replace(status, folder=Path("nowhere")).for_operators()["disk_free_bytes"] is None
