"""`tvault detokenize`."""

from __future__ import annotations

from typing import Any

import click

from tvault.cli.convert import Wish, convert, end, file_options
from tvault.cli.invocation import VaultCommand
from tvault.client.files import detokenize_file


@click.command("detokenize", cls=VaultCommand)
@file_options
@click.pass_context
def command(ctx: click.Context, /, **wish: Any) -> None:
    """Put values in the place of tokens in a file.

    FILE is JSON Lines (one object a line), JSON (an array of objects, or one object), CSV with a
    header, or Parquet; all but Parquet may be packed by gzip. '-' is stdin. Tokens are expected in the
    fields that tvault.toml of the cluster names, or in those named by --columns. One that is not found
    stays as it is, and the exit code is 3. A new OUT can be read by its owner alone.
    """
    end(ctx, convert(ctx, detokenize_file, Wish(**wish), 0o600))
