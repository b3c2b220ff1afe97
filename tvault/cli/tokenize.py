"""`tvault tokenize`."""

from __future__ import annotations

import click

from tvault.cli.convert import Wish, convert, file_options, say_epochs
from tvault.cli.invocation import VaultCommand
from tvault.client.files import tokenize_file


@click.command("tokenize", cls=VaultCommand)
@file_options
@click.pass_context
def command(ctx: click.Context, /, **wish: str | int | None) -> None:
    """Put tokens in the place of values in a file.

    FILE is JSON Lines (one object a line) or JSON (an array of objects, or one object); '-' is stdin.
    The values of the fields that tvault.toml of the cluster names become tokens. Nothing is written
    to OUT unless every record can be.
    """
    say_epochs(convert(ctx, tokenize_file, Wish(**wish), 0o666))  # type: ignore[arg-type]
