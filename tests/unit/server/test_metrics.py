"""What a node counts, and how Prometheus reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as open_parser

from tvault.server.measures import MEASURES, OF_JOURNAL, OF_REQUESTS, Measure
from tvault.server.metrics import NO_CALL, Metrics, NodeMetrics
from tvault.server.sizes import PARTS, sizes_of
from tvault.server.web import Served

EVENTS = ("tokenize", "ordered", "stored", "caught-up", "view")


def served(call: str, status: int, seconds: float = 0.004) -> Served:
    return Served(
        call=call,
        owner="the clinic",
        request_id="r1",
        status=status,
        code=None,
        seconds=seconds,
        is_noted=True,
    )


def read(metrics: Metrics, **labels: str) -> dict[str, float]:
    """The samples that bear all of `labels`, by name."""
    text = metrics.told("").body.decode()
    return {
        sample.name: sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    }


def test_requests_are_counted_by_call_and_status_and_their_time_by_call() -> None:
    metrics = NodeMetrics(EVENTS)
    for status, seconds in ((200, 0.004), (200, 0.2), (503, 0.006)):
        metrics.served(served("POST /tokenize", status, seconds))
    assert read(metrics, call="POST /tokenize", status="200")["tvault_requests_total"] == 2
    assert read(metrics, call="POST /tokenize", status="503")["tvault_requests_total"] == 1
    timed = read(metrics, call="POST /tokenize")
    assert timed["tvault_request_seconds_count"] == 3
    assert timed["tvault_request_seconds_sum"] == pytest.approx(0.21)
    within = read(metrics, call="POST /tokenize", le="0.005")
    assert within["tvault_request_seconds_bucket"] == 1


def test_a_request_without_a_route_shows_nothing_of_its_path() -> None:
    metrics = NodeMetrics(EVENTS)
    metrics.served(served("", 404))
    assert read(metrics, call=NO_CALL, status="404")["tvault_requests_total"] == 1


def test_values_are_counted_by_what_came_of_them_and_by_request() -> None:
    metrics = NodeMetrics(EVENTS)
    metrics.note("tokenize", {"owner": "the clinic", "values": 7, "new": 2, "known": 3})
    metrics.note("tokenize", {"owner": "the clinic", "values": 5000, "new": 0, "known": 1})
    metrics.note("detokenize", {"owner": "the clinic", "values": 3, "found": 2, "not_found": 1})
    for call, outcome, count in (
        ("POST /tokenize", "new", 2),
        ("POST /tokenize", "known", 4),
        ("POST /detokenize", "found", 2),
        ("POST /detokenize", "not_found", 1),
        ("POST /retokenize", "new", 0),
    ):
        assert read(metrics, call=call, outcome=outcome)["tvault_values_total"] == count
    assert read(metrics, call="POST /tokenize")["tvault_request_values_sum"] == 5007
    assert read(metrics, call="POST /tokenize", le="10.0")["tvault_request_values_bucket"] == 1


@pytest.mark.parametrize(
    ("event", "details", "expected"),
    [
        ("ordered", {"seq": 9, "commands": 12, "requests": []}, {"tvault_entry_commands_sum": 12}),
        (
            "stored",
            {"first": 7, "last": 9, "view": 3, "duration_ms": 2.5, "bytes": 900},
            {
                "tvault_stored_entries_sum": 3,
                "tvault_store_seconds_sum": 0.0025,
                "tvault_stored_bytes_total": 900,
            },
        ),
        (
            "caught-up",
            {"after": 4, "upto": 44, "entries": 40, "seconds": 0.5, "rate": 80},
            {"tvault_caught_up_entries_total": 40, "tvault_catch_up_seconds_total": 0.5},
        ),
    ],
)
def test_what_an_event_tells_is_added_up(
    event: str, details: dict[str, Any], expected: dict[str, float]
) -> None:
    metrics = NodeMetrics(EVENTS)
    metrics.note(event, details)
    told = read(metrics)
    assert {name: told[name] for name in expected} == pytest.approx(expected)
    assert read(metrics, event=event)["tvault_events_total"] == 1


def test_every_event_counts_from_nought_so_that_its_first_one_is_seen_to_rise() -> None:
    metrics = NodeMetrics(EVENTS)
    assert read(metrics, event="view")["tvault_events_total"] == 0
    metrics.note("view", {"view": 3})
    assert read(metrics, event="view")["tvault_events_total"] == 1


def test_an_event_that_is_in_no_list_is_counted_all_the_same() -> None:
    metrics = NodeMetrics(EVENTS)
    metrics.note("unheard-of", {})
    assert read(metrics, event="unheard-of")["tvault_events_total"] == 1


def test_owners_and_requests_are_in_no_label() -> None:
    metrics = NodeMetrics(EVENTS)
    metrics.served(served("GET /secrets/<name>", 200))
    metrics.note(
        "tokenize", {"owner": "the clinic", "request_id": "r1", "values": 1, "new": 1, "known": 0}
    )
    text = metrics.told("").body.decode()
    assert "the clinic" not in text
    assert "r1" not in text


def kinds(metrics: Metrics) -> dict[str, str]:
    text = metrics.told("").body.decode()
    return {
        family.name: family.type
        for family in parser.text_string_to_metric_families(text)
        if family.name.startswith("tvault_")
    }


def expected(measures: tuple[Measure, ...]) -> dict[str, str]:
    return {each.name.removesuffix("_total"): each.kind for each in measures}


def test_a_node_has_what_the_table_says_and_a_gateway_what_is_of_requests() -> None:
    assert kinds(NodeMetrics(EVENTS, 1.0)) == expected((*OF_REQUESTS, *OF_JOURNAL))
    assert kinds(Metrics(EVENTS, 1.0)) == expected(OF_REQUESTS)


def test_without_a_certificate_none_is_told_to_expire() -> None:
    assert "tvault_certificate_expiry_timestamp_seconds" not in read(NodeMetrics())


def test_two_nodes_of_one_process_count_for_themselves() -> None:
    one, other = NodeMetrics(EVENTS), NodeMetrics(EVENTS)
    one.served(served("POST /tokenize", 200))
    assert "tvault_requests_total" in read(one)
    assert "tvault_requests_total" not in read(other)


def test_the_process_and_its_versions_are_told_and_no_moment_of_creation() -> None:
    metrics = NodeMetrics(EVENTS)
    metrics.served(served("POST /tokenize", 200))
    told = read(metrics)
    assert told["process_cpu_seconds_total"] > 0
    assert told["process_resident_memory_bytes"] > 0
    assert told["tvault_build_info"] == 1
    assert [name for name in told if name.endswith("_created")] == []


def test_open_metrics_is_told_to_who_accepts_it_and_text_to_all_others() -> None:
    metrics = NodeMetrics(EVENTS)
    asked = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.5"
    answer = metrics.told(asked)
    assert ("Content-Type", answer.headers[0][1]) == answer.headers[0]
    assert answer.headers[0][1].startswith("application/openmetrics-text; version=1.0.0")
    told = open_parser.text_string_to_metric_families(  # type: ignore[no-untyped-call]
        answer.body.decode()
    )
    names = {each.name for each in told}
    assert "tvault_request_seconds" in names
    for accept in ("", "*/*", "text/plain; version=x", "\xff", "text/html"):
        assert metrics.told(accept).headers[0][1].startswith("text/plain; version=0.0.4")


def test_every_measure_has_a_name_of_its_own_and_the_ending_that_its_kind_asks_for() -> None:
    assert len({each.name for each in MEASURES}) == len(MEASURES)
    for each in MEASURES:
        assert each.name.endswith("_total") == (each.kind == "counter"), each.name
        assert bool(each.buckets) == (each.kind == "histogram"), each.name


def test_the_sizes_of_a_folder_are_told_by_part(tmp_path: Path) -> None:
    for name, size in {
        "journal.sqlite": 100,
        "journal.sqlite-wal": 20,
        "index/a.run": 7,
        "events.jsonl": 5,
        "events.000001.jsonl": 6,
        "set-aside-20260101T000000.000000Z/journal.sqlite": 3,
        "promise": 2,
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x" * size)
    (tmp_path / "index" / "loop").symlink_to(tmp_path)
    sizes = sizes_of(tmp_path)
    assert set(sizes) == set(PARTS)
    link = (tmp_path / "index" / "loop").lstat().st_size
    assert sizes == {"journal": 120, "index": 7 + link, "events": 11, "set_aside": 3, "other": 2}
    assert sizes_of(tmp_path / "none") == dict.fromkeys(PARTS, 0)
