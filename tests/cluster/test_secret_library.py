"""Secrets through the library while nodes of a real cluster crash.

A write whose answer is lost with its node is made again by the library: with the same key, so that it is
carried out once.  Were it carried out twice, a value would have two versions; were its own first attempt
taken for another writer's, a conditional write would be refused that had been made.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.cluster.cluster import Cluster, eventually
from tvault import Vault, VaultError

WRITERS = 4
"""Of each kind, all of one secret: what one repeats, another has long written over."""

BEFORE = 40
"""Calls that are answered before the node is killed, and as many after."""


class Kinds:
    """What the threads do, each for one value that no other thread ever writes; the versions that are
    acknowledged, with their values."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.made: dict[str, list[tuple[int, str]]] = {
            name: [] for name in ("PUT", "MATCHED", "ONE", "TWO")
        }

    def put(self, value: str) -> None:
        """Put the value, whatever there is."""
        made = self._vault.put_secret("PUT", value)
        assert made.created
        self.made["PUT"].append((made.version, value))
        assert self._vault.get_secret("PUT", version=made.version).value == value
        assert self._vault.get_secret("PUT").version >= made.version

    def put_matched(self, value: str) -> None:
        """Put the value in the place of the one that was seen."""
        while True:
            version = self._vault.get_secret("MATCHED").version
            try:
                made = self._vault.put_secret("MATCHED", value, if_match=version)
            except VaultError as error:
                if error.code != "precondition_failed" or error.members["version"] <= version:
                    raise
                continue
            assert made.version == version + 1
            self.made["MATCHED"].append((made.version, value))
            return

    def encrypt(self, value: str) -> None:
        """Put two values at once."""
        answer = self._vault.encrypt_env("A=enc(ONE)\nB=enc(TWO)\n", {"ONE": value, "TWO": value})
        one, two = answer.stored
        assert (one.name, two.name, one.version) == ("ONE", "TWO", two.version)
        for name in ("ONE", "TWO"):
            self.made[name].append((one.version, value))


def test_every_write_is_answered_and_made_once_though_nodes_are_killed_in_the_middle_of_them(
    cluster: Cluster,
) -> None:
    """One after the other, each when the others are whole again; every one of them is in use."""
    ended = threading.Event()
    answered = [0] * WRITERS * 3

    def write(number: int, kind: Callable[[str], None]) -> None:
        for turn in itertools.count():
            if ended.is_set():
                return
            kind(f"{number} {turn}")
            answered[number] += 1

    urls = list(cluster.nodes.values())
    with (
        Vault(urls, cluster.keys["A"], deadline_s=30) as vault,
        ThreadPoolExecutor(len(answered)) as pool,
    ):
        vault.put_secret("MATCHED", "the first")
        kinds = Kinds(vault)
        kinds.made["MATCHED"].append((1, "the first"))
        each = [kinds.put, kinds.put_matched, kinds.encrypt] * WRITERS
        waiting = [pool.submit(write, number, kind) for number, kind in enumerate(each)]
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
        for future in waiting:
            future.result()
    for url in urls:
        with Vault([url], cluster.keys["A"]) as one:
            for name, made in kinds.made.items():
                numbers = [version.version for version in one.secret_history(name)]
                assert numbers == sorted(number for number, _ in made)
                assert numbers == list(range(1, len(made) + 1))
    with Vault(urls, cluster.keys["A"]) as vault:
        for name, made in kinds.made.items():
            for number, value in made:
                assert vault.get_secret(name, version=number).value == value
