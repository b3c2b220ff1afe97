"""How long clients wait when nodes fail, leave and come back: `python -m tests.cluster.recovery all`.

Every function measures on a running cluster and gives numbers; the commands print them and hold them
against what is promised for two shared cores.
"""

from __future__ import annotations

import multiprocessing
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from tests.cluster.cluster import Cluster, eventually
from tests.cluster.writers import Writers
from tvault.client.vault import Vault
from tvault.config import load

BACK_SECONDS = 60.0
PLACES = ("head", "middle", "tail")
CALM_SECONDS = 1.0
MEDIAN_GAP_SECONDS = 1.0
WORST_GAP_SECONDS = 2.0
HANDOVER_GAP_SECONDS = 0.5
TRUTH_SECONDS = 1.0
STALL_SECONDS = 1.0
MISSED = 1_000_000
MISSED_SECONDS = 60.0
VALUES_A_SECOND = 2_000
BATCH = 10_000


@contextmanager
def running_cluster(nodes: int = 3) -> Iterator[Cluster]:
    """A cluster with all nodes in its chain, in a folder that goes away with it."""
    with tempfile.TemporaryDirectory() as name, Cluster(Path(name) / "vault", nodes) as cluster:
        cluster.start()
        cluster.wait_until_whole()
        yield cluster


