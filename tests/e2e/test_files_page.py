"""The page on files: its commands print what it shows."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.docs.pages import page_called, read
from tests.e2e.test_examples import blocks_of, run, without_chance


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    (steps,) = blocks_of(read(page_called("files")))
    assert len(steps) == 7
    with Cluster(tmp_path / "vault") as cluster:
        cluster.start()
        cluster.wait_until_whole()
        told = {"TVAULT_CONFIG": str(cluster.config), "TVAULT_API_KEY": cluster.keys["A"]}
        for step in steps:
            assert without_chance(run(step, tmp_path, told, 0)) == without_chance(step[1]), step[0]
