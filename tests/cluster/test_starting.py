"""Starting, stopping, and what is said when a node cannot start."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, eventually, tvault


def test_one_node_alone_is_a_vault(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "vault", nodes=1)
    try:
        cluster.start()
        cluster.wait_until_healthy()
        tokens = cluster.tokenize("n1", ["a", 1])
        assert cluster.status("n1")["role"] == "single"
        cluster.kill("n1")
        cluster.start()
        cluster.wait_until_healthy()
        assert cluster.detokenize("n1", tokens) == ["a", 1]
        assert cluster.tokenize("n1", ["a", 1]) == tokens
        assert cluster.post("n1", "/rotate-epoch", {"to": 2}).json() == {"epoch": 2, "rotated": True}
    finally:
        cluster.stop()


def test_sigterm_ends_a_node_cleanly(cluster: Cluster) -> None:
    cluster.signal("n2", signal.SIGTERM)
    code, stderr = cluster.wait_for_end("n2")
    assert code == 0, stderr
    assert "Traceback" not in stderr
    assert cluster.events("n2")[-1]["event"] == "stop"


def test_up_runs_every_node_and_ends_them_all(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "vault")
    process = subprocess.Popen(
        [sys.executable, "-m", "tvault", "up", "--config", str(cluster.config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        cluster.wait_until_healthy()
        cluster.tokenize("n3", ["x"])
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not any(cluster.is_healthy(name) for name in cluster.nodes)
    finally:
        process.kill()
        process.wait()
        cluster.stop()


def refused(cluster: Cluster, *parts: str, **environment: str) -> None:
    """`serve` ends at once, with one line that holds `parts`, and no traceback."""
    done = tvault("serve", "--config", str(cluster.config), "--node", "n1", **environment)
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "vault")
    api_port = int(cluster.nodes["n1"].rsplit(":", 1)[1])
    for port in (api_port, api_port + 100):
        with socket.create_server(("127.0.0.1", port)):
            refused(cluster, f"127.0.0.1:{port}", "in use")


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "vault")
    (cluster.folder / "keys" / "token.key").unlink()
    refused(cluster, "token.key", "[keys] token")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "vault")
    (cluster.folder / "data").write_text("a file where a folder should be")
    refused(cluster, str(cluster.folder / "data" / "n1"))


def test_an_unknown_setting_is_named_with_its_line(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "vault")
    text = cluster.config.read_text()
    cluster.config.write_text(text.replace("# values_per_request = ", "valuess_per_request = "))
    lines = cluster.config.read_text().splitlines()
    line = next(i for i, text in enumerate(lines, 1) if text.startswith("valuess_per_request"))
    refused(cluster, "valuess_per_request", f"line {line}")


def test_an_unknown_node_is_named(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "vault")
    done = tvault("serve", "--config", str(cluster.config), "--node", "n9")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "n9" in done.stderr
    assert "n1" in done.stderr


def test_a_folder_of_another_cluster_is_refused_and_left_alone(cluster: Cluster, tmp_path: Path) -> None:
    cluster.kill("n1")
    other = Cluster(tmp_path / "other")
    shutil.copytree(cluster.folder / "data" / "n1", other.folder / "data" / "n1")
    before = {file.name for file in (other.folder / "data" / "n1").iterdir()}
    refused(other, "belongs to cluster")
    assert {file.name for file in (other.folder / "data" / "n1").iterdir()} == before


def test_a_second_process_for_one_folder_is_refused(cluster: Cluster) -> None:
    refused(cluster, "in use by another process")


def test_a_folder_filled_under_another_token_key_is_refused(cluster: Cluster) -> None:
    """Else a value would get a second token in the same epoch."""
    tokens = cluster.tokenize("n1", ["a"])
    for name in cluster.nodes:
        cluster.kill(name)
    file = cluster.folder / "keys" / "token.key"
    kept = file.read_text()
    file.write_text(os.urandom(32).hex() + "\n")
    refused(cluster, str(cluster.folder / "data" / "n1"), "another token key")
    file.write_text(kept)
    cluster.start()
    cluster.wait_until_healthy()
    assert cluster.tokenize("n2", ["a"]) == tokens


@pytest.mark.parametrize("key", ["token", "cluster"])
def test_a_node_with_another_key_is_refused_by_name_on_both_sides(cluster: Cluster, key: str) -> None:
    cluster.kill("n3")
    shutil.rmtree(cluster.folder / "data" / "n3")
    file = cluster.folder / "keys" / f"{key}.key"
    kept = file.read_text()
    file.write_text(os.urandom(32).hex() + "\n")
    cluster.start("n3")
    expected = "token key" if key == "token" else "cluster secret"
    eventually(lambda: has_refused(cluster, "n3", expected))
    eventually(lambda: has_refused(cluster, "n1", expected))
    assert not cluster.is_healthy("n3")
    cluster.kill("n3")
    shutil.rmtree(cluster.folder / "data" / "n3")
    file.write_text(kept)
    cluster.start("n3")
    cluster.wait_until_healthy()


def has_refused(cluster: Cluster, name: str, why: str) -> bool:
    return any(e["event"] == "peer-refused" and why in e["why"] for e in cluster.events(name))
