"""`tvault demo`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable

import click

from tvault.cli.demo import clients, faults, owners, passwords, tables
from tvault.cli.demo.patients import FEWEST, MOST, patients, visits
from tvault.cli.demo.show import Show
from tvault.cli.demo.stage import Stage
from tvault.cli.demo.temporary import CONFIG, temporary_cluster
from tvault.cli.invocation import VaultCommand, tidied_up_when_ended
from tvault.errors import VaultError

USUAL_RECORDS = 100_000

STEPS: tuple[Callable[[Show], None], ...] = (
    clients.start,
    clients.at_once,
    clients.everywhere,
    faults.kill_the_head,
    owners.isolation,
    owners.rotation,
    faults.come_back,
    tables.join,
    passwords.env_file,
    passwords.look_through_the_disks,
)


@click.command("demo", cls=VaultCommand)
@click.argument("records", metavar="[RECORDS]", type=click.IntRange(FEWEST, MOST), default=USUAL_RECORDS)
@click.option("--pause", is_flag=True, help="Wait for Enter before each step.")
@click.option("--keep", is_flag=True, help="Leave the folder of the cluster, and tell how to start it.")
def command(records: int, *, pause: bool, keep: bool) -> None:
    """Show what a vault does, on a temporary cluster, in about a minute.

    Three nodes on this machine, RECORDS made-up patients (100,000 when left out), and real commands:
    clients at once, a node killed and back, owners apart, a new epoch, a join in DuckDB, a password.
    Each claim is checked as it is made, and a false one ends the demo with exit code 1.

    Nodes and folder are gone at the end, after Ctrl-C too; a kill -9 leaves the folder.
    """
    if pause and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise VaultError("usage", "--pause waits for Enter: it needs a terminal")
    people = patients(records)
    with tidied_up_when_ended(), temporary_cluster(is_kept=keep) as cluster:
        show = Show(Stage(pauses=pause), cluster, people, visits(people))
        try:
            for step in STEPS:
                step(show)
            show.stage.summary()
        finally:
            if keep:
                click.echo(f"\nkept: {cluster.place}")
                if (cluster.place / CONFIG).exists():
                    click.echo(
                        f"start it with: tvault up --config {shlex.quote(str(cluster.place / CONFIG))}"
                    )
                    click.echo(f"API keys: {cluster.place}/clinic.key and lab.key")
