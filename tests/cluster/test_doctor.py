"""What `tvault doctor` finds on a real cluster: whole, with a node killed, a port taken, a key open."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import Cluster, eventually, tvault


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes in one chain, for all of these tests: each leaves it so."""
    with Cluster(tmp_path_factory.mktemp("doctor") / "vault") as running:
        running.start()
        running.wait_until_whole()
        yield running


def examined(cluster: Cluster, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and what is not ok but for the machine that tests run on."""
    done = tvault("doctor", "--config", str(cluster.config), "--json", *arguments)
    assert done.stderr == ""
    checks = json.loads(done.stdout)["checks"]
    machine = ("disk", "limits")
    return done.returncode, [
        each for each in checks if each["result"] != "ok" and each["check"] not in machine
    ]


def test_a_whole_cluster_is_healthy(cluster: Cluster) -> None:
    assert examined(cluster) == (0, [])


def test_a_node_that_was_killed_and_who_has_its_port_are_told_by_name(cluster: Cluster) -> None:
    cluster.kill("n2")
    eventually(lambda: cluster.health("n1") == cluster.health("n3") == "degraded")
    code, amiss = examined(cluster)
    told = {(each["result"], each["check"], each["about"]) for each in amiss}
    assert code == 1
    assert {("failed", "service", "n2"), ("warning", "chain", "")} <= told
    assert {about for result, _, about in told if result == "failed"} == {"n2"}
    host, port = cluster.peers["n2"].removeprefix("http://").split(":")
    with socket.create_server((host, int(port))):
        _, amiss = examined(cluster, "--node", "n2")
    (taken,) = [each["found"] for each in amiss if each["check"] == "ports"]
    assert taken.startswith(f"peer {host}:{port} is taken by process ")
    cluster.start("n2")
    cluster.wait_until_whole()


def test_a_key_that_others_can_read_is_told_while_nodes_run(cluster: Cluster) -> None:
    key = Path(cluster.folder / "keys" / "token.key")
    key.chmod(0o644)
    code, amiss = examined(cluster)
    key.chmod(0o600)
    assert code == 1
    failed = [each for each in amiss if each["result"] == "failed"]
    assert [(each["check"], each["about"]) for each in failed] == [("keys", "[keys] token")]
    assert "(mode 0644)" in failed[0]["found"]
