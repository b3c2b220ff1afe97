"""What a command takes: memory, and what it loads before it begins."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.server.serving import Node, serving
from tvault.client.vault import Vault
from tvault.events import EventLog

MOST_LINES = 200_000
LINE = b'{"x":"' + b"x" * 1000 + b'"}\n'
PEAK = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "tvault", *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Run from a small process: a child begins with the peak of the one that it is forked from."""

COMMANDS = [
    ["tokenize", "f.jsonl"],
    ["detokenize", "f.jsonl"],
    ["retokenize", "f.jsonl", "--map"],
    ["tokenize", "f.csv"],
    ["tokenize", "f.csv.gz", "--columns", "a"],
    ["lookup", "--", "x"],
    ["secret", "list"],
    ["--version"],
]

FOR_ONE_CALL = [
    ["env", "run", "f.env", "--", "true"],
    ["env", "check", "f.env"],
    ["secret", "list"],
    ["rotate-epoch", "--to", "1"],
]

pytestmark = pytest.mark.usefixtures("node")


def peak_mib(*args: str) -> float:
    ran = subprocess.run([sys.executable, "-c", PEAK, *args], capture_output=True, check=True)
    return int(ran.stdout) / 1024


def content(form: str, count: int) -> bytes:
    """A file of so many records of about 1000 bytes."""
    match form:
        case "json":
            return b"[" + LINE.replace(b"\n", b",") * count + b"{}]"
        case "csv":
            return b"ssn,note\n" + (b'"1","' + b"x" * 990 + b'"\n') * count
        case "csv.gz":
            return gzip.compress(b"ssn,note\r\n" + (b"1," + b"x" * 990 + b"\r\n") * count)
        case _:
            return LINE * count


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "csv.gz"])
def test_memory_does_not_grow_with_the_file(form: str) -> None:
    peaks = []
    for count in (3_000, 60_000):
        file = Path(f"{count}.{form}")
        file.write_bytes(content(form, count))
        peaks.append(peak_mib("tokenize", str(file), "-o", "/dev/null", "--batch", "100"))
        file.unlink()
    assert peaks[1] - peaks[0] < 6, peaks
    assert peaks[1] < 100, peaks


def test_memory_does_not_grow_with_the_tokens_of_a_file_and_its_map(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peaks = []
    with serving() as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        old: list[str] = []
        for first in range(0, MOST_LINES, 10_000):
            old += node.tokenize([f"v{n}" for n in range(first, first + 10_000)])
        assert node.post("/rotate-epoch", {"to": 2}).status_code == 200
        for count in (MOST_LINES // 5, MOST_LINES):
            with Path("f.jsonl").open("w") as file:
                file.writelines(f'{{"x":"{token}"}}\n' for token in old[:count])
            args = ("f.jsonl", "-o", "out.jsonl", "--map=m.csv", "--batch", "500")
            peaks.append(peak_mib("retokenize", *args))
            with Path("m.csv").open("rb") as table:
                assert sum(1 for _ in table) == count + 1
    assert peaks[1] - peaks[0] < 6, peaks
    assert peaks[1] < 100, peaks


def test_memory_does_not_grow_with_the_event_logs() -> None:
    peaks = []
    for node in ("n1", "n2"):
        Path(node).mkdir()
    for count in (2_000, 60_000):
        logs = [EventLog(Path(node), node) for node in ("n1", "n2")]
        for number in range(count):
            for log in logs:
                log.record("checked", entries=number, seconds=0.25)
        for log in logs:
            log.close()
        peaks.append(peak_mib("inspect", "events", "--data", "n1", "--data", "n2", "--last", "0"))
    assert peaks[1] - peaks[0] < 6, peaks
    assert peaks[1] < 100, peaks


@pytest.mark.parametrize("args", COMMANDS)
def test_a_command_loads_only_what_a_client_needs(args: list[str]) -> None:
    Path("f.jsonl").write_bytes(b"{}\n")
    Path("f.csv").write_bytes(b"ssn\ny\n")
    Path("f.csv.gz").write_bytes(gzip.compress(b"a\ny\n"))
    command = [sys.executable, "-X", "importtime", "-m", "tvault", *args]
    ran = subprocess.run(command, capture_output=True, check=False)
    assert ran.returncode == (3 if args[0] == "lookup" else 0)
    loaded = {line.rpartition("|")[2].strip() for line in ran.stderr.decode().splitlines()}
    assert "tvault.cli.main" in loaded
    servers = {"cryptography", "peewee", "sqlite3", "cheroot", "bottle", "prometheus_client"}
    servers |= {"tvault.server"}
    assert loaded & (servers | {"numpy", "pyarrow", "duckdb", "tvault.duck"}) == set()


@pytest.mark.parametrize("args", FOR_ONE_CALL)
def test_a_command_that_makes_one_call_loads_little_more_than_it_takes(args: list[str]) -> None:
    Path("f.env").write_text("A=secret(X)\n")
    with Vault.from_env() as vault:
        vault.put_secret("X", "y")
    loaded = loaded_by(args)
    assert {"tvault.client.direct", "http.client"} <= loaded
    assert loaded & {"requests", "urllib3", "tvault.config.loading", "asyncio"} == set()


def test_a_command_that_reads_the_configuration_loads_nothing_heavy_for_it(
    tvault: CommandLine, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    tvault("init", "c", "--base-port", node.port - 1, "--nodes", 1, "--owner", "A")
    monkeypatch.delenv("TVAULT_URL")
    monkeypatch.setenv("TVAULT_CONFIG", "c/tvault.toml")
    loaded = loaded_by(["rotate-epoch", "--to", "1"])
    assert "tvault.config.loading" in loaded
    assert loaded & {"requests", "urllib3", "numpy", "cryptography", "peewee", "tvault.server"} == set()


def test_help_loads_nothing_but_the_command_line() -> None:
    loaded = loaded_by(["--help"])
    assert loaded & {"tvault.client", "tvault.config", "msgspec", "ssl", "http", "json"} == set()


def loaded_by(args: list[str]) -> set[str]:
    """The modules that a command loads until it ends, or another one takes its place."""
    command = [sys.executable, "-X", "importtime", "-m", "tvault", *args]
    ran = subprocess.run(command, capture_output=True, check=True)
    return {line.rpartition("|")[2].strip() for line in ran.stderr.decode().splitlines()}
