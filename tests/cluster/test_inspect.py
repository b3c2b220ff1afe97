"""What `tvault inspect` and `tvault doctor` tell of real nodes while one is killed and comes back."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import IO, Any

import pytest

from tests.cluster.cluster import Cluster, eventually, tvault

VALUE = "078-05-1120"


@dataclass
class Command:
    """A command that runs, and what it has written so far."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    seen: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self.output.fileno(), 4096):
                self.seen += piece
        except OSError:  # a terminal whose other side is closed
            return

    def wait_for(self, text: str, after: int = 0) -> None:
        """Until it has written this, behind so many bytes."""
        eventually(lambda: text.encode() in self.seen[after:])

    def interrupt(self) -> int:
        """Press Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=20)
        self._reader.join(timeout=20)
        return code

    def close(self) -> None:
        """End it, if it still runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join(timeout=20)
        self.output.close()


def running(stack: ExitStack, cluster: Cluster, *arguments: str) -> Command:
    """A command whose output is read as it comes."""
    command = [sys.executable, "-m", "tvault", "inspect", *arguments, "--config", str(cluster.config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    found = Command(process, process.stdout)
    stack.callback(found.close)
    return found


def on_terminal(stack: ExitStack, cluster: Cluster, *arguments: str) -> Command:
    """A command that writes to a terminal."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "tvault", "inspect", *arguments, "--config", str(cluster.config)]
    surroundings = {**os.environ, "TERM": "xterm"}
    surroundings.pop("NO_COLOR", None)
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=surroundings)
    os.close(slave)
    found = Command(process, os.fdopen(master, "rb", buffering=0))
    stack.callback(found.close)
    return found


@dataclass(frozen=True)
class Scene:
    """A cluster whose head was killed and came back, and what was shown meanwhile."""

    cluster: Cluster
    tail: str
    head: str
    answer: dict[str, Any]
    watched: str
    watch_code: int
    lines: str
    documents: str
    followed: str
    follow_code: int
    while_down: subprocess.CompletedProcess[str]
    examined: tuple[int, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Cluster(tmp_path_factory.mktemp("inspect") / "vault") as cluster, ExitStack() as stack:
        cluster.start()
        cluster.wait_until_whole()
        head, tail = cluster.by_role("head"), cluster.by_role("tail")
        answer = cluster.ask(tail, "POST", "/tokenize", {"values": [VALUE]}, Request_Id="way-1").json()
        watch = on_terminal(stack, cluster, "--watch")
        lines = running(stack, cluster, "--watch")
        documents = running(stack, cluster, "--watch", "--json")
        follow = running(stack, cluster, "events", "--follow", "--event", "start", "--event", "view")
        for each in (watch, lines, documents):
            each.wait_for("whole")
        follow.wait_for("all nodes are there for the first time")
        cluster.kill(head)
        for each in (watch, lines, documents):
            each.wait_for("degraded")
        follow.wait_for(f"{head} is gone")
        while_down = tvault("inspect", "events", "--config", str(cluster.config), "--node", head)
        host, port = cluster.peers[head].removeprefix("http://").split(":")
        with socket.create_server((host, int(port))):
            examined = examine(cluster)
        seen = [len(each.seen) for each in (watch, lines, documents)]
        cluster.start(head)
        cluster.wait_until_whole()
        follow.wait_for(f"{head} has caught up")
        for each, before in zip((watch, lines, documents), seen, strict=True):
            each.wait_for("whole", before)
        codes = watch.interrupt(), follow.interrupt()
        lines.interrupt()
        documents.interrupt()
        yield Scene(
            cluster,
            tail,
            head,
            answer,
            watch.seen.decode(),
            codes[0],
            lines.seen.decode(),
            documents.seen.decode(),
            follow.seen.decode(),
            codes[1],
            while_down,
            examined,
        )


def examine(cluster: Cluster) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of the doctor, and what is not ok but for the machine that tests run on."""
    done = tvault("doctor", "--config", str(cluster.config), "--json")
    assert done.stderr == ""
    machine = ("disk", "limits")
    return done.returncode, [
        each
        for each in json.loads(done.stdout)["checks"]
        if each["result"] != "ok" and each["check"] not in machine
    ]


def inspect(scene: Scene, *arguments: str) -> str:
    """What a command shows."""
    done = tvault("inspect", *arguments, "--config", str(scene.cluster.config))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_request_is_followed_from_the_node_that_was_asked_over_the_head_to_every_disk(
    scene: Scene,
) -> None:
    shown = inspect(scene, "events", "--request", "way-1")
    told = [line.split(maxsplit=1)[1] for line in shown.splitlines()[:-1]]
    asked, made, *stored, answered = told
    assert asked == f"{scene.tail}  asked by A: tokenize"
    assert made.startswith(f"{scene.head}  ordered as entry ")
    assert sorted(line.split()[0] for line in stored) == ["n1", "n2", "n3"]
    assert all(" on disk, written in " in line for line in stored)
    assert answered.startswith(f"{scene.tail}  answered after ")
    assert "values=1 new=1 known=0" in answered
    assert shown.splitlines()[-1].strip().endswith("is on disk at n1, n2, n3")


def test_neither_value_nor_token_is_shown(scene: Scene) -> None:
    shown = inspect(scene, "events") + inspect(scene, "events", "--json")
    assert "way-1" in shown
    assert VALUE not in shown
    assert scene.answer["tokens"][0][-32:] not in shown


def test_the_history_of_the_chain_tells_that_the_head_was_lost_and_came_back(scene: Scene) -> None:
    views = json.loads(inspect(scene, "chain", "--json"))["views"]
    lost = next(view for view in views if view["why"] == f"{scene.head} is gone")
    back = views[-1]
    assert scene.head not in lost["chain"]
    assert set(lost["before"]) == set(back["chain"]) == set(scene.cluster.nodes)
    assert sorted(lost["voted"]) == sorted(lost["chain"])
    assert back["why"] == f"{scene.head} has caught up"
    assert (lost["seconds"] > 0, back["until"]) == (True, None)
    assert f"why: {scene.head} is gone" in inspect(scene, "chain")


def test_events_are_followed_over_the_end_and_the_start_of_a_node(scene: Scene) -> None:
    """Each once, though the node does not answer meanwhile, and its log is read from its folder."""
    lines = [line for line in scene.followed.splitlines() if f"  {scene.head}  start" in line]
    assert len(lines) == len(set(lines)) == 2
    assert scene.follow_code == 130
    assert "Traceback" not in scene.followed


def test_the_events_of_a_node_that_is_down_are_read_from_its_folder(scene: Scene) -> None:
    assert scene.while_down.returncode == 0
    assert f"{scene.head}: no answer from " in scene.while_down.stderr
    assert f"  {scene.head}  start" in scene.while_down.stdout
    folder = str(scene.cluster.data(scene.head))
    stopped = tvault("inspect", "events", "--data", folder, TVAULT_CONFIG="/nowhere")
    assert stopped.stdout.startswith(scene.while_down.stdout)


def test_the_cluster_is_watched_in_one_place_of_the_terminal_until_ctrl_c(scene: Scene) -> None:
    assert scene.watch_code == 130
    assert "Traceback" not in scene.watched
    states = re.findall(r"\x1b\[3\dm(whole|degraded)\x1b\[0m: ", scene.watched)
    changes = [state for state, _ in groupby(states)]
    assert (changes[0], changes[1], changes[-1]) == ("whole", "degraded", "whole")
    moved_up = re.findall(r"\x1b\[\d+F", scene.watched)
    assert len(moved_up) == scene.watched.count("Ctrl-C ends") - 1 >= 2


def test_off_a_terminal_there_is_one_line_for_each_change(scene: Scene) -> None:
    """With its time; and nothing that moves a cursor or changes colours."""
    told = [line.split("  ", 1) for line in scene.lines.splitlines() if line]
    assert "\x1b" not in scene.lines
    assert told[0][1].startswith("whole: all nodes are in the chain of view ")
    assert all(before[1] != after[1] for before, after in pairwise(told))
    assert [time for time, _ in told] == sorted(time for time, _ in told)
    states = [json.loads(line)["state"] for line in scene.documents.splitlines() if line]
    assert (states[0], states[-1]) == ("whole", "whole")
    assert "degraded" in states


def test_the_last_change_and_its_reason_stand_in_the_overview(scene: Scene) -> None:
    document = json.loads(inspect(scene, "--json"))
    assert document["state"] == "whole"
    change = document["last_change"]
    assert change["why"] == f"{scene.head} has caught up"
    assert set(change["chain"]) == set(scene.cluster.nodes)
    assert scene.head not in change["before"]
    assert "last change: " in inspect(scene)


def test_a_node_that_was_killed_and_came_back_holds_what_the_others_do(scene: Scene) -> None:
    eventually(scene.cluster.agree)
    document = json.loads(inspect(scene, "verify", "--json"))
    assert (document["sound"], document["differences"]) == (True, [])
    assert len({json.dumps([node["committed"], node["rows"]]) for node in document["nodes"]}) == 1


def test_the_doctor_finds_nothing_amiss_with_a_whole_cluster_but_a_key_that_others_can_read(
    scene: Scene,
) -> None:
    assert examine(scene.cluster) == (0, [])
    key = scene.cluster.folder / "keys" / "token.key"
    key.chmod(0o644)
    code, amiss = examine(scene.cluster)
    key.chmod(0o600)
    failed = [each for each in amiss if each["result"] == "failed"]
    assert (code, [(each["check"], each["about"]) for each in failed]) == (1, [("keys", "[keys] token")])
    assert "(mode 0644)" in failed[0]["found"]


def test_the_doctor_names_a_node_that_was_killed_and_who_has_its_port(scene: Scene) -> None:
    code, amiss = scene.examined
    told = {(each["result"], each["check"], each["about"]) for each in amiss}
    assert code == 1
    assert {("failed", "service", scene.head), ("warning", "chain", "")} <= told
    assert {about for result, _, about in told if result == "failed"} == {scene.head}
    (taken,) = [each["found"] for each in amiss if each["check"] == "ports"]
    address = scene.cluster.peers[scene.head].removeprefix("http://")
    assert taken.startswith(f"peer {address} is taken by process ")
