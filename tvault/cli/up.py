"""`tvault up`."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

import click

from tvault.cli.invocation import VaultCommand
from tvault.cli.opening import read_config, trusted_ca
from tvault.cli.output import say
from tvault.cli.processes import NodeProcess
from tvault.config import Config, read_keys

LOOK_SECONDS = 0.1
HEALTH_SECONDS = 0.5
END_SECONDS = 20.0


@click.command("up", cls=VaultCommand)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run every node of tvault.toml on this machine.

    One process each, until Ctrl-C or SIGTERM. Prints a line when a node answers, with its process. If
    a node cannot start, all end; a node that ends later is reported, and the others go on.
    """
    config = read_config(ctx)
    read_keys(config, os.environ)
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    ctx.exit(_run(config, stop))


def _run(config: Config, stop: threading.Event) -> int:
    """0 when told to stop, 1 when a node could not start or none is left."""
    nodes: list[NodeProcess] = []
    ca = trusted_ca(config)
    try:
        for node in config.nodes:
            nodes.append(NodeProcess(config.path, node, ca))  # noqa: PERF401 - those started must be ended
        while not stop.wait(LOOK_SECONDS):
            if not _look(nodes):
                return 1
        return 0
    finally:
        _end(nodes)


def _look(nodes: list[NodeProcess]) -> bool:
    """Tell of what has changed.  False when there is no point in going on."""
    for node in nodes:
        if node.has_just_ended():
            if not node.is_up:
                say(f"tvault: node {node.id} could not start ({node.ending}); ending all")
                return False
            say(f"tvault: node {node.id} has ended ({node.ending}); the others go on")
        elif node.has_just_come_up(HEALTH_SECONDS):
            click.echo(f"{node.id} is up at {node.url}, process {node.pid}")
    if all(node.ending for node in nodes):
        say("tvault: no node is left")
        return False
    return True


def _end(nodes: list[NodeProcess]) -> None:
    for node in nodes:
        node.ask_to_end()
    for node in nodes:
        if not node.wait_for_end(END_SECONDS):
            say(f"tvault: node {node.id} did not end within {END_SECONDS:g} s and was killed")
