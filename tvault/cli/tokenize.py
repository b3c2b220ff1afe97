"""`tvault tokenize`."""

from __future__ import annotations

from typing import Any

import click

from tvault.cli.convert import Wish, convert, file_options, say_epochs, say_untouched
from tvault.cli.invocation import VaultCommand
from tvault.client.files import tokenize_file


@click.command("tokenize", cls=VaultCommand)
@file_options
@click.pass_context
def command(ctx: click.Context, /, **wish: Any) -> None:
    """Put tokens in the place of values in a file.

    FILE is JSON Lines (one object a line), JSON (an array of objects, or one object), CSV with a
    header, or Parquet; all but Parquet may be packed by gzip. '-' is stdin. The values of the fields
    that tvault.toml of the cluster names become tokens, or of those named by --columns. Nothing is
    written to OUT unless every record can be.
    """
    asked = Wish(**wish)
    summary = convert(ctx, tokenize_file, asked, 0o666)
    say_epochs(summary)
    say_untouched(asked, summary)
