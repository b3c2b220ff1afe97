"""What eight clients of a real cluster were told while nodes crashed, judged as one history."""

from __future__ import annotations

import time

from tests.cluster.cluster import Cluster, eventually
from tests.cluster.crowd import CLIENTS, Crowd, lie_about, read_all_back
from tests.history.check import violations

RUN_SECONDS = 10.0
FLOORS = {"tokenize": 200, "detokenize": 60, "miss": 60, "epoch": 40, "rotate": 5}
"""How many calls of each kind must have been acknowledged for a run to prove anything."""

FEWEST_OF_SECRETS = 8
"""As much for writes and for reads of secrets."""


def crash_and_return(cluster: Cluster, crowd: Crowd, role: str) -> None:
    """Kill the node of a role under load, and start it again once clients have felt it."""
    more_of(crowd, "tokenize", 60)
    name = cluster.by_role(role)
    cluster.kill(name)
    more_of(crowd, "unanswered", 2 * CLIENTS)
    cluster.start(name)
    cluster.wait_until_healthy()
    more_of(crowd, "tokenize", 60)


def more_of(crowd: Crowd, kind: str, more: int) -> None:
    """Wait until there is so much more."""
    before = crowd.pulse.counts()[kind]
    eventually(lambda: crowd.pulse.counts()[kind] >= before + more)


def test_whatever_clients_are_told_while_nodes_crash_could_come_from_one_vault_that_never_failed(
    cluster: Cluster,
) -> None:
    began = time.monotonic()
    with Crowd(cluster) as crowd:
        crash_and_return(cluster, crowd, "head")
        crash_and_return(cluster, crowd, "tail")
        eventually(lambda: time.monotonic() > began + RUN_SECONDS)
    eventually(cluster.agree)
    read_all_back(cluster, crowd, *cluster.nodes)
    eventually(lambda: crowd.keepers.read_back(*cluster.nodes))
    history = crowd.recorder.operations()
    assert violations(history) == []
    summary = crowd.recorder.summary()
    counts = crowd.pulse.counts()
    assert min(counts["retokenize"], counts["lookup"]) >= FLOORS["epoch"] // 2
    assert min(counts["secret-write"], counts["secret-read"]) >= FEWEST_OF_SECRETS
    few = {kind: summary[kind] for kind, floor in FLOORS.items() if summary[kind].acknowledged < floor}
    assert few == {}, "too little was acknowledged to prove anything"
    assert violations([*history, lie_about(history)]) != [], "the check is asleep"
