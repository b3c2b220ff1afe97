"""An owner's API key and the cluster's key, exchanged for new ones as the page on rotating says."""

from __future__ import annotations

import json
import os
import re
import signal

import requests

from tests.cluster.cluster import Cluster, eventually, tvault
from tvault import Vault


def change_hashes(cluster: Cluster, owner: str, before: str, after: str) -> None:
    """Change what stands in `api_keys` of an owner."""
    text = cluster.config.read_text()
    section = rf'(id = "{owner}"\n(?:#.*\n)*api_keys = )\[{re.escape(before)}\]'
    changed, count = re.subn(section, rf"\1[{after}]", text)
    assert count == 1
    cluster.config.write_text(changed)


def hashes_of(cluster: Cluster, owner: str) -> str:
    """What stands in `api_keys` of an owner."""
    (found,) = re.findall(rf'id = "{owner}"\n(?:#.*\n)*api_keys = \[(.*)\]', cluster.config.read_text())
    return str(found)


def restart_one_after_the_other(cluster: Cluster, vault: Vault) -> None:
    """As the page says; the client goes on meanwhile."""
    for name in cluster.nodes:
        cluster.signal(name, signal.SIGTERM)
        vault.tokenize([f"while {name} ends"])
        cluster.wait_for_end(name)
        cluster.start(name)
        eventually(lambda name=name: cluster.health(name) == "ok")  # type: ignore[misc]
        vault.tokenize([f"{name} is back"])


def test_an_api_key_follows_another_without_a_refused_call(cluster: Cluster) -> None:
    urls, old = list(cluster.nodes.values()), cluster.keys["A"]
    made = json.loads(tvault("key", "new", "--owner", "A", "--json").stdout)
    (token,) = cluster.tokenize("n1", ["a"])
    first = hashes_of(cluster, "A")
    with Vault(urls, old) as before, Vault(urls, made["api_key"]) as after:
        change_hashes(cluster, "A", first, f'{first}, "{made["hash"]}"')
        restart_one_after_the_other(cluster, before)
        assert [vault.detokenize(token) for vault in (before, after)] == ["a", "a"]
        change_hashes(cluster, "A", hashes_of(cluster, "A"), f'"{made["hash"]}"')
        restart_one_after_the_other(cluster, after)
    for name in cluster.nodes:
        headers = {"Authorization": f"Bearer {old}"}
        assert requests.get(f"{cluster.url(name)}/epoch", headers=headers, timeout=30).status_code == 401


def test_a_new_cluster_key_changes_nothing_that_is_stored(cluster: Cluster) -> None:
    tokens = cluster.tokenize("n1", ["a", 1])
    for name in cluster.nodes:
        cluster.signal(name, signal.SIGTERM)
    for name in cluster.nodes:
        cluster.wait_for_end(name)
    (cluster.folder / "keys" / "cluster.key").write_text(os.urandom(32).hex() + "\n")
    cluster.start()
    cluster.wait_until_whole()
    assert cluster.detokenize("n3", tokens) == ["a", 1]
    assert cluster.tokenize("n2", ["a", 1]) == tokens
