from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three nodes in one chain."""
    running = Cluster(tmp_path / "vault", fields=("ssn", "patient.mrn", "contacts[*].phone"))
    try:
        running.start()
        running.wait_until_whole()
        yield running
    finally:
        running.stop()
