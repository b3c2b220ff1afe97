"""A client in a process of its own that tokenizes or detokenizes many values, told what to do by JSON.

It calls `tvault.client.vault.Vault` from several threads, which spreads the requests over all nodes.
The batches are made before the clock starts, and the answers are checked, each, after it stopped.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from tvault.client.vault import Vault


class Task(msgspec.Struct):
    """What to do: `tokenize` the values numbered from `first` on, each of 32 characters, and write the
    token of every `keep`-th to `file` with its number; or `detokenize` up to `count` tokens of `file`,
    shuffled by `seed`, or as they stand when that is 0."""

    action: str
    urls: list[str]
    key: str
    file: str
    prefix: str
    count: int
    first: int = 0
    keep: int = 1
    batch: int = 5_000
    threads: int = 4
    seed: int = 0


class Told(msgspec.Struct):
    """How long it took, from the first request to the last answer, and the CPU of this process in that
    time."""

    count: int
    seconds: float
    cpu_seconds: float


def value_of(prefix: str, number: int) -> str:
    """A value of 32 characters."""
    return f"{prefix}{number:0{32 - len(prefix)}d}"


def clocked(
    task: Task, batches: Sequence[list[str]], call: Callable[[Vault, list[str]], list[Any]]
) -> tuple[Told, list[Any]]:
    """Make one call for each batch; their answers, joined."""
    with (
        Vault(task.urls, task.key, connections=task.threads) as vault,
        ThreadPoolExecutor(task.threads) as pool,
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        parts = list(pool.map(lambda batch: call(vault, batch), batches))
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    answers = [answer for part in parts for answer in part]
    return Told(len(answers), seconds, cpu_seconds), answers


def in_batches(texts: list[str], size: int) -> list[list[str]]:
    """`texts` in parts of `size`."""
    return [texts[at : at + size] for at in range(0, len(texts), size)]


def tokenize(task: Task) -> Told:
    """Tokenize, and keep tokens."""
    values = [value_of(task.prefix, task.first + at) for at in range(task.count)]
    told, tokens = clocked(
        task, in_batches(values, task.batch), lambda vault, batch: vault.tokenize(batch).tokens
    )
    assert len(set(tokens)) == task.count, "tokens are missing, or two values have the same"
    with Path(task.file).open("a") as out:
        for at in range(0, task.count, task.keep):
            out.write(f"{task.first + at} {tokens[at]}\n")
    return told


def detokenize(task: Task) -> Told:
    """Detokenize, and compare every value."""
    kept = [line.split() for line in Path(task.file).read_text().splitlines()]
    if task.seed:
        Random(task.seed).shuffle(kept)
    kept = kept[: task.count]
    told, values = clocked(
        task,
        in_batches([token for _, token in kept], task.batch),
        lambda vault, batch: vault.detokenize_tokens(batch).values,
    )
    assert values == [value_of(task.prefix, int(number)) for number, _ in kept], "wrong values"
    return told


def main() -> None:
    """One task from stdin; its result on stdout."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    told = tokenize(task) if task.action == "tokenize" else detokenize(task)
    print(json.dumps(msgspec.to_builtins(told)))


if __name__ == "__main__":
    main()
