"""A gateway in front of three nodes: the same answers, nothing kept, and nodes may die behind it."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser

from tests.cluster.cluster import GATEWAY, Cluster, eventually, tvault


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes and a gateway that runs."""
    with Cluster(tmp_path_factory.mktemp("gateway") / "vault", fields=("ssn", "patient.mrn")) as cluster:
        cluster.open()
        yield cluster
        assert cluster.ended() == []


@pytest.fixture(autouse=True)
def whole(cluster: Cluster) -> None:
    """Every node is in the chain when a test begins."""
    for name in cluster.nodes:
        if name not in cluster.processes:
            cluster.start(name)
    cluster.wait_until_whole()


def every_node(cluster: Cluster) -> list[str]:
    return [GATEWAY, *cluster.nodes]


def test_a_gateway_gives_the_tokens_that_the_nodes_give(cluster: Cluster) -> None:
    values = ["a", 1, 1.0, True, None, "\u00e4" * 300, 10**100, "a"]
    tokens = {name: cluster.tokenize(name, values) for name in every_node(cluster)}
    assert len({tuple(given) for given in tokens.values()}) == 1
    for name in every_node(cluster):
        assert cluster.detokenize(name, tokens[GATEWAY]) == values


def answers(cluster: Cluster, path: str, body: object) -> list[tuple[int, Any]]:
    told = [cluster.post(name, path, body) for name in every_node(cluster)]
    return [(answer.status_code, answer.json()) for answer in told]


def test_a_gateway_answers_every_call_as_a_node_does(cluster: Cluster) -> None:
    [token] = cluster.tokenize("n1", ["known"], "B")
    [mine] = cluster.tokenize("n1", ["mine"])
    calls: list[tuple[str, object]] = [
        ("/tokenize", {"records": [{"ssn": "7", "patient": {"mrn": None}, "x": [1.5]}, {}]}),
        ("/tokenize", {"values": [{}]}),
        ("/tokenize", {"values": ["x" * 70_000]}),
        ("/detokenize", {"token": mine}),
        ("/detokenize", {"token": token}),
        ("/detokenize", {"tokens": [mine, token, "junk", None]}),
        ("/detokenize", {"records": [{"ssn": mine}, {"ssn": token}]}),
        ("/rotate-epoch", {"to": 99}),
        ("/nowhere", {}),
    ]
    for path, body in calls:
        told = answers(cluster, path, body)
        assert all(answer == told[0] for answer in told), path


def test_a_request_through_a_gateway_can_be_followed_over_the_nodes(cluster: Cluster) -> None:
    headers = {"Authorization": f"Bearer {cluster.keys['A']}", "Request-Id": "through-a-gateway"}
    body = {"values": ["new by a gateway"]}
    url = f"{cluster.url(GATEWAY)}/tokenize"
    assert cluster.session.post(url, json=body, headers=headers, timeout=10).status_code == 200
    arguments = ("--request", "through-a-gateway", "--config", str(cluster.config))
    way = partial(tvault, "inspect", "events", *arguments)
    eventually(lambda: " is on disk at n1, n2, n3" in way().stdout)
    told = way().stdout
    asked = told.index("asked by a gateway for A: mint")
    assert asked < told.index("ordered as entry") < told.index("answered the gateway after", asked)


def test_a_rotation_anywhere_holds_at_once_on_the_other_side_of_a_gateway(cluster: Cluster) -> None:
    for turn in range(4):
        epoch = cluster.get(GATEWAY, "/epoch")["epoch"]
        asked, other = (GATEWAY, "n2") if turn % 2 else ("n3", GATEWAY)
        [before] = cluster.tokenize(other, ["rotated"])
        answer = cluster.post(asked, "/rotate-epoch", {"to": epoch + 1})
        assert answer.json() == {"epoch": epoch + 1, "rotated": True}
        again = cluster.post(other, "/rotate-epoch", {"to": epoch + 1})
        assert again.json() == {"epoch": epoch + 1, "rotated": False}
        [after] = cluster.tokenize(other, ["rotated"])
        assert after.startswith(f"tv1_{epoch + 1}_")
        assert cluster.detokenize(asked, [before, after]) == ["rotated", "rotated"]


