"""`tvault inspect chain`."""

from __future__ import annotations

import click

from tvault.cli.chain_history import EVENTS_OF_CHAINS, views_of
from tvault.cli.event_logs import MOMENT_COLUMNS, open_logs
from tvault.cli.invocation import VaultCommand, data_option, json_option, node_option
from tvault.cli.output import print_json, say, visible
from tvault.events import Filter


@click.command("chain", cls=VaultCommand)
@click.option("--last", type=click.IntRange(1), metavar="N", help="The last N views alone.")
@node_option
@data_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    last: int | None,
    node_names: tuple[str, ...],
    folders: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show how the chain changed, and why.

    For each view: since when and for how long, the chain from head to tail, why its head asked for it,
    who voted for it, and the chain before it; then what nodes told until the next one, such as whom they
    suspect and whom they take in. It is put together from the events of all nodes, as far back as those
    are kept.
    """
    logs = open_logs(ctx, node_names, folders)
    views = views_of(logs.events(Filter(EVENTS_OF_CHAINS)), last)
    logs.require_any()
    if as_json:
        print_json({"views": [view.document() for view in views]})
        return
    for view in views:
        for moment, text in view.lines():
            click.echo(f"{moment.ljust(MOMENT_COLUMNS)}  {visible(text)}")
    if not views:
        say("tvault: the events tell of no view")
