"""What operators see of a node in trouble, and what they may have to decide."""

from __future__ import annotations

import json
import os
import resource
import shutil
from typing import Any

import pytest

from tests.cluster import disks
from tests.cluster.cluster import Cluster, eventually, tvault

SPARE_BYTES = 16 * 1024


def inspected(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """What `tvault inspect` shows of each node."""
    done = tvault("inspect", "--config", str(cluster.config), "--json")
    return {node["node"]: node for node in json.loads(done.stdout)["nodes"]}


def names_of_events(cluster: Cluster, name: str) -> list[str]:
    return [event["event"] for event in cluster.events(name)]


def test_a_node_whose_disk_fails_sets_its_files_aside_and_is_rebuilt_without_a_restart(
    cluster: Cluster,
) -> None:
    """Its files may grow no more for a while, which to a node is a disk that fails to write."""
    cluster.wait_until_whole()
    tokens = cluster.tokenize("n1", [f"v{i}" for i in range(500)])
    process = cluster.processes["n2"].pid
    largest = max(file.stat().st_size for file in cluster.data("n2").iterdir())
    resource.prlimit(process, resource.RLIMIT_FSIZE, (largest + SPARE_BYTES, resource.RLIM_INFINITY))
    written: list[str] = []

    def has_failed() -> bool:
        written.extend(cluster.tokenize("n1", [f"w{len(written) + i}" for i in range(100)]))
        return "doubtful" in names_of_events(cluster, "n2")

    eventually(has_failed)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    cluster.wait_until_whole()
    eventually(cluster.agree)
    assert cluster.processes["n2"].pid == process
    assert cluster.ended() == []
    assert cluster.detokenize("n2", tokens) == [f"v{i}" for i in range(500)]
    assert cluster.detokenize("n2", written[:500]) == [f"w{i}" for i in range(len(written[:500]))]
    names = names_of_events(cluster, "n2")
    assert names.index("doubtful") < names.index("stop") < names.index("set-aside")
    assert list(cluster.data("n2").glob("set-aside-*/doubtful"))


def test_with_most_disks_lost_the_cluster_stays_down_says_so_and_an_operator_can_decide(
    cluster: Cluster,
) -> None:
    cluster.wait_until_whole()
    tokens = cluster.tokenize("n1", ["kept", "too"])
    eventually(cluster.agree)
    cluster.tokenize("n1", ["an entry that tells that the one before it is committed"])
    for name in cluster.nodes:
        cluster.kill(name)
    for name in ("n2", "n3"):
        disks.wipe(cluster.data(name))
    cluster.start()

    def complains() -> bool:
        told = [str(node["trouble"]) for node in inspected(cluster).values()]
        why = "no majority of nodes that may vote: only n1, n2, n3 are heard, of which n2, n3 are blank"
        return why in told[0] and all("no majority" in trouble for trouble in told)

    eventually(complains)
    assert cluster.detokenize("n1", tokens) == ["kept", "too"]
    assert cluster.post("n1", "/tokenize", {"values": ["new"]}).status_code == 503

    arguments = ("recover", "--config", str(cluster.config), "--node", "n2", "--accept-loss")
    refused = tvault(*arguments)
    assert (refused.returncode, "in use by another process" in refused.stderr) == (2, True)
    cluster.kill("n2")
    assert tvault(*arguments[:-1]).returncode == 2
    done = tvault(*arguments)
    assert done.returncode == 0, done.stderr
    cluster.start("n2")
    cluster.wait_until_whole()
    eventually(cluster.agree)
    for name in cluster.nodes:
        assert cluster.detokenize(name, tokens) == ["kept", "too"]
        assert cluster.tokenize(name, ["kept", "too"]) == tokens
    assert {node["trouble"] for node in inspected(cluster).values()} == {None}


def test_owners_that_differ_are_told_once_by_both_sides_and_keep_nobody_out(cluster: Cluster) -> None:
    """As during a rolling restart that adds an owner."""
    made = tvault("key", "new", "--owner", "C", "--json")
    digest = json.loads(made.stdout)["hash"]
    other = cluster.folder / "other.toml"
    text = cluster.config.read_text()
    other.write_text(text + f'\n[[owner]]\nid = "C"\napi_keys = ["{digest}"]\n')
    cluster.kill("n3")
    cluster.configs["n3"] = other
    cluster.start("n3")
    cluster.wait_until_whole()
    eventually(
        lambda: all(
            differing(cluster, name) == peers
            for name, peers in {"n1": ["n3"], "n2": ["n3"], "n3": ["n1", "n2"]}.items()
        )
    )


def differing(cluster: Cluster, name: str) -> list[str]:
    return sorted(e["peer"] for e in cluster.events(name) if e["event"] == "owners-differ")


CHANGES = {
    "field list": ('fields = ["ssn"', 'fields = ["mrn"'),
    "ensemble": ('id = "n2"', 'id = "n9"'),
    "cluster secret": ("cluster.key", "other.key"),
    "token key": ("token.key", "other.key"),
}


@pytest.mark.parametrize("named", CHANGES)
def test_a_node_with_another_configuration_is_refused_by_name_in_the_events_of_both_sides(
    cluster: Cluster, named: str
) -> None:
    other = cluster.folder / "other.toml"
    before, after = CHANGES[named]
    text = cluster.config.read_text()
    assert before in text
    other.write_text(text.replace(before, after))
    key = cluster.folder / "keys" / "other.key"
    key.touch(mode=0o600)
    key.write_text(os.urandom(32).hex() + "\n")
    cluster.kill("n3")
    shutil.rmtree(cluster.data("n3"))
    cluster.configs["n3"] = other
    cluster.start("n3")
    eventually(lambda: all(is_refused(cluster, name, peer, named) for name, peer in pairs(named)))
    assert not cluster.is_healthy("n3")
    assert cluster.tokenize("n1", ["goes on"]) == cluster.tokenize("n1", ["goes on"])


def pairs(named: str) -> list[tuple[str, str]]:
    """Who refuses whom: in another ensemble n2 has another name, and is no node of n3's."""
    mutual = [("n1", "n3"), ("n3", "n1")]
    return mutual if named == "ensemble" else [*mutual, ("n2", "n3"), ("n3", "n2")]


def is_refused(cluster: Cluster, name: str, peer: str, named: str) -> bool:
    refusals = [event["why"] for event in cluster.events(name) if event["event"] == "peer-refused"]
    return any(named in why and f"node {peer}" in why and f"node {name}" in why for why in refusals)
