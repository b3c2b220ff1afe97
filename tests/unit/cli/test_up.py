"""`tvault up` and `tvault serve`: nodes as processes of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.server.serving import serving

ROOT = Path(__file__).parents[3]


def free_base(count: int) -> int:
    """A base port whose ports for `count` nodes are free."""
    for base in range(21_000 + os.getpid() % 20_000, 60_000, 211):
        with suppress(OSError), ExitStack() as stack:
            for number in range(1, count + 1):
                for port in (base + number, base + 100 + number):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return base
    raise AssertionError("no port is free")


@pytest.fixture
def three_nodes(tvault: CommandLine) -> list[str]:
    """The API addresses of a new cluster of three nodes in `c`."""
    made = tvault(
        "init", "c", "--base-port", free_base(3), "--owner", "A", "--field", "ssn", "--json"
    ).document
    return [node["api"] for node in made["nodes"]]


@contextmanager
def up() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tvault", "up", "--config", "c/tvault.toml"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_up(process: subprocess.Popen[str], count: int = 3) -> set[str]:
    assert process.stdout is not None
    return {process.stdout.readline().split()[0] for _ in range(count)}


def nodes_of(process: subprocess.Popen[str]) -> dict[str, int]:
    """The processes that `up` has started, by their nodes' names."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    found = {}
    for child in children:
        arguments = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        found[arguments[arguments.index("--node") + 1]] = int(child)
    return found


def answers(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    return next(line for line in process.stderr if text in line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_tells_of_each_node_and_ends_all_when_it_is_told_to(
    three_nodes: list[str], number: int
) -> None:
    with up() as process:
        assert wait_until_up(process) == {"n1", "n2", "n3"}
        assert all(answers(url) for url in three_nodes)
        process.send_signal(number)
        assert process.wait(30) == 0
        assert not any(answers(url) for url in three_nodes)


def test_a_node_that_cannot_start_ends_all(three_nodes: list[str]) -> None:
    host, _, port = three_nodes[1].removeprefix("http://").partition(":")
    with socket.create_server((host, int(port))), up() as process:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
    assert f"{host}:{port}" in err
    assert "node n2 could not start" in err
    assert not answers(three_nodes[0])
    assert not answers(three_nodes[2])


def test_an_answer_of_another_process_at_the_url_of_a_node_is_not_taken_for_the_nodes(
    three_nodes: list[str],
) -> None:
    with up() as first:
        wait_until_up(first)
        with up() as second:
            out, err = second.communicate(timeout=60)
        assert (second.returncode, out) == (1, "")
        assert "could not start (exit status 2); ending all" in err
        assert all(answers(url) for url in three_nodes)


def test_another_vault_on_the_ports_of_a_node_is_not_taken_for_it(tvault: CommandLine) -> None:
    with serving() as stranger:
        tvault("init", "c", "--base-port", stranger.port - 1, "--nodes", 1, "--owner", "A")
        with up() as process:
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert f"annot listen on 127.0.0.1:{stranger.port}" in err
    assert "node n1 could not start (exit status 2); ending all" in err


def test_a_node_that_dies_later_is_told_and_the_others_go_on(three_nodes: list[str]) -> None:
    with up() as process:
        wait_until_up(process)
        os.kill(nodes_of(process)["n2"], signal.SIGKILL)
        assert "node n2 has ended (SIGKILL); the others go on" in read_until(process, "has ended")
        assert [answers(url) for url in three_nodes] == [True, False, True]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_nodes_end_when_up_is_killed(three_nodes: list[str]) -> None:
    with up() as process:
        wait_until_up(process)
        process.kill()
        # The nodes hold the other end of this pipe: it ends when the last of them has ended.
        assert process.stderr is not None
        process.stderr.read()
        assert not any(answers(url) for url in three_nodes)


def test_up_that_cannot_read_a_key_starts_nothing_and_says_so_once(three_nodes: list[str]) -> None:
    Path("c/keys/token.key").chmod(0o644)
    with up() as process:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
    assert err.count("\n") == 1
    assert "chmod 600" in err
    assert not any(answers(url) for url in three_nodes)


def test_serve_of_an_unknown_node_makes_exit_code_2(tvault: CommandLine) -> None:
    tvault("init", "c", "--owner", "A")
    ran = tvault("serve", "--node", "n9", "--config", "c/tvault.toml")
    assert ran.code == 2
    assert "no node 'n9'; its nodes are n1, n2, n3" in ran.err
