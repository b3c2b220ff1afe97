"""`tvault inspect events`: the events of all nodes, chosen, in the order of time."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.logs import call, log_of, moment, ordered, stored
from tests.unit.cli.running import CommandLine, Ran
from tests.unit.client.canned import Canned, canned
from tvault.cli.event_way import MOST_EVENTS
from tvault.cli.moments import since
from tvault.errors import VaultError
from tvault.events import EventLog, Room


def names_in(ran: Ran) -> list[str]:
    """Node and event of each line."""
    return [" ".join(line.split()[1:3]) for line in ran.out.decode().splitlines()]


def objects_in(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


def two_logs() -> list[str]:
    """Arguments for the folders of two nodes."""
    first = log_of(
        "n1",
        {"at": 1, "event": "start", "api": "a", "peer": "p"},
        call(3, "tokenize", "r-1", 2.5, values=2),
        call(5, "detokenize", "r-2", 0.5, values=1, not_found=0),
    )
    second = log_of(
        "n2",
        {"at": 2, "event": "start", "api": "a", "peer": "p"},
        call(4, "tokenize", "r-3", 1, values=1) | {"owner": "B"},
        {"at": 6, "event": "stop", "why": "asked to stop"},
    )
    return ["--data", first, "--data", second]


def test_events_of_all_nodes_are_shown_in_the_order_of_time_without_a_configuration(
    tvault: CommandLine,
) -> None:
    ran = tvault("inspect", "events", *two_logs())
    assert ran.code == 0
    assert names_in(ran) == [
        "n1 start",
        "n2 start",
        "n1 tokenize",
        "n2 tokenize",
        "n1 detokenize",
        "n2 stop",
    ]
    assert ran.out.decode().splitlines()[-1] == f'{moment(6)}  n2  stop           why="asked to stop"'


def test_as_json_each_line_is_the_event_as_its_node_wrote_it(tvault: CommandLine) -> None:
    ran = tvault("inspect", "events", *two_logs(), "--json")
    written = [json.loads(line) for node in ("n1", "n2") for line in lines_of(node)]
    assert objects_in(ran) == sorted(written, key=lambda event: str(event["time"]))


def lines_of(node: str) -> list[str]:
    return Path(f"data/{node}/events.jsonl").read_text().splitlines()


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["--event", "tokenize"], ["n1 tokenize", "n2 tokenize"]),
        (["--event", "stop", "--event", "detokenize"], ["n1 detokenize", "n2 stop"]),
        (["--owner", "B"], ["n2 tokenize"]),
        (["--owner", "B", "--owner", "A"], ["n1 tokenize", "n2 tokenize", "n1 detokenize"]),
        (["--node", "n2", "--event", "start"], ["n2 start"]),
        (["--since", moment(5)], ["n1 detokenize", "n2 stop"]),
        (["--since", "2026-11-25T18:29:05+01:00"], ["n1 detokenize", "n2 stop"]),
        (["--since", "1s"], []),
        (["--last", "1"], ["n2 stop"]),
        (["--last", "2", "--event", "start"], ["n1 start", "n2 start"]),
        (["--request", "r-3", "--event", "tokenize"], ["n2 tokenize"]),
    ],
)
def test_an_event_is_shown_that_fits_all_that_is_asked_for(
    tvault: CommandLine, chosen: list[str], expected: list[str]
) -> None:
    assert names_in(tvault("inspect", "events", *two_logs(), *chosen)) == expected


def test_an_event_that_does_not_exist_is_refused_with_the_nearest_one(tvault: CommandLine) -> None:
    ran = tvault("inspect", "events", *two_logs(), "--event", "tokenise")
    assert (ran.code, ran.out) == (2, b"")
    assert "unknown event 'tokenise', did you mean 'tokenize'?" in ran.err


def test_a_time_that_is_none_and_a_folder_that_is_no_nodes_are_refused(tvault: CommandLine) -> None:
    folders = two_logs()
    ran = tvault("inspect", "events", *folders, "--since", "yesterday")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "--since yesterday: expected a duration such as 90s" in ran.err
    for folder in ("data", "nowhere"):
        ran = tvault("inspect", "events", "--data", folder)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert ran.err.startswith(f"tvault: {folder} ")


@pytest.mark.parametrize("option", ["--owner", "--request"])
def test_what_is_not_utf_8_is_refused_by_its_option(tvault: CommandLine, option: str) -> None:
    ran = tvault("inspect", "events", *two_logs(), option, "\udcff")
    assert ran.code == 2
    assert f"Invalid value for '{option}': it is not UTF-8" in ran.err


@pytest.mark.parametrize("command", ["events", "chain"])
def test_more_than_there_ever_is_may_be_asked_for(tvault: CommandLine, command: str) -> None:
    ran = tvault("inspect", command, *two_logs(), "--last", 10**30)
    assert ran.code == 0


def test_a_duration_counts_back_from_now() -> None:
    minutes = since("10m") - since("2h")
    assert abs(minutes - 110 * 60) < 1
    with pytest.raises(VaultError):
        since("10")


def test_what_a_value_holds_moves_no_cursor_and_makes_no_second_line(tvault: CommandLine) -> None:
    log = EventLog(Path.cwd(), "n1")
    log.record("peer-refused", why="\x1b[2J\nn2  stop")
    log.close()
    (line,) = tvault("inspect", "events", "--data", ".").out.decode().splitlines()
    assert "\x1b" not in line
    assert line.endswith(r'why="\u001b[2J\nn2  stop"')


def test_files_that_are_full_are_read_as_well_and_lines_that_are_none_are_told_of(
    tvault: CommandLine,
) -> None:
    log = EventLog(Path.cwd(), "n1", Room(2000, 8))
    for number in range(60):
        log.record("checked", entries=number, seconds=0.1)
    log.close()
    assert len(list(Path.cwd().glob("events.0*.jsonl"))) > 1
    with Path("events.jsonl").open("a") as file:
        file.write("half a line\n")
    ran = tvault("inspect", "events", "--data", ".", "--json")
    assert [event["entries"] for event in objects_in(ran)] == list(range(60))
    assert ran.err == "tvault: .: lines of its log are no events, and are left out\n"


def configured(stack: ExitStack, tvault: CommandLine, pages: list[dict[str, Any]]) -> None:
    """A cluster of three in the folder c: n1 answers these pages, the others are down."""
    tvault("init", "c", "--owner", "A", "--base-port", 1)
    node = stack.enter_context(canned([Canned(200, json.dumps(page).encode()) for page in pages]))
    file = Path("c/tvault.toml")
    address = node.url.removeprefix("http://")
    file.write_text(file.read_text().replace("127.0.0.1:102", address))


def page(*times: float, is_end: bool = True) -> dict[str, Any]:
    events = [{"time": moment(at), "node": "n1", "event": "checked"} for at in times]
    return {"events": events, "next": "1:1", "end": is_end, "skipped": 0}


def test_a_node_that_does_not_answer_is_read_from_its_folder_and_one_without_is_told_of(
    tvault: CommandLine,
) -> None:
    with ExitStack() as stack:
        configured(stack, tvault, [page(1, is_end=False), page(3)])
        log_of("n2", {"at": 2, "event": "stop", "why": "x"}, folder=Path("c/data"))
        ran = tvault("inspect", "events", "--config", "c/tvault.toml")
    assert ran.code == 0
    assert names_in(ran) == ["n1 checked", "n2 stop", "n1 checked"]
    second, third = ran.err.splitlines()
    assert second.startswith("tvault: n2: no answer from http://127.0.0.1:103; its events are read from")
    assert third == "tvault: n3: no answer from http://127.0.0.1:104"


def test_nodes_that_all_say_nothing_make_exit_code_4(tvault: CommandLine) -> None:
    tvault("init", "c", "--owner", "A", "--base-port", 1)
    ran = tvault("inspect", "events", "--config", "c/tvault.toml")
    assert (ran.code, ran.out) == (4, b"")
    assert ran.err.endswith("tvault: no node answered, and none of their folders is here\n")


def test_a_node_that_is_not_configured_is_refused(tvault: CommandLine) -> None:
    tvault("init", "c", "--owner", "A", "--base-port", 1)
    ran = tvault("inspect", "events", "--config", "c/tvault.toml", "--node", "n9")
    assert ran.code == 2
    assert "has no node 'n9'; its nodes are n1, n2, n3" in ran.err


# The way of a request.


def three_logs() -> list[str]:
    """A request that n2 was asked, and n1 ordered; n3 was away, and copied the entry later.  Another
    entry had its place in an earlier view, and was dropped."""
    head = log_of(
        "n1",
        ordered(1, 42, 5, "other"),
        stored(1.1, 42, 42, 5),
        {"at": 2, "event": "truncate", "after": 41, "end": 42, "view": 7, "why": "n2 has another"},
        ordered(10, 42, 7, "r-1", "r-2"),
        stored(10.002, 42, 43, 7),
        stored(10.5, 44, 44, 7),
    )
    asked = log_of(
        "n2",
        stored(10.003, 41, 42, 7),
        call(10.005, "tokenize", "r-1", 10, view=7, seq=42, epoch=1, values=3, new=1, known=2),
        call(11, "detokenize", "r-9", 1.5, view=7, seq=42, values=1, found=1, not_found=0),
        {"at": 12, "event": "refused", "owner": "A", "request_id": "r-8", "call": "POST /tokenize"}
        | {"status": 503, "code": "overloaded", "duration_ms": 1000.0},
    )
    late = log_of("n3", stored(20, 40, 44, 0))
    return [part for folder in (head, asked, late) for part in ("--data", folder)]


def test_the_way_of_a_request_is_told_from_who_was_asked_to_every_disk_and_the_answer(
    tvault: CommandLine,
) -> None:
    ran = tvault("inspect", "events", *three_logs(), "--request", "r-1")
    assert ran.code == 0
    assert ran.out.decode().splitlines() == [
        f"{moment(9.995)}  n2  asked by A: tokenize",
        f"{moment(10)}  n1  ordered as entry 42 in view 7, together with 1 more",
        f"{moment(10.002)}  n1  entries 42 to 43 on disk, written in 1.5 ms",
        f"{moment(10.003)}  n2  entries 41 to 42 on disk, written in 1.5 ms",
        f"{moment(10.005)}  n2  answered after 10 ms, as of entry 42: epoch=1 values=3 new=1 known=2",
        f"{moment(20)}  n3  entries 40 to 44 on disk, written in 1.5 ms",
        " " * 33 + "entry 42 is on disk at n1, n2, n3",
    ]


def test_a_request_that_only_read_has_no_entry_of_its_own(tvault: CommandLine) -> None:
    ran = tvault("inspect", "events", *three_logs(), "--request", "r-9")
    assert ran.out.decode().splitlines() == [
        f"{moment(10.9985)}  n2  asked by A: detokenize",
        f"{moment(11)}  n2  answered after 1.5 ms, as of entry 42: values=1 found=1 not_found=0",
    ]


def test_a_question_of_a_gateway_is_told_as_such(tvault: CommandLine) -> None:
    asked = call(3, "asked", "r-1", 2, seq=7, question="look-up")
    ran = tvault("inspect", "events", "--data", log_of("n1", asked), "--request", "r-1")
    assert [line[33:] for line in ran.out.decode().splitlines()] == [
        "asked by a gateway for A: look-up",
        "answered the gateway after 2 ms, as of entry 7",
    ]


def test_a_request_that_was_refused_says_with_what(tvault: CommandLine) -> None:
    ran = tvault("inspect", "events", *three_logs(), "--request", "r-8")
    assert ran.out.decode().splitlines() == [
        f"{moment(11)}  n2  asked by A: POST /tokenize",
        f"{moment(12)}  n2  refused after 1000.0 ms: status=503 code=overloaded",
    ]


def test_an_entry_that_was_dropped_is_on_no_disk_though_another_has_its_place(
    tvault: CommandLine,
) -> None:
    ran = tvault("inspect", "events", *three_logs(), "--request", "other")
    assert ran.out.decode().splitlines() == [
        f"{moment(1)}  n1  ordered as entry 42 in view 5",
        f"{moment(1.1)}  n1  entry 42 on disk, written in 1.5 ms",
        f"{moment(2)}  n1  dropped what was behind entry 41: n2 has another",
        " " * 33 + "entry 42 is on no disk that is known here",
    ]


def test_events_that_somebody_has_spoiled_are_left_out_of_the_way(tvault: CommandLine) -> None:
    spoiled = [
        {"at": 1, "event": "ordered", "seq": "42", "view": 7, "commands": 1, "requests": ["r-1"]},
        {"at": 2, "event": "stored", "request_id": "r-1", "view": 7},
        call(3, "tokenize", "r-1", 1, seq=None),
        call(4, "lookup", "r-1", 1e300),
        call(4, "lookup", "r-1", -1),
    ]
    folder = log_of("n1", *spoiled)
    ran = tvault("inspect", "events", "--data", folder, "--request", "r-1")
    assert [line[33:] for line in ran.out.decode().splitlines()] == [
        "asked by A: tokenize",
        "answered after 1 ms",
        "lookup",
        "lookup",
    ]


def test_an_entry_that_was_dropped_and_ordered_again_is_told_apart_by_its_view(
    tvault: CommandLine,
) -> None:
    head = log_of(
        "n1",
        ordered(1, 42, 5, "r-1"),
        stored(1.1, 42, 42, 5),
        {"at": 2, "event": "truncate", "after": 41, "end": 42, "view": 7, "why": "n2 has another"},
        stored(3.1, 42, 42, 7),
    )
    next_head = log_of("n2", ordered(3, 42, 7, "r-1"), stored(3.1, 42, 42, 7))
    ran = tvault("inspect", "events", "--data", head, "--data", next_head, "--request", "r-1")
    assert [line[33:] for line in ran.out.decode().splitlines()[-2:]] == [
        "entry 42 of view 5 is on no disk that is known here",
        "entry 42 of view 7 is on disk at n1, n2",
    ]


def test_a_way_that_is_too_long_is_said_to_end(tvault: CommandLine) -> None:
    """As that of an id which a client gives to all its requests."""
    folder = log_of("n1", *[call(1, "lookup", "r-1", 1)] * (MOST_EVENTS + 1))
    ran = tvault("inspect", "events", "--data", folder, "--request", "r-1")
    assert (ran.code, len(ran.out.splitlines())) == (0, 2 * MOST_EVENTS)
    assert ran.err == "tvault: of this request there are more than 1,000 events: its way ends there\n"


def test_what_a_node_answers_that_is_no_event_is_left_out(tvault: CommandLine) -> None:
    good = {"time": moment(1), "node": "n1", "event": "start"}
    wrong = [{}, {**good, "time": "now"}, {**good, "event": ["start"]}, {**good, "node": None}]
    page = {"events": [*wrong, good], "next": "1:1", "end": True, "skipped": 0}
    with ExitStack() as stack:
        configured(stack, tvault, [page])
        ran = tvault("inspect", "events", "--node", "n1", "--config", "c/tvault.toml")
    assert (ran.code, ran.out.decode().split()) == (0, [moment(1), "n1", "start"])
    assert ran.err == "tvault: n1: lines of its log are no events, and are left out\n"


def test_the_way_as_json_is_its_events_alone(tvault: CommandLine) -> None:
    ran = tvault("inspect", "events", *three_logs(), "--request", "r-1", "--json")
    told = [(event["node"], event["event"]) for event in objects_in(ran)]
    assert told == [
        ("n1", "ordered"),
        ("n1", "stored"),
        ("n2", "stored"),
        ("n2", "tokenize"),
        ("n3", "stored"),
    ]


@pytest.mark.parametrize("more", [[], ["--json"], ["--event", "tokenize"]])
def test_a_request_that_no_node_knows_makes_exit_code_3(tvault: CommandLine, more: list[str]) -> None:
    ran = tvault("inspect", "events", *three_logs(), "--request", "nobody's", *more)
    assert (ran.code, ran.out) == (3, b"")
    assert ran.err == 'tvault: no event of a request "nobody\'s"\n'
