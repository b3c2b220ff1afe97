"""The page of the library, run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.docs.pages import page_called, read, snippets


def test_the_snippets_of_the_page_run_as_shown(tmp_path: Path) -> None:
    shown = snippets(read(page_called("library")), "python")
    assert len(shown) == 10
    script = tmp_path / "page.py"
    script.write_text("\n".join(shown))
    cluster = Cluster(tmp_path / "vault", fields=("ssn", "patient.mrn"))
    with cluster:
        cluster.start()
        cluster.wait_until_whole()
        ran = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            env=os.environ
            | {"TVAULT_URL": ",".join(cluster.nodes.values()), "TVAULT_API_KEY": cluster.keys["A"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
