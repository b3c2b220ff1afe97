from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.unit.events.logged import (
    FEW_BYTES,
    all_of,
    files_of,
    lines_of,
    record,
    record_while_full,
    small,
)
from tvault.events import FILE_NAME, WAITING_EVENTS, Detail, EventLog, Filter, read


def test_an_event_is_one_line_with_its_time_and_node(tmp_path: Path) -> None:
    before = datetime.now(timezone.utc)
    log = EventLog(tmp_path, "n1")
    log.record("tokenize", owner="A", values=3)
    log.close()
    (event,) = lines_of(tmp_path)
    time = datetime.fromisoformat(str(event.pop("time")).replace("Z", "+00:00"))
    assert before <= time <= datetime.now(timezone.utc)
    assert event == {"node": "n1", "event": "tokenize", "owner": "A", "values": 3}


def test_text_that_is_no_unicode_stops_nothing_and_spoils_no_line(tmp_path: Path) -> None:
    """As the path of a file is whose bytes are not UTF-8, in what the system says of it."""
    log = EventLog(tmp_path, "n1")
    log.record("failure", why="no room: /data/\udcff\n\x1b")
    log.record("stop")
    assert [(line["event"], line.get("why")) for line in lines_of(tmp_path)] == [
        ("failure", "no room: /data/?\n\x1b"),
        ("stop", None),
    ]
    assert len(read(tmp_path, Filter()).events) == 2


def test_events_of_earlier_runs_stay(tmp_path: Path) -> None:
    for name in ("start", "stop"):
        log = EventLog(tmp_path, "n1")
        log.record(name)
        log.close()
    assert [event["event"] for event in lines_of(tmp_path)] == ["start", "stop"]


def test_only_the_node_itself_may_read_its_log(tmp_path: Path) -> None:
    log = small(tmp_path)
    record(log, 1, 50)
    assert {file.stat().st_mode & 0o777 for file in files_of(tmp_path)} == {0o600}


def test_a_closed_log_records_nothing_and_complains_of_nothing(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "n1")
    log.record("stop")
    log.close()
    log.record("late")
    assert [event["event"] for event in lines_of(tmp_path)] == ["stop"]
    assert log.lost == 0


# Rolling.


