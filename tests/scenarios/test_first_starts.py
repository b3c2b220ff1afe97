"""First starts with a slow disk: the questions of several founders overlap, and a chain comes of it,
with syncs of up to half of `suspect_ms`."""

from __future__ import annotations

import pytest

from tests.scenarios.director import Director

WITHIN_MS = 10_000


@pytest.mark.parametrize("sync_ms", [100, 200, 250, 300, 350, 400])
@pytest.mark.parametrize("nodes", [3, 5])
def test_a_first_start_with_a_slow_disk_comes_to_a_chain(nodes: int, sync_ms: int) -> None:
    play = Director()
    for command in (f"nodes {nodes}", "quiet", "start"):
        play.do(command)
    slow, began = play.stage["n3"], play.stage.now
    while not any(node.state.can_write for node in play.stage.staged.values()):
        assert play.stage.now - began < WITHIN_MS
        slow.stop_before, slow.stops_at = "promise", lambda ready: ready.promise is not None
        play.do("run 25")
        if slow.is_stopped:
            play.do(f"run {sync_ms}")
            slow.stop_before = None
            play.do("go n3")
