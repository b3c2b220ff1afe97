"""How much is measured: about ten minutes, about one, or next to nothing to see that it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """`values` of a bulk run, a multiple of 1,000, `batch` of them a request from `threads` threads;
    `clients` at a time with single calls, for `seconds` each; `stored` are the sizes at which a cluster
    is looked at with `probe` values, a multiple of 1,000, each larger than the one before by more than
    three times that; `missed` are the mappings that a node has to catch up on, a multiple of 1,000; each
    role is killed `kills` times; `nodes` and `batches` are what the cost of a value is compared by;
    `answers` of each kind are compared by their times."""

    values: int
    clients: tuple[int, ...]
    seconds: float
    stored: tuple[int, ...]
    probe: int
    missed: int
    kills: int
    batch: int = 5_000
    threads: int = 4
    nodes: tuple[int, ...] = (1, 3)
    batches: tuple[int, ...] = (1, 100, 5_000)
    answers: int = 300


SCALES = {
    "full": Scale(
        values=1_000_000,
        clients=(1, 8, 32),
        seconds=2.5,
        stored=(100_000, 1_000_000, 5_000_000),
        probe=100_000,
        missed=1_000_000,
        kills=5,
        nodes=(1, 3, 5),
        batches=(1, 10, 100, 1_000, 5_000),
        answers=2_000,
    ),
    "small": Scale(100_000, (1, 8, 32), 0.4, (20_000, 100_000), 20_000, 50_000, 1),
    "tiny": Scale(
        4_000,
        (2,),
        0.1,
        (1_000, 8_000),
        1_000,
        2_000,
        1,
        batch=500,
        threads=2,
        batches=(1, 500),
        answers=20,
    ),
}
