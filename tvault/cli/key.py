"""`tvault key`."""

from __future__ import annotations

import json
import secrets

import click

from tvault.cli.invocation import VaultGroup, json_option
from tvault.cli.output import print_json
from tvault.errors import VaultError
from tvault.model.owners import API_KEY_RANDOM_BYTES, hash_api_key, new_api_key, valid_owner_id


@click.group("key", cls=VaultGroup)
def command() -> None:
    """Make API keys."""


@command.command("new")
@click.option("--owner", required=True, metavar="NAME", help="Whom the key acts for.")
@json_option
def new(owner: str, as_json: bool) -> None:
    """Make a new API key, and print it with the lines for tvault.toml.

    The key is shown this once: tvault.toml holds its hash alone. Add the hash to the owner's
    api_keys in the file of every node, and restart the nodes one after the other.
    """
    if not valid_owner_id(owner):
        raise VaultError(
            "usage", "an owner's name has 1 to 128 printable characters, no blanks at its ends"
        )
    api_key = new_api_key(secrets.token_bytes(API_KEY_RANDOM_BYTES))
    digest = hash_api_key(api_key)
    if as_json:
        print_json({"owner": owner, "api_key": api_key, "hash": digest})
        return
    name = json.dumps(owner, ensure_ascii=False)
    click.echo(f'{api_key}\n\n[[owner]]\nid = {name}\napi_keys = ["{digest}"]')