def test_a_gateway_says_that_it_is_none_of_the_nodes(cluster: Cluster) -> None:
    status = cluster.status(GATEWAY)
    assert (status["node"], status["role"]) == ("gateway", "outside")
    assert sorted(status["chain"]) == sorted(cluster.nodes) == sorted(status["ensemble"])
    assert status["journal"]["committed"] >= 1


def test_nodes_may_die_behind_a_gateway_one_after_the_other(cluster: Cluster) -> None:
    numbers = count()
    given: dict[str, str] = {}

    def work(_: int) -> None:
        for _ in range(40):
            value = f"through {next(numbers)}"
            given[cluster.tokenize(GATEWAY, [value])[0]] = value

    with ThreadPoolExecutor(4) as pool:
        at_work = pool.map(work, range(4))
        for name in list(cluster.nodes):
            cluster.kill(name)
            eventually(lambda: cluster.health(GATEWAY) == "degraded")
            cluster.start(name)
            cluster.wait_until_whole()
        assert len(list(at_work)) == 4
    assert len(given) == 160
    for name in every_node(cluster):
        assert cluster.detokenize(name, list(given)) == list(given.values())


def test_without_a_majority_a_gateway_says_so_and_goes_on_when_there_is_one(cluster: Cluster) -> None:
    [known] = cluster.tokenize(GATEWAY, ["before all went down"])
    for name in list(cluster.nodes):
        cluster.kill(name)
    answer = cluster.post(GATEWAY, "/tokenize", {"values": ["nobody"]})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert cluster.health(GATEWAY) == "unavailable"
    assert cluster.post(GATEWAY, "/detokenize", {"token": known}).status_code == 503
    cluster.start()
    eventually(lambda: cluster.health(GATEWAY) == "ok")
    assert cluster.detokenize(GATEWAY, [known]) == ["before all went down"]


def test_a_gateway_that_dies_has_kept_nothing_that_could_be_lost(cluster: Cluster) -> None:
    there = sorted(path.name for path in cluster.folder.iterdir())
    tokens = cluster.tokenize(GATEWAY, ["kept by the nodes", 7])
    cluster.kill(GATEWAY)
    assert sorted(path.name for path in cluster.folder.iterdir()) == there
    assert cluster.detokenize("n2", tokens) == ["kept by the nodes", 7]
    cluster.start_gateway()
    eventually(lambda: cluster.health(GATEWAY) == "ok")
    assert cluster.tokenize(GATEWAY, ["kept by the nodes", 7]) == tokens


