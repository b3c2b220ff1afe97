"""A minute of everything that can go wrong, with eight clients; `make soak` lets it go on for longer."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.cluster.faults import FAULTS
from tests.cluster.trial import Plan, run

SEED = 1


@pytest.mark.timeout(300)
def test_every_kind_of_fault_costs_time_and_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    report = run(Plan(SEED), tmp_path / "vault", click.echo)
    click.echo("\n".join(report.lines()))
    assert report.gaps.keys() == FAULTS.keys()
