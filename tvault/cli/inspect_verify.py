"""`tvault inspect verify`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from tvault.cli.backup_copy import BackupCopy
from tvault.cli.copies import Account, Difference, differences
from tvault.cli.inspected import Checkable, ask_all, open_inspected
from tvault.cli.invocation import VaultCommand, data_option, json_option, node_option
from tvault.cli.main import DONE, EXIT_CODES, FAILED
from tvault.cli.output import print_json, print_table, say, visible
from tvault.errors import VaultError

Outcome = tuple[Checkable, Account | VaultError]


@click.command("verify", cls=VaultCommand)
@node_option
@data_option
@click.option(
    "--backup", "backups", multiple=True, metavar="DIR", help="A backup, instead or as well; may repeat."
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    node_names: tuple[str, ...],
    folders: tuple[str, ...],
    backups: tuple[str, ...],
    as_json: bool,
) -> int:
    """Check all that nodes hold, and compare them.

    Each node recomputes the digests of its whole committed journal, counts the rows of its tables and
    the tokens of its index, and runs SQLite's own check; it goes on serving meanwhile. Then the nodes
    are compared: the same digest at the last entry that both have committed proves the same history.

    Exit code 1 for any damage or difference, which is named by its file or by the first entry that
    differs; 4 when a node did not answer, or was started again meanwhile. Stopped nodes are checked by
    their folders with --data, without a configuration, and not a byte there changes; with --node as
    well, they are compared with running ones. So is a backup with --backup.
    """
    with ExitStack() as stack:
        inspected: list[Checkable] = [BackupCopy(Path(backup)) for backup in dict.fromkeys(backups)]
        if node_names or folders or not backups:
            inspected += open_inspected(ctx, node_names, folders, stack)
        outcomes = ask_all(inspected, lambda each, tell: each.check(tell))
        checked = [(each, told) for each, told in outcomes if isinstance(told, Account)]
        found, failure = _compared(checked)
    if as_json:
        print_json(_document(outcomes, found, failure))
    else:
        _show(outcomes, found, is_compared=failure is None)
    for each, told in outcomes:
        if isinstance(told, VaultError):
            say(f"tvault: {visible(each.name)}: {told.detail}")
    if failure is not None:
        say(f"tvault: not compared: {failure.detail}")
    if found or any(account.findings for _, account in checked):
        return FAILED
    errors = [told for _, told in outcomes if isinstance(told, VaultError)]
    errors += [] if failure is None else [failure]
    return max((EXIT_CODES.get(error.code, FAILED) for error in errors), default=DONE)


def _compared(
    checked: Sequence[tuple[Checkable, Account]],
) -> tuple[list[Difference], VaultError | None]:
    """How they differ, and why that could not be found out."""
    try:
        return differences(checked), None
    except VaultError as error:
        return [], error


def _document(
    outcomes: Sequence[Outcome], found: Sequence[Difference], failure: VaultError | None
) -> dict[str, Any]:
    nodes = []
    for each, told in outcomes:
        node: dict[str, Any] = {"node": each.node, "data": each.folder and str(each.folder)}
        if isinstance(told, VaultError):
            node |= {"error": told.detail}
        else:
            node |= {
                "error": None,
                "committed": told.committed,
                "checked": told.checked,
                "rows": dict(told.rows),
                "findings": [dict(finding) for finding in told.findings],
                "seconds": told.seconds,
            }
        nodes.append(node)
    seqs = [finding["seq"] for node in nodes for finding in node.get("findings", ())]
    firsts = [seq for seq in (*seqs, *(each.seq for each in found)) if seq is not None]
    is_whole = failure is None and not any(isinstance(told, VaultError) for _, told in outcomes)
    is_sound = not any(node.get("findings") for node in nodes)
    return {
        "sound": is_sound and not found and is_whole,
        "first_differing": min(firsts, default=None),
        "nodes": nodes,
        "differences": [
            {"nodes": [each.one, each.other], "seq": each.seq, "what": str(each)} for each in found
        ],
    }


def _show(outcomes: Sequence[Outcome], found: Sequence[Difference], *, is_compared: bool) -> None:
    header = ("node", "committed", "checked", "tokens", "secret versions", "seconds", "outcome")
    print_table(header, [_row(each, told) for each, told in outcomes])
    for each, told in outcomes:
        for finding in told.findings if isinstance(told, Account) else ():
            at = f" (entry {finding['seq']})" if finding["seq"] is not None else ""
            text = f"{each.name}: {finding['where']}{at}: {finding['what']}"
            click.echo(visible(text))
    for difference in found:
        click.echo(visible(str(difference)))
    sound = [told for _, told in outcomes if isinstance(told, Account) and not told.findings]
    if len(sound) > 1 and is_compared and not found:
        upto = min(account.committed for account in sound)
        click.echo(f"the same history on all that are sound, up to entry {upto}")


def _row(each: Checkable, told: Account | VaultError) -> list[str]:
    name = visible(each.name)
    if isinstance(told, VaultError):
        return [name, "-", "-", "-", "-", "-", "not checked"]
    numbers = [told.committed, told.checked, told.rows.get("tokens", 0), told.rows.get("versions", 0)]
    outcome = "damaged" if told.findings else "sound"
    return [name, *(f"{number:,}" for number in numbers), f"{told.seconds:.1f}", outcome]
