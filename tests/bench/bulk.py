"""Bulk: many values a request, through the client library and through the command line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import baseline, machine
from tests.bench.baseline import Baseline
from tests.bench.fleet import Use, cpu_by_place, fleet, in_a_process, spent
from tests.bench.report import Details, Row, Target, ratio_at_least
from tests.bench.scale import Scale
from tests.cluster.cluster import Cluster, eventually

NEW, KNOWN, BACK = 2.0, 3.0, 1.0
"""The targets: how many times as fast as raw inserts, again, and as raw look-ups."""

INSERTS = "raw inserts, tuned"
LOOK_UPS = "raw IN (1,000)"


@dataclass(frozen=True)
class Took:
    """One run: values, seconds, CPU by process, and the client's peak memory where it was looked at."""

    count: int
    seconds: float
    use: Use
    client_mib: float | None = None

    @property
    def per_second(self) -> float:
        """Values a second."""
        return self.count / self.seconds

    def details(self) -> Details:
        """What stands below the row."""
        told: Details = {"cpu_s_per_million": self.use.per_million(self.count)}
        return told if self.client_mib is None else told | {"client_mib": self.client_mib}


def watched(cluster: Cluster, run: Callable[[], tuple[int, float, float, float | None]]) -> Took:
    """Do a run (values, seconds, the client's CPU seconds and memory) and read the nodes' CPU."""
    before = cpu_by_place(cluster)
    count, seconds, client, client_mib = run()
    return Took(count, seconds, Use(client, spent(before, cpu_by_place(cluster))), client_mib)


def by_library(cluster: Cluster, action: str, tokens: Path, **wish: Any) -> Took:
    """Through `Vault`: see `tests.bench.bulk_client`."""
    task = {
        "action": action,
        "urls": list(cluster.nodes.values()),
        "key": cluster.keys["A"],
        "file": str(tokens),
        **wish,
    }

    def run() -> tuple[int, float, float, float | None]:
        told = in_a_process("tests.bench.bulk_client", task)
        return told["count"], told["seconds"], told["cpu_seconds"], None

    return watched(cluster, run)


def by_command_line(cluster: Cluster, action: str, count: int, source: Path, target: Path) -> Took:
    """Through `tvault` as users call it, from a file to a file: batches and requests at a time are what
    it chooses, and the start of its process is part of the time."""
    environment = {"TVAULT_URL": ",".join(cluster.nodes.values()), "TVAULT_API_KEY": cluster.keys["A"]}
    task = {"command": [sys.executable, "-m", "tvault", action, str(source), "-o", str(target)]}

    def run() -> tuple[int, float, float, float | None]:
        told = in_a_process("tests.bench.command", task, environment)
        assert told["code"] == 0, f"tvault {action} failed"
        return count, told["seconds"], told["cpu_seconds"], told["peak_mib"]

    return watched(cluster, run)


def write_records(file: Path, prefix: str, count: int) -> None:
    """A JSONL file of records with one configured field, all values distinct and 32 characters long."""
    with file.open("w") as out:
        for number in range(count):
            value = f"{prefix}{number:0{32 - len(prefix)}d}"
            out.write(
                f'{{"id":{number},"ssn":"{value}","city":"Springfield","year":{1980 + number % 30}}}\n'
            )


def library_runs(cluster: Cluster, folder: Path, scale: Scale) -> Iterator[tuple[str, Took]]:
    """The four runs through the library, each with its name."""
    tokens, again = folder / "tokens.txt", folder / "again.txt"
    wish = {"prefix": "lib-", "count": scale.values, "batch": scale.batch, "threads": scale.threads}
    yield "new", by_library(cluster, "tokenize", tokens, **wish)
    yield "known", by_library(cluster, "tokenize", again, **wish)
    assert tokens.read_bytes() == again.read_bytes(), "a value has got another token"
    yield "in order", by_library(cluster, "detokenize", tokens, **wish)
    yield "shuffled", by_library(cluster, "detokenize", tokens, seed=1, **wish)


