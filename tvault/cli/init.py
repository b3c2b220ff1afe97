"""`tvault init`."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from tvault.cli.invocation import VaultCommand, json_option
from tvault.cli.output import print_json, print_table, say
from tvault.config import Address, render
from tvault.config.loading import DEFAULT_NAME, MOST_NODES
from tvault.errors import VaultError
from tvault.model.fields import FieldPath, Fields, parse_path
from tvault.model.owners import API_KEY_RANDOM_BYTES, hash_api_key, new_api_key, valid_owner_id

PEER_PORTS_ABOVE = 100
LAST_PORT = 65535
KEY_BYTES = 32
MASTER_KEY = "m1"


@dataclass(frozen=True)
class NewNode:
    """A node of the new cluster."""

    id: str
    api: Address
    peer: Address


@click.command("init", cls=VaultCommand)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--nodes", type=click.IntRange(1, MOST_NODES), default=3, show_default=True, help="How many nodes."
)
@click.option(
    "--base-port",
    type=click.IntRange(0, LAST_PORT),
    default=7100,
    show_default=True,
    help="API ports follow this one, ports between nodes follow the one 100 above.",
)
@click.option(
    "--owner",
    "owners",
    multiple=True,
    required=True,
    metavar="NAME",
    help="An owner of data; may repeat.",
)
@click.option(
    "--field", "fields", multiple=True, metavar="PATH", help="A field to tokenize; may repeat."
)
@json_option
def command(
    folder: Path,
    nodes: int,
    base_port: int,
    owners: tuple[str, ...],
    fields: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the folder of a new cluster: keys, configuration, API keys.

    DIR must not exist or be empty. The API keys are shown this once; tvault.toml holds their hashes.
    """
    new_nodes = _nodes(nodes, base_port)
    _judge_owners(owners)
    _judge_fields(fields)
    api_keys = {owner: new_api_key(secrets.token_bytes(API_KEY_RANDOM_BYTES)) for owner in owners}
    _write(folder, _content(new_nodes, api_keys, fields))
    config = folder / DEFAULT_NAME
    if as_json:
        print_json(
            {
                "config": str(config),
                "nodes": [
                    {"id": node.id, "api": node.api.url, "peer": node.peer.url} for node in new_nodes
                ],
                "owners": [{"id": owner, "api_key": api_key} for owner, api_key in api_keys.items()],
            }
        )
        return
    print_table(("owner", "API key (shown only now)"), list(api_keys.items()))
    say(f"\nwrote {config}; start the cluster with: tvault up --config {config}")
    if not fields:
        say(
            "note: no --field was given: records pass through as they are, only single values get tokens"
        )


def _nodes(count: int, base_port: int) -> list[NewNode]:
    if base_port + PEER_PORTS_ABOVE + count > LAST_PORT:
        raise VaultError("usage", f"--base-port {base_port} leaves no room below port {LAST_PORT}")
    return [
        NewNode(
            f"n{number}",
            Address("127.0.0.1", base_port + number),
            Address("127.0.0.1", base_port + PEER_PORTS_ABOVE + number),
        )
        for number in range(1, count + 1)
    ]


def _judge_owners(owners: Sequence[str]) -> None:
    for owner in owners:
        if not valid_owner_id(owner):
            why = "a name has 1 to 128 printable characters, no blanks at its ends"
            raise VaultError("usage", f"--owner {owner!r}: {why}")
        if owners.count(owner) > 1:
            raise VaultError("usage", f"--owner {owner!r} is given twice")


def _judge_fields(fields: Sequence[str]) -> None:
    paths = [_path(text) for text in fields]
    try:
        Fields(paths)
    except ValueError as error:
        raise VaultError("usage", f"--field: {error}") from None


def _path(text: str) -> FieldPath:
    try:
        return parse_path(text)
    except ValueError as error:
        raise VaultError("usage", f"--field {text}: {error}") from None


def _content(
    nodes: Sequence[NewNode], api_keys: dict[str, str], fields: Sequence[str]
) -> dict[str, str]:
    """The files by name, tvault.toml last: a folder without it is no cluster."""
    config = render(
        {
            "cluster": {"id": str(uuid.uuid4()), "fields": list(fields)},
            "keys": {"token": "keys/token.key", "cluster": "keys/cluster.key", "master": MASTER_KEY},
        },
        {
            "master_key": [{"id": MASTER_KEY, "key": f"keys/master-{MASTER_KEY}.key"}],
            "node": [
                {"id": node.id, "api": str(node.api), "peer": str(node.peer), "data": f"data/{node.id}"}
                for node in nodes
            ],
            "owner": [
                {"id": owner, "api_keys": [hash_api_key(api_key)]} for owner, api_key in api_keys.items()
            ],
        },
    )
    return {
        "keys/token.key": secrets.token_hex(KEY_BYTES) + "\n",
        "keys/cluster.key": secrets.token_hex(KEY_BYTES) + "\n",
        f"keys/master-{MASTER_KEY}.key": secrets.token_hex(KEY_BYTES) + "\n",
        DEFAULT_NAME: config,
    }


def _write(folder: Path, content: dict[str, str]) -> None:
    """All files, or none: what was made is removed when one cannot be written."""
    made: list[Path] = []
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise VaultError("usage", f"{folder} is not empty")
        _make_folder(folder, made)
        _make_folder(folder / "keys", made)
        for name, text in content.items():
            _make_file(folder / name, text, made)
    except OSError as error:
        _remove(made)
        raise VaultError("usage", f"cannot write {error.filename or folder}: {error.strerror}") from None
    except BaseException:
        _remove(made)
        raise


def _make_folder(folder: Path, made: list[Path]) -> None:
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o700 if place == folder else 0o777)
        made.append(place)


def _make_file(file: Path, text: str, made: list[Path]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    made.append(file)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(descriptor)


def _remove(made: list[Path]) -> None:
    for place in reversed(made):
        with suppress(OSError):
            if place.is_dir():
                place.rmdir()
            else:
                place.unlink()
