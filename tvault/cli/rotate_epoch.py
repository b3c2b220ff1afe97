"""`tvault rotate-epoch`."""

from __future__ import annotations

import click

from tvault.cli.invocation import VaultCommand, api_key_file_option, json_option
from tvault.cli.opening import open_vault
from tvault.cli.output import print_json


@click.command("rotate-epoch", cls=VaultCommand)
@click.option("--to", type=click.IntRange(1), help="The epoch to begin; the next one when left out.")
@api_key_file_option
@json_option
@click.pass_context
def command(ctx: click.Context, to: int | None, api_key_file: str | None, as_json: bool) -> None:
    """Begin a new epoch: other tokens from now on.

    The same values get other tokens in the new epoch; tokens of old epochs can still be turned back.
    With --to the command can be given again without rotating twice.
    """
    with open_vault(ctx, api_key_file) as vault:
        rotated = vault.rotate_epoch(to)
    if as_json:
        print_json({"epoch": rotated.epoch, "rotated": rotated.rotated})
    else:
        click.echo(f"epoch {rotated.epoch}" if rotated.rotated else f"epoch {rotated.epoch}, as before")
