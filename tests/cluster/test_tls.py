"""A cluster that speaks TLS on both ports: by commands, through a crash, and with nobody else."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from tests.certificates import Files, issued
from tests.cluster.cluster import Cluster, eventually, tvault
from tests.cluster.secure import HOST, give_own_certificate, speak_tls

UNTRUSTED_SECONDS = 10.0
"""Far less than the deadline of a call."""


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def cluster(tmp_path: Path, ca: trustme.CA) -> Iterator[Cluster]:
    """Three nodes that show one certificate, as on one machine; not started."""
    cluster = Cluster(tmp_path / "vault")
    speak_tls(cluster, issued(tmp_path / "vault" / "tls", HOST, ca=ca))
    with cluster:
        yield cluster


def run(cluster: Cluster, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of owner A."""
    api_key = {"TVAULT_API_KEY": cluster.keys["A"]}
    return tvault(*arguments, **{**api_key, **environment})


def converted(cluster: Cluster, command: str, source: Path, node: str) -> str:
    """What a command prints that asks one node alone, by its URL and the file of the CA."""
    ca = str(cluster.session.verify)
    done = run(cluster, command, str(source), TVAULT_URL=cluster.nodes[node], TVAULT_CA=ca)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_node_tokenizes_and_turns_back_over_tls_through_the_end_of_the_head(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.start()
    cluster.wait_until_whole()
    records, tokens = tmp_path / "records.jsonl", tmp_path / "tokens.jsonl"
    records.write_text("".join(f'{{"ssn":"{number:09}"}}\n' for number in range(500)))
    told = {converted(cluster, "tokenize", records, node) for node in cluster.nodes}
    assert len(told) == 1, "every node gives the same tokens"
    tokens.write_text(told.pop())
    for node in cluster.nodes:
        assert converted(cluster, "detokenize", tokens, node) == records.read_text()
    head = cluster.by_role("head")
    cluster.kill(head)
    records.write_text("".join(f'{{"ssn":"{number:09}"}}\n' for number in range(400, 900)))
    config = ("--config", str(cluster.config))
    done = run(cluster, "tokenize", str(records), *config)
    assert done.returncode == 0, done.stderr
    tokens.write_text(done.stdout)
    cluster.start(head)
    cluster.wait_until_whole()
    assert converted(cluster, "detokenize", tokens, head) == records.read_text()
    shown = run(cluster, "inspect", "--json", *config)
    assert shown.returncode == 0, shown.stderr
    assert [node["health"] for node in json.loads(shown.stdout)["nodes"]] == ["ok"] * 3
    for node in cluster.nodes:
        assert "http server" not in cluster.log(node).read_text(), "handshakes that end are no news"


def test_a_gateway_speaks_tls_to_its_clients_and_to_the_nodes(cluster: Cluster) -> None:
    cluster.start()
    cluster.start_gateway()
    cluster.gateways["gateway"] = cluster.gateways["gateway"].replace("http://", "https://")
    eventually(lambda: cluster.health("gateway") == "ok")
    tokens = cluster.tokenize("gateway", ["a", 1])
    assert cluster.detokenize("n2", tokens) == cluster.detokenize("gateway", tokens) == ["a", 1]


def test_who_does_not_speak_tls_is_told_nothing_on_either_port(cluster: Cluster) -> None:
    cluster.start()
    cluster.wait_until_healthy()
    for url in (*cluster.nodes.values(), *cluster.peers.values()):
        with socket.create_connection((HOST, int(url.rsplit(":", 1)[1])), 10) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: n\r\n\r\n")
            told = b""
            while part := received(plain):
                told += part
        assert b"HTTP" not in told
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(url.replace("https://", "http://") + "/health", timeout=10)


def received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_a_command_without_the_ca_sends_nothing_and_says_at_once_what_it_lacks(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.start()
    cluster.wait_until_healthy()
    records = tmp_path / "records.jsonl"
    records.write_text('{"ssn":"078-05-1120"}\n')
    other = issued(tmp_path / "other", HOST)
    for trust in ({}, {"TVAULT_CA": str(other.ca)}):
        began = time.monotonic()
        done = run(
            cluster, "tokenize", str(records), TVAULT_URL=",".join(cluster.nodes.values()), **trust
        )
        assert time.monotonic() - began < UNTRUSTED_SECONDS
        assert (done.returncode, done.stdout) == (4, "")
        for url in cluster.nodes.values():
            assert f"{url} (its certificate is not trusted: " in done.stderr
        assert "TVAULT_CA" in done.stderr
    config = cluster.config.read_text()
    cluster.config.write_text(re.sub(r"^ca = .*$", "", config, flags=re.MULTILINE))
    shown = run(cluster, "inspect", "--config", str(cluster.config))
    assert shown.returncode == 4
    assert shown.stdout.count("is not trusted") == 3


@pytest.mark.parametrize("hosts", [("127.0.0.9",), (HOST,)], ids=["another host", "another CA"])
def test_a_node_whose_certificate_is_not_for_it_is_refused_by_name_until_it_has_a_right_one(
    cluster: Cluster, ca: trustme.CA, hosts: tuple[str, ...]
) -> None:
    is_other_ca = hosts == (HOST,)
    wrong = issued(cluster.folder / "wrong", *hosts, ca=None if is_other_ca else ca)
    give_own_certificate(cluster, "n3", wrong)
    cluster.start()
    refusal = f"node n3 at {cluster.peers['n3']}: its certificate is not trusted: "
    eventually(lambda: all(refusal in cluster.said(name) for name in ("n1", "n2")))
    assert "peer-refused" in {event["event"] for event in cluster.events("n1")}
    cluster.signal("n3", signal.SIGTERM)
    cluster.wait_for_end("n3")
    cluster.configs["n3"] = cluster.config
    cluster.start("n3")
    cluster.wait_until_whole()
    assert cluster.said("n1").count(refusal) == 1


Answer = tuple[int, dict[str, str], bytes]

CALLS: tuple[tuple[str, str, str | None], ...] = (
    ("POST", "/tokenize", '{"values":["a",1,null,true]}'),
    ("POST", "/tokenize", '{"records":[{"ssn":"b","x":1.50}]}'),
    ("POST", "/tokenize", '{"values":[[]]}'),
    ("POST", "/tokenize", "{"),
    ("POST", "/detokenize", '{"token":"tv1_1_00000000000000000000000000000000"}'),
    ("GET", "/epoch", None),
    ("GET", "/tokenize", None),
    ("GET", "/nothing", None),
    ("POST", "/rotate-epoch", '{"to":7}'),
)


def answers(cluster: Cluster) -> list[Answer]:
    """What a node answers to the calls, but for the date; and once without an API key."""
    found = []
    for key in (cluster.keys["A"], "tvk_none"):
        for method, path, body in CALLS:
            headers = {"Authorization": f"Bearer {key}", "Request-Id": "the-same"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            url = cluster.nodes["n1"] + path
            answer = cluster.session.request(method, url, data=body, headers=headers, timeout=30)
            kept = {name: text for name, text in answer.headers.items() if name != "Date"}
            found.append((answer.status_code, kept, answer.content))
    return found


def test_the_answers_are_the_same_bytes_with_and_without_tls(tmp_path: Path) -> None:
    told: list[list[Answer]] = []
    with Cluster(tmp_path / "vault", nodes=1) as cluster:
        for is_secure in (False, True):
            if is_secure:
                cluster.kill("n1")
                speak_tls(cluster, issued(tmp_path / "vault" / "tls", HOST))
            cluster.start()
            cluster.wait_until_healthy()
            answers(cluster)  # what is new the first time
            told.append(answers(cluster))
    assert {status for status, _, _ in told[0]} >= {200, 400, 401, 404, 405, 409, 422}
    assert told[0] == told[1]


def spoil_key_mode(files: Files) -> None:
    files.key.chmod(0o644)


def spoil_ca(files: Files) -> None:
    files.ca.write_text("")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda files: files.certificate.write_text("x"), "[tls] certificate: {certificate} holds no"),
        (lambda files: files.key.unlink(), "[tls] key: {key} cannot be read: No such file"),
        (spoil_key_mode, "[tls] key: {key} is open to other users (mode 0644); run: chmod 600"),
        (spoil_ca, "[tls] ca: {ca} holds no certificate"),
    ],
    ids=["certificate", "key", "mode", "ca"],
)
def test_a_node_with_files_that_do_not_do_refuses_to_start_in_one_line(
    cluster: Cluster, spoil: Any, said: str
) -> None:
    tls = cluster.folder / "tls"
    files = Files(tls / "node.pem", tls / "node.key", tls / "node-ca.pem")
    spoil(files)
    cluster.start("n1")
    code, told = cluster.wait_for_end("n1")
    assert code == 2
    assert told.startswith(f"tvault: {said.format(**files._asdict())}")
    assert told.count("\n") == 1


def test_a_node_beyond_loopback_starts_without_tls_only_when_told_that_it_is_insecure(
    tmp_path: Path,
) -> None:
    with Cluster(tmp_path / "vault", nodes=1) as cluster:
        # The system takes 127.1 for 127.0.0.1; for the configuration it is a name like any other.
        text = cluster.config.read_text().replace(f'"{HOST}:', '"127.1:')
        cluster.config.write_text(text)
        cluster.start()
        code, told = cluster.wait_for_end("n1")
        line = text[: text.index("\napi = ")].count("\n") + 2
        assert code == 2
        assert f"tvault.toml line {line}: [[node]] api: 127.1:" in told
        assert told.count("\n") == 1
        cluster.config.write_text(text.replace("# insecure = false", "insecure = true"))
        cluster.start()
        cluster.wait_until_healthy()
        assert cluster.said("n1").count("insecure") == 1
