"""`tvault inspect chain`: the history of views, from the events of all nodes."""

from __future__ import annotations

from typing import Any

from tests.unit.cli.logs import log_of, moment, view
from tests.unit.cli.running import CommandLine


def left(at: float, number: int, why: str) -> dict[str, Any]:
    return {"at": at, "event": "left-view", "view": number, "why": why}


def three_logs() -> list[str]:
    """Three nodes; n1, which is head, is killed, the others go on, it comes back, and n2 hands over."""
    first = log_of(
        "n1",
        view(1, 4, "n1 n2 n3", "all nodes are there for the first time", "n1 n2 n3", ""),
        {"at": 20, "event": "start", "api": "a", "peer": "p"},
        view(21.2, 8, "n2 n3 n1", "n1 has caught up", "n1 n2 n3", "n2 n3"),
    )
    second = log_of(
        "n2",
        view(1.1, 4, "n1 n2 n3", "all nodes are there for the first time", "n1 n2 n3", ""),
        {"at": 10, "event": "suspect", "peer": "n1", "why": "n1 is gone", "view": 4},
        left(10.1, 4, "asks for a later view"),
        view(10.3, 5, "n2 n3", "n1 is gone", "n2 n3", "n1 n2 n3"),
        {"at": 21, "event": "join", "peer": "n1", "view": 5},
        left(21, 5, "forms the chain anew: n1 has caught up"),
        view(21.1, 8, "n2 n3 n1", "n1 has caught up", "n1 n2 n3", "n2 n3"),
        left(40, 8, "handed over"),
        {"at": 41, "event": "stop", "why": "asked to stop"},
    )
    third = log_of(
        "n3",
        view(1.2, 4, "n1 n2 n3", "all nodes are there for the first time", "n1 n2 n3", ""),
        left(10.15, 4, "promised another view"),
        view(10.4, 5, "n2 n3", "n1 is gone", "n2 n3", "n1 n2 n3"),
    )
    return [part for folder in (first, second, third) for part in ("--data", folder)]


def test_each_view_is_told_once_with_its_reason_and_what_led_to_the_next_one(
    tvault: CommandLine,
) -> None:
    ran = tvault("inspect", "chain", *three_logs())
    blank = " " * 29
    assert ran.code == 0
    assert ran.out.decode().splitlines() == [
        f"{moment(1)}  view 4: n1 -> n2 -> n3, for 9.3 s",
        f"{blank}why: all nodes are there for the first time",
        f"{blank}voted: n1, n2, n3; before: no chain",
        f"{moment(10)}  n2 looks for another view: n1 is gone",
        f"{moment(10.3)}  view 5: n2 -> n3, for 11 s",
        f"{blank}why: n1 is gone",
        f"{blank}voted: n2, n3; before: n1 -> n2 -> n3",
        f"{moment(20)}  n1 starts",
        f"{moment(21)}  n2 takes n1 in",
        f"{moment(21.1)}  view 8: n2 -> n3 -> n1, for 19 s",
        f"{blank}why: n1 has caught up",
        f"{blank}voted: n1, n2, n3; before: n2 -> n3",
        f"{moment(40)}  n2 leaves view 8: handed over",
        f"{moment(41)}  n2 ends: asked to stop",
    ]


def test_as_json_a_view_has_all_that_nodes_tell_of_it(tvault: CommandLine) -> None:
    document = tvault("inspect", "chain", *three_logs(), "--json").document
    first, second, third = document["views"]
    assert [each["view"] for each in document["views"]] == [4, 5, 8]
    events = second.pop("events")
    assert second == {
        "view": 5,
        "since": moment(10.3),
        "until": moment(21),
        "seconds": 10.7,
        "chain": ["n2", "n3"],
        "why": "n1 is gone",
        "voted": ["n2", "n3"],
        "before": ["n1", "n2", "n3"],
        "nodes": ["n2", "n3"],
    }
    assert [event["event"] for event in events] == ["start", "join", "left-view"]
    assert first["nodes"] == ["n1", "n2", "n3"]
    assert third["until"] == moment(40)


def test_the_last_views_can_be_asked_for_alone(tvault: CommandLine) -> None:
    document = tvault("inspect", "chain", *three_logs(), "--json", "--last", "1").document
    assert [each["view"] for each in document["views"]] == [8]


def test_a_view_that_nothing_ends_lasts(tvault: CommandLine) -> None:
    folder = log_of("n1", view(1, 3, "n1", "no chain was heard", "n1", ""))
    ran = tvault("inspect", "chain", "--data", folder)
    assert ran.out.decode().splitlines()[0] == f"{moment(1)}  view 3: n1, since then"
    (only,) = tvault("inspect", "chain", "--data", folder, "--json").document["views"]
    assert (only["until"], only["seconds"]) == (None, None)


def test_views_of_an_older_version_are_told_without_what_it_did_not_note(tvault: CommandLine) -> None:
    folder = log_of("n1", {"at": 1, "event": "view", "view": 3, "chain": ["n1"], "role": "single"})
    ran = tvault("inspect", "chain", "--data", folder)
    assert ran.out.decode().splitlines() == [
        f"{moment(1)}  view 3: n1, since then",
        " " * 29 + "voted: -; before: no chain",
    ]


def test_logs_without_a_view_are_said_to_have_none(tvault: CommandLine) -> None:
    folder = log_of("n1", {"at": 1, "event": "start", "api": "a", "peer": "p"})
    ran = tvault("inspect", "chain", "--data", folder)
    assert (ran.code, ran.out, ran.err) == (0, b"", "tvault: the events tell of no view\n")
    assert tvault("inspect", "chain", "--data", folder, "--json").document == {"views": []}
