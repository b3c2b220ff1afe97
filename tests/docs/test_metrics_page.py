"""Metrics, their reference page, the alert rules and the page about them say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import ProcessCollector

from tests.docs.pages import REFERENCE, ROOT, page_called, read, rows, section
from tvault.events import EVENTS
from tvault.server.measures import AT_A_LOOK, MEASURES, OF_JOURNAL, OF_REQUESTS, Measure
from tvault.wire import METRICS

PAGE = read(REFERENCE / "metrics.md")
MONITORING = read(page_called("monitoring"))
RULES = ROOT / "examples" / "prometheus" / "tvault.rules.yml"
CONFIGURATION = ROOT / "examples" / "prometheus" / "prometheus.yml"
OF_PROMETHEUS = {"instance", "job", "le"}
SECTIONS = {"Requests and events": OF_REQUESTS, "The journal": OF_JOURNAL, "The node": AT_A_LOOK}

SELECTOR = re.compile(r"\b((?:tvault|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')
GROUPED = re.compile(r"\b(?:by|on|group_right) ?\(([^)]*)\)")


def measure_row(measure: Measure) -> list[str]:
    labels = ", ".join(f"`{label}`" for label in measure.labels)
    return [f"`{measure.name}`", measure.kind, labels, measure.help]


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """What the rules ask for, and what the page proposes to plot."""
    yield from (rule["expr"] for rule in rules())
    for row in rows(section(MONITORING, "What to plot")):
        yield from re.findall(r"`([^`]+)`", row[1])


def labels_by_series() -> dict[str, set[str]]:
    """The names that Prometheus gives each metric, with the labels that it has there."""
    known = {family_name(family): set[str]() for family in ProcessCollector(registry=None).collect()}
    for each in MEASURES:
        if each.kind == "histogram":
            known |= {f"{each.name}_{part}": set(each.labels) for part in ("bucket", "count", "sum")}
        else:
            known[each.name] = set(each.labels)
    return known


def family_name(family: Any) -> str:
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


@pytest.mark.parametrize("title", SECTIONS)
def test_every_metric_stands_in_the_reference_as_the_code_has_it_and_no_other(title: str) -> None:
    assert list(rows(section(PAGE, title))) == [measure_row(each) for each in SECTIONS[title]]
    assert sum(map(len, SECTIONS.values())) == len(MEASURES)


def test_the_metrics_of_the_process_stand_in_the_reference() -> None:
    told = {row[0].strip("`"): row[1] for row in rows(section(PAGE, "The process"))}
    families = ProcessCollector(registry=None).collect()
    assert told == {family_name(family): family.type for family in families}


def test_every_metric_that_a_rule_or_the_page_asks_for_exists_with_its_labels() -> None:
    known = labels_by_series()
    asked = [found for text in expressions() for found in SELECTOR.findall(text)]
    assert len(asked) > 30, "the metrics are no longer found in the expressions"
    for name, matchers in asked:
        assert name in known, name
        assert {label for label, _ in MATCHER.findall(matchers)} <= known[name], name


def test_every_label_that_is_grouped_by_exists() -> None:
    known = labels_by_series()
    for text in expressions():
        there = OF_PROMETHEUS.union(*(known[name] for name, _ in SELECTOR.findall(text)))
        for group in GROUPED.findall(text):
            assert {label.strip() for label in group.split(",") if label} <= there, text


def test_every_event_that_a_rule_asks_for_exists() -> None:
    asked = {
        event
        for text in expressions()
        for label, events in MATCHER.findall(text)
        if label == "event"
        for event in events.split("|")
    }
    assert len(asked) > 5
    assert asked <= set(EVENTS)


def test_every_alert_stands_on_the_page_with_its_severity_and_no_other() -> None:
    told = {row[0].strip("`"): row[1] for row in rows(section(MONITORING, "Alerts"))}
    assert told == {rule["alert"]: rule["labels"]["severity"] for rule in rules()}
    assert set(told.values()) == {"page", "ticket"}
    assert all(rule["annotations"]["summary"] for rule in rules())


def test_the_configuration_scrapes_over_tls_with_the_scrapers_credential_and_loads_the_rules() -> None:
    document = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    assert document["rule_files"] == [RULES.name]
    for job in document["scrape_configs"]:
        assert job["scheme"] == "https"
        assert job["authorization"] == {"credentials_file": "tvault.scraper"}
        assert job.get("metrics_path", "/metrics") == METRICS
    shown = re.search(r"```yaml\n(.*?)```", MONITORING, re.DOTALL)
    assert shown is not None
    (told,) = yaml.safe_load(shown[1])["scrape_configs"]
    assert told == document["scrape_configs"][0]
