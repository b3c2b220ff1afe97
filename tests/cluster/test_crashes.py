"""What a crash may cost: time, never what was acknowledged."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
import requests

from tests.cluster.cluster import Cluster, eventually

REQUEST_SECONDS = 5


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


def test_the_head_sends_rows_to_its_successor_alone(cluster: Cluster) -> None:
    cluster.tokenize("n1", ["before"])
    eventually(cluster.agree)
    head, middle, tail = (cluster.by_role(role) for role in ("head", "middle", "tail"))
    before = cluster.status(tail)["journal"]["last"]
    cluster.signal(middle, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = cluster.post(head, "/tokenize", {"values": ["while the middle stands still"]})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert time.monotonic() - began < REQUEST_SECONDS + 2
        assert cluster.status(head)["journal"]["last"] > before, "the head did not persist the entry"
        assert cluster.status(tail)["journal"]["last"] == before, "rows reached the tail past the middle"
    finally:
        cluster.signal(middle, signal.SIGCONT)
    cluster.wait_until_healthy()
    eventually(cluster.agree)
    assert cluster.status(tail)["journal"]["last"] > before


@pytest.mark.parametrize("role", ["head", "middle", "tail"])
def test_with_one_node_gone_nothing_is_acknowledged_and_known_tokens_resolve(
    cluster: Cluster, role: str
) -> None:
    token = cluster.tokenize("n1", ["known"])[0]
    eventually(cluster.agree)
    gone = cluster.by_role(role)
    cluster.kill(gone)
    rest = [name for name in cluster.nodes if name != gone]
    for name in rest:
        began = time.monotonic()
        answer = cluster.post(name, "/tokenize", {"values": [f"new at {name}"]})
        assert answer.status_code == 503
        assert time.monotonic() - began < REQUEST_SECONDS + 2
        assert cluster.detokenize(name, [token]) == ["known"]
        eventually(lambda name=name: not cluster.is_healthy(name))  # type: ignore[misc]
    cluster.start(gone)
    cluster.wait_until_healthy()
    for name in cluster.nodes:
        assert cluster.detokenize(name, cluster.tokenize(name, ["new again"])) == ["new again"]


def test_a_wiped_node_is_rebuilt_from_the_chain(cluster: Cluster) -> None:
    tokens = cluster.tokenize("n1", [f"v{i}" for i in range(500)])
    cluster.kill("n2")
    folder = cluster.folder / "data" / "n2"
    for file in folder.iterdir():
        file.unlink()
    cluster.start("n2")
    cluster.wait_until_healthy()
    eventually(cluster.agree)
    assert cluster.detokenize("n2", tokens) == [f"v{i}" for i in range(500)]


@pytest.mark.parametrize("file", ["journal.sqlite", "promise"])
def test_a_damaged_file_is_set_aside_and_the_node_rebuilt(cluster: Cluster, file: str) -> None:
    tokens = cluster.tokenize("n1", [f"v{i}" for i in range(200)])
    cluster.signal("n3", signal.SIGTERM)
    assert cluster.wait_for_end("n3")[0] == 0
    flip_bits(cluster.folder / "data" / "n3" / file)
    cluster.start("n3")
    cluster.wait_until_healthy()
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
