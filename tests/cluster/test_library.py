"""The library while nodes of a real cluster crash."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.cluster.cluster import Cluster, eventually
from tvault import Vault

THREADS = 12
BEFORE = 40
"""Calls that are answered before the node is killed, and as many after."""


def test_every_call_is_answered_though_nodes_are_killed_in_the_middle_of_them(cluster: Cluster) -> None:
    """One after the other, each when the others are whole again; every one of them is in use."""
    answered = [0] * THREADS
    ended = threading.Event()

    def calls(number: int) -> int:
        while not ended.is_set():
            value = f"{number} {answered[number]}"
            made = vault.tokenize([value, answered[number]])
            assert vault.detokenize_tokens(made.tokens).values == [value, answered[number]]
            assert vault.retokenize(made.tokens).tokens == made.tokens
            assert vault.lookup([value]) == [{1: made.tokens[0]}]
            answered[number] += 1
        return answered[number]

    with (
        Vault(list(cluster.nodes.values()), cluster.keys["A"], deadline_s=30) as vault,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        waiting = [pool.submit(calls, number) for number in range(THREADS)]
        try:
            for name in cluster.nodes:
                goal = sum(answered) + BEFORE
                eventually(lambda goal=goal: sum(answered) >= goal, 60)  # type: ignore[misc]
                cluster.kill(name)
                goal = sum(answered) + BEFORE
                eventually(lambda goal=goal: sum(answered) >= goal, 60)  # type: ignore[misc]
                cluster.start(name)
                cluster.wait_until_whole(60)
        finally:
            ended.set()
        assert all(future.result() > 0 for future in waiting)
