"""`tvault serve`."""

from __future__ import annotations

import os
import signal
import sys
import threading

import click

from tvault.cli.invocation import VaultCommand, read_config
from tvault.server.serve import run_node


@click.command("serve", cls=VaultCommand)
@click.option("--node", "node_id", required=True, metavar="NAME", help="The node's name in tvault.toml.")
@click.option("--end-with-stdin", is_flag=True, hidden=True)
@click.pass_context
def command(ctx: click.Context, node_id: str, end_with_stdin: bool) -> None:
    """Run one node in the foreground; SIGTERM ends it cleanly."""
    config = read_config(ctx)
    config.node(node_id)
    if end_with_stdin:
        threading.Thread(target=_end_with_stdin, name="end-with-stdin", daemon=True).start()
    ctx.exit(run_node(config, node_id))


def _end_with_stdin() -> None:
    """End this node when `up` ends, however it ends: stdin is a pipe from it that carries nothing."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)
