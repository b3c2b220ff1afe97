"""`make bench`: measures, prints a table, and writes it as JSON to `build/bench.json`."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from tests.bench import (
    bulk,
    duck,
    failing,
    files,
    formats,
    gateway,
    growth,
    isolation,
    latency,
    machine,
    peers,
    secrets,
    shape,
    steps,
)
from tests.bench.report import Row, table, write_json
from tests.bench.scale import SCALES, Scale

SUBJECTS: dict[str, Callable[[Path, Scale], list[Row]]] = {
    "bulk": bulk.measure,
    "formats": formats.measure,
    "duck": duck.measure,
    "steps": steps.measure,
    "latency": latency.measure,
    "secrets": secrets.measure,
    "growth": growth.measure,
    "shape": shape.measure,
    "files": files.measure,
    "gateway": gateway.measure,
    "isolation": isolation.measure,
    "failures": failing.measure,
    "peers": peers.measure,
}

TOLD = ("commit", "scale", "cores", "python", "sqlite", "files_on", "load_before")
"""What is said of the machine below the table; the rest is in the JSON."""

IDLE_LOAD = 0.5
BUSY = (
    "THE MACHINE WAS BUSY: figures by the clock and ratios to one process, the raw file, mean little; "
    "CPU does."
)

NOTES = (
    "Client and all nodes share the cores; every value is durable on three nodes before it is answered.",
    "Raw SQLite: one local file, PRIMARY KEY(owner, epoch, token) WITHOUT ROWID, WAL, synchronous FULL,",
    "256 MiB cache, transactions of 1,000 rows, as many rows as values, measured right before.",
    "Ratios are to the one with tuned checkpoints (every 16,000 pages), faster than SQLite's default.",
    "Single calls: all clients are one process, busy for the share given, that keeps connections open.",
    "A refused try (503) is made again after 20 ms, and the latency runs from the first try.",
)


def _subjects(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    names = () if text is None else tuple(text.split(","))
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}; known are {', '.join(SUBJECTS)}")
    return names


@click.command()
@click.option("--scale", type=click.Choice(list(SCALES)), default="full", show_default=True)
@click.option("--only", "names", callback=_subjects, metavar="SUBJECT,...", help="Only these subjects.")
@click.option("--peers", "with_peers", is_flag=True, help="PostgreSQL, too, where it is installed.")
@click.option(
    "--json",
    "target",
    type=click.Path(path_type=Path),
    default=Path("build/bench.json"),
    show_default=True,
)
def main(scale: str, names: tuple[str, ...], target: Path, *, with_peers: bool) -> None:
    """Measure what tvault costs, each figure beside its baseline.

    What was measured is shown and written even when a later measurement fails.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it ends the nodes, too
    facts = machine.facts() | {"scale": scale}
    began = time.monotonic()
    rows: list[Row] = []
    try:
        for name in names or [name for name in SUBJECTS if with_peers or name != "peers"]:
            click.echo(f"{time.monotonic() - began:5.0f} s: {name}", err=True)
            with tempfile.TemporaryDirectory(prefix="tvault-bench-") as folder:
                rows += SUBJECTS[name](Path(folder), SCALES[scale])
    finally:
        facts["seconds"] = round(time.monotonic() - began, 1)
        write_json(target, facts, rows, NOTES)
        for line in (*table(rows), *NOTES):
            click.echo(line)
        if facts["load_before"][0] > IDLE_LOAD:
            click.echo(BUSY)
        click.echo(", ".join(f"{name} {facts[name]}" for name in TOLD))
        click.echo(f"{facts['seconds']:.0f} s; also in {target}")


if __name__ == "__main__":
    main()
