"""`tvault env expand`."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import click

from tvault.cli.env_file import read_source
from tvault.cli.env_output import refuse_same, write
from tvault.cli.invocation import VaultCommand, api_key_file_option, tidied_up_when_ended
from tvault.cli.opening import open_vault
from tvault.cli.output import say
from tvault.model.envfile_pairs import as_shell, pairs

FORMATS: dict[str, Callable[[str], str]] = {
    "env": str,
    "sh": lambda content: as_shell(pairs(content)),
    "json": lambda content: json.dumps(dict(pairs(content)), ensure_ascii=False) + "\n",
}
PRIVATE = 0o600


@click.command("expand", cls=VaultCommand)
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", metavar="OUT", help="Where to write; stdout when left out or '-'.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="env",
    show_default=True,
    help="The file as it is, lines for a POSIX shell to source, or one JSON object.",
)
@api_key_file_option
@click.pass_context
def command(
    ctx: click.Context, file: str, output: str | None, form: str, api_key_file: str | None
) -> None:
    """Put the values of secrets into a .env file.

    Every secret(NAME) in FILE becomes its current value, all of one moment; nothing is written unless
    all have one. FILE may be '-' for stdin. A new OUT can be read by its owner alone.

    To start a program, 'tvault env run' leaves no values in files.
    """
    refuse_same(file, output, ", whose references would be lost")
    source = read_source(file)
    with tidied_up_when_ended(), open_vault(ctx, api_key_file) as vault:
        with source.telling():
            text = FORMATS[form](vault.expand_env(source.content))
        write(output, text, PRIVATE)
    _warn_of_readers(output)


def _warn_of_readers(output: str | None) -> None:
    if output in {None, "-"}:
        return
    mode = Path(str(output)).stat().st_mode
    if stat.S_ISREG(mode) and mode & 0o044:
        say(f"note: {output} holds values, and others can read it (mode {stat.S_IMODE(mode):04o})")
