"""What follows for more values than were measured: computed from the costs of one value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.bench.recorded import Recorded
from tvault.model.commands import BLOCK_VALUES
from tvault.store.building import first_to_merge
from tvault.store.index import RUN_TOKENS
from tvault.store.runs import words_log2

RESTED = 10
"""The checks of a running node work a tenth of the time."""

COLUMNS_BYTES = 24
"""Of a token in the columns of a run."""


@dataclass(frozen=True)
class Merges:
    """What the policy of the merges comes to: runs at the end and at most, how many of them are searched
    for a token that none has, how often a token was written, and the tokens of the largest merge."""

    runs: int
    most_runs: int
    searched: float
    written: float
    largest: int


def merges(tokens: int, run_tokens: int = RUN_TOKENS) -> Merges:
    """Play it for so many tokens that come in one generation after the other."""
    sizes: list[int] = []
    written = most = largest = 0
    for _ in range(tokens // run_tokens):
        sizes.append(run_tokens)
        written += run_tokens
        most = max(most, len(sizes))
        while (first := first_to_merge(sizes)) is not None:
            merged = sum(sizes[first:])
            sizes[first:] = [merged]
            written += merged
            largest = max(largest, merged)
    return Merges(len(sizes), most, sum(map(_perhaps, sizes)), written / tokens, largest)


def _perhaps(tokens: int) -> float:
    """How likely the filter of a run says of a token that it does not have that it may have it: each
    of the tokens in the same word (a Poisson number of them) has set three of its 64 bits, and three
    must be set."""
    words = 1 << words_log2(tokens)
    is_left = (63 / 64) ** 3  # a bit, by one token

    def all_left(bits: int) -> float:
        return math.exp(-tokens / words * (1 - is_left**bits))

    return 1 - 3 * all_left(1) + 3 * all_left(2) - all_left(3)


class Costs:
    """Of one value of 32 characters, on one node, unless said otherwise; of a recorded run."""

    def __init__(self, recorded: Recorded) -> None:
        def figure(subject: str, start: str, end: str = "") -> float:
            return recorded.one(subject, start, end).figure

        run = "a run of "
        self.journal_bytes = {
            (length, fill): figure("files", f"journal, {length} characters, {fill}")
            for length in (9, 32, 100)
            for fill in (FULL, SINGLE)
        }
        self.index_bytes = figure("files", run, "on the disk")
        self.filter_bytes = figure("files", run, "filter in memory")
        self.merge_us = figure("files", run, "merged of 4")
        self.read_mib_per_s = figure("files", run, "checksums compared")
        self.unknown_us = figure("files", run, "asked for unknown tokens")
        self.made_anew_us = {
            fill: figure("files", f"index made anew, {fill}") for fill in (FULL, SINGLE)
        }
        self.check_us = {fill: figure("files", f"journal checked, {fill}") for fill in (FULL, SINGLE)}
        self.new_per_s = figure("bulk", "tokenize new values, command line")
        self.catch_up_per_s = figure("failures", "catch-up on")
        self.start_s = figure("growth", "start of one node", "/status answers")
        memory = recorded.one("growth", "memory of a node")
        stored = int(memory.title.split()[4].replace(",", ""))
        self.base_mib = (
            max(node["anon_mib"] for node in memory.details.values())
            - stored * self.filter_bytes / 2**20
        )


FULL, SINGLE = f"blocks of {BLOCK_VALUES}", "blocks of one value"


@dataclass(frozen=True)
class Expected:
    """What one node needs for so many values."""

    journal_gb: float
    journal_single_gb: float
    index_gb: float
    room_gb: float
    memory_gib: float
    cache_gb: float
    start_s: float
    anew_s: float
    anew_single_s: float
    copy_s: float
    fill_s: float
    recheck_s: float
    check_s: float
    check_single_s: float
    merges: Merges
    merging_s: float
    unknown_us: float


def expected(costs: Costs, values: int) -> Expected:
    """The sums; the words for each stand on the page that shows them."""
    played = merges(values)
    index = values * costs.index_bytes
    return Expected(
        journal_gb=values * costs.journal_bytes[32, FULL] / 1e9,
        journal_single_gb=values * costs.journal_bytes[32, SINGLE] / 1e9,
        index_gb=index / 1e9,
        room_gb=played.largest * costs.index_bytes / 1e9,
        memory_gib=(costs.base_mib + values * costs.filter_bytes / 2**20) / 1024,
        cache_gb=values * COLUMNS_BYTES / 1e9,
        start_s=index / 2**20 / costs.read_mib_per_s,
        anew_s=values * costs.made_anew_us[FULL] / 1e6,
        anew_single_s=values * costs.made_anew_us[SINGLE] / 1e6,
        copy_s=values / costs.catch_up_per_s,
        fill_s=values / costs.new_per_s,
        recheck_s=RESTED * index / 2**20 / costs.read_mib_per_s,
        check_s=RESTED * values * costs.check_us[FULL] / 1e6,
        check_single_s=RESTED * values * costs.check_us[SINGLE] / 1e6,
        merges=played,
        merging_s=values * played.written * costs.merge_us / 1e6,
        unknown_us=played.runs * costs.unknown_us,
    )
