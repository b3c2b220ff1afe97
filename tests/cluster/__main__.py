"""Faults on a real cluster, for as long as one likes: `python -m tests.cluster --seconds 600`."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import click

from tests.cluster.faults import FAULTS
from tests.cluster.stage import Fallen
from tests.cluster.trial import Plan, run


def _kinds(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    kinds = tuple(FAULTS) if text is None else tuple(text.split(","))
    unknown = [kind for kind in kinds if kind not in FAULTS]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}; known are {', '.join(FAULTS)}")
    return kinds


@click.command()
@click.option("--seconds", type=float, help="How long faults go on; each kind once when left out.")
@click.option("--seed", type=int, help="Of the faults and the clients; a new one when left out.")
@click.option("--faults", "kinds", callback=_kinds, metavar="KIND,...", help="Only these kinds.")
@click.option("--nodes", type=click.IntRange(3, 9), default=3, show_default=True)
@click.option("--namespaces", is_flag=True, help="Cut links by network namespaces (needs root).")
def main(
    seconds: float | None, seed: int | None, kinds: tuple[str, ...], nodes: int, *, namespaces: bool
) -> None:
    """Let faults loose on a cluster with eight clients, and judge what they were told.

    Exit code 1 when anything fell; the folder of the run is kept then.
    """
    seed = secrets.randbelow(10**6) if seed is None else seed
    plan = Plan(seed, seconds, kinds, nodes, namespaces)
    folder = Path(tempfile.mkdtemp(prefix="tvault-faults-"))
    click.echo(plan.command)
    try:
        report = run(plan, folder / "vault", click.echo)
    except Fallen as fallen:
        click.echo(f"FAILED: {fallen}\nthe nodes' folders and the history are in {folder}", err=True)
        sys.exit(1)
    shutil.rmtree(folder)
    for line in report.lines():
        click.echo(line)


if __name__ == "__main__":
    main()