def test_files_go_through_a_gateway(cluster: Cluster, tmp_path: Path) -> None:
    source, tokens, back = (tmp_path / name for name in ("in.jsonl", "tokens.jsonl", "back.jsonl"))
    lines = [json.dumps({"ssn": f"{number}", "n": number}) for number in range(20_000)]
    source.write_text("\n".join(lines) + "\n")
    through = {"TVAULT_URL": cluster.url(GATEWAY), "TVAULT_API_KEY": cluster.keys["A"]}
    for command, file, target in (("tokenize", source, tokens), ("detokenize", tokens, back)):
        done = tvault(command, str(file), "-o", str(target), **through)
        assert done.returncode == 0, done.stderr
    assert "tv1_" in tokens.read_text()
    assert [json.loads(line) for line in back.read_text().splitlines()] == [
        json.loads(line) for line in lines
    ]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("token key", 'token = "keys/token.key"', 'token = "keys/other.key"'),
        ("field list", '"ssn"', '"other"'),
    ],
)
def test_a_gateway_of_another_configuration_is_refused_by_name(
    cluster: Cluster, tmp_path: Path, name: str, before: str, after: str
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(cluster.folder / "keys", folder / "keys")
    (folder / "keys" / "other.key").write_text("0" * 63 + "1")
    (folder / "keys" / "other.key").chmod(0o600)
    text = cluster.config.read_text()
    assert text.count(before) == 1
    (folder / "tvault.toml").write_text(text.replace(before, after))
    stranger = f"stranger-{name.split(maxsplit=1)[0]}"
    cluster.start_gateway(stranger, folder / "tvault.toml")
    try:
        eventually(lambda: cluster.health(stranger) == "unavailable")
        answer = cluster.post(stranger, "/tokenize", {"values": ["of a stranger"]})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert f"has another {name}" in cluster.said(stranger)
        assert f"has another {name}" in cluster.said("n1")
    finally:
        cluster.kill(stranger)


def test_a_scrape_counts_what_was_done_and_names_no_owner_secret_value_or_token(
    cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "scraper"
    assert tvault("key", "scraper", "--config", str(cluster.config), "-o", str(file)).returncode == 0
    ports = cluster.peers | {GATEWAY: cluster.url(GATEWAY)}

    def scraped() -> dict[str, str]:
        headers = {"Authorization": f"Bearer {file.read_text()}"}
        answers = {
            name: cluster.session.get(f"{url}/metrics", headers=headers, timeout=10)
            for name, url in ports.items()
        }
        assert {answer.status_code for answer in answers.values()} == {200}
        return {name: answer.text for name, answer in answers.items()}

    before = scraped()
    [token, *_] = cluster.tokenize("n1", ["first sentinel", "other sentinel", "first sentinel"])
    cluster.tokenize(GATEWAY, ["first sentinel"])
    cluster.detokenize("n2", [token, "tv1_1_" + "0" * 32])
    assert (
        cluster.ask("n3", "PUT", "/secrets/SENTINEL_NAME", {"value": "a sentinel, too"}).status_code
        == 200
    )
    assert cluster.ask("n3", "GET", "/secrets/SENTINEL_NAME").status_code == 200
    assert cluster.ask("n3", "GET", "/path-of-a-sentinel").status_code == 404
    after = scraped()

    def rise(name: str, metric: str, **labels: str) -> float:
        return total(after[name], metric, labels) - total(before[name], metric, labels)

    tokenize = {"call": "POST /tokenize"}
    for name, values in (("n1", 3), (GATEWAY, 1)):
        assert rise(name, "tvault_requests_total", status="200", **tokenize) == 1
        assert rise(name, "tvault_request_seconds_count", **tokenize) == 1
        assert rise(name, "tvault_request_values_sum", **tokenize) == values
    assert rise("n1", "tvault_values_total", outcome="new", **tokenize) == 2
    assert rise(GATEWAY, "tvault_values_total", outcome="known", **tokenize) == 1
    assert rise("n2", "tvault_values_total", call="POST /detokenize", outcome="not_found") == 1
    for call in ("PUT /secrets/<name>", "GET /secrets/<name>"):
        assert rise("n3", "tvault_requests_total", call=call, status="200") == 1
    assert rise("n3", "tvault_requests_total", call="other", status="404") == 1
    assert sum(rise(name, "tvault_entry_commands_sum") for name in cluster.nodes) == 2
    for name in cluster.nodes:
        assert rise(name, "tvault_stored_entries_sum") == 2
        assert rise(name, "tvault_stored_bytes_total") > 0
        assert total(after[name], "tvault_store_seconds_sum", {}) > 0
        assert total(after[name], "tvault_chain_nodes", {}) == 3
    told = "".join(after.values())
    hidden = [*cluster.keys.values(), token[6:], "sentinel", "SENTINEL", 'owner="']
    assert [each for each in hidden if each in told] == []


def total(text: str, metric: str, labels: dict[str, str]) -> float:
    """The sum of the samples of a metric that bear these labels."""
    return sum(
        sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric and labels.items() <= sample.labels.items()
    )


def test_a_gateway_that_is_asked_to_end_does_so_at_once(cluster: Cluster) -> None:
    cluster.signal(GATEWAY, signal.SIGTERM)
    code, said = cluster.wait_for_end(GATEWAY)
    assert code == 0
    assert "Traceback" not in said
    cluster.start_gateway()
    eventually(lambda: cluster.health(GATEWAY) == "ok")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--gateway",), "--listen HOST:PORT"),
        (("--gateway", "--listen", "nowhere"), "--listen nowhere: expected"),
        (("--gateway", "--listen", "0.0.0.0:7999"), "is not loopback"),
        (("--gateway", "--node", "n1", "--listen", "127.0.0.1:7999"), "--gateway --listen"),
        (("--listen", "127.0.0.1:7999"), "--node NAME"),
        ((), "--node NAME"),
    ],
)
def test_a_gateway_that_is_started_wrongly_says_how_it_is_done(
    cluster: Cluster, arguments: tuple[str, ...], why: str
) -> None:
    done = tvault("serve", "--config", str(cluster.config), *arguments)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
