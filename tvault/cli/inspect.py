"""`tvault inspect`."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from tvault.cli.invocation import VaultCommand, json_option
from tvault.cli.opening import read_config, trusted_ca
from tvault.cli.output import print_json, print_table
from tvault.client.one_node import peer_status
from tvault.config import Config, NodeConfig, read_keys
from tvault.errors import VaultError
from tvault.model.keys import derive

ANSWER_SECONDS = 3.0
DIGEST_DIGITS = 12
NOTHING = "-"


@click.command("inspect", cls=VaultCommand)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show the cluster at a glance.

    One line for each node: its role in the chain, its view, the last entry of its journal, the last
    one that it knows to be committed, the digest up to there, how many entries it is behind the
    longest journal, whether it can take writes, and what is wrong with it, if anything is.
    """
    config = read_config(ctx)
    nodes = [_described(node, status) for node, status in _statuses(config)]
    longest = max((node["last"] for node in nodes if node["last"] is not None), default=0)
    for node in nodes:
        node["lag"] = None if node["last"] is None else longest - node["last"]
    if as_json:
        print_json({"cluster": config.cluster_id, "nodes": nodes})
    else:
        header = ("node", "role", "view", "last", "committed", "digest", "lag", "health", "trouble")
        print_table(header, [[_cell(name, node[name]) for name in header] for node in nodes])
    if all(node["health"] == "down" for node in nodes):
        raise VaultError("unreachable", "no node answered")


def _statuses(config: Config) -> list[tuple[NodeConfig, dict[str, Any]]]:
    """Each node with what it says of itself, nothing when it is down; all asked at once."""
    ca = trusted_ca(config)
    credential = derive(read_keys(config, os.environ).cluster, "peer").hex()

    def ask(node: NodeConfig) -> dict[str, Any]:
        try:
            return peer_status(node.peer.url, credential, ANSWER_SECONDS, ca) or {}
        except VaultError as error:
            if error.code != "unreachable":
                raise
            return {"trouble": error.detail}

    with ThreadPoolExecutor(len(config.nodes)) as pool:
        return list(zip(config.nodes, pool.map(ask, config.nodes), strict=True))


def _described(node: NodeConfig, known: dict[str, Any]) -> dict[str, Any]:
    journal = known.get("journal")
    journal = journal if isinstance(journal, dict) else {}
    return {
        "node": node.id,
        "role": known.get("role"),
        "view": known.get("view"),
        "last": journal.get("last"),
        "committed": journal.get("committed"),
        "digest": journal.get("digest"),
        "lag": None,
        "health": known.get("health", "down"),
        "trouble": known.get("trouble"),
        "chain": known.get("chain"),
        "ensemble": known.get("ensemble"),
        "standing": known.get("standing"),
        "promised": known.get("promised"),
        "incarnation": known.get("incarnation"),
    }


def _cell(name: str, value: object) -> str:
    if value is None:
        return NOTHING
    return str(value)[:DIGEST_DIGITS] if name == "digest" else str(value)
