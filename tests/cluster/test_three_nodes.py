"""What users of a healthy three-node cluster rely on."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from tests.cluster.cluster import Cluster, eventually
from tvault.wire import Limits

SENTINEL = "sentinel-4711-of-the-patient"


def test_concurrent_clients_on_all_nodes_never_get_two_tokens_for_one_value(cluster: Cluster) -> None:
    names = list(cluster.nodes)

    def client(number: int) -> dict[str, str]:
        seen: dict[str, str] = {}
        for turn in range(12):
            values = [f"v{(number * 7 + turn * 13 + i) % 300}" for i in range(60)]
            tokens = cluster.tokenize(names[(number + turn) % 3], [*values])
            for value, token in zip(values, tokens, strict=True):
                assert seen.setdefault(value, token) == token
        return seen

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client, range(8)))
    merged: dict[str, str] = {}
    for seen in answers:
        for value, token in seen.items():
            assert merged.setdefault(value, token) == token
    assert len(set(merged.values())) == len(merged)
    minted = sum(
        event["new"] for name in names for event in cluster.events(name) if event["event"] == "tokenize"
    )
    assert minted == len(merged), "some token was issued twice, or one was issued by nobody"
    for name in names:
        assert cluster.detokenize(name, list(merged.values())) == list(merged)


def test_two_clients_for_each_place_of_a_node_all_get_their_turn(cluster: Cluster) -> None:
    clients = 2 * Limits.requests_at_once
    name = cluster.by_role("tail")

    def client(number: int) -> list[int]:
        headers = {"Authorization": f"Bearer {cluster.keys['A']}"}
        with requests.Session() as session:
            return [
                session.post(
                    f"{cluster.nodes[name]}/tokenize",
                    json={"values": [f"burst {number}-{turn}"]},
                    headers=headers,
                    timeout=30,
                ).status_code
                for turn in range(10)
            ]

    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(client, range(clients)))
    assert answers == [[200] * 10] * clients


def test_every_node_gives_the_same_answers(cluster: Cluster) -> None:
    values = ["1", 1, 1.0, True, -0.0, 10**40, "ä€\U0001f600", "", 1e300]
    answers = [cluster.tokenize(name, [*values, None]) for name in cluster.nodes]
    assert answers[0] == answers[1] == answers[2]
    assert len({*answers[0]}) == len(values) + 1
    for name in cluster.nodes:
        back = cluster.detokenize(name, answers[0])
        assert [(type(v), repr(v)) for v in back] == [(type(v), repr(v)) for v in [*values, None]]
        assert cluster.get(name, "/epoch") == {"epoch": 1}
    eventually(cluster.agree)
    statuses = [cluster.status(name) for name in cluster.nodes]
    assert {status["role"] for status in statuses} == {"head", "middle", "tail"}
    assert len({status["journal"]["digest"] for status in statuses}) == 1


def test_records_keep_what_is_not_configured(cluster: Cluster) -> None:
    record = {
        "ssn": "078-05-1120",
        "patient": {"mrn": 4711, "name": "Zoë"},
        "contacts": [{"phone": "1", "x": 1}, {"phone": None}, {}],
        "big": 10**30,
        "ratio": 1.0,
    }
    answer = cluster.post("n1", "/tokenize", {"records": [record, {"other": [1]}]}).json()
    first, second = answer["records"]
    assert second == {"other": [1]}
    assert [first["big"], first["ratio"], first["patient"]["name"]] == [10**30, 1.0, "Zoë"]
    tokens = (first["ssn"], first["patient"]["mrn"], first["contacts"][0]["phone"])
    assert all(re.fullmatch("tv1_1_[0-9a-f]{32}", token) for token in tokens)
    assert first["contacts"][1:] == [{"phone": None}, {}]
    back = cluster.post("n3", "/detokenize", {"records": answer["records"]}).json()
    assert back == {"records": [record, {"other": [1]}], "not_found": []}


def test_owners_have_tokens_of_their_own_and_see_none_of_another(cluster: Cluster) -> None:
    mine = cluster.tokenize("n1", ["shared", "mine"])
    theirs = cluster.tokenize("n2", ["shared"], owner="B")
    assert mine[0] != theirs[0]
    unknown = "tv1_1_" + "0" * 32
    answers = []
    for token in (theirs[0], unknown, "nonsense", mine[0].upper(), mine[0].replace("tv1_1_", "tv1_2_")):
        answer = cluster.post("n3", "/detokenize", {"token": token})
        headers = {k: v for k, v in answer.headers.items() if k not in ("Request-Id", "Date")}
        answers.append((answer.status_code, answer.content, headers))
    assert answers[0][0] == 404
    assert all(answer == answers[0] for answer in answers)


def test_a_rotation_holds_on_every_node_and_old_tokens_still_resolve(cluster: Cluster) -> None:
    old = cluster.tokenize("n1", ["value"])[0]
    assert cluster.post("n2", "/rotate-epoch", {"to": 2}).json() == {"epoch": 2, "rotated": True}
    assert cluster.post("n3", "/rotate-epoch", {"to": 2}).json() == {"epoch": 2, "rotated": False}
    refused = cluster.post("n1", "/rotate-epoch", {"to": 9})
    assert (refused.status_code, refused.json()["code"], refused.json()["epoch"]) == (
        409,
        "epoch_conflict",
        2,
    )
    new = [cluster.tokenize(name, ["value"])[0] for name in cluster.nodes]
    assert new[0].startswith("tv1_2_")
    assert new == [new[0]] * 3
    for name in cluster.nodes:
        assert cluster.get(name, "/epoch") == {"epoch": 2}
        assert cluster.get(name, "/epoch", owner="B") == {"epoch": 1}
        assert cluster.detokenize(name, [old, new[0]]) == ["value", "value"]


def test_no_value_reaches_a_disk_in_the_clear(cluster: Cluster) -> None:
    token = cluster.tokenize("n1", [SENTINEL])[0]
    cluster.post("n2", "/tokenize", {"records": [{"ssn": SENTINEL, "contacts": [{"phone": {}}]}]})
    cluster.post("n2", "/tokenize", {"values": [SENTINEL, [SENTINEL]]})
    assert cluster.detokenize("n3", [token]) == [SENTINEL]
    assert cluster.post("n3", "/detokenize", {"token": SENTINEL}).status_code == 404
    for name in cluster.nodes:
        cluster.kill(name)
    files = [file for file in cluster.folder.rglob("*") if file.is_file()]
    assert any(file.name.endswith("-wal") for file in files), "the write-ahead log was not looked at"
    for file in files:
        content = file.read_bytes()
        assert SENTINEL.encode() not in content, f"{file.name} holds a value"
        assert all(key.encode() not in content for key in cluster.keys.values())
        if file.name.startswith("events"):
            assert b"tv1_" not in content, "the event log holds a token"


def test_a_rebuilt_cluster_with_the_same_key_gives_the_same_tokens(
    cluster: Cluster, tmp_path: Path
) -> None:
    tokens = cluster.tokenize("n1", ["a", 1, 2.5])
    rebuilt = Cluster(tmp_path / "rebuilt")
    shutil.copy(cluster.folder / "keys" / "token.key", rebuilt.folder / "keys" / "token.key")
    try:
        rebuilt.start()
        rebuilt.wait_until_healthy()
        assert rebuilt.tokenize("n2", ["a", 1, 2.5]) == tokens
        assert rebuilt.detokenize("n2", tokens) == ["a", 1, 2.5]
    finally:
        rebuilt.stop()
