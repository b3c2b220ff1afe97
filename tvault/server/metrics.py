"""What a node or a gateway counts while it runs, in a registry of its own, as Prometheus reads it.

Counting is one call for a request (`served`) and one for an event (`note`): whatever is an event anyway
is counted there.  What can be read at any time is read when somebody asks, by collectors that are added.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tvault.server import measures
from tvault.server.measures import Measure
from tvault.server.web import Answer, Served
from tvault.wire import DETOKENIZE, LOOKUP, RETOKENIZE, TOKENIZE

NO_CALL: Final = "other"
"""The call of a request for which there is no route: paths are not shown, which may be anything."""

_TEXT: Final = "text/plain"
_OPEN_METRICS: Final = "application/openmetrics-text"
_OF_VALUES: Final = {
    "tokenize": (TOKENIZE, ("new", "known")),
    "detokenize": (DETOKENIZE, ("found", "not_found")),
    "lookup": (LOOKUP, ("found", "not_found")),
    "retokenize": (RETOKENIZE, ("found", "not_found", "new", "known")),
}
"""The events that tell of values: the call of each, and the fields that say what came of them."""

# The time at which each series began would double what is sent; Prometheus sees a restart without.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """What a gateway counts, and a node besides: requests, and events by name.

    `events` are names that count from 0: a series that begins with 1 hides its first event from whoever
    asks how much it rose.  `expires` is when the certificate that is shown does, in seconds since 1970,
    if one is.  Any thread may count.
    """

    def __init__(self, events: Iterable[str] = (), expires: float | None = None) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter(measures.REQUESTS)
        self._seconds = self._histogram(measures.REQUEST_SECONDS)
        self._served: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        sizes, values = self._histogram(measures.REQUEST_VALUES), self._counter(measures.VALUES)
        self._of_values = {
            event: (
                sizes.labels(f"POST {path}"),
                [(outcome, values.labels(f"POST {path}", outcome)) for outcome in outcomes],
            )
            for event, (path, outcomes) in _OF_VALUES.items()
        }
        self._by_name = self._counter(measures.EVENTS)
        self._events = {name: self._by_name.labels(name) for name in events}
        if expires is not None:
            Gauge(*_named(measures.CERTIFICATE_EXPIRY), registry=self._registry).set(expires)
        build = Gauge(*_named(measures.BUILD), registry=self._registry)
        build.labels(version("tvault"), platform.python_version()).set(1)
        ProcessCollector(registry=self._registry)

    def add(self, collector: Collector) -> None:
        """Ask it, too, whenever somebody asks."""
        self._registry.register(collector)

    def served(self, served: Served) -> None:
        """A request of a client was answered."""
        kind = served.call, served.status
        known = self._served.get(kind)
        if known is None:
            call = served.call or NO_CALL
            known = self._requests.labels(call, str(served.status)), self._seconds.labels(call)
            self._served[kind] = known
        count, seconds = known
        count.inc()
        seconds.observe(served.seconds)

    def note(self, event: str, details: Mapping[str, Any]) -> None:
        """An event happened."""
        known = self._events.get(event)
        if known is None:
            known = self._events[event] = self._by_name.labels(event)
        known.inc()
        of_values = self._of_values.get(event)
        if of_values is not None:
            sizes, outcomes = of_values
            sizes.observe(details["values"])
            for outcome, count in outcomes:
                if details[outcome]:
                    count.inc(details[outcome])

    def told(self, accept: str) -> Answer:
        """All of it, as text in the format of Prometheus, or as OpenMetrics for who accepts that."""
        encode, kind = choose_encoder(_OPEN_METRICS if _OPEN_METRICS in accept else _TEXT)
        return Answer(encode(self._registry), headers=(("Content-Type", kind),))

    def _counter(self, measure: Measure) -> Counter:
        return Counter(*_named(measure), registry=self._registry)

    def _histogram(self, measure: Measure) -> Histogram:
        return Histogram(*_named(measure), registry=self._registry, buckets=measure.buckets)


class NodeMetrics(Metrics):
    """What a node counts: the above, and what is stored in its journal."""

    def __init__(self, events: Iterable[str] = (), expires: float | None = None) -> None:
        super().__init__(events, expires)
        self._commands = self._histogram(measures.ENTRY_COMMANDS)
        self._stored = self._histogram(measures.STORED_ENTRIES)
        self._store_seconds = self._histogram(measures.STORE_SECONDS)
        self._bytes = self._counter(measures.STORED_BYTES)
        self._caught_up = self._counter(measures.CAUGHT_UP_ENTRIES)
        self._catch_up_seconds = self._counter(measures.CATCH_UP_SECONDS)

    def note(self, event: str, details: Mapping[str, Any]) -> None:
        """An event happened."""
        super().note(event, details)
        match event:
            case "ordered":
                self._commands.observe(details["commands"])
            case "stored":
                self._stored.observe(details["last"] - details["first"] + 1)
                self._store_seconds.observe(details["duration_ms"] / 1000)
                self._bytes.inc(details["bytes"])
            case "caught-up":
                self._caught_up.inc(details["entries"])
                self._catch_up_seconds.inc(details["seconds"])


def _named(measure: Measure) -> tuple[str, str, tuple[str, ...]]:
    return measure.name, measure.help, measure.labels
