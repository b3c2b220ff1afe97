"""`tvault env encrypt`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from tvault.cli.env_file import Source, read_source
from tvault.cli.env_output import (
    refuse_in_place,
    refuse_same,
    refuse_unwritable,
    write,
    write_back,
)
from tvault.cli.invocation import VaultCommand, api_key_file_option, tidied_up_when_ended
from tvault.cli.opening import open_vault
from tvault.cli.output import say
from tvault.cli.secret_value import typed
from tvault.client.answers import EnvEncrypted
from tvault.errors import VaultError
from tvault.model.envfile_references import References
from tvault.wire import valid_secret_name

_SHOWN = "if a value stood in the command, shells keep it and others may have seen it: change it"

PRIVATE = 0o600
"""The mode of a new file: what is not `enc(NAME)` stays in the clear."""


@click.command("encrypt", cls=VaultCommand)
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", metavar="OUT", help="Where to write; stdout when left out or '-'.")
@click.option("--in-place", is_flag=True, help="Write over FILE.")
@click.option("--values", metavar="JSON_FILE", help="A file of values: one JSON object, name to text.")
@click.option(
    "--value-from-env",
    "variables",
    multiple=True,
    metavar="NAME",
    help="Take NAME's value from the variable NAME.",
)
@click.option("--ask", multiple=True, metavar="NAME", help="Ask for NAME's value, hidden.")
@api_key_file_option
@click.pass_context
def command(ctx: click.Context, /, file: str, output: str | None, in_place: bool, **wish: Any) -> None:
    """Keep the values of a .env file as secrets.

    The value of NAME becomes a secret for every enc(NAME) in FILE, and secret(NAME) stands there
    instead, and where FILE defined NAME; every other byte stays. All or nothing. NAME's value is what
    --values, --value-from-env or --ask gives, else what FILE itself defines. FILE may be '-' for
    stdin.

    FILE stays as it is without --in-place. With it a link is followed, mode and owner are kept, and
    FILE is whole at every moment: the old content or the new one.
    """
    _refuse_contradiction(file, output, in_place=in_place)
    source = read_source(file)
    if in_place:
        refuse_in_place(source)
    given = _file_of_values(wish["values"]) | _inherited(wish["variables"]) | _asked(wish["ask"])
    refuse_unwritable(source.file if in_place else output)
    with tidied_up_when_ended(), open_vault(ctx, wish["api_key_file"]) as vault:
        with source.telling():
            References(source.content)  # what is malformed is told before anything is asked for
            made = vault.encrypt_env(source.content, given)
        if not in_place:
            write(output, made.content, PRIVATE)
        elif made.content != source.content:
            write_back(source, made.content)
    _tell(source, made)


def _refuse_contradiction(file: str, output: str | None, *, in_place: bool) -> None:
    if in_place and (file == "-" or output is not None):
        other = "'-' is no file" if file == "-" else "give it or --output"
        raise VaultError("usage", f"--in-place writes over FILE: {other}")
    refuse_same(file, output, "; to write over it give --in-place")


def _file_of_values(file: str | None) -> dict[str, str]:
    if file is None:
        return {}
    if file.lstrip().startswith("{"):
        raise VaultError("usage", f"--values takes the name of a file; {_SHOWN}")
    content = read_source(file).content
    try:
        document = json.loads(content, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not all(isinstance(each, str) for each in document.values()):
        raise VaultError("usage", f"--values: {file} is no JSON object of texts, each name once")
    return document


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a name that stands twice in it would have one of two values."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _inherited(names: tuple[str, ...]) -> dict[str, str]:
    if not all(map(valid_secret_name, names)):
        raise VaultError("usage", f"--value-from-env takes names of variables; {_SHOWN}")
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise VaultError("usage", f"--value-from-env: not set: {', '.join(missing)}")
    return {name: os.environ[name] for name in names}


def _asked(names: tuple[str, ...]) -> dict[str, str]:
    if names:
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            raise VaultError("usage", "--ask: there is no terminal to ask on") from None
    return {name: typed(name) for name in names}


def _tell(source: Source, made: EnvEncrypted) -> None:
    stored = ", ".join(f"{each.name} (version {each.version})" for each in made.stored)
    say(f"stored: {stored}" if stored else f"{source.name} holds no enc(NAME): nothing is stored")
