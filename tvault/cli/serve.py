"""`tvault serve`."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from contextlib import suppress
from functools import partial

import click

from tvault.cli.invocation import VaultCommand
from tvault.cli.opening import read_config
from tvault.config import Address
from tvault.config.kinds import BadSetting, HostAndPort
from tvault.errors import VaultError
from tvault.server.gateway import run_gateway
from tvault.server.serve import run_node


@click.command("serve", cls=VaultCommand)
@click.option("--node", "node_id", metavar="NAME", help="The node's name in tvault.toml.")
@click.option("--gateway", is_flag=True, help="Run the API alone, over the nodes; keep nothing.")
@click.option("--listen", metavar="HOST:PORT", help="Where a gateway listens.")
@click.option("--end-with-stdin", is_flag=True, hidden=True)
@click.option("--tell-ready", type=click.INT, hidden=True)
@click.pass_context
def command(
    ctx: click.Context,
    node_id: str | None,
    gateway: bool,
    listen: str | None,
    end_with_stdin: bool,
    tell_ready: int | None,
) -> None:
    """Run one node in the foreground, or a gateway; SIGTERM ends it cleanly.

    A gateway answers clients as a node does, for more CPU or to place the API away from the vault. It
    keeps nothing: it computes tokens and ciphertext, and the nodes order and keep them.
    """
    config = read_config(ctx)
    _leave_no_core()
    if end_with_stdin:
        threading.Thread(target=_end_with_stdin, name="end-with-stdin", daemon=True).start()
    if gateway:
        if node_id is not None or listen is None:
            raise VaultError("usage", "a gateway is started by: serve --gateway --listen HOST:PORT")
        ctx.exit(run_gateway(config, _address(listen)))
    if node_id is None or listen is not None:
        raise VaultError("usage", "a node is started by: serve --node NAME")
    config.node(node_id)
    ctx.exit(run_node(config, node_id, partial(_tell, tell_ready)))


def _leave_no_core() -> None:
    """A crash of this process leaves no image of its memory, which holds keys and values, on a disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _address(text: str) -> Address:
    try:
        return HostAndPort().parse(text)
    except BadSetting as error:
        raise VaultError("usage", f"--listen {text}: {error}") from None


def _tell(pipe: int | None) -> None:
    """Tell `up`, which started this node, that it answers.  The pipe stays open: a later life of the
    node tells it again, and another file must not have its number then."""
    if pipe is not None:
        with suppress(OSError):  # `up` is gone
            os.write(pipe, b"\n")


def _end_with_stdin() -> None:
    """End this node when `up` ends, however it ends: stdin is a pipe from it that carries nothing."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)
