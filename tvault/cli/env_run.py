"""`tvault env run`."""

from __future__ import annotations

import click

from tvault.cli.env_child import API_KEY, become, refuse_changers
from tvault.cli.env_file import Source, read_source
from tvault.cli.invocation import VaultCommand, api_key_file_option
from tvault.cli.opening import open_vault
from tvault.cli.output import say
from tvault.errors import VaultError
from tvault.model.envfile_pairs import for_environment, pairs
from tvault.model.envfile_pairs import only as lines_of
from tvault.model.envfile_references import References


@click.command("run", cls=VaultCommand)
@click.argument("file", metavar="FILE")
@click.argument("words", metavar="-- CMD…", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--only", multiple=True, metavar="A,B", help="These variables and no other.")
@click.option(
    "--allow",
    multiple=True,
    metavar="A,B",
    help="Set these though they change how programs run, or hand TVAULT_API_KEY on.",
)
@api_key_file_option
@click.pass_context
def command(
    ctx: click.Context,
    file: str,
    words: tuple[str, ...],
    only: tuple[str, ...],
    allow: tuple[str, ...],
    api_key_file: str | None,
) -> None:
    """Run a command with the variables of a .env file.

    CMD starts only when every secret(NAME) of FILE has its value, all of one moment, and takes the
    place of this process: signals reach it, and its exit code is that of this command. FILE's
    variables win over inherited ones; TVAULT_API_KEY is not handed on. Values stand in CMD's
    environment and nowhere else: in no file and in no arguments.

    A variable that changes how programs load or run, such as PATH or LD_PRELOAD, is refused unless
    it is allowed by name. When CMD cannot be run the exit code is 126, when there is none 127.
    """
    source = read_source(file)
    with source.telling():
        allowed = _named(allow)
        wanted = _named(only)
        if only and not wanted:
            raise VaultError("usage", "--only names no variable")
        content = _chosen(source, wanted, allowed)
        if any(References(content)):
            with open_vault(ctx, api_key_file) as vault:
                content = vault.expand_env(content)
        variables = for_environment(pairs(content))
    try:
        become(words, variables, keeps_api_key=API_KEY in allowed)
    except VaultError as error:
        say(f"tvault: {error}")
        ctx.exit(error.members["exit_code"])


def _named(options: tuple[str, ...]) -> list[str]:
    """The names that an option gives, each time it stands there."""
    names = [name.strip() for option in options for name in option.split(",")]
    return [name for name in dict.fromkeys(names) if name]


def _chosen(source: Source, wanted: list[str], allowed: list[str]) -> str:
    """The lines to expand.  Raises `VaultError` for names that are not there, or may not be set."""
    References(source.content)  # what is malformed is told with the lines of the whole file
    names = [name for name, _ in pairs(source.content)]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise VaultError("usage", f"--only: {source.name} sets no {', '.join(missing)}")
    if wanted:
        names = [name for name in names if name in wanted]
    refuse_changers(names, allowed)
    return lines_of(source.content, names) if wanted else source.content