def at(cluster: Cluster, place: str) -> str:
    """The node at a place of the chain."""
    chain: list[str] = cluster.status(next(iter(cluster.processes)))["chain"]
    return {"head": chain[0], "middle": chain[len(chain) // 2], "tail": chain[-1]}[place]


def calm(writers: Writers) -> None:
    """Until every client has been answered a few times more."""
    before = writers.count()
    eventually(lambda: writers.count() > before + 50)


def write_gap(cluster: Cluster, writers: Writers, place: str) -> float:
    """The longest time without an acknowledged write while a node is killed, and comes back."""
    calm(writers)
    name = at(cluster, place)
    began = time.monotonic()
    cluster.kill(name)
    calm(writers)
    cluster.start(name)
    cluster.wait_until_whole(BACK_SECONDS)
    calm(writers)
    return writers.gap(began, time.monotonic())


@dataclass(frozen=True)
class Roll:
    """A restart of all nodes, one after the other: the longest time without an acknowledged write, the
    longest wait of a client, and how many calls there were."""

    gap_s: float
    stall_s: float
    calls: int


def rolling_restart(cluster: Cluster) -> Roll:
    """Restart each node by SIGTERM under load; every call of the client library must be answered."""
    with Writers(cluster, "roll", through_library=True) as writers:
        calm(writers)
        began = time.monotonic()
        for name in cluster.nodes:
            cluster.signal(name, signal.SIGTERM)
            code, stderr = cluster.wait_for_end(name)
            assert code == 0, stderr
            cluster.start(name)
            cluster.wait_until_whole(BACK_SECONDS)
            calm(writers)
        end = time.monotonic()
    return Roll(writers.gap(began, end), writers.stall(began, end), writers.count())


@dataclass(frozen=True)
class Rejoin:
    """The return of a node that has missed much: seconds from its start until it was in the chain, the
    longest wait of a client meanwhile, and the values acknowledged in a second."""

    missed: int
    back_s: float
    stall_s: float
    rate: float


def rejoin(cluster: Cluster, missed: int) -> Rejoin:
    """Let a node miss so many mappings, and come back while clients go on writing."""
    name = at(cluster, "tail")
    cluster.kill(name)
    others = [other for other in cluster.nodes if other != name]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(partial(_fill, cluster, others), range(0, missed, BATCH)))
    values, clients = 50, 8
    every_s = values * clients / VALUES_A_SECOND
    with Writers(cluster, "on", clients=clients, values=values, every_s=every_s) as writers:
        calm(writers)
        began, before = time.monotonic(), writers.count()
        cluster.start(name)
        cluster.wait_until_whole(5 * BACK_SECONDS)
        back = time.monotonic()
        calm(writers)
        end, after = time.monotonic(), writers.count()
    rate = (after - before) * values / (end - began)
    eventually(cluster.agree)
    return Rejoin(missed, back - began, writers.stall(began, end), rate)


def _fill(cluster: Cluster, names: list[str], first: int) -> None:
    urls = [cluster.nodes[name] for name in names]
    with Vault(urls, cluster.keys["A"], deadline_s=60) as vault:
        vault.tokenize([f"missed {number}" for number in range(first, first + BATCH)])


@dataclass(frozen=True)
class Truth:
    """Seconds, after nodes were hit, until no other says what is no longer true; and until all others
    say how it is from then on: who is in the chain, and whether it takes writes."""

    untold_s: float
    settled_s: float


def time_to_truth(cluster: Cluster, others: list[str], health: str, gone: set[str]) -> Truth:
    """How long the others take until their health is so, and nobody of `gone` is in the chain."""
    began = time.monotonic()
    before = "ok" if health == "degraded" else "degraded"
    eventually(lambda: all(cluster.health(name) != before for name in others))
    untold_s = time.monotonic() - began

    def is_settled() -> bool:
        told = [cluster.glance(name) for name in others]
        chains_are_right = all(status and not gone & set(status["chain"]) for status in told)
        return chains_are_right and all(cluster.health(name) == health for name in others)

    if health == "degraded":
        eventually(is_settled)
    return Truth(untold_s, time.monotonic() - began)


def truth(cluster: Cluster, number: signal.Signals) -> dict[str, Truth]:
    """When the others tell the truth after one node, then a second one, crashes or stands still."""
    first, second, last = (at(cluster, place) for place in PLACES)
    found: dict[str, Truth] = {}
    cluster.signal(first, number)
    found["one away"] = time_to_truth(cluster, [second, last], "degraded", {first})
    cluster.signal(second, number)
    found["two away"] = time_to_truth(cluster, [last], "unavailable", {first, second})
    for name in (first, second):
        if number == signal.SIGSTOP:
            cluster.signal(name, signal.SIGCONT)
        else:
            cluster.wait_for_end(name)
            cluster.start(name)
    cluster.wait_until_whole(BACK_SECONDS)
    return found


def views(cluster: Cluster) -> int:
    """How many views the nodes have noted."""
    return len(
        {
            event["view"]
            for name in cluster.nodes
            for event in cluster.events(name)
            if event["event"] == "view"
        }
    )


def needless_views(cluster: Cluster, seconds: float) -> int:
    """Views that begin while both cores are fully loaded and no node fails."""
    before = views(cluster)
    burning = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(2)]
    for process in burning:
        process.start()
    try:
        with Writers(cluster, "steady") as writers:
            threading.Event().wait(seconds)
            calm(writers)
    finally:
        for process in burning:
            process.kill()
            process.join()
    return views(cluster) - before


def _burn() -> None:
    while True:
        pass


def file_through_failover(cluster: Cluster, folder: Path, records: int) -> float:
    """Tokenize a file by the command line and kill the head meanwhile; seconds that it took."""
    source, target = folder / "in.jsonl", folder / "out.jsonl"
    source.write_text("".join(f'{{"id":{n},"ssn":"file {n}"}}\n' for n in range(records)))
    before = cluster.status(at(cluster, "head"))["journal"]["last"]
    command = [
        sys.executable,
        "-m",
        "tvault",
        "tokenize",
        str(source),
        "-o",
        str(target),
        "--batch",
        "100",
    ]
    environment = {
        "TVAULT_URL": ",".join(cluster.nodes.values()),
        "TVAULT_API_KEY": cluster.keys["A"],
    }
    began = time.monotonic()
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    head = at(cluster, "head")
    eventually(lambda: cluster.status(head)["journal"]["last"] > before + 10)
    assert running.poll() is None, "the file was done before the head could fail"
    cluster.kill(head)
    _, stderr = running.communicate(timeout=120)
    took = time.monotonic() - began
    assert running.returncode == 0, stderr
    back = folder / "back.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "tvault", "detokenize", str(target), "-o", str(back)],
        env=environment,
        check=False,
    )
    assert done.returncode == 0
    assert back.read_bytes() == source.read_bytes()
    assert b"file " not in target.read_bytes(), "a value was left in the file"
    cluster.start(head)
    cluster.wait_until_whole(BACK_SECONDS)
    return took


