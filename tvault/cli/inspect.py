"""`tvault inspect`."""

from __future__ import annotations

import shutil
import sys

import click

from tvault.cli.invocation import LazyGroup, config_option, json_option
from tvault.cli.nodes import Nodes
from tvault.cli.opening import read_config
from tvault.cli.output import print_json
from tvault.cli.overview import Overview
from tvault.cli.watching import watch
from tvault.errors import VaultError

COMMANDS = {
    "state": ("tvault.cli.inspect_state", "Show what nodes hold: owners, epochs, counts, sizes."),
    "events": ("tvault.cli.inspect_events", "Show what happened, on all nodes, in the order of time."),
    "chain": ("tvault.cli.inspect_chain", "Show how the chain changed, and why."),
    "verify": ("tvault.cli.inspect_verify", "Check what nodes hold, and compare them."),
}


@click.group("inspect", cls=LazyGroup, table=COMMANDS, invoke_without_command=True)
@click.option("--watch", "is_watched", is_flag=True, help="Go on showing it, until Ctrl-C.")
@json_option
@config_option
@click.pass_context
def command(ctx: click.Context, *, is_watched: bool, as_json: bool) -> None:
    """Show the cluster at a glance.

    One line for each node: its role in the chain, its view, the last entry of its journal, the last
    one that it knows to be committed, how many entries it is behind the longest journal, the digest up
    to the committed one, and whether it can take writes. Below: whether the cluster is whole, degraded
    or down, what is wrong with which node, and the last change of the chain and why it was.

    With --watch it is drawn anew every second; off a terminal, and with --json, there is a line for
    each change instead.
    """
    if ctx.invoked_subcommand is not None:
        if is_watched or as_json:
            name = ctx.invoked_subcommand
            raise click.UsageError(f"options of {name} stand behind it: tvault inspect {name} …", ctx)
        return
    nodes = Nodes(read_config(ctx))
    if is_watched:
        watch(nodes, as_json=as_json)
        return
    seen = Overview.of(nodes)
    if as_json:
        print_json(seen.document())
    else:
        for line in seen.lines(shutil.get_terminal_size().columns if sys.stdout.isatty() else None):
            click.echo(line)
    if not seen.answering:
        raise VaultError("unreachable", "no node answered")
