"""`tvault detokenize`."""

from __future__ import annotations

import click

from tvault.cli.convert import Wish, convert, file_options
from tvault.cli.invocation import VaultCommand
from tvault.cli.output import say
from tvault.client.files import detokenize_file

NOT_FOUND = 3


@click.command("detokenize", cls=VaultCommand)
@file_options
@click.pass_context
def command(ctx: click.Context, /, **wish: str | int | None) -> None:
    """Put values in the place of tokens in a file.

    FILE is JSON Lines (one object a line) or JSON (an array of objects, or one object); '-' is stdin.
    A token that is not found stays as it is, and the exit code is 3. A new OUT can be read by its
    owner alone.
    """
    summary = convert(ctx, detokenize_file, Wish(**wish), 0o600)  # type: ignore[arg-type]
    if summary.not_found:
        first = "; ".join(summary.missing)
        more = "" if summary.not_found == len(summary.missing) else "; …"
        say(f"tvault: not found, left as they were: {summary.not_found} ({first}{more})")
        ctx.exit(NOT_FOUND)
