"""The pages about DuckDB and notebooks, run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.cluster.cluster import Cluster
from tests.docs.pages import page_called, read, snippets
from tests.duck.sql import store
from tvault import Vault


@pytest.mark.parametrize(("page", "count"), [("duckdb", 7), ("notebook", 7)])
def test_the_snippets_of_the_page_run_as_shown(
    cluster: Cluster, vault: Vault, tmp_path: Path, page: str, count: int
) -> None:
    shown = snippets(read(page_called(page)), "python")
    assert len(shown) == count
    people = vault.tokenize(["078-05-1120", "219-09-9999", "457-55-5462"]).tokens
    names = vault.tokenize(["Ada", "José", "Νίκη"]).tokens
    with duckdb.connect(tmp_path / "clinic.duckdb") as con:
        store(con, "patients", ssn=people, name=names, city=["Ulm", "Ulm", "Bonn"])
        wards = ["surgery", "oncology", "oncology", "oncology"]
        visitors = [people[0], people[1], people[2], people[0]]
        store(con, "visits", visit=[1, 2, 3, 4], ssn=visitors, ward=[*wards[:2], "surgery", wards[3]])
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(shown)],
        cwd=tmp_path,
        env=os.environ
        | {"TVAULT_URL": ",".join(cluster.nodes.values()), "TVAULT_API_KEY": cluster.keys["A"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