def command_line_runs(cluster: Cluster, folder: Path, scale: Scale) -> Iterator[tuple[str, Took]]:
    """The three runs through the command line, each with its name."""
    source, tokens, again, back = (folder / f"{name}.jsonl" for name in ("in", "out", "again", "back"))
    count = scale.values
    write_records(source, "cli-", count)
    yield "new", by_command_line(cluster, "tokenize", count, source, tokens)
    yield "known", by_command_line(cluster, "tokenize", count, source, again)
    assert tokens.read_bytes() == again.read_bytes(), "a value has got another token"
    yield "in order", by_command_line(cluster, "detokenize", count, tokens, back)
    assert back.read_bytes() == source.read_bytes(), "a value was not given back as it was"


def row(way: str, name: str, took: Took, raw: Baseline) -> Row:
    """A run beside its baseline."""
    kinds: dict[str, tuple[str, float, str, Target]] = {
        "new": ("tokenize new values", raw.tuned.per_second, INSERTS, ratio_at_least(NEW)),
        "known": ("tokenize known values", raw.tuned.per_second, INSERTS, ratio_at_least(KNOWN)),
        "in order": ("detokenize, as made", raw.in_order.per_second, LOOK_UPS, ratio_at_least(BACK)),
        "shuffled": (
            "detokenize, shuffled",
            raw.shuffled.per_second,
            f"{LOOK_UPS}, shuffled",
            ratio_at_least(BACK),
        ),
    }
    title, per_second, against, target = kinds[name]
    return Row(
        "bulk",
        f"{title}, {way}",
        took.per_second,
        "values/s",
        per_second,
        against,
        target,
        took.details(),
    )


def raw_rows(raw: Baseline) -> list[Row]:
    """The baseline itself."""
    named = (
        (
            "raw SQLite: inserts, tuned checkpoints",
            raw.tuned,
            "every 16,000 pages: the one of all ratios",
        ),
        ("raw SQLite: inserts, default checkpoints", raw.as_written, "every 1,000 pages"),
        ("raw SQLite: IN (1,000), as inserted", raw.in_order, ""),
        ("raw SQLite: IN (1,000), shuffled", raw.shuffled, ""),
    )
    return [
        Row(
            "bulk",
            title,
            one.per_second,
            "rows/s",
            against=against,
            details={"cpu_us_per_row": round(one.cpu_us, 2)},
        )
        for title, one, against in named
    ]


def disk_row(cluster: Cluster, stored: int, raw: Baseline) -> Row:
    """What a stored value takes on the disk of one node when it has ended, so that nothing waits in the
    write-ahead log; the size of that while the node runs is told beside it."""
    logs = [machine.disk_bytes(cluster.data(name), is_log=True) / 2**20 for name in cluster.nodes]
    for name in cluster.nodes:
        cluster.signal(name, signal.SIGTERM)
        cluster.wait_for_end(name)
    sizes = [machine.disk_bytes(cluster.data(name)) / stored for name in cluster.nodes]
    details = {"nodes_bytes": sizes, "write_ahead_logs_mib": logs, "stored": stored}
    against = "raw SQLite, one file"
    return Row(
        "bulk", "disk for a value, a node", max(sizes), "bytes", raw.disk_bytes, against, None, details
    )


def measure(folder: Path, scale: Scale) -> list[Row]:
    """The baseline and right after it tvault, with as many values as the baseline had rows."""
    raw = baseline.measure(folder, scale.values)
    rows = raw_rows(raw)
    for way, runs in (("library", library_runs), ("command line", command_line_runs)):
        name = folder / way.replace(" ", "-")
        name.mkdir()
        with fleet(name) as cluster:
            rows += [row(way, kind, took, raw) for kind, took in runs(cluster, name, scale)]
            eventually(cluster.agree)
            if runs is library_runs:
                rows.append(disk_row(cluster, scale.values, raw))
    return rows
