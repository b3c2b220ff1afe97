"""The page on Arrow and the example with Dask, run against three nodes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.docs.pages import ROOT, page_called, read, snippets
from tests.e2e.page import environment
from tvault.client.vault import Vault


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    running = Cluster(tmp_path_factory.mktemp("arrow") / "vault", fields=("ssn",))
    with running:
        running.start()
        running.wait_until_whole()
        yield running


def printed_by(script: Path, cluster: Cluster) -> str:
    told = {"TVAULT_URL": ",".join(cluster.nodes.values()), "TVAULT_API_KEY": cluster.keys["A"]}
    ran = subprocess.run(
        [sys.executable, str(script)],
        env=environment(**told),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_snippets_of_the_page_run_as_shown(cluster: Cluster, tmp_path: Path) -> None:
    shown = snippets(read(page_called("arrow")), "python")
    assert len(shown) == 4
    script = tmp_path / "page.py"
    script.write_text("\n".join(shown))
    printed_by(script, cluster)


def test_the_example_with_dask_counts_by_token_and_gives_none_to_made_up_values(
    cluster: Cluster,
) -> None:
    assert printed_by(ROOT / "examples" / "dask_visits.py", cluster).splitlines() == [
        "900-00-0001  336 visits   3696 minutes",
        "900-00-0002  168 visits   2016 minutes",
        "900-00-0003  108 visits   1404 minutes",
    ]
    with Vault(list(cluster.nodes.values()), cluster.keys["A"]) as vault:
        known = vault.lookup(["foo", "a", "b", "", "900-00-0028"])
    assert [bool(tokens) for tokens in known] == [False, False, False, False, True]
