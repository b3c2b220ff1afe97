"""What of a node is read when Prometheus asks for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tvault.replication.account import Condition
from tvault.replication.promise import Standing
from tvault.replication.state import State
from tvault.server import measures
from tvault.server.backlog import Backlog
from tvault.server.damage import Damage
from tvault.server.measures import Measure
from tvault.server.sizes import sizes_of
from tvault.server.web import Crowd
from tvault.store.ports import Store

ROLES = ("head", "middle", "tail", "single", "outside")


class Desk(Protocol):
    """What is read of the node: see `server.node.Node`."""

    @property
    def state(self) -> State:
        """What the node said of itself last."""

    @property
    def can_write(self) -> bool:
        """Whether it takes writes."""

    @property
    def silent_s(self) -> float:
        """For how long its thread has been busy with one step."""

    @property
    def inbox(self) -> Backlog:
        """What waits for its thread."""

    @property
    def damage(self) -> Damage:
        """What is known of damage in files in use."""


class Sources(NamedTuple):
    """Where a node's gauges are read.  `peers` gives the streams that come in and the strangers so far,
    `lost` the events lost so far."""

    cluster: str
    ensemble: int
    folder: Path
    node: Desk
    store: Store
    crowd: Callable[[], Crowd]
    peers: Callable[[], tuple[int, int]]
    lost: Callable[[], int]


class Gauges(Collector):
    """Reads a node's sources.  A look takes no lock that the node's thread waits for."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now."""
        yield from self._of_the_chain()
        yield from self._of_the_queue()
        yield from self._of_the_files()

    def _of_the_chain(self) -> Iterator[Metric]:
        sources, state = self._sources, self._sources.node.state
        yield _family(measures.NODE, {(sources.cluster, state.node): 1})
        yield _family(measures.ROLE, {(role,): int(role == state.role) for role in ROLES})
        yield _one(measures.VIEW, state.view)
        yield _one(measures.CHAIN_NODES, len(state.chain))
        yield _one(measures.ENSEMBLE_NODES, sources.ensemble)
        yield _one(measures.CAN_WRITE, sources.node.can_write)
        yield _one(measures.MAY_VOTE, state.standing is Standing.VOTER)
        yield _one(measures.LAST_ENTRY, state.last)
        yield _one(measures.COMMITTED_ENTRY, state.committed)

    def _of_the_queue(self) -> Iterator[Metric]:
        node, crowd = self._sources.node, self._sources.crowd()
        items, size = node.inbox.load
        streams, strangers = self._sources.peers()
        yield _one(measures.BUSY_SECONDS, node.silent_s)
        yield _one(measures.INBOX_ITEMS, items)
        yield _one(measures.INBOX_BYTES, size)
        yield _one(measures.REQUESTS_WORKING, crowd.working)
        yield _one(measures.REQUESTS_WAITING, crowd.waiting)
        yield _one(measures.BODIES_WAITING, crowd.bodies)
        yield _one(measures.STREAMS, streams)
        yield _one(measures.STRANGERS, strangers)
        yield _one(measures.EVENTS_LOST, self._sources.lost())

    def _of_the_files(self) -> Iterator[Metric]:
        sources = self._sources
        work = sources.store.index_work()
        yield _one(measures.TOKENS, sources.store.counts()[1])
        yield _one(measures.RUNS, work.runs)
        yield _one(measures.GENERATIONS, work.generations)
        yield _one(measures.MERGES, work.merges)
        yield _one(measures.MERGE_SECONDS, work.merge_seconds)
        yield _one(measures.REPAIRS, work.repairs)
        yield _family(
            measures.FOLDER_BYTES, {(part,): size for part, size in sizes_of(sources.folder).items()}
        )
        with suppress(OSError):
            disk = shutil.disk_usage(sources.folder)
            yield _one(measures.DISK_FREE, disk.free)
            yield _one(measures.DISK_SIZE, disk.total)
        yield _one(measures.DISK_FULL, sources.node.state.condition is Condition.FULL)
        yield _one(measures.DAMAGED, sources.node.damage.why is not None)


def _one(measure: Measure, value: float) -> Metric:
    return _family(measure, {(): value})


def _family(measure: Measure, values: dict[tuple[str, ...], float]) -> Metric:
    kind = CounterMetricFamily if measure.kind == "counter" else GaugeMetricFamily
    family = kind(measure.name, measure.help, labels=measure.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
