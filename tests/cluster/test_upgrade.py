"""Nodes of two releases, whose messages and journals differ."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from tests.cluster import disks
from tests.cluster.cluster import Cluster, eventually
from tests.docs.pages import ROOT
from tvault.replication.codec import FORMAT
from tvault.store.tables import MIGRATIONS

FORMAT_LINE = f"FORMAT = {FORMAT}\n"
STEPS = "_create_secrets)\n"


def newer_release(folder: Path) -> Path:
    """A copy of this package that speaks another message format and has one more step to its tables."""
    package = folder / "tvault"
    shutil.copytree(ROOT / "tvault", package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in (
        ("replication/codec.py", FORMAT_LINE, f"FORMAT = {FORMAT + 1}\n"),
        (
            "store/tables.py",
            STEPS,
            "_create_secrets, lambda base: base.execute_sql('CREATE TABLE t (x)'))\n",
        ),
    ):
        text = (package / file).read_text()
        assert text.count(old) == 1, f"{file} is not as it was"
        (package / file).write_text(text.replace(old, new))
    return folder


def end(cluster: Cluster, *names: str) -> None:
    for name in names:
        cluster.signal(name, signal.SIGTERM)
    for name in names:
        cluster.wait_for_end(name)


def test_another_release_is_refused_by_name_until_all_nodes_are_of_it_and_nothing_is_lost(
    cluster: Cluster, tmp_path: Path
) -> None:
    newer = ("env", "-C", str(newer_release(tmp_path / "newer")))
    tokens = cluster.tokenize("n1", ["a", 1])

    end(cluster, "n3")
    cluster.prefixes["n3"] = newer
    cluster.start("n3")
    for name, other in (("n1", "n3"), ("n3", "n1")):
        why = f"node {other} has another message format than node {name}"
        eventually(lambda name=name, why=why: why in cluster.said(name))  # type: ignore[misc]
    tokens += cluster.tokenize("n1", ["b"])
    assert (cluster.health("n1"), cluster.health("n3")) == ("degraded", "unavailable")

    end(cluster, "n3")
    del cluster.prefixes["n3"]
    cluster.start("n3")
    code, told = cluster.wait_for_end("n3")
    known = len(MIGRATIONS)
    why = f"was written by a newer tvault: its schema is {known + 1}, this one knows {known}"
    assert (code, why in told, told.count("\n")) == (2, True, 1)
    disks.wipe(cluster.data("n3"))
    cluster.start("n3")
    cluster.wait_until_whole()

    end(cluster, *cluster.nodes)
    cluster.prefixes.update(dict.fromkeys(cluster.nodes, newer))
    cluster.start()
    cluster.wait_until_whole()
    assert cluster.detokenize("n3", tokens) == ["a", 1, "b"]
    assert cluster.tokenize("n2", ["a", 1, "b"]) == tokens
