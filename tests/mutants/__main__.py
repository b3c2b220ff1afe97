"""How many deliberate faults are noticed: `python -m tests.mutants [--jobs 2] [NAME ...]`.

Each mutant is a copy of the tree with one rule taken out.  The scenarios and tests that are named with
it run there first, the scenarios by what they expect alone; only if all of them pass has the simulator
to find the fault, within 2,000 seeds.  Ends with status 1 unless every mutant is noticed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.mutants import ALL
from tests.mutants.mutant import ROOT, Mutant

SEEDS = 2_000
LIMIT_SECONDS = 600
LONGEST = 150
LEFT_OUT = shutil.ignore_patterns("__pycache__")
COPIED = ("tvault", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Verdict:
    """Who noticed a mutant (nobody: None), and how long that took."""

    mutant: Mutant
    by: str | None
    seconds: float


def main() -> int:
    """What the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="these alone")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many the simulator may take")
    parser.add_argument("--simulator", action="store_true", help="the simulator alone is to notice")
    options = parser.parse_args()
    unknown = set(options.names) - {each.name for each in ALL}
    if unknown:
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
    chosen = [each for each in ALL if not options.names or each.name in options.names]
    width = max(len(each.name) for each in chosen)
    began = time.monotonic()
    verdicts = []
    with ThreadPoolExecutor(options.jobs) as pool:
        judging = partial(judge, seeds=options.seeds, is_random_alone=options.simulator)
        for verdict in pool.map(judging, chosen):
            verdicts.append(verdict)
            by = (verdict.by or "NOBODY")[:LONGEST]
            _say(f"{verdict.mutant.name:{width}}  {verdict.seconds:4.1f} s  {verdict.mutant.rule}")
            _say(f"{'':{width}}          noticed by {by}")
    caught = sum(verdict.by is not None for verdict in verdicts)
    score = 100 * caught // len(verdicts)
    _say(f"{caught} of {len(verdicts)} mutants noticed: {score} %, {time.monotonic() - began:.0f} s")
    return 0 if caught == len(verdicts) else 1


def copy_tree(root: Path) -> None:
    """A copy of what the tests need, to be changed."""
    root.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=LEFT_OUT)
        else:
            shutil.copy2(source, root / name)


def judge(mutant: Mutant, seeds: int, *, is_random_alone: bool) -> Verdict:
    """Run the mutant's scenarios and tests in a copy of the tree, then perhaps the simulator."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tvault-mutant-") as folder:
        root = Path(folder) / "tree"
        copy_tree(root)
        for edit in mutant.edits:
            edit.apply(root)
        by = None if is_random_alone else _noticed_by_tests(mutant, root)
        by = by or _noticed_by_simulator(mutant, root, seeds)
    return Verdict(mutant, by, time.monotonic() - began)


def _noticed_by_tests(mutant: Mutant, root: Path) -> str | None:
    if mutant.scenarios:
        done = _run(root, "tests.scenarios", *mutant.scenarios)
        failed = re.search(r"^(\w+) fails: (.*?)(, after)?$", done.stdout, re.MULTILINE)
        if failed is not None:
            return f"scenario {failed[1]}: {failed[2]}"
        _require(done, mutant, 0)
    if mutant.tests:
        done = _run(root, "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.tests)
        failed = re.search(r"^FAILED \S+::(\S+)", done.stdout, re.MULTILINE)
        if failed is not None:
            return f"test {failed[1]}"
        _require(done, mutant, 0)
    return None


def _require(done: subprocess.CompletedProcess[str], mutant: Mutant, status: int) -> None:
    if done.returncode != status:
        raise RuntimeError(f"{mutant.name} cannot be judged:\n{done.stdout}\n{done.stderr}")


def _noticed_by_simulator(mutant: Mutant, root: Path, seeds: int) -> str | None:
    done = _run(root, "tests.mutants.hunt", str(seeds))
    if done.returncode == 1 and done.stdout.startswith("seed"):
        return f"simulator, {done.stdout.strip()}"
    _require(done, mutant, 0)
    return None


def _run(root: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
