"""Five nodes work as three do: without any two of them they write, without three they read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster, eventually
from tests.cluster.recovery import running_cluster


@pytest.fixture(scope="module")
def five() -> Iterator[Cluster]:
    """Both tests leave it whole, or are the last."""
    with running_cluster(nodes=5) as running:
        yield running


def test_five_nodes_write_without_any_two_of_them_and_all_know_everything_afterwards(
    five: Cluster,
) -> None:
    before = five.tokenize("n1", ["before", 1, 2.5])
    chain: list[str] = five.status("n1")["chain"]
    assert sorted(chain) == sorted(five.nodes)
    gone = (chain[0], chain[3])
    for name in gone:
        five.kill(name)
    rest = [name for name in five.nodes if name not in gone]
    written = [five.tokenize(name, [f"at {name}"])[0] for name in rest]
    for name in rest:
        assert five.detokenize(name, before) == ["before", 1, 2.5]
        assert five.detokenize(name, written) == [f"at {other}" for other in rest]
        assert five.get(name, "/health") == {"status": "degraded"}
    for name in gone:
        five.start(name)
    five.wait_until_whole()
    eventually(five.agree)
    for name in five.nodes:
        assert five.detokenize(name, written) == [f"at {other}" for other in rest]
        assert len(five.status(name)["chain"]) == 5


def test_five_nodes_write_nothing_without_three_of_them_and_go_on_reading(five: Cluster) -> None:
    token = five.tokenize("n1", ["known"])[0]
    eventually(five.agree)
    for name in ("n2", "n3", "n4"):
        five.kill(name)
    for name in ("n1", "n5"):
        eventually(lambda name=name: not five.is_healthy(name))  # type: ignore[misc]
        assert five.post(name, "/tokenize", {"values": ["new"]}).status_code == 503
        assert five.detokenize(name, [token]) == ["known"]
    five.start("n3")
    eventually(lambda: five.is_healthy("n5"))
    assert five.detokenize("n1", five.tokenize("n5", ["new"])) == ["new"]
