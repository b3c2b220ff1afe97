"""Secrets: single puts and gets beside a single tokenize, `.env` files, and how soon `tvault env run`
starts its child."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from tests.bench import bare
from tests.bench.fleet import fleet, places
from tests.bench.report import Row, at_most
from tests.bench.scale import Scale
from tests.cluster.cluster import Cluster
from tests.cluster.recovery import PLACES
from tvault.client.vault import Vault

SUBJECT = "secrets"
PUT_P50_MS, GET_P50_MS = 6.0, 3.0
"""The targets of single calls."""

ROUNDS = 3
ENTRIES = 100
EXPANSIONS = 50
NAME = "BENCH"

STAGED = """
import sys, time
at = [time.monotonic()]
import click
at.append(time.monotonic())
import tvault.cli.main, tvault.cli.env_run
from tvault.cli.opening import open_vault
at.append(time.monotonic())
vault = open_vault(click.Context(tvault.cli.env_run.command), None)
at.append(time.monotonic())
vault.expand_env(open(sys.argv[1]).read())
at.append(time.monotonic())
print(*at)
"""
"""What `tvault env run` does until it has all values, with the time after each step."""

STAGES = ("Python starts", "click loads", "tvault loads", "configuration", "the call")


def measure(folder: Path, scale: Scale) -> list[Row]:
    """All of it on one cluster."""
    with fleet(folder) as cluster:
        rows = _single(cluster, scale)
        rows.append(_expand(cluster))
        return rows + _start(cluster, folder, scale.answers // 20)


def _single(cluster: Cluster, scale: Scale) -> list[Row]:
    """One client; the kinds of calls and the nodes in turn, so that all have the same weather."""
    with Vault(list(cluster.nodes.values()), cluster.keys["A"]) as vault:
        vault.put_secret(NAME, "x" * 32)
    calls: dict[str, dict[str, str]] = {
        "put": {"method": "PUT", "path": f"/secrets/{NAME}-put"},
        "get": {"method": "GET", "path": f"/secrets/{NAME}"},
        "tokenize": {"path": "/tokenize"},
    }
    told: dict[tuple[str, str], list[float]] = {}
    for turn in range(ROUNDS):
        for place, name in places(cluster).items():
            address = urlsplit(cluster.nodes[name])
            for kind, call in calls.items():
                found = bare.call_many(
                    host=address.hostname,
                    port=address.port,
                    key=cluster.keys["A"],
                    clients=1,
                    seconds=scale.seconds / ROUNDS,
                    prefix=f"{place[0]}-{turn}-{kind[0]}-",
                    **call,
                )
                told.setdefault((kind, place), []).append(found.p50_ms)
    targets = {"put": PUT_P50_MS, "get": GET_P50_MS}
    return [
        Row(
            SUBJECT,
            f"{kind} one secret, {place}, 1 client",
            median(told[kind, place]),
            "ms p50",
            median(told["tokenize", place]),
            "tokenize one new value, the same node",
            at_most(bound),
        )
        for kind, bound in targets.items()
        for place in PLACES
    ]


def _expand(cluster: Cluster) -> Row:
    """A `.env` file in one round trip, beside as many gets, one after the other."""
    names = [f"{NAME}_{number}" for number in range(ENTRIES)]
    with Vault(list(cluster.nodes.values()), cluster.keys["A"]) as vault:
        content = "".join(f"V_{name}=enc({name})\n" for name in names)
        content = vault.encrypt_env(content, {name: f"value of {name}" for name in names}).content
        gets = [_taken_ms(lambda name=name: vault.get_secret(name)) for name in names]  # type: ignore[misc]
        taken = [_taken_ms(lambda: vault.expand_env(content)) for _ in range(EXPANSIONS)]
    return Row(
        SUBJECT,
        f"expand {ENTRIES} entries of a .env file, 1 client",
        median(taken),
        "ms p50",
        sum(gets),
        "as many gets, one after the other",
    )


def _taken_ms(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return 1e3 * (time.perf_counter() - began)


def _start(cluster: Cluster, folder: Path, rounds: int) -> list[Row]:
    """How long until the child of `env run` has ended, and what of it Python, click, the modules of
    tvault, the configuration and the call take."""
    file = folder / "bench.env"
    file.write_text("".join(f"V_{n}=secret({NAME}_{n})\n" for n in range(10)))
    environ = {
        **{name: text for name, text in os.environ.items() if not name.startswith("TVAULT_")},
        "TVAULT_CONFIG": str(cluster.config),
        "TVAULT_API_KEY": cluster.keys["A"],
    }
    run = ["-m", "tvault", "env", "run", str(file), "--", "true"]
    whole, nothing = [], []
    stages: list[list[float]] = []
    for _ in range(max(3, rounds)):
        nothing.append(_taken_ms(lambda: _python(["-c", "pass"], environ)))
        stages.append(_staged(file, environ))
        whole.append(_taken_ms(lambda: _python(run, environ)))
    split = dict(zip(STAGES, (median(each) for each in zip(*stages, strict=True)), strict=True))
    floor = split["Python starts"] + split["click loads"] + split["the call"]
    rows = [
        Row(
            SUBJECT,
            "tvault env run, until `true` has ended",
            median(whole),
            "ms p50",
            floor,
            "the start of Python, click and the call alone",
            details={f"{name.replace(' ', '_')}_ms": figure for name, figure in split.items()},
        )
    ]
    rows += [
        Row(SUBJECT, f"tvault env run: {name}", figure, "ms p50", median(nothing), "python -c pass")
        for name, figure in split.items()
    ]
    return rows


def _staged(file: Path, environ: dict[str, str]) -> list[float]:
    began = time.monotonic()
    told = _python(["-c", STAGED, str(file)], environ)
    at = [began, *map(float, told.split())]
    return [1e3 * (after - before) for before, after in pairwise(at)]


def _python(args: Sequence[str], environ: dict[str, Any]) -> str:
    command = [sys.executable, *args]
    return subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True).stdout
