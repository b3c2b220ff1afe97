"""`tvault backup` and `restore` on real clusters: under load and failures, and into empty ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cluster.cluster import Cluster, eventually, tvault
from tests.cluster.disks import flip_bit
from tests.cluster.writers import Writers


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes with tokens of two epochs, and a secret with a history."""
    with Cluster(tmp_path_factory.mktemp("backup") / "vault") as running:
        running.start()
        running.wait_until_whole()
        running.tokenize("n1", ["of the first epoch"])
        assert running.post("n1", "/rotate-epoch", {"to": 2}).status_code == 200
        for value in ("old", "new"):
            assert running.ask("n1", "PUT", "/secrets/NAME", {"value": value}).status_code == 200
        yield running


def run(cluster: Cluster, *arguments: str | Path) -> CompletedProcess[str]:
    done = tvault(*map(str, arguments), "--config", str(cluster.config))
    assert "internal error" not in done.stderr
    return done


def backed_up(cluster: Cluster, target: Path, *arguments: str | Path) -> Path:
    done = run(cluster, "backup", target, *arguments)
    assert done.returncode == 0, done.stderr
    return target


def empty_again(cluster: Cluster) -> None:
    cluster.stop()
    shutil.rmtree(cluster.folder / "data")


def test_all_that_was_acknowledged_before_a_backup_comes_back_from_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    with Writers(cluster, "under load", clients=4, through_library=True) as writers:
        eventually(lambda: writers.count() > 20)
        victim = cluster.by_role("middle")
        cluster.kill(victim)
        acknowledged = writers.tokens()
        target = backed_up(cluster, tmp_path / "copy")
        cluster.start(victim)
    cluster.wait_until_whole()
    assert len(acknowledged) > 100
    secret = cluster.get("n1", "/secrets/NAME/history")
    checked = tvault("inspect", "verify", "--backup", str(target), "--json")
    assert checked.returncode == 0, checked.stderr

    empty_again(cluster)
    done = run(cluster, "restore", target)
    assert done.returncode == 0, done.stderr
    cluster.start()
    cluster.wait_until_whole()
    tokens = list(acknowledged.values())
    assert cluster.detokenize("n2", tokens) == list(acknowledged)
    first = cluster.post("n3", "/lookup", {"values": ["of the first epoch"]}).json()["tokens"][0]
    assert list(first) == ["1"]
    assert cluster.get("n1", "/epoch") == {"epoch": 2}
    assert cluster.get("n1", "/secrets/NAME")["value"] == "new"
    assert cluster.get("n2", "/secrets/NAME/history") == secret
    assert cluster.tokenize("n1", list(acknowledged)[:3]) == tokens[:3]
    cluster.tokenize("n2", ["after it"])
    eventually(cluster.agree)
    verified = run(cluster, "inspect", "verify", "--backup", target, "--node", "n1", "--json")
    assert verified.returncode == 0, verified.stdout
    (restored,) = cluster.events("n1", "restored")
    assert restored["last"] == json.loads((target / "manifest.json").read_text())["last"]


def test_a_stopped_node_is_backed_up_by_its_folder_and_its_copy_is_the_same(
    cluster: Cluster, tmp_path: Path
) -> None:
    eventually(cluster.agree)
    live = backed_up(cluster, tmp_path / "live", "--node", "n2")
    cluster.kill("n3")
    still = backed_up(cluster, tmp_path / "still", "--data", cluster.data("n3"))
    cluster.start("n3")
    compared = tvault("inspect", "verify", "--backup", str(live), "--backup", str(still))
    assert compared.returncode == 0, compared.stdout
    for target in (live, still):
        text = b"".join(file.read_bytes() for file in target.iterdir())
        for told in (b"of the first epoch", b"NAME", *(key.encode() for key in cluster.keys.values())):
            assert told not in text or told == b"NAME", "names of secrets stand in the journal"
    assert b"NAME" not in (live / "manifest.json").read_bytes()


def test_what_is_wrong_with_a_backup_or_a_place_for_it_is_told(cluster: Cluster, tmp_path: Path) -> None:
    target = backed_up(cluster, tmp_path / "copy")
    again = run(cluster, "backup", target)
    assert (again.returncode, "exists already" in again.stderr) == (2, True)
    running = run(cluster, "restore", target)
    assert (running.returncode, "is in use" in running.stderr) == (2, True)
    flip_bit(target / "entries", (target / "entries").stat().st_size // 2)
    damaged = tvault("inspect", "verify", "--backup", str(target), "--json")
    assert damaged.returncode == 1
    assert not json.loads(damaged.stdout)["sound"]
    other = tmp_path / "other"
    assert tvault("init", str(other), "--owner", "A", "--field", "ssn").returncode == 0
    strange = tvault("restore", str(target), "--config", str(other / "tvault.toml"))
    assert (strange.returncode, "another token key" in strange.stderr) == (2, True)
    assert run(cluster, "restore", tmp_path).returncode == 2
    assert list(tmp_path.glob(".*")) == []


def test_a_cluster_is_not_founded_from_a_backup_while_a_node_that_remembers_more_is_there(
    cluster: Cluster, tmp_path: Path
) -> None:
    target = backed_up(cluster, tmp_path / "copy")
    cluster.tokenize("n1", ["later than the backup"])
    eventually(cluster.agree)
    cluster.stop()
    for name in ("n1", "n2"):
        shutil.rmtree(cluster.data(name))
    assert run(cluster, "restore", target, "--node", "n1", "--node", "n2").returncode == 0
    cluster.start()
    eventually(lambda: "blank" in json.dumps(cluster.events("n3", "no-majority")))
    eventually(lambda: cluster.health("n1") == "unavailable")
    ends = {name: cluster.status(name)["journal"]["last"] for name in ("n1", "n3")}
    assert ends["n3"] > ends["n1"]
