"""Small forms of the measurements in `recovery`, with more time for a machine that does other work."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import recovery
from tests.cluster.cluster import Cluster
from tests.cluster.writers import Writers

GAP_SECONDS = 4.0
HANDOVER_GAP_SECONDS = 2.0
TRUTH_SECONDS = 3.0
MISSED = 20_000


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    """A cluster that every test leaves whole."""
    with recovery.running_cluster() as cluster:
        yield cluster


@pytest.mark.parametrize("place", recovery.PLACES)
def test_writes_go_on_soon_after_any_one_node_crashes(shared: Cluster, place: str) -> None:
    with Writers(shared, f"gap {place}") as writers:
        assert recovery.write_gap(shared, writers, place) < GAP_SECONDS


def test_a_rolling_restart_under_load_fails_no_call(shared: Cluster) -> None:
    assert recovery.rolling_restart(shared).gap_s < HANDOVER_GAP_SECONDS


def test_health_and_status_soon_tell_that_nodes_have_crashed(shared: Cluster) -> None:
    found = recovery.truth(shared, signal.SIGKILL)
    assert max(told.untold_s for told in found.values()) < TRUTH_SECONDS


def test_a_node_that_missed_much_comes_back_while_clients_write(shared: Cluster) -> None:
    done = recovery.rejoin(shared, MISSED)
    assert done.back_s < recovery.MISSED_SECONDS
    assert done.stall_s < GAP_SECONDS


def test_a_file_is_tokenized_whole_though_the_head_crashes(shared: Cluster, tmp_path: Path) -> None:
    recovery.file_through_failover(shared, tmp_path, 20_000)
