"""`tvault recover`."""

from __future__ import annotations

import os

import click

from tvault.cli.invocation import VaultCommand
from tvault.cli.opening import read_config
from tvault.cli.output import say
from tvault.config import Config, NodeConfig, read_keys
from tvault.errors import VaultError
from tvault.events import EventLog, Room
from tvault.model.keys import KeyRing
from tvault.replication.promise import Standing
from tvault.replication.recovery import Identity
from tvault.server.folder import DataFolder

MEANING = """\
Node {node} is blank: its memory of its votes, or its journal, was lost{when}. As long as a majority
of the other nodes can vote, do nothing: start it, and it is rebuilt from the chain by itself.

Only when too few nodes that may vote are left, and their disks will not come back, make it vote again.
This accepts for ever that
- what was acknowledged and stands in no journal that is left is lost: those tokens are not found any
  more, unless their values are tokenized again; a rotation of epochs can be undone;
- what this node has promised to others is forgotten: should a node that was taken for lost come back,
  nodes can contradict each other until one of them is stopped.

It goes on with the {last} entries of its own journal. What was set aside stays beside it."""


@click.command("recover", cls=VaultCommand)
@click.option("--node", "node_id", required=True, metavar="NAME", help="The node's name in tvault.toml.")
@click.option("--accept-loss", is_flag=True, help="Do it; without this it is only explained.")
@click.pass_context
def command(ctx: click.Context, node_id: str, accept_loss: bool) -> None:
    """Let a blank node vote again: accept that what it has lost is lost.

    The last resort when more than half of the nodes have lost their disks. The node must not run, and
    its folder must be on this machine. Without --accept-loss nothing is changed.
    """
    config = read_config(ctx)
    node = config.node(node_id)
    identity = _identity(config, node)
    if not node.data.is_dir():
        raise VaultError(
            "usage", f"node {node_id} has no folder here; it makes {node.data} when started"
        )
    folder = DataFolder(node.data)
    try:
        found = folder.glance(identity)
        if found is not None and found.standing is not Standing.BLANK and not accept_loss:
            click.echo(f"node {node_id} may vote: there is nothing to recover")
            return
        if not accept_loss:
            when = f" and set aside ({aside})" if (aside := folder.last_set_aside()) else ""
            last = 0 if found is None else found.mark.seq
            say(MEANING.format(node=node_id, when=when, last=last))
            raise VaultError("usage", "nothing is changed; --accept-loss does it")
        _accept_loss(config, node, folder, identity)
    finally:
        folder.close()


def _accept_loss(config: Config, node: NodeConfig, folder: DataFolder, identity: Identity) -> None:
    opened = folder.open(identity, config.store.cache_mib)
    try:
        if opened.promise.standing is not Standing.BLANK:
            click.echo(f"node {node.id} may vote: there is nothing to recover")
            return
        last, promised = opened.store.last().seq, opened.promise.promised
        folder.accept_loss(opened)
        room = Room(config.log.events_bytes, config.log.events_files)
        events = EventLog(node.data, node.id, room)
        events.record("loss-accepted", last=last, promised=promised)
        events.close()
        click.echo(f"node {node.id} will vote again, with the {last} entries of its journal")
    finally:
        opened.promise_file.close()
        opened.store.close()


def _identity(config: Config, node: NodeConfig) -> Identity:
    keys = KeyRing(read_keys(config, os.environ).token).fingerprint()
    return Identity(config.cluster_id, tuple(each.id for each in config.nodes), node.id, keys)
