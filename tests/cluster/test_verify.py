"""`tvault inspect state` and `verify` on a real cluster, on nodes that run and on those that do not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import Cluster, eventually, tvault


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes in one chain, with tokens of two owners and epochs, and a secret."""
    with Cluster(tmp_path_factory.mktemp("verify") / "vault") as running:
        running.start()
        running.wait_until_whole()
        for number in range(5):
            running.tokenize("n1", [f"v{number}-{place}" for place in range(100)])
        running.tokenize("n2", ["theirs"], "B")
        assert running.ask("n1", "PUT", "/secrets/hidden-name", {"value": "x"}).status_code == 200
        assert running.post("n1", "/rotate-epoch", {"to": 2}).status_code == 200
        running.tokenize("n3", ["of the second epoch"])
        eventually(running.agree)
        yield running


def inspect(cluster: Cluster, name: str, *arguments: str | Path) -> tuple[int, Any]:
    """The exit code and the document of a subcommand; with a configuration unless folders are given."""
    given = [str(argument) for argument in arguments]
    config = (
        [] if given[:1] == ["--data"] and "--node" not in given else ["--config", str(cluster.config)]
    )
    done = tvault("inspect", name, *given, *config, "--json")
    assert "internal error" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def execute(folder: Path, script: str) -> None:
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        connection.executescript(script)


def seq_of_tokens(folder: Path) -> int:
    """An entry that brought tokens, not the last one."""
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        (seq,) = connection.execute("SELECT min(seq) FROM block").fetchone()
    return int(seq)


def test_all_nodes_hold_the_same(cluster: Cluster) -> None:
    code, state = inspect(cluster, "state")
    assert code == 0
    assert len({json.dumps([node["owners"], node["journal"]]) for node in state["nodes"]}) == 1
    first, second = state["nodes"][0]["owners"]
    assert [(epoch["epoch"], epoch["tokens"]) for epoch in first["epochs"]] == [(1, 500), (2, 1)]
    assert (first["active"], first["secrets"]["names"]) == (2, 1)
    assert (second["owner"], second["epochs"][0]["tokens"]) == ("B", 1)
    assert "hidden-name" not in json.dumps(state)
    code, document = inspect(cluster, "verify")
    assert (code, document["sound"], document["differences"]) == (0, True, [])
    assert len({json.dumps([node["committed"], node["rows"]]) for node in document["nodes"]}) == 1


def test_a_stopped_node_holds_what_it_knew_until_a_row_is_changed_that_is_named_as_on_a_running_one(
    cluster: Cluster,
) -> None:
    cluster.kill("n2")
    cluster.tokenize("n1", ["while it is away"])
    folder = cluster.data("n2")
    code, document = inspect(cluster, "verify", "--data", folder, "--node", "n1")
    assert (code, document["sound"]) == (0, True)
    assert document["nodes"][0]["committed"] > document["nodes"][1]["committed"]
    assert inspect(cluster, "verify")[0] == 4

    seq = seq_of_tokens(folder)
    execute(folder, f"UPDATE block SET sealed = zeroblob(40) WHERE seq = {seq}")  # noqa: S608
    code, document = inspect(cluster, "verify", "--data", folder)
    assert (code, document["first_differing"], document["sound"]) == (1, seq, False)

    execute(cluster.data("n3"), f"UPDATE block SET sealed = zeroblob(40) WHERE seq = {seq}")  # noqa: S608
    code, document = inspect(cluster, "verify", "--node", "n1", "--node", "n3")
    assert (code, document["first_differing"]) == (1, seq)
    sound, damaged = document["nodes"]
    assert sound["findings"] == []
    assert (damaged["findings"][0]["where"], damaged["findings"][0]["seq"]) == ("journal.sqlite", seq)
    eventually(lambda: any(event["event"] == "damaged" for event in cluster.events("n3")))
