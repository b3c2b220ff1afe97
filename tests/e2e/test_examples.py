"""What the repository shows runs as shown: the scripts, the sample data, the table of the guarantees."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.cluster.cluster import Cluster, eventually
from tests.docs.pages import ROOT
from tests.e2e.page import environment

EXAMPLES = ROOT / "examples"


def test_the_example_of_an_env_file_runs_to_its_end(tmp_path: Path) -> None:
    with Cluster(tmp_path / "vault") as cluster:
        cluster.start()
        cluster.wait_until_whole()
        told = {"TVAULT_CONFIG": str(cluster.config), "TVAULT_API_KEY": cluster.keys["A"]}
        ran = subprocess.run(
            ["sh", str(EXAMPLES / "env_file.sh")],
            env=environment(**told),
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert 'DB_PASSWORD="secret(DB_PASSWORD)"  # of the reader' in lines
    assert "export DATABASE_URL=postgres://shop:secret(DB_PASSWORD)@db/shop" in lines
    for line in (
        "(the check fails: exit code 1)",
        "every name resolves",
        "postgres://shop:p@ss w0rd@db/shop",
        "its exit code is that of the program: 7",
        "n3w one",
        "(exit code 1)",
    ):
        assert lines.count(line) == 1, line
    assert lines.count("p@ss w0rd") == 2, "by the shell, and as the first version"
    assert "never printed" not in lines
    assert "tvault: .env: no value for NOT_THERE (line 4)" in ran.stderr


def test_the_sample_data_is_what_its_generator_writes(tmp_path: Path) -> None:
    script = tmp_path / "generate_patients.py"
    script.write_bytes((EXAMPLES / script.name).read_bytes())
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)
    assert (tmp_path / "patients.jsonl").read_bytes() == (EXAMPLES / "patients.jsonl").read_bytes()


CALLS = ("detokenize", "not found", "epoch", "known value", "new value", "rotate")


def statuses(cluster: Cluster, name: str, token: str) -> dict[str, int]:
    """How a node answers each kind of call of the guarantees' table, all asked at once."""
    unknown = f"tv1_1_{0:032}"
    bodies: tuple[tuple[str, object], ...] = (
        ("/detokenize", {"token": token}),
        ("/detokenize", {"token": unknown}),
        ("/epoch", None),
        ("/tokenize", {"values": ["known"]}),
        ("/tokenize", {"values": [f"new at {name}"]}),
        ("/rotate-epoch", {"to": 2}),
    )
    headers = {"Authorization": f"Bearer {cluster.keys['A']}"}

    def ask(call: tuple[str, object]) -> int:
        path, body = call
        method = "GET" if body is None else "POST"
        url = cluster.nodes[name] + path
        return requests.request(method, url, json=body, headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(len(bodies)) as pool:
        return dict(zip(CALLS, pool.map(ask, bodies), strict=True))


@pytest.mark.parametrize("role", ["head", "middle", "tail"])
def test_with_nodes_gone_each_call_is_answered_as_the_guarantees_say(tmp_path: Path, role: str) -> None:
    cluster = Cluster(tmp_path / "vault")
    text = cluster.config.read_text()
    shorter = text.replace("# request_timeout_ms = 5000", "request_timeout_ms = 1500")
    assert shorter != text
    cluster.config.write_text(shorter)
    try:
        cluster.start()
        cluster.wait_until_whole()
        token = cluster.tokenize("n1", ["known"])[0]
        eventually(cluster.agree)
        first = cluster.by_role(role)
        cluster.kill(first)
        left = [name for name in cluster.nodes if name != first]
        for name in left:
            one_gone = dict(zip(CALLS, (200, 404, 200, 200, 200, 200), strict=True))
            assert statuses(cluster, name, token) == one_gone
        cluster.kill(left[0])
        two_gone = dict(zip(CALLS, (200, 503, 503, 503, 503, 503), strict=True))
        assert statuses(cluster, left[1], token) == two_gone
    finally:
        cluster.stop()
