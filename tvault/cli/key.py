"""`tvault key`."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

import click

from tvault.cli.invocation import VaultGroup, json_option
from tvault.cli.opening import read_config
from tvault.cli.output import print_json, say
from tvault.client.whole_file import whole_file
from tvault.config import read_key
from tvault.errors import VaultError
from tvault.model.keys import scraper_credential
from tvault.model.owners import API_KEY_RANDOM_BYTES, hash_api_key, new_api_key, valid_owner_id

STDOUT = "-"


@click.group("key", cls=VaultGroup)
def command() -> None:
    """Make API keys, and the credential for Prometheus."""


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


@command.command("scraper")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="The file to write, for its owner alone to read; '-' is stdout.",
)
@click.pass_context
def scraper(ctx: click.Context, output: str) -> None:
    """Write the credential with which Prometheus reads the metrics of the nodes.

    It opens /metrics and nothing else, and is made from the cluster's key: always the same. It is
    what credentials_file in Prometheus' configuration names.
    """
    credential = scraper_credential(read_key(read_config(ctx).keys.cluster, os.environ))
    if output == STDOUT:
        click.echo(credential)
        return
    try:
        _refuse_other_content(Path(output), credential)
        with whole_file(Path(output), 0o600, is_private=True) as file:
            file.write(credential.encode())
    except OSError as error:
        raise VaultError("usage", f"cannot write {output}: {error.strerror}") from None
    say(f"wrote {output}: it opens /metrics of every node and gateway of this cluster, and nothing else")


def _refuse_other_content(file: Path, credential: str) -> None:
    """A name typed wrongly must not cost a key."""
    if file.is_file() and (
        file.stat().st_size != len(credential) or file.read_bytes() != credential.encode()
    ):
        raise VaultError("usage", f"{file} is there and holds something else; remove it first")