def test_threads_never_mix_their_lines_and_lose_none_when_files_are_rolled(tmp_path: Path) -> None:
    log = small(tmp_path, files=1000)

    def note(number: int) -> None:
        for turn in range(200):
            log.record("e", number=number, turn=turn)

    threads = [threading.Thread(target=note, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [(event["number"], event["turn"]) for event in all_of(tmp_path)]
    assert len(events) == len(set(events)) == log.written == 1600
    assert len(files_of(tmp_path)) > 20
    for number in range(8):
        assert [turn for each, turn in events if each == number] == list(range(200))


def test_a_full_file_gets_the_next_number_and_keeps_it(tmp_path: Path) -> None:
    log = small(tmp_path)
    record(log, 1, 100)
    rolled = files_of(tmp_path)[:-1]
    assert [file.name for file in rolled] == [f"events.{n:06}.jsonl" for n in range(1, len(rolled) + 1)]
    line = len(rolled[0].read_text().splitlines()[-1])
    assert all(FEW_BYTES - 2 * line < file.stat().st_size <= FEW_BYTES for file in rolled)
    again = small(tmp_path)
    record(again, 101, 200)
    assert [event["number"] for event in all_of(tmp_path)] == list(range(1, 201))


def test_an_event_larger_than_a_file_may_be_is_recorded_all_the_same(tmp_path: Path) -> None:
    log = small(tmp_path)
    for number in (1, 2):
        log.record("e", number=number, long="x" * FEW_BYTES)
    log.record("e", number=3)
    assert [event["number"] for event in all_of(tmp_path)] == [1, 2, 3]


def test_the_oldest_files_are_removed_and_that_is_an_event(tmp_path: Path) -> None:
    log = small(tmp_path, files=2)
    record(log, 1, 200)
    names = [file.name for file in files_of(tmp_path)]
    assert len(names) == 3
    last = int(names[-2][7:13])
    assert names == [f"events.{last - 1:06}.jsonl", f"events.{last:06}.jsonl", FILE_NAME]
    dropped = [event["files"] for event in all_of(tmp_path) if event["event"] == "events-dropped"]
    assert dropped[-1] == [f"events.{last - 2:06}.jsonl"]
    numbers = [event["number"] for event in all_of(tmp_path) if event["event"] == "e"]
    assert numbers == list(range(numbers[0], 201)), "nothing but the oldest is gone"


def test_of_fewer_files_than_there_were_the_newest_stay(tmp_path: Path) -> None:
    record(small(tmp_path), 1, 200)
    before = [file.name for file in files_of(tmp_path)]
    record(small(tmp_path, files=3), 201, 230)
    after = [file.name for file in files_of(tmp_path)]
    assert len(after) == 4
    assert set(before) - set(after) == set(before[: len(before) - 3])
    (event,) = [event for event in all_of(tmp_path) if event["event"] == "events-dropped"]
    assert event["files"] == before[: len(before) - 3]


def test_files_with_other_names_are_left_alone(tmp_path: Path) -> None:
    others = ["events.000001.jsonl.gz", "events.1.jsonl", "events.old.jsonl", "journal.db"]
    for name in others:
        (tmp_path / name).write_text("mine")
    record(small(tmp_path, files=1), 1, 200)
    assert [(tmp_path / name).read_text() for name in others] == ["mine"] * len(others)


def test_a_log_that_cannot_be_renamed_goes_on_in_the_same_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = small(tmp_path)
    record(log, 1, 3)
    last = tmp_path / f"events.{10**18 - 1}.jsonl"
    last.touch()  # no larger number has a name
    (tmp_path / f"events.{10**18}.jsonl").mkdir()
    record(log, 4, 200)
    assert [event["number"] for event in lines_of(tmp_path)] == list(range(1, 201))
    assert "the event log cannot be rolled" in caplog.text
    assert len(caplog.records) < 6, "and says so seldom"


# What happens to its file.


def test_a_log_that_was_removed_or_moved_is_begun_anew(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "n1")
    log.record("one")
    (tmp_path / FILE_NAME).unlink()
    log.record("two")
    assert [event["event"] for event in lines_of(tmp_path)] == ["two"]
    (tmp_path / FILE_NAME).rename(tmp_path / "mine.jsonl")
    log.record("three")
    (tmp_path / FILE_NAME).rename(tmp_path / "mine.jsonl")
    (tmp_path / FILE_NAME).touch()
    log.record("four")
    assert [event["event"] for event in lines_of(tmp_path)] == ["four"]
    assert log.lost == 0


def test_half_a_line_of_a_run_before_spoils_no_other(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "n1")
    log.record("one")
    log.close()
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole + whole[:25])
    EventLog(tmp_path, "n1").record("two")
    first, torn, second = (tmp_path / FILE_NAME).read_bytes().splitlines()
    assert first + b"\n" == whole
    assert torn == whole[:25]
    assert b'"two"' in second


# What it does when it cannot be written.


def in_the_way(folder: Path, kind: str) -> None:
    """Something that is no file, in the place of the log."""
    path = folder / FILE_NAME
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/full")


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_a_log_that_cannot_be_opened_stops_nothing_and_its_events_wait(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way(tmp_path, kind)
    log = EventLog(tmp_path, "n1")
    record(log, 1, 5)
    assert (log.written, log.lost) == (0, 0)
    path = tmp_path / FILE_NAME
    path.rmdir() if kind == "folder" else path.unlink()
    record(log, 6, 6)
    assert [event["number"] for event in lines_of(tmp_path)] == [1, 2, 3, 4, 5, 6]
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(told) == 1, "it is said once"
    assert told[0].startswith("the event log cannot be written: ")


def test_a_folder_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "gone", "n1")
    record(log, 1, 2)
    (tmp_path / "gone").mkdir()
    record(log, 3, 3)
    shutil.rmtree(tmp_path / "gone")
    record(log, 4, 4)
    (tmp_path / "gone").mkdir()
    record(log, 5, 5)
    assert [event["number"] for event in lines_of(tmp_path / "gone")] == [4, 5]


def test_a_log_that_cannot_grow_stops_nothing_and_its_events_wait(tmp_path: Path) -> None:
    events = record_while_full(tmp_path, 10)
    assert [event["event"] for event in events] == ["e"] * 10 + ["after", "again"]
    assert [event.get("number") for event in events[:10]] == list(range(10))
    assert (events[-2]["written"], events[-2]["lost"]) == (2, 0)


def test_events_beyond_those_that_can_wait_are_lost_and_the_loss_is_told(tmp_path: Path) -> None:
    events = record_while_full(tmp_path, WAITING_EVENTS + 100)
    kept = [event["number"] for event in events if event["event"] == "e"]
    assert kept == list(range(len(kept))), "the first ones are kept: they tell how it began"
    assert WAITING_EVENTS <= len(kept) < WAITING_EVENTS + 10
    assert [event["event"] for event in events[len(kept) :]] == ["events-lost", "after", "again"]
    lost = WAITING_EVENTS + 100 - len(kept)
    assert (events[len(kept)]["count"], events[-2]["lost"]) == (lost, lost)


def test_every_event_is_told_to_whoever_counts_also_one_that_is_lost(tmp_path: Path) -> None:
    told: list[tuple[str, Mapping[str, Detail]]] = []
    log = EventLog(tmp_path / "gone", "n1", tap=lambda *event: told.append(event))
    record(log, 1, WAITING_EVENTS + 3)
    assert told == [("e", {"number": number}) for number in range(1, WAITING_EVENTS + 4)]
    assert log.lost == 3
    (tmp_path / "gone").mkdir()
    del told[:]
    log.record("after")
    assert told == [("events-lost", {"count": 3}), ("after", {})]
