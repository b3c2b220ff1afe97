"""`tvault demo` runs to its end with every claim held, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.docs.pages import blocks, page_called, read
from tests.e2e.page import LEFT_OUT, environment
from tvault.cli.demo.temporary import TemporaryCluster

RECORDS = "500"
SECONDS = 110
VALUES = re.compile(r"tvk_|000-\d\d-\d{4}|MRN\d|example-password")
NODES = re.compile(r"n\d is up at http://127\.0\.0\.1:(\d+), process (\d+)")

CLAIMS = (
    r"three nodes answer and are in one chain, headed by n\d",
    r"all 6 clients got the same token for each value",
    r"different values got different tokens",
    r"the nodes made 125 mappings in all: one for each value, not six",
    r"every node gives the same token",
    r"every node turns it back into the value",
    r"the run went on to its end, by itself; the longest pause was \d+\.\d\d s",
    r"nothing that was answered is lost: every byte of the input comes back",
    r"the output holds [\d,]+ tokens where the numbers were, and no number",
    r"the lab's answer for the clinic's token is: not found",
    r"the answers are equal, byte for byte",
    r"the same value has another token for the lab, and both are right",
    r"the same value gets another token now",
    r"every token of the old epoch still turns back into its value: all bytes are equal",
    r"no old token is left in the file, and the map of [\d,]+ tokens leads on from each",
    r"the new file turns back into the same bytes",
    r"it has caught up by itself, \d+\.\d s after its start: all digests are equal",
    r"every node has recomputed its whole journal, and all come to the same digest",
    r"the sums over tokens are those over the plain tables",
    r"the file holds no password any more",
    r"the program gets it in its environment",
    r"after a change it gets the new one, and the file stays as it is",
    r"the version before stays known",
    r"no node has written a value in the clear",
)


@contextmanager
def demo(place: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The demo while it runs, with `place` for its folder."""
    with subprocess.Popen(
        [sys.executable, "-m", "tvault", "demo", RECORDS, *options],
        env=environment(TMPDIR=str(place), COLUMNS="80"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What the demo prints up to and with the line that begins so."""
    assert process.stdout is not None
    read = []
    for line in process.stdout:
        read.append(line)
        if line.startswith(text):
            return "".join(read)
    raise AssertionError("".join(read))


def is_gone(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


def ports_are_free(ports: list[int]) -> bool:
    for port in ports:
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def assert_nothing_runs(printed: str) -> None:
    nodes = NODES.findall(printed)
    assert len(nodes) == 3
    assert all(is_gone(int(pid)) for _, pid in nodes)
    assert ports_are_free([int(port) for port, _ in nodes])


def without_figures(text: str) -> list[str]:
    """The lines of the text without tokens and numbers."""
    return re.sub(r"\d[\d.,]*\b", "N", re.sub(r"(?<=tv1_1_)[0-9a-f]{32}", "N", text)).splitlines()


def lines_of_the_page() -> list[str]:
    """What the page shows of the demo, but for what it leaves out."""
    (shown,) = [block for block in blocks(read(page_called("demo"))) if " ✓ " in block.text]
    return [line for line in without_figures(shown.text) if line != LEFT_OUT]


def test_the_demo_makes_each_of_its_claims_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        printed, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, printed[-2_000:] + said
    shown, summary = printed.split("What was claimed, and held\n")
    for part in (shown, summary):
        claims = re.findall(r"^ +✓ (.+(?:\n {4,}\S.*)*)$", part, re.MULTILINE)
        told = [" ".join(claim.split()) for claim in claims]
        assert len(told) == len(CLAIMS)
        for claim, expected in zip(told, CLAIMS, strict=True):
            assert re.fullmatch(expected, claim)
    assert summary.splitlines()[-1].startswith(f"All {len(CLAIMS)} claims held, in ")
    assert max(map(len, printed.splitlines())) <= 80
    assert "\x1b" not in printed
    assert [line for line in lines_of_the_page() if line not in without_figures(printed)] == []
    commands = re.findall(r"^  \$ .*$", shown, re.MULTILINE)
    assert len(commands) > 20
    assert not [each for each in commands if VALUES.search(each)], "others can see them in process lists"
    assert_nothing_runs(printed)
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_interrupted_ends_its_nodes_and_removes_its_folder(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        printed = read_until(process, "2. ")
        assert list(tmp_path.glob("tvault-demo-*/cluster/tvault.toml"))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert_nothing_runs(printed)
    assert list(tmp_path.iterdir()) == []


def test_a_demo_whose_nodes_are_killed_by_another_says_so_and_fails_and_keeps_what_it_should(
    tmp_path: Path,
) -> None:
    """No process, but the folder, from which the cluster can be started."""
    with demo(tmp_path, "--keep") as process:
        printed = read_until(process, "  n3 is up at ")
        for _, pid in NODES.findall(printed)[:2]:
            os.kill(int(pid), signal.SIGKILL)
        rest, said = process.communicate(timeout=30)
    assert process.returncode == 4
    assert re.match(r"tvault: node n[12] has ended by itself \(SIGKILL\); its log ends:\n", said)
    assert "Traceback" not in said
    assert_nothing_runs(printed)
    (config,) = tmp_path.glob("tvault-demo-*/cluster/tvault.toml")
    assert f"start it with: tvault up --config {config}" in rest
    key = config.parent.parent / "clinic.key"
    assert key.read_text().startswith("tvk_")
    assert key.stat().st_mode & 0o077 == 0
    assert config.parent.parent.stat().st_mode & 0o077 == 0


def test_a_cluster_whose_port_was_taken_meanwhile_can_be_made_anew_at_others(tmp_path: Path) -> None:
    cluster = TemporaryCluster(tmp_path)
    cluster.run(cluster.init_command())
    cluster.take_keys()
    with closing(socket.socket()) as taken:
        address = cluster.config.nodes[1].api
        taken.bind((address.host, address.port))
        taken.listen()
        before = [node.api.port for node in cluster.config.nodes]
        assert not cluster.try_to_start()
    assert cluster.nodes == {}
    assert not (tmp_path / "cluster").exists()
    cluster.run(cluster.init_command())
    assert [node.api.port for node in cluster.config.nodes] != before
