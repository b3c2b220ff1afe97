"""What a crash may cost: time, never what was acknowledged."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
import requests

from tests.cluster import disks
from tests.cluster.cluster import Cluster, eventually

REQUEST_SECONDS = 5
SUSPECT_SECONDS = 1.5


class Writer:
    """Tokenizes new values on one node after another until told to stop; keeps what was acknowledged."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: dict[str, str] = {}
        self.refused = 0

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        nodes = list(self._cluster.nodes)
        turn = 0
        while not self._stopping.is_set():
            turn += 1
            values = [f"{self._name}-{turn}-{i}" for i in range(20)]
            try:
                answer = self._cluster.post(nodes[turn % len(nodes)], "/tokenize", {"values": values})
            except requests.RequestException:
                self._stopping.wait(0.05)
                continue
            if answer.status_code == 200:
                self.acknowledged.update(zip(values, answer.json()["tokens"], strict=True))
            else:
                assert answer.status_code == 503, answer.text
                self.refused += 1
                self._stopping.wait(0.05)


def assert_all_there(cluster: Cluster, acknowledged: dict[str, str]) -> None:
    """Every node, asked alone, finds everything."""
    values, tokens = list(acknowledged), list(acknowledged.values())
    for name in cluster.nodes:
        for begin in range(0, len(tokens), 5000):
            found = cluster.detokenize(name, tokens[begin : begin + 5000])
            assert found == values[begin : begin + 5000], f"{name} lost something acknowledged"


def in_the_whole_chain(cluster: Cluster, role: str) -> str:
    """The node that has the role once every node has one, and nothing is under way."""
    cluster.wait_until_whole()
    eventually(cluster.agree)
    return cluster.by_role(role)


def test_each_node_killed_in_turn_loses_nothing_acknowledged(cluster: Cluster) -> None:
    with Writer(cluster, "w") as writer:
        for name in cluster.nodes:
            before = len(writer.acknowledged)
            eventually(lambda before=before: len(writer.acknowledged) > before + 40)  # type: ignore[misc]
            cluster.kill(name)
            cluster.start(name)
            cluster.wait_until_healthy()
    eventually(cluster.agree)
    assert_all_there(cluster, writer.acknowledged)


def test_all_nodes_killed_at_once_come_back_without_help(cluster: Cluster) -> None:
    for _ in range(2):
        with Writer(cluster, "w") as writer:
            eventually(lambda: len(writer.acknowledged) > 100)
            for name in cluster.nodes:
                cluster.kill(name)
        cluster.start()
        cluster.wait_until_healthy()
        eventually(cluster.agree)
        assert_all_there(cluster, writer.acknowledged)


@pytest.mark.parametrize("role", ["head", "middle", "tail"])
def test_a_node_that_stands_still_is_left_out_and_taken_in_again(cluster: Cluster, role: str) -> None:
    token = cluster.tokenize("n1", ["before"])[0]
    still = in_the_whole_chain(cluster, role)
    rest = [name for name in cluster.nodes if name != still]
    cluster.signal(still, signal.SIGSTOP)
    try:
        for name in rest:
            began = time.monotonic()
            tokens = cluster.tokenize(name, [f"while {still} stands still, at {name}"])
            assert time.monotonic() - began < REQUEST_SECONDS
            assert cluster.detokenize(name, [token, *tokens])[0] == "before"
        eventually(lambda: all(still not in cluster.status(name)["chain"] for name in rest))
        assert {cluster.health(name) for name in rest} == {"degraded"}
    finally:
        cluster.signal(still, signal.SIGCONT)
    cluster.wait_until_whole()
    eventually(cluster.agree)
    assert cluster.detokenize(still, [token, *tokens]) == [
        "before",
        f"while {still} stands still, at {name}",
    ]


@pytest.mark.parametrize("role", ["head", "middle", "tail"])
def test_with_one_node_gone_writes_go_on_after_a_short_gap(cluster: Cluster, role: str) -> None:
    token = cluster.tokenize("n1", ["known"])[0]
    gone = in_the_whole_chain(cluster, role)
    cluster.kill(gone)
    rest = [name for name in cluster.nodes if name != gone]
    for name in rest:
        began = time.monotonic()
        answer = cluster.post(name, "/tokenize", {"values": [f"new at {name}"]})
        assert answer.status_code == 200, (
            "a request waits for the new chain, and is not refused meanwhile"
        )
        assert time.monotonic() - began < 2
        assert cluster.detokenize(name, [token, *answer.json()["tokens"]]) == ["known", f"new at {name}"]
        assert cluster.health(name) == "degraded"
        assert gone not in cluster.status(name)["chain"]
        unknown = cluster.post(name, "/detokenize", {"token": "tv1_1_" + "0" * 32})
        assert unknown.status_code == 404
    cluster.start(gone)
    cluster.wait_until_whole()
    eventually(cluster.agree)
    for name in cluster.nodes:
        assert cluster.detokenize(name, cluster.tokenize(name, ["new again"])) == ["new again"]


