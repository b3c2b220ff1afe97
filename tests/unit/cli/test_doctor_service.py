"""`tvault doctor` during service: what is made of the answers of nodes."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.client.canned import Canned, canned
from tvault.cli.doctor.clocks import Reading, clocks_found
from tvault.cli.moments import now, text_of
from tvault.config import load, read_keys
from tvault.model.keys import KeyRing
from tvault.model.secrets import MasterKeys
from tvault.replication.codec import FORMAT
from tvault.server.hello import digest_of_names
from tvault.server.status import VERSION

NODES = ("n1", "n2", "n3")
CONFIG = Path("c/tvault.toml")


def agreed() -> dict[str, Any]:
    """What a node of the configuration says of it."""
    config = load(CONFIG, {})
    keys = read_keys(config, {})
    return {
        "cluster": config.cluster_id,
        "format": FORMAT,
        "fields": digest_of_names(str(path) for path in config.fields.paths),
        "owners": digest_of_names(owner.id for owner in config.owners),
        "keys": KeyRing(keys.token).fingerprint(),
        "master": "m1",
        "masters": MasterKeys("m1", keys.masters, bytes).fingerprints(),
    }


def said(node: str, other: dict[str, Any]) -> dict[str, Any]:
    """The status of a node in a whole chain, but for what is other."""
    return {
        "node": node,
        "role": ("head", "middle", "tail")[NODES.index(node)],
        "view": 4,
        "chain": list(NODES),
        "ensemble": list(NODES),
        "journal": {"last": 12, "committed": 12, "digest": "ab" * 32},
        "health": "ok",
        "trouble": None,
        "condition": "ready",
        "version": VERSION,
        "uptime_s": 12.5,
        "disk_free_bytes": 2**35,
        "damage": None,
        "events_lost": 0,
        "missing_keys": [],
        "configuration": agreed(),
        **other,
    }


def found(
    tvault: CommandLine,
    *down: str,
    configuration: dict[str, Any] | None = None,
    arguments: tuple[str, ...] = (),
    **of_n2: Any,
) -> tuple[int, dict[tuple[str, str], list[tuple[str, str]]]]:
    """The exit code, and what is not ok, by check and node: results with what was found.  The peer
    addresses of the cluster are servers that say this."""
    assert tvault("init", "c", "--owner", "A", "--base-port", 14_400).code == 0
    if configuration is not None:
        of_n2["configuration"] = {**agreed(), **configuration}
    with ExitStack() as stack:
        text = CONFIG.read_text()
        for number, node in enumerate(NODES, 1):
            if node not in down:
                document = said(node, of_n2 if node == "n2" else {})
                server = stack.enter_context(canned([Canned(200, json.dumps(document).encode())]))
                address = server.url.removeprefix("http://")
                text = text.replace(f"127.0.0.1:{14_500 + number}", address)
        CONFIG.write_text(text)
        ran = tvault("doctor", "--config", CONFIG, "--json", *arguments)
    amiss: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for each in ran.document["checks"]:
        if each["result"] != "ok" and each["check"] != "ports":  # no process serves clients there
            place = each["check"], each["about"]
            amiss.setdefault(place, []).append((each["result"], each["found"]))
    return ran.code, amiss


def test_a_whole_cluster_has_no_fault(tvault: CommandLine) -> None:
    assert found(tvault) == (0, {})


def test_a_node_that_does_not_answer_fails_by_its_name(tvault: CommandLine) -> None:
    code, amiss = found(tvault, "n3")
    assert code == 1
    ((result, why),) = amiss["service", "n3"]
    assert (result, why) == ("failed", "no answer from http://127.0.0.1:14503")


def test_a_node_that_answers_at_the_address_of_another_fails(tvault: CommandLine) -> None:
    _, amiss = found(tvault, node="n3")
    ((result, why),) = amiss["service", "n2"]
    assert (result, "node n3 answers" in why) == ("failed", True)


def test_who_looks_at_one_node_is_told_nothing_of_the_whole_chain(tvault: CommandLine) -> None:
    code, amiss = found(tvault, arguments=("--node", "n2"), health="unavailable", trouble="no chain")
    assert (code, list(amiss)) == (1, [("nodes", "n2")])


def test_an_answer_that_is_no_status_fails(tvault: CommandLine) -> None:
    _, amiss = found(tvault, view="four")
    assert [result for result, _ in amiss["service", "n2"]] == ["failed"]


def test_a_node_of_another_version_is_warned_of(tvault: CommandLine) -> None:
    code, amiss = found(tvault, version="9.9")
    assert (code, list(amiss)) == (0, [("releases", "")])
    ((_, why),) = amiss["releases", ""]
    assert "n2: 9.9" in why


@pytest.mark.parametrize(
    ("configuration", "result", "why"),
    [
        ({"format": FORMAT + 1}, "failed", "has another message format than this release"),
        ({"fields": "0" * 32}, "failed", "has another field list than this configuration"),
        ({"keys": "0" * 16}, "failed", "has another token key than this configuration"),
        ({"master": "m2"}, "failed", "has another active master key than this configuration"),
        (
            {"masters": {"m1": "0" * 16}},
            "failed",
            "has another key under the master key id 'm1' than this configuration",
        ),
        ({"master": 7}, "failed", "tells a configuration of another form than this configuration"),
        ({"owners": "0" * 32}, "warning", "has other owners than this configuration"),
    ],
)
def test_a_node_of_another_configuration_is_told_by_what_differs(
    tvault: CommandLine, configuration: dict[str, Any], result: str, why: str
) -> None:
    code, amiss = found(tvault, configuration=configuration)
    assert code == (1 if result == "failed" else 0)
    assert amiss == {("agreement", "n2"): [(result, why)]}


def test_a_node_of_another_ensemble_fails(tvault: CommandLine) -> None:
    _, amiss = found(tvault, ensemble=["n1", "n2"])
    ((result, why),) = amiss["agreement", "n2"]
    assert (result, "has another ensemble (n1, n2)" in why) == ("failed", True)


def test_nodes_that_have_committed_differing_histories_fail(tvault: CommandLine) -> None:
    journal = {"last": 12, "committed": 12, "digest": "cd" * 32}
    code, amiss = found(tvault, journal=journal)
    assert code == 1
    assert ("failed", "n1, n2, n3 differ up to entry 12") in amiss["chain", ""]


@pytest.mark.parametrize(
    ("other", "place", "result", "words"),
    [
        ({"damage": "entry 7"}, ("nodes", "n2"), "failed", "damaged files: entry 7"),
        ({"health": "unavailable", "trouble": "no chain"}, ("nodes", "n2"), "failed", "no chain"),
        ({"trouble": "catching up"}, ("nodes", "n2"), "warning", "catching up"),
        (
            {"journal": {"last": 5000, "committed": 5000, "digest": ""}},
            ("nodes", "n1"),
            "warning",
            "4988 entries behind",
        ),
        ({"condition": "full"}, ("room", "n2"), "failed", "its disk is full"),
        ({"disk_free_bytes": 2**20}, ("room", "n2"), "failed", "1.0 MiB free"),
        ({"disk_free_bytes": 2**29}, ("room", "n2"), "warning", "512.0 MiB free"),
        ({"events_lost": 3}, ("events", "n2"), "warning", "3 events"),
        ({"missing_keys": ["m0"]}, ("master-keys", "n2"), "warning", "no master key m0"),
    ],
)
def test_the_trouble_of_a_node_is_told_with_its_name(
    tvault: CommandLine, other: dict[str, Any], place: tuple[str, str], result: str, words: str
) -> None:
    code, amiss = found(tvault, **other)
    assert code == (1 if result == "failed" else 0)
    ((told, why),) = amiss[place]
    assert (told, words in why) == (result, True)


def test_a_clock_that_goes_wrong_is_told_by_its_node(tvault: CommandLine) -> None:
    code, amiss = found(tvault, time=text_of(now() - timedelta(hours=1)))
    assert code == 1
    ((result, why),) = amiss["clocks", "n2"]
    assert result == "failed"
    assert re.fullmatch(r"its clock is 3600\.\d+ s \(±0\.\d+\) behind this machine's", why)


@pytest.mark.parametrize(
    ("ahead_s", "doubt_s", "result"),
    [
        (0.9, 0.01, "ok"),
        (-1.2, 0.01, "warning"),
        (1.2, 0.3, "ok"),
        (61.0, 0.5, "failed"),
        (-61.0, 2.0, "warning"),
    ],
)
def test_a_clock_is_judged_by_what_is_certain_of_it(ahead_s: float, doubt_s: float, result: str) -> None:
    (one,) = clocks_found([Reading("n1", ahead_s, doubt_s)])
    assert one.result == result


def test_clocks_of_nodes_are_compared_with_each_other() -> None:
    """Each may be right enough for this machine, and not for the other."""
    *each, pair = clocks_found(
        [Reading("n1", 0.7, 0.01), Reading("n2", 0, 0.01), Reading("n3", -0.7, 0)]
    )
    assert [finding.result for finding in each] == ["ok"] * 3
    assert pair.result == "warning"
    assert pair.found == "n1 and n3 differ most: the first is 1.400 s (±0.010) ahead of the second"
