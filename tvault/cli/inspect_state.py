"""`tvault inspect state`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import click

from tvault.cli.inspected import Inspected, ask_all, open_inspected
from tvault.cli.invocation import VaultCommand, data_option, json_option, node_option
from tvault.cli.output import print_json, print_table, say, visible
from tvault.errors import VaultError

DIGEST_DIGITS = 12
PARTS = ("journal", "wal", "index", "events", "set_aside")

Told = tuple[Inspected, dict[str, Any] | VaultError]


@click.command("state", cls=VaultCommand)
@node_option
@data_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, node_names: tuple[str, ...], folders: tuple[str, ...], as_json: bool
) -> None:
    """Show what nodes hold: owners, epochs, counts, sizes.

    Of each node the journal, with the digest of what is committed, and sizes on disk; of each owner the
    epochs, with the tokens in each, and how many secrets there are. All counts are of committed entries.
    Neither values nor names of secrets are shown. For operators: it takes the cluster's key.

    With --data the folders of stopped nodes are read, without a configuration, and not a byte there
    changes; with --node as well, running nodes are shown beside them.
    """
    with ExitStack() as stack:
        inspected = open_inspected(ctx, node_names, folders, stack)
        told = ask_all(inspected, lambda each, tell: each.state(tell))
    if as_json:
        print_json({"nodes": [_described(each, state) for each, state in told]})
    else:
        _show([(each, state) for each, state in told if not isinstance(state, VaultError)])
    errors = [state for _, state in told if isinstance(state, VaultError)]
    for each, state in told:
        if isinstance(state, VaultError):
            say(f"tvault: {visible(each.name)}: {state.detail}")
    if len(errors) == len(told):
        raise VaultError(errors[0].code, "nothing could be looked at")


def _described(each: Inspected, state: dict[str, Any] | VaultError) -> dict[str, Any]:
    about = {"node": each.node, "data": each.folder and str(each.folder)}
    if isinstance(state, VaultError):
        return about | {"error": state.detail}
    return about | {"error": None} | state


def _show(told: Sequence[tuple[Inspected, dict[str, Any]]]) -> None:
    if not told:
        return
    header = ("node", "last", "committed", "digest", "tokens", "blocks", *PARTS, "free")
    print_table([name.replace("_", " ") for name in header], [_node_row(*each) for each in told])
    shown: list[tuple[str, list[dict[str, Any]]]] = []
    for each, state in told:
        same = [place for place, (_, owners) in enumerate(shown) if owners == state["owners"]]
        if same:
            names, owners = shown[same[0]]
            shown[same[0]] = (f"{names}, {each.name}", owners)
        else:
            shown.append((each.name, state["owners"]))
    for names, owners in shown:
        click.echo(f"\n{visible(names)}:")
        _show_owners(owners)
    unconfigured = {owner for _, state in told for owner in state["unconfigured"]}
    if unconfigured:
        click.echo(f"\nnot in the configuration: {visible(', '.join(sorted(unconfigured)))}")


def _show_owners(owners: Sequence[dict[str, Any]]) -> None:
    rows = []
    for owner in owners:
        secrets = owner["secrets"]
        counts = [secrets["names"], secrets["versions"], secrets["ended"]]
        about = [visible(owner["owner"]), *(f"{count:,}" for count in counts)]
        for epoch in owner["epochs"]:
            active = "active" if epoch["epoch"] == owner["active"] else ""
            numbers = [f"{epoch['tokens']:,}", f"{epoch['blocks']:,}"]
            rows.append([about[0], str(epoch["epoch"]), active, *numbers, *about[1:]])
            about = [""] * len(about)
    print_table(("owner", "epoch", "", "tokens", "blocks", "secrets", "versions", "ended"), rows)


def _node_row(each: Inspected, state: dict[str, Any]) -> list[str]:
    journal = state["journal"]
    numbers = [journal[name] for name in ("last", "committed", "tokens", "blocks")]
    last, committed, tokens, blocks = (f"{number:,}" for number in numbers)
    sizes = [_size(state["sizes"][part]) for part in PARTS]
    digest = journal["digest"][:DIGEST_DIGITS]
    return [visible(each.name), last, committed, digest, tokens, blocks, *sizes, _size(state["free"])]


def _size(count: int) -> str:
    """Bytes as people read them."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
