"""What the repository shows runs as shown: the scripts, the sample data, the README's tour."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.cluster.cluster import Cluster, eventually, free_base_port
from tests.docs.pages import ROOT, read

EXAMPLES = ROOT / "examples"
README_BASE_PORT = 7100


def environment(**more: str) -> dict[str, str]:
    """The environment of the test with the installed `tvault` on the path, and no cluster named."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    rest = {name: text for name, text in os.environ.items() if not name.startswith("TVAULT_")}
    return {**rest, "PATH": path, **more}


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


Step = tuple[str, str]
"""A command as it is typed, and what it prints."""


def tour() -> list[list[Step]]:
    """The terminals of the README's tour."""
    return blocks_of(read(ROOT / "README.md"))


def blocks_of(page: str) -> list[list[Step]]:
    """The terminals of a page."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [steps_of(block) for block in blocks]


def steps_of(block: str) -> list[Step]:
    steps: list[Step] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif line.startswith("> "):
            steps[-1] = (f"{steps[-1][0]}\n{line[2:]}", "")
        else:
            steps[-1] = (steps[-1][0], f"{steps[-1][1]}{line}\n")
    return steps


def without_chance(text: str) -> str:
    """The text without what differs from vault to vault: keys, digits of tokens, ports, the journal's
    digest, which node heads which view, and how many views there were: each begins with an entry, and
    when the last one did."""
    text = re.sub(r"tvk_[\w-]{43}", "tvk_…", text)
    text = re.sub(r"(tv1_\d+_)[0-9a-f]{32}", r"\1…", text)
    text = re.sub(r"(127\.0\.0\.1:)\d+", r"\1…", text)
    text = re.sub(r"^(whole: all nodes are in the chain of view) \d+, .+$", r"\1 …", text, flags=re.M)
    change = r"^last change: \S+, view \d+(?:: .+ became .+)? \(.+\), .+ ago$"
    text = re.sub(change, "last change: …", text, flags=re.M)
    table = r"^(n\d) +(?:head|middle|tail) +\d+ +(\d+) +(\d+) +(\d+) +[0-9a-f]{12} +(\w+)$"

    def without_views(row: re.Match[str]) -> str:
        name, last, committed, *rest = row.groups()
        whole = "all committed" if last == committed else f"{committed} of {last}"
        return f"{name} role view {whole} digest {' '.join(rest)}"

    return re.sub(table, without_views, text, flags=re.MULTILINE).strip()


def run(step: Step, folder: Path, variables: dict[str, str], base_port: int) -> str:
    """What a command of the tour prints on a vault at other ports."""
    ports = {str(README_BASE_PORT + node): str(base_port + node) for node in (1, 2, 3)}
    command = re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: ports[port[0]], step[0])
    if command.startswith("tvault init"):
        command += f" --base-port {base_port}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def test_the_tour_of_the_readme_prints_what_it_shows(tmp_path: Path) -> None:
    (init, up), *others = tour()
    export, *steps = (step for block in others for step in block)
    base_port = free_base_port(3)
    made = run(init, tmp_path, {}, base_port)
    # `init` says where to go on stderr, which comes first here.
    assert sorted(without_chance(made).split("\n")) == sorted(without_chance(init[1]).split("\n"))
    key = re.search(r"tvk_[\w-]{43}", made)
    assert key is not None
    assert re.fullmatch(r"export TVAULT_CONFIG=\S+ TVAULT_API_KEY=tvk_[\w-]{43}", export[0])
    variables = {"TVAULT_CONFIG": "vault/tvault.toml", "TVAULT_API_KEY": key[0]}
    with subprocess.Popen(
        up[0].split(), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as cluster:
        try:
            assert cluster.stdout is not None
            told = "".join(sorted(cluster.stdout.readline() for _ in range(3)))
            assert without_chance(told) == without_chance(up[1])
            for step in steps:
                printed = run(step, tmp_path, variables, base_port)
                assert without_chance(printed) == without_chance(step[1]), step[0]
            cluster.send_signal(signal.SIGTERM)
            assert cluster.wait(30) == 0
        finally:
            cluster.kill()


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
