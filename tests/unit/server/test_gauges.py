"""What is read of a running node when Prometheus asks: the same as the node says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import parser

from tests.unit.server.one_node import OneNode, eventually, one_node
from tvault.server.gauges import Gauges, Sources
from tvault.server.measures import MEASURES
from tvault.server.metrics import NodeMetrics
from tvault.server.web import Crowd
from tvault.store.failures import StoreFull
from tvault.store.sqlite import SqliteStore


@pytest.fixture
def running(tmp_path: Path) -> Iterator[OneNode]:
    with one_node(tmp_path) as running:
        yield running


def read(running: OneNode, folder: Path) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels."""
    metrics = NodeMetrics(expires=1_900_000_000)
    sources = Sources(
        cluster="c",
        ensemble=1,
        folder=folder,
        node=running.node,
        store=running.store,
        crowd=lambda: Crowd(working=3, waiting=2, bodies=1),
        peers=lambda: (5, 7),
        lost=lambda: 11,
    )
    metrics.add(Gauges(sources))
    text = metrics.told("").body.decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_place_of_a_node_in_its_chain_and_its_journal_are_told(
    running: OneNode, tmp_path: Path
) -> None:
    last = running.mint("v", "w")
    told = read(running, tmp_path)
    assert told["tvault_node_info", "c", "n1"] == 1
    assert told["tvault_role", "single"] == 1
    assert sum(value for name, value in told.items() if name[0] == "tvault_role") == 1
    assert told["tvault_view",] == running.node.state.view
    assert told["tvault_chain_nodes",] == told["tvault_ensemble_nodes",] == 1
    assert told["tvault_can_write",] == told["tvault_may_vote",] == 1
    assert told["tvault_journal_last_entry",] == told["tvault_journal_committed_entry",] == last
    assert told["tvault_tokens_stored",] == 2


def test_what_waits_and_what_was_refused_or_lost_is_told(running: OneNode, tmp_path: Path) -> None:
    told = read(running, tmp_path)
    names = ("requests_working", "requests_waiting", "bodies_waiting", "peer_streams")
    assert [told[f"tvault_{name}",] for name in names] == [3, 2, 1, 5]
    assert (told["tvault_peer_strangers_total",], told["tvault_events_lost_total",]) == (7, 11)
    assert told["tvault_inbox_items",] == told["tvault_inbox_bytes",] == 0
    assert told["tvault_certificate_expiry_timestamp_seconds",] == 1_900_000_000
    assert 0 < told["tvault_disk_free_bytes",] <= told["tvault_disk_size_bytes",]


def test_work_that_waits_for_a_thread_that_is_stuck_is_told(running: OneNode, tmp_path: Path) -> None:
    running.store.may_write.clear()
    running.is_refused_a_write()
    for _ in range(3):
        running.node.note_damage("nothing")
    told = read(running, tmp_path)
    assert told["tvault_inbox_items",] >= 3
    assert told["tvault_node_thread_silent_seconds",] >= 0.1
    running.store.may_write.set()


def test_a_full_disk_and_damage_are_told(running: OneNode, tmp_path: Path) -> None:
    told = read(running, tmp_path)
    assert told["tvault_disk_full",] == told["tvault_damaged",] == 0
    running.store.is_roomy = False
    running.store.of_writes = StoreFull("full")
    running.is_refused_a_write()
    eventually(lambda: read(running, tmp_path)["tvault_disk_full",] == 1)
    running.node.note_damage("entry 2 is not what was written")
    eventually(lambda: read(running, tmp_path)["tvault_damaged",] == 1)
    assert read(running, tmp_path)["tvault_can_write",] == 0


def test_every_measure_of_the_table_is_there_and_no_other(running: OneNode, tmp_path: Path) -> None:
    metrics = {
        name[0].removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        for name in read(running, tmp_path)
        if name[0].startswith("tvault_")
    }
    unseen_without_requests = {"tvault_requests_total", "tvault_request_seconds", "tvault_events_total"}
    assert metrics == {each.name for each in MEASURES} - unseen_without_requests


def test_a_store_tells_what_its_index_consists_of_and_what_was_repaired(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    work = store.index_work()
    store.close()
    assert (work.runs, work.generations, work.merges, work.repairs) == (0, 1, 0, 0)
