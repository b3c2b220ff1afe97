"""Rotations that race with tokenizations, and with each other, through every node and a gateway.

`TVAULT_RACE_SECONDS=600 .venv/bin/pytest tests/cluster/test_epochs.py` races for longer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import GATEWAY, Cluster, eventually
from tests.cluster.racing import Race, Seen, wrong_counts

RACE_SECONDS = float(os.environ.get("TVAULT_RACE_SECONDS", "6"))
AT_ONCE = 1000


@pytest.fixture
def racing(tmp_path: Path) -> Iterator[Cluster]:
    """Three nodes in a chain, and a gateway."""
    with Cluster(tmp_path / "vault") as cluster:
        cluster.open()
        yield cluster
        assert cluster.ended() == []


def race_for(race: Race, seconds: float) -> None:
    """Let the clients race for so long, and until each owner has seen much since."""
    end = time.monotonic() + seconds
    before = {owner: seen.newest_answered() for owner, seen in race.seen.items()}

    def has_raced() -> bool:
        race.check()
        later = all(race.seen[owner].newest_answered() >= before[owner] + 3 for owner in before)
        return later and time.monotonic() >= end

    eventually(has_raced, seconds + 60)


def assert_sound(cluster: Cluster, owner: str, seen: Seen) -> None:
    """No epoch was skipped or begun twice, all nodes agree, and everything acknowledged resolves."""
    fronts = [*cluster.nodes, GATEWAY]
    active = {cluster.get(front, "/epoch", owner)["epoch"] for front in fronts}
    assert len(active) == 1
    newest = active.pop()
    assert newest >= seen.floor
    assert list(wrong_counts(seen, newest)) == []
    tokens = list(seen.tokens)
    assert {int(token.split("_")[1]) for token in tokens} <= set(range(1, newest + 1))
    for front in fronts:
        for at in range(0, len(tokens), AT_ONCE):
            part = tokens[at : at + AT_ONCE]
            assert cluster.detokenize(front, part, owner) == [seen.tokens[token] for token in part]


def test_no_request_mixes_epochs_or_uses_an_old_one_while_rotations_race_on_all_nodes(
    racing: Cluster,
) -> None:
    with Race(racing, [*racing.nodes, GATEWAY]) as race:
        race_for(race, RACE_SECONDS / 2)
    for owner, seen in race.seen.items():
        assert_sound(racing, owner, seen)
        assert min(seen.repeats, seen.conflicts) > 0, "no rotations raced"
        assert seen.answers["/retokenize"] > 5 < seen.answers["/tokenize"]
        assert len({token.split("_")[1] for token in seen.tokens}) >= 3


def test_nor_does_any_while_a_node_dies_in_between(racing: Cluster) -> None:
    head = racing.by_role("head")
    with Race(racing, [*racing.nodes, GATEWAY], seed=1) as race:
        race_for(race, RACE_SECONDS / 6)
        racing.kill(head)
        race_for(race, RACE_SECONDS / 6)
        racing.start(head)
        race_for(race, RACE_SECONDS / 6)
    racing.wait_until_whole()
    for owner, seen in race.seen.items():
        assert_sound(racing, owner, seen)
