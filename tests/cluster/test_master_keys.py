"""Master keys of a real cluster: changed, lost, exchanged, and different from node to node."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.cluster.cluster import Cluster, eventually

OTHER_CONFIG = "other.toml"


def ask(
    cluster: Cluster, node: str, method: str, path: str, body: object = None, owner: str = "A"
) -> requests.Response:
    """One call, made again while the node says that it cannot serve anybody yet."""
    answers: list[requests.Response] = []
    headers = {"Authorization": f"Bearer {cluster.keys[owner]}"}

    def is_answered() -> bool:
        url = cluster.url(node) + path
        answers.append(cluster.session.request(method, url, json=body, headers=headers, timeout=30))
        return answers[-1].status_code != 503 or answers[-1].json()["code"] == "key_unavailable"

    eventually(is_answered)
    return answers[-1]


def put(cluster: Cluster, node: str, name: str, value: str) -> Any:
    answer = ask(cluster, node, "PUT", f"/secrets/{name}", {"value": value})
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def value_of(cluster: Cluster, node: str, path: str) -> Any:
    """The value of a secret, or the id of the key without which it cannot be read."""
    answer = ask(cluster, node, "GET", f"/secrets/{path}")
    document = answer.json()
    if answer.status_code == 503:
        return {"needs": document["key_id"]}
    assert answer.status_code == 200, answer.text
    return document["value"]


def everywhere(cluster: Cluster, path: str) -> Any:
    """What all nodes say of a secret: the same."""
    told = [value_of(cluster, node, path) for node in cluster.nodes]
    assert all(each == told[0] for each in told)
    return told[0]


def key_file(cluster: Cluster, key_id: str) -> Path:
    return cluster.folder / "keys" / f"master-{key_id}.key"


def new_key(cluster: Cluster, key_id: str) -> None:
    """Put a new key where the key of this id is, or is to be."""
    key_file(cluster, key_id).write_text(secrets.token_hex(32))
    key_file(cluster, key_id).chmod(0o600)


def add_key(text: str, key_id: str, file: str, *, is_active: bool) -> str:
    """The configuration with one master key more."""
    if is_active:
        assert 'master = "m1"' in text
        text = text.replace('master = "m1"', f'master = "{key_id}"')
    return f'{text}\n[[master_key]]\nid = "{key_id}"\nkey = "keys/{file}"\n'


def restart(cluster: Cluster, change: Callable[[], object]) -> None:
    """Stop all nodes, change something, and start them."""
    for node in list(cluster.processes):
        cluster.kill(node)
    change()
    cluster.start()
    cluster.wait_until_whole()


def test_secrets_outlive_a_change_of_the_active_key_but_not_the_loss_of_the_older_one(
    cluster: Cluster,
) -> None:
    assert put(cluster, "n1", "OLD", "sealed by m1")["version"] == 1
    assert put(cluster, "n2", "REST", "sealed by m1, too")["version"] == 1
    tokens = cluster.tokenize("n3", ["a", "b"])

    def change_key() -> None:
        new_key(cluster, "m2")
        text = cluster.config.read_text()
        cluster.config.write_text(add_key(text, "m2", "master-m2.key", is_active=True))

    restart(cluster, change_key)
    assert everywhere(cluster, "OLD") == "sealed by m1"
    assert put(cluster, "n3", "NEW", "sealed by m2")["version"] == 1
    assert put(cluster, "n3", "REST", "sealed by m2")["version"] == 2
    assert everywhere(cluster, "REST?version=1") == "sealed by m1, too"

    good_key = key_file(cluster, "m1").read_text()
    restart(cluster, key_file(cluster, "m1").unlink)
    for node in cluster.nodes:
        assert "the master key 'm1' is missing: [[master_key]] 'm1' key: " in cluster.said(node)
        assert {"m1"} == {e["key_id"] for e in cluster.events(node) if e["event"] == "key-missing"}
    assert everywhere(cluster, "OLD") == {"needs": "m1"}
    assert everywhere(cluster, "REST?version=1") == {"needs": "m1"}
    assert (everywhere(cluster, "NEW"), everywhere(cluster, "REST")) == ("sealed by m2", "sealed by m2")
    assert cluster.detokenize("n1", tokens) == ["a", "b"]
    assert cluster.tokenize("n2", ["a", "b"]) == tokens
    assert put(cluster, "n1", "OLD", "sealed by m1")["version"] == 2, "it cannot be compared"
    assert everywhere(cluster, "OLD") == "sealed by m1"
    assert everywhere(cluster, "OLD?version=1") == {"needs": "m1"}

    restart(cluster, lambda: new_key(cluster, "m1"))
    for node in cluster.nodes:
        why = "it is not the key that sealed the secrets of this node"
        assert f"the master key 'm1' is missing: {why}" in cluster.said(node)
    assert everywhere(cluster, "OLD?version=1") == {"needs": "m1"}
    assert everywhere(cluster, "OLD") == "sealed by m1"
    assert put(cluster, "n2", "NEW", "sealed by m2 again")["version"] == 2

    restart(cluster, lambda: key_file(cluster, "m1").write_text(good_key))
    assert everywhere(cluster, "OLD?version=1") == "sealed by m1"
    assert everywhere(cluster, "NEW?version=1") == "sealed by m2"


def test_a_node_whose_active_key_is_not_the_one_that_sealed_its_secrets_refuses_to_start(
    cluster: Cluster,
) -> None:
    put(cluster, "n1", "NAME", "very-secret-value")
    eventually(cluster.agree)
    for node in list(cluster.processes):
        cluster.kill(node)
    good_key = key_file(cluster, "m1").read_text()
    new_key(cluster, "m1")
    for node in cluster.nodes:
        cluster.start(node)
        code, stderr = cluster.wait_for_end(node)
        assert code == 2
        assert "[[master_key]] 'm1' key: it is not the key that sealed the secrets" in stderr
        assert "Traceback" not in stderr
    key_file(cluster, "m1").write_text(good_key)
    cluster.start()
    cluster.wait_until_whole()
    assert everywhere(cluster, "NAME") == "very-secret-value"


def refusals(cluster: Cluster, node: str) -> list[str]:
    return [event["why"] for event in cluster.events(node) if event["event"] == "peer-refused"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (
            lambda text: add_key(text, "m2", "master-other.key", is_active=True),
            "another active master key",
        ),
        (
            lambda text: text.replace("master-m1.key", "master-other.key"),
            "another key under the master key id 'm1'",
        ),
    ],
)
def test_nodes_and_gateways_with_other_master_keys_are_refused_by_name(
    cluster: Cluster, changed: Callable[[str], str], named: str
) -> None:
    new_key(cluster, "other")
    other = cluster.folder / OTHER_CONFIG
    other.write_text(changed(cluster.config.read_text()))
    cluster.configs["n3"] = other
    cluster.kill("n3")
    cluster.start("n3")
    for node, name in (("n1", "n3"), ("n2", "n3"), ("n3", "n1"), ("n3", "n2")):
        told = f"node {name} has {named} than node {node}"
        eventually(lambda node=node, told=told: told in refusals(cluster, node))  # type: ignore[misc]
        assert told in cluster.said(node)
    put(cluster, "n1", "NAME", "value")
    assert value_of(cluster, "n2", "NAME") == "value"
    assert cluster.health("n3") != "ok"

    cluster.start_gateway(config=other)
    eventually(lambda: cluster.health("gateway") != "")
    told = f"a gateway at 127.0.0.1 has {named} than this node"
    eventually(
        lambda: bool(ask_once(cluster)) and told in refusals(cluster, "n1") + refusals(cluster, "n2")
    )


def ask_once(cluster: Cluster) -> int:
    """What the gateway answers: nothing good."""
    headers = {"Authorization": f"Bearer {cluster.keys['A']}"}
    url = f"{cluster.url('gateway')}/secrets/NAME"
    code = cluster.session.get(url, headers=headers, timeout=30).status_code
    assert code == 503
    return code


def test_an_older_key_that_one_node_alone_has_changes_nothing(cluster: Cluster) -> None:
    new_key(cluster, "m0")
    other = cluster.folder / OTHER_CONFIG
    text = cluster.config.read_text()
    other.write_text(add_key(text, "m0", "master-m0.key", is_active=False))
    cluster.configs["n2"] = other
    cluster.kill("n2")
    cluster.start("n2")
    cluster.wait_until_whole()
    put(cluster, "n2", "NAME", "value")
    assert everywhere(cluster, "NAME") == "value"
    assert not any(refusals(cluster, node) for node in cluster.nodes)
