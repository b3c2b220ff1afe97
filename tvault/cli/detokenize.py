"""`tvault detokenize`."""

from __future__ import annotations

import click

from tvault.cli.convert import Wish, convert, end, file_options
from tvault.cli.invocation import VaultCommand
from tvault.client.files import detokenize_file


@click.command("detokenize", cls=VaultCommand)
@file_options
@click.pass_context
def command(ctx: click.Context, /, **wish: str | int | None) -> None:
    """Put values in the place of tokens in a file.

    FILE is JSON Lines (one object a line) or JSON (an array of objects, or one object); '-' is stdin.
    A token that is not found stays as it is, and the exit code is 3. A new OUT can be read by its
    owner alone.
    """
    end(ctx, convert(ctx, detokenize_file, Wish(**wish), 0o600))  # type: ignore[arg-type]
