"""`tvault backup`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import click

from tvault.cli.backup_sources import FolderSource, NodeSource, chosen_node, summary
from tvault.cli.inspected import Lines
from tvault.cli.invocation import VaultCommand, json_option, tidied_up_when_ended
from tvault.cli.moments import now, text_of
from tvault.cli.nodes import Nodes
from tvault.cli.opening import read_config
from tvault.cli.output import print_json
from tvault.errors import VaultError
from tvault.replication.entry import Entry
from tvault.server.status import VERSION
from tvault.store.backup import Backup, BackupWriter, Manifest, Origin


class Source(Protocol):
    """The journal that is copied: its origin, and how far it goes."""

    name: str
    origin: Origin
    upto: int

    def pieces(self) -> Iterator[Sequence[Entry]]:
        """All entries up to there, in order."""


@click.command("backup", cls=VaultCommand)
@click.argument("target", metavar="DIR")
@click.option("--node", "node_id", metavar="NAME", help="Whose journal; else of a node that is there.")
@click.option("--data", "folder", metavar="DIR", help="The folder of a stopped node, instead.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, target: str, node_id: str | None, folder: str | None, as_json: bool
) -> None:
    """Copy the committed journal of a node into a new folder.

    The node goes on serving. The copy holds every token, epoch and secret that was acknowledged before
    it began, and is read back and checked before it gets its name. Values in it are sealed as on the
    node's disk: keys/token.key and the master keys, which are not in it, need a backup of their own.
    'tvault inspect verify --backup DIR' checks it again, 'tvault restore DIR' brings it back.
    """
    if node_id is not None and folder is not None:
        raise VaultError("usage", "--node and --data name the same thing: give one of them")
    config = read_config(ctx)
    with ExitStack() as stack, tidied_up_when_ended():
        source: Source
        if folder is not None:
            source = FolderSource(config, Path(folder))
            stack.callback(source.close)
        else:
            nodes = Nodes(config)
            source = NodeSource(nodes, *chosen_node(nodes, node_id))
        manifest = _copied(source, Path(target))
    if as_json:
        print_json({"backup": target, **_told(manifest)})
    else:
        click.echo(f"{target}: {summary(manifest)}; from {source.name}, read back and sound")


def _copied(source: Source, target: Path) -> Manifest:
    writer = BackupWriter(target)
    lines = Lines([source.name])
    try:
        made_at = text_of(now())
        for entries in source.pieces():
            writer.add(entries)
            lines.tell(source.name, writer.last.seq / max(1, source.upto))
        manifest = writer.finish(source.origin, made_at, VERSION)
        Backup(writer.folder).check(lambda done: lines.tell("read back", done))
        writer.put_in_place()
    except BaseException:
        writer.give_up()
        raise
    finally:
        lines.end()
    return manifest


def _told(manifest: Manifest) -> dict[str, Any]:
    return {
        "node": manifest.origin.node,
        "made_at": manifest.made_at,
        "last": manifest.last,
        "digest": manifest.digest,
        "rows": manifest.rows,
        "master_keys": sorted(manifest.origin.master_keys),
        "bytes": manifest.size,
    }