@pytest.mark.parametrize("role", ["head", "middle", "tail"])
def test_with_two_nodes_gone_nothing_is_acknowledged_and_known_tokens_resolve(
    cluster: Cluster, role: str
) -> None:
    tokens = cluster.tokenize("n1", ["known", "too"])
    left = in_the_whole_chain(cluster, role)
    gone = [name for name in cluster.nodes if name != left]
    for name in gone:
        cluster.signal(name, signal.SIGKILL)
    killed = time.monotonic()
    eventually(lambda: cluster.health(left) == "unavailable", seconds=1)
    for body in ({"values": ["new"]}, {"values": ["known"]}):
        assert cluster.post(left, "/tokenize", body).status_code == 503
    assert cluster.post(left, "/detokenize", {"token": "tv1_1_" + "0" * 32}).status_code == 503
    assert cluster.detokenize(left, tokens) == ["known", "too"]
    eventually(lambda: time.monotonic() - killed > 3 * SUSPECT_SECONDS + 1)
    for path, body in (("/tokenize", {"values": ["new"]}), ("/detokenize", {"tokens": ["unknown"]})):
        began = time.monotonic()
        assert cluster.post(left, path, body).status_code == 503
        assert time.monotonic() - began < 1, "with no chain for long a request is refused at once"
    for name in gone:
        cluster.wait_for_end(name)
        cluster.start(name)
    cluster.wait_until_whole()
    eventually(cluster.agree)
    for name in cluster.nodes:
        assert cluster.detokenize(name, tokens) == ["known", "too"]
        assert cluster.tokenize(name, ["known", "too"]) == tokens


def test_a_node_started_alone_answers_what_was_acknowledged_last(cluster: Cluster) -> None:
    for name in cluster.nodes:
        tokens = cluster.tokenize(name, [f"last at {name}"])
    eventually(cluster.agree)
    for name in cluster.nodes:
        cluster.signal(name, signal.SIGTERM)
    for name in list(cluster.nodes):
        assert cluster.wait_for_end(name)[0] == 0
    for name in cluster.nodes:
        cluster.start(name)
        eventually(lambda name=name: cluster.glance(name, "/health") is not None)  # type: ignore[misc]
        assert cluster.detokenize(name, tokens) == ["last at n3"]
        cluster.kill(name)


def test_a_wiped_node_is_rebuilt_from_the_chain(cluster: Cluster) -> None:
    tokens = cluster.tokenize("n1", [f"v{i}" for i in range(500)])
    cluster.kill("n2")
    folder = cluster.folder / "data" / "n2"
    disks.wipe(folder)
    cluster.start("n2")
    cluster.wait_until_whole()
    eventually(cluster.agree)
    assert cluster.detokenize("n2", tokens) == [f"v{i}" for i in range(500)]


@pytest.mark.parametrize("file", ["journal.sqlite", "promise"])
def test_a_damaged_file_is_set_aside_and_the_node_rebuilt(cluster: Cluster, file: str) -> None:
    tokens = cluster.tokenize("n1", [f"v{i}" for i in range(200)])
    cluster.signal("n3", signal.SIGTERM)
    assert cluster.wait_for_end("n3")[0] == 0
    flip_bits(cluster.folder / "data" / "n3" / file)
    cluster.start("n3")
    cluster.wait_until_whole()
    eventually(cluster.agree)
    assert cluster.detokenize("n3", tokens) == [f"v{i}" for i in range(200)]
    assert any(event["event"] == "set-aside" for event in cluster.events("n3"))
    assert list((cluster.folder / "data" / "n3").glob("set-aside-*"))


def flip_bits(file: Path) -> None:
    """Damage every 64th byte."""
    content = bytearray(file.read_bytes())
    for at in range(20, len(content), 64):
        content[at] ^= 0x10
    file.write_bytes(content)
