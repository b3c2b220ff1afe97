"""Run many seeds: `python -m tests.sim --seeds 0:3000 --nodes 3 --jobs 2`.

Ends with status 1 when a run fails, or when all together prove too little.  A failing seed is printed
with the command that replays it and the end of its trace.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TextIO

from tests.sim.profiles import PROFILES
from tests.sim.report import Summary
from tests.sim.run import Outcome, run_seed

TRACE_LINES = 80
FAILURES_SHOWN = 5
CHUNK = 8


def main() -> int:
    """What the command line asks for; the exit status."""
    options = _options()
    seeds: range = options.seeds
    began = time.monotonic()
    summary = Summary(options.nodes)
    for outcome in _outcomes(seeds, options):
        summary.add(outcome)
        if outcome.failure is not None and len(summary.failed) <= FAILURES_SHOWN:
            _tell(outcome, options)
        elif options.trace:
            _say("\n".join(outcome.trace))
        if options.trace:
            _say(f"trace {outcome.digest}")
        if summary.runs % 250 == 0:
            _say(f"{summary.runs} of {len(seeds)}, {time.monotonic() - began:.0f} s", file=sys.stderr)
    _say("\n".join(summary.lines(time.monotonic() - began)))
    if summary.failed:
        _say("failed seeds: " + " ".join(str(each.seed) for each in summary.failed))
    shortfalls = summary.shortfalls(is_mixed=options.profile is None)
    for line in shortfalls:
        _say(f"too little: {line}")
    return 1 if summary.failed or shortfalls else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=_range, default="0:50", help="FROM:TO without TO, or one seed")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--profile", choices=sorted(PROFILES), default=None)
    parser.add_argument("--trace", action="store_true", help="print whole traces, messages included")
    return parser.parse_args()


def _range(text: str) -> range:
    first, _, last = text.partition(":")
    try:
        seeds = range(int(first), int(last) if last else int(first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected FROM:TO or one number, not {text!r}") from None
    if not seeds:
        raise argparse.ArgumentTypeError(f"there is no seed in {text!r}")
    return seeds


def _outcomes(seeds: range, options: argparse.Namespace) -> Iterator[Outcome]:
    run = partial(run_seed, nodes=options.nodes, profile=options.profile, full_trace=bool(options.trace))
    if options.jobs <= 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(options.jobs) as pool:
        yield from pool.map(run, seeds, chunksize=CHUNK)


def _tell(outcome: Outcome, options: argparse.Namespace) -> None:
    """A failure, with the way to see it again."""
    lines = outcome.trace if options.trace else outcome.trace[-TRACE_LINES:]
    profile = f" --profile '{options.profile}'" if options.profile else ""
    _say("\n".join(lines))
    _say(f"seed {outcome.seed} ({outcome.profile}) fails: {outcome.failure}")
    replay = f"python -m tests.sim --seeds {outcome.seed} --nodes {options.nodes}{profile} --trace"
    _say(f"replay: {replay}\n")


def _say(text: str, file: TextIO | None = None) -> None:
    print(text, file=file, flush=True)


if __name__ == "__main__":
    sys.exit(main())