# Commands.


def held(what: str, seconds: float, most: float) -> None:
    """Print a number beside what it may be at most, and insist on that."""
    click.echo(f"{what}: {seconds:.2f} s, at most {most:g} s")
    assert seconds <= most, f"{what}: {seconds:.2f} s is more than {most:g} s"


@click.group()
def main() -> None:
    """Measure, and fail when something takes longer than is promised."""


@main.command("gaps")
@click.option("--times", default=7, show_default=True)
def measure_gaps(times: int) -> None:
    """Time without writes when one node crashes."""
    with running_cluster() as cluster, Writers(cluster, "gap") as writers:
        for place in PLACES:
            gaps = [write_gap(cluster, writers, place) for _ in range(times)]
            click.echo(f"kill -9 of the {place}: " + " ".join(f"{gap:.2f}" for gap in gaps))
            held("  no writes, at the median", statistics.median(gaps), MEDIAN_GAP_SECONDS)
            held("  no writes, at worst", max(gaps), WORST_GAP_SECONDS)


@main.command("rejoin")
@click.option("--missed", default=MISSED, show_default=True)
def measure_rejoin(missed: int) -> None:
    """Time until a node that missed much is back in the chain."""
    with running_cluster() as cluster:
        done = rejoin(cluster, missed)
        click.echo(f"missed {done.missed} mappings; {done.rate:.0f} values a second went on")
        held("  back in the chain after", done.back_s, MISSED_SECONDS)
        held("  longest wait of a client", done.stall_s, STALL_SECONDS)
        assert done.rate > 0.9 * VALUES_A_SECOND, "the clients were slowed down"


@main.command("roll")
def measure_roll() -> None:
    """Restart of all nodes by SIGTERM, one after the other."""
    with running_cluster() as cluster:
        done = rolling_restart(cluster)
        click.echo(f"all nodes restarted in turn: {done.calls} calls, none failed")
        held("  no writes for", done.gap_s, HANDOVER_GAP_SECONDS)
        click.echo(f"  longest wait of a client: {done.stall_s:.2f} s")


@main.command("truth")
def measure_truth() -> None:
    """Time until health and status tell what has happened."""
    with running_cluster() as cluster:
        suspect_s = load(cluster.config, {}).timing.suspect_ms / 1000
        for number, unknown_s in ((signal.SIGKILL, 0.0), (signal.SIGSTOP, suspect_s)):
            for what, found in truth(cluster, number).items():
                held(f"{number.name}, {what}: untrue health for", found.untold_s, TRUTH_SECONDS)
                held("  settled after", found.settled_s, WORST_GAP_SECONDS + unknown_s)


@main.command("steady")
@click.option("--minutes", default=20.0, show_default=True)
def measure_steady(minutes: float) -> None:
    """Views that begin without need while both cores are fully loaded."""
    with running_cluster() as cluster:
        began = needless_views(cluster, 60 * minutes)
        click.echo(f"views that began in {minutes:g} minutes of full load: {began}")
        assert began == 0, "views began without need"


@main.command("file")
@click.option("--records", default=60_000, show_default=True)
def measure_file(records: int) -> None:
    """A file that is tokenized while the head crashes."""
    with running_cluster() as cluster:
        took = file_through_failover(cluster, cluster.folder, records)
        click.echo(f"{records} records tokenized in {took:.1f} s, with the head killed meanwhile")


@main.command("all")
@click.pass_context
def measure_all(context: click.Context) -> None:
    """Everything, one after the other."""
    for command in (
        measure_gaps,
        measure_roll,
        measure_truth,
        measure_file,
        measure_rejoin,
        measure_steady,
    ):
        context.invoke(command)


if __name__ == "__main__":
    main()
