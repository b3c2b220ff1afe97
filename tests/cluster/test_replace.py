"""A node that lost its disk and comes back at another address."""

from __future__ import annotations

import signal

from tests.cluster import disks
from tests.cluster.cluster import Cluster, eventually, free_base_port


def move(cluster: Cluster, name: str) -> None:
    """Give a node other ports in the configuration, which the others read when they start."""
    text, base = cluster.config.read_text(), free_base_port(1)
    for urls, port in ((cluster.nodes, base + 1), (cluster.peers, base + 101)):
        old, new = urls[name].removeprefix("http://"), f"127.0.0.1:{port}"
        assert text.count(f'"{old}"') == 1
        text = text.replace(f'"{old}"', f'"{new}"')
        urls[name] = f"http://{new}"
    cluster.config.write_text(text)


def restart(cluster: Cluster, name: str) -> None:
    cluster.signal(name, signal.SIGTERM)
    cluster.wait_for_end(name)
    cluster.start(name)


def test_a_node_that_comes_back_empty_at_another_address_is_taken_in_once_the_others_are_told(
    cluster: Cluster,
) -> None:
    values = [f"v{i}" for i in range(300)]
    tokens = cluster.tokenize("n1", [*values])
    cluster.kill("n2")
    disks.wipe(cluster.data("n2"))
    move(cluster, "n2")
    cluster.start("n2")
    eventually(lambda: cluster.health("n2") == "unavailable")
    tokens += cluster.tokenize("n3", ["while it is not found"])
    assert "n2" not in cluster.status("n1")["chain"]
    for name in ("n1", "n3"):
        restart(cluster, name)
        eventually(lambda name=name: cluster.is_healthy(name))  # type: ignore[misc]
    cluster.wait_until_whole()
    assert cluster.detokenize("n2", tokens) == [*values, "while it is not found"]
