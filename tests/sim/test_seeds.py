"""Runs of the simulator: a fixed set of seeds, one that nobody has seen, and what gives them worth."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.profiles import PROFILES
from tests.sim.report import FLOORS, Summary
from tests.sim.run import Outcome, run_seed

ROOT = Path(__file__).parents[2]
FIXED = {1: range(4), 2: range(4), 3: range(28), 5: range(12)}
CHUNK = 4
SIZES = sorted(FIXED)


CHUNKS = [
    (nodes, seeds[first : first + CHUNK])
    for nodes, seeds in FIXED.items()
    for first in range(0, len(seeds), CHUNK)
]


def refuse_failure(outcome: Outcome, nodes: int) -> None:
    """Fail with the seed, the command that replays it, and the end of its trace."""
    if outcome.failure is not None:
        replay = f"python -m tests.sim --seeds {outcome.seed} --nodes {nodes} --trace"
        told = "\n".join(outcome.trace[-40:])
        pytest.fail(f"{told}\nseed {outcome.seed}: {outcome.failure}\nreplay: {replay}", pytrace=False)


@pytest.mark.parametrize(("nodes", "seeds"), CHUNKS)
def test_what_clients_see_through_all_faults_is_one_vault_that_never_forgets(
    nodes: int, seeds: range
) -> None:
    for seed in seeds:
        refuse_failure(run_seed(seed, nodes), nodes)


@pytest.mark.parametrize("nodes", SIZES)
def test_a_seed_that_nobody_has_seen_holds_as_well(nodes: int) -> None:
    seed = int.from_bytes(os.urandom(5), "big")
    refuse_failure(run_seed(seed, nodes), nodes)


@pytest.mark.parametrize("profile", PROFILES)
def test_each_kind_of_trouble_is_survived_by_three_nodes(profile: str) -> None:
    refuse_failure(run_seed(1, 3, profile), 3)


@pytest.mark.parametrize(("nodes", "profile"), [(1, "crashes"), (3, "everything"), (5, "partitions")])
def test_a_seed_gives_the_same_run_to_the_last_message_twice(nodes: int, profile: str) -> None:
    first, second = (run_seed(11, nodes, profile, full_trace=True) for _ in range(2))
    assert first.trace == second.trace
    assert first.digest == second.digest
    assert len(first.trace) > 1_000


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    command = [sys.executable, "-m", "tests.sim", "--seeds", "12", "--profile", "everything", "--trace"]
    digests = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        digests += [line for line in done.stdout.splitlines() if line.startswith("trace ")]
    assert len(digests) == 2
    assert digests == [f"trace {run_seed(12, 3, 'everything', full_trace=True).digest}"] * 2


def test_keeping_every_message_changes_nothing_in_a_run() -> None:
    brief, full = run_seed(13, 3, "crashes"), run_seed(13, 3, "crashes", full_trace=True)
    assert brief.counts == full.counts
    assert brief.acknowledged == full.acknowledged


def test_runs_that_acknowledge_too_little_or_meet_too_few_faults_prove_nothing() -> None:
    outcome = run_seed(14, 3, "calm")
    summary = Summary(3)
    for _ in range(50):
        summary.add(outcome)
    assert summary.shortfalls(is_mixed=False) == []
    missing = summary.shortfalls(is_mixed=True)
    assert "no run met this: crashes" in missing
    assert "no run met this: lost disks" in missing
    outcome.acknowledged.clear()
    idle = Summary(3)
    idle.add(outcome)
    assert len(idle.shortfalls(is_mixed=False)) == len(FLOORS)
