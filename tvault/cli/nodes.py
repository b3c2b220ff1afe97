"""The nodes of the configuration, asked as their operator: with the cluster's credential."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tvault.cli.opening import trusted_ca
from tvault.client.one_node import ask_peer
from tvault.config import Config, NodeConfig, read_key
from tvault.errors import VaultError
from tvault.model.keys import peer_credential

ANSWER_SECONDS = 3.0
"""How long a node may take to say what it knows without looking at its disk."""


class Nodes:
    """The peer ports of a cluster.  Raises `VaultError` (`configuration`) without the cluster's key."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.ca = trusted_ca(config)
        self.credential = peer_credential(read_key(config.keys.cluster, os.environ))

    def __repr__(self) -> str:
        return f"<Nodes of {self.config.cluster_id}>"

    def ask(self, node: NodeConfig, path: str, timeout_s: float = ANSWER_SECONDS) -> dict[str, Any]:
        """One node's answer.  Raises `VaultError` as `ask_peer` does."""
        return ask_peer(node.peer.url, path, self.credential, timeout_s, self.ca)

    def ask_all(
        self, path: str, timeout_s: float = ANSWER_SECONDS
    ) -> list[tuple[NodeConfig, dict[str, Any] | VaultError]]:
        """Each node's answer or why there is none, in the order of the configuration; all asked at
        once."""

        def ask(node: NodeConfig) -> dict[str, Any] | VaultError:
            try:
                return self.ask(node, path, timeout_s)
            except VaultError as error:
                return error

        with ThreadPoolExecutor(len(self.config.nodes)) as pool:
            return list(zip(self.config.nodes, pool.map(ask, self.config.nodes), strict=True))
