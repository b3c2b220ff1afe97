"""What a disk does to the journal of a node behind its back."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, eventually
from tests.cluster.disks import flip_bit
from tvault.store.checking import FIRST_SECONDS
from tvault.store.index import RUN_TOKENS

VALUES = 5000


def fill(cluster: Cluster) -> list[str]:
    """Tokens enough for a run of the index on each node; the first ones."""
    first = cluster.tokenize("n1", [f"v0-{i}" for i in range(VALUES)])
    for number in range(1, RUN_TOKENS // VALUES + 2):
        cluster.tokenize("n1", [f"v{number}-{i}" for i in range(VALUES)])
    eventually(cluster.agree)
    return first


def runs(cluster: Cluster, name: str) -> list[Path]:
    return list((cluster.data(name) / "index").glob("*.run"))


def first_sealed(journal: Path) -> int:
    """Where in the file the values of the first block are."""
    with closing(sqlite3.connect(journal)) as connection:
        (sealed,) = connection.execute("SELECT sealed FROM block ORDER BY id LIMIT 1").fetchone()
    return journal.read_bytes().index(sealed[:64])


def event_of(cluster: Cluster, name: str, event: str) -> Callable[[], bool]:
    return lambda: any(each["event"] == event for each in cluster.events(name))


def stop(cluster: Cluster, name: str) -> None:
    cluster.signal(name, signal.SIGTERM)
    assert cluster.wait_for_end(name)[0] == 0


def test_an_old_entry_that_a_disk_has_changed_is_found_while_the_node_runs_which_begins_anew(
    cluster: Cluster,
) -> None:
    tokens = fill(cluster)
    eventually(lambda: bool(runs(cluster, "n3")))
    stop(cluster, "n3")
    journal = cluster.data("n3") / "journal.sqlite"
    flip_bit(journal, first_sealed(journal))
    cluster.start("n3")
    cluster.wait_until_whole()
    assert not event_of(cluster, "n3", "set-aside")()
    process = cluster.processes["n3"].pid
    eventually(event_of(cluster, "n3", "set-aside"), FIRST_SECONDS + 20)
    eventually(cluster.is_whole, 30)
    eventually(cluster.agree)
    assert cluster.processes["n3"].pid == process
    assert cluster.detokenize("n3", tokens) == [f"v0-{i}" for i in range(VALUES)]
    (doubt,) = [each["why"] for each in cluster.events("n3") if each["event"] == "doubtful"]
    assert "do not give its digest" in doubt
    assert list(cluster.data("n3").glob("set-aside-*/index*"))
    eventually(event_of(cluster, "n1", "checked"))


def damage(cluster: Cluster, name: str) -> None:
    """Change the oldest block behind the back of a node, which starts with it: its runs vouch for it."""
    eventually(lambda: bool(runs(cluster, name)))
    stop(cluster, name)
    journal = cluster.data(name) / "journal.sqlite"
    flip_bit(journal, first_sealed(journal))
    cluster.start(name)
    cluster.wait_until_whole()


def test_a_damaged_node_is_there_for_the_others_until_all_are_and_gives_out_nothing_damaged(
    cluster: Cluster,
) -> None:
    tokens = fill(cluster)
    damage(cluster, "n3")
    cluster.kill("n2")
    assert cluster.post("n3", "/detokenize", {"tokens": tokens[:1]}).status_code == 503
    eventually(event_of(cluster, "n3", "damaged"), FIRST_SECONDS + 20)
    assert cluster.detokenize("n1", tokens[:5]) == [f"v0-{i}" for i in range(5)]
    new = cluster.tokenize("n3", ["written while n2 is away"])
    assert cluster.detokenize("n3", new) == ["written while n2 is away"]
    assert not event_of(cluster, "n3", "set-aside")()
    cluster.start("n2")
    eventually(event_of(cluster, "n3", "set-aside"))
    eventually(cluster.is_whole, 30)
    eventually(cluster.agree)
    assert cluster.detokenize("n3", [*tokens, *new])[-2:] == [
        f"v0-{VALUES - 1}",
        "written while n2 is away",
    ]


@pytest.mark.parametrize("damaged", ["n1", "n3"])
def test_an_empty_node_learns_from_a_sound_one_though_another_one_is_damaged(
    cluster: Cluster, damaged: str
) -> None:
    tokens = fill(cluster)
    damage(cluster, damaged)
    stop(cluster, "n2")
    shutil.rmtree(cluster.data("n2"))
    cluster.start("n2")
    eventually(event_of(cluster, damaged, "set-aside"), 60)
    eventually(cluster.is_whole, 60)
    eventually(cluster.agree)
    for name in ("n2", damaged):
        assert cluster.detokenize(name, tokens) == [f"v0-{i}" for i in range(VALUES)]


def test_damaged_files_of_the_index_are_made_again_from_the_journal_when_the_node_starts(
    cluster: Cluster,
) -> None:
    tokens = fill(cluster)
    eventually(lambda: bool(runs(cluster, "n2")))
    stop(cluster, "n2")
    for run in runs(cluster, "n2"):
        flip_bit(run, run.stat().st_size // 2)
    cluster.start("n2")
    cluster.wait_until_whole()
    assert cluster.detokenize("n2", tokens) == [f"v0-{i}" for i in range(VALUES)]
    assert cluster.tokenize("n2", [f"v0-{i}" for i in range(VALUES)]) == tokens
    assert runs(cluster, "n2")
    assert not event_of(cluster, "n2", "set-aside")()
