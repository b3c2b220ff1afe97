"""The command."""

from __future__ import annotations

import os
from collections import Counter

import click

from tvault.cli.doctor.examining import examine
from tvault.cli.doctor.findings import RESULTS
from tvault.cli.invocation import VaultCommand, json_option, node_option
from tvault.cli.opening import read_config
from tvault.cli.output import print_json, table_lines

FAILED = 1


@click.command("doctor", cls=VaultCommand)
@node_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, node_names: tuple[str, ...], as_json: bool) -> None:
    """Check configuration, keys, ports, disks, clocks and versions.

    Before the first start, and while nodes run. One line for each check: ok, warning or failed, what
    was found, and what to do. The folders and ports of nodes on other machines are checked there. It
    changes nothing. Exits with 1 when a check failed; warnings alone are no failure.
    """
    config = read_config(ctx)
    chosen = [config.node(name) for name in dict.fromkeys(node_names)] or list(config.nodes)
    findings = list(examine(config, chosen, os.environ))
    counts = Counter(each.result for each in findings)
    if as_json:
        summary = {result: counts[result] for result in RESULTS}
        print_json({"checks": [each.document() for each in findings], "summary": summary})
    else:
        for line in table_lines(("result", "check", "of", "found"), [each.cells() for each in findings]):
            click.echo(line)
        click.echo("")
        click.echo(", ".join(f"{result} {counts[result]}" for result in RESULTS))
    if counts["failed"]:
        ctx.exit(FAILED)
