"""`tvault restore`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from tvault.cli.backup_sources import summary, taken_ports
from tvault.cli.inspected import Lines
from tvault.cli.invocation import VaultCommand, node_option, tidied_up_when_ended
from tvault.cli.opening import read_config
from tvault.cli.output import say
from tvault.config import Config, Keys, NodeConfig, read_keys
from tvault.errors import VaultError
from tvault.events import EventLog, Room
from tvault.model.keys import KeyRing
from tvault.model.secrets import MasterKeys
from tvault.replication.recovery import Identity
from tvault.server.hello import digest_of_names
from tvault.server.restoring import EmptyFolder
from tvault.store.backup import Backup


@click.command("restore", cls=VaultCommand)
@click.argument("source", metavar="DIR")
@node_option
@click.pass_context
def command(ctx: click.Context, *, source: str, node_names: tuple[str, ...]) -> None:
    """Fill the folders of an empty cluster from a backup.

    No node of the cluster may run, or hold anything. Of a cluster on one machine all nodes are filled;
    beyond it those of this machine, named by --node; nodes left empty copy from the others. When all
    are started they begin together where the backup ends: what was acknowledged after it was made is
    lost. The token key must be the one of the backup.
    """
    config = read_config(ctx)
    backup = Backup(Path(source))
    keys = read_keys(config, os.environ)
    ring = KeyRing(keys.token)
    if ring.fingerprint() != backup.manifest.origin.token_key:
        raise VaultError(
            "configuration",
            f"{source} was made under another token key than [keys] token names: "
            "with that one no value of it could be read",
        )
    targets = _targets(config, node_names)
    running = taken_ports(config)
    if running:
        raise VaultError(
            "usage",
            f"the peer port of node {running[0]} is in use: a backup is restored into an empty "
            "cluster. Stop all its nodes, and move their data folders away, if it is to begin anew",
        )
    for warning in _warnings(config, keys, backup):
        say(f"tvault: {warning}")
    _restore(config, targets, backup, ring.fingerprint())
    names = ", ".join(node.id for node in targets)
    click.echo(f"{names}: {summary(backup.manifest)}; start the nodes")


def _targets(config: Config, names: Sequence[str]) -> list[NodeConfig]:
    if names:
        return [config.node(name) for name in dict.fromkeys(names)]
    if not all(node.peer.is_loopback for node in config.nodes):
        raise VaultError(
            "usage", "the nodes are on several machines: name those of this one by --node NAME"
        )
    return list(config.nodes)


def _warnings(config: Config, keys: Keys, backup: Backup) -> Iterable[str]:
    origin = backup.manifest.origin
    here = MasterKeys(config.keys.master, keys.masters, os.urandom).fingerprints()
    for key_id, mark in origin.master_keys.items():
        if mark != here.get(key_id, ""):
            why = "is another one than it was" if key_id in here else "is not here"
            yield f"master key {key_id} {why}: secrets that it sealed will be answered 503"
    if origin.fields != digest_of_names(str(path) for path in config.fields.paths):
        yield "[cluster] fields is another list than it was: tokens stay what they are"


def _restore(config: Config, targets: Sequence[NodeConfig], backup: Backup, keys: str) -> None:
    lines = Lines([node.id for node in targets])
    ensemble = tuple(node.id for node in config.nodes)
    with ExitStack() as stack, tidied_up_when_ended():
        stack.callback(lines.end)
        folders = []
        for node in targets:
            folders.append(EmptyFolder(node.data))
            stack.callback(folders[-1].close)
        backup.check(lambda done: lines.tell("checked", done))
        for node, folder in zip(targets, folders, strict=True):
            identity = Identity(config.cluster_id, ensemble, node.id, keys)
            folder.restore(
                backup,
                identity,
                config.store.cache_mib,
                lambda done, name=node.id: lines.tell(name, done),  # type: ignore[misc]
            )
            _record(config, node, backup)


def _record(config: Config, node: NodeConfig, backup: Backup) -> None:
    manifest = backup.manifest
    room = Room(config.log.events_bytes, config.log.events_files)
    events = EventLog(node.data, node.id, room)
    events.record(
        "restored",
        last=manifest.last,
        digest=manifest.digest,
        source=manifest.origin.node,
        made_at=manifest.made_at,
    )
    events.close()
