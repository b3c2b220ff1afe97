from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.unit.events.logged import all_of, files_of, record, small
from tvault.errors import VaultError
from tvault.events import END, FILE_NAME, Bounds, EventLog, Filter, Page, pages, read
from tvault.events.reading import LINE_BYTES

ALL = Filter()


def numbers_of(events: list[dict[str, Any]]) -> list[int]:
    return [event["number"] for event in events if event["event"] == "e"]


def numbers(folder: Path, after: str = "", bounds: Bounds | None = None) -> list[int]:
    """The numbers of all events, read page by page."""
    log = pages(partial(read, folder, ALL, bounds=bounds), after)
    return numbers_of([event for page in log for event in page.events])


def test_what_was_recorded_is_read_in_order_over_all_files(tmp_path: Path) -> None:
    record(small(tmp_path), 1, 200)
    assert len(files_of(tmp_path)) > 5
    page = read(tmp_path, ALL)
    assert page.events == all_of(tmp_path)
    assert (page.is_end, page.skipped) == (True, 0)
    assert all(event["node"] == "n1" for event in page.events)


def test_an_empty_folder_has_no_events_and_no_folder_is_an_error(tmp_path: Path) -> None:
    assert read(tmp_path, ALL).events == []
    assert read(tmp_path, ALL, END).is_end
    with pytest.raises(VaultError, match="cannot be read: No such file") as caught:
        read(tmp_path / "gone", ALL)
    assert caught.value.code == "not_found"


@pytest.mark.parametrize(
    "bounds", [Bounds(events=7), Bounds(bytes=300), Bounds(seconds=0.0)], ids=["events", "bytes", "time"]
)
def test_a_page_is_bounded_and_the_next_one_goes_on_behind_it(tmp_path: Path, bounds: Bounds) -> None:
    record(small(tmp_path), 1, 200)
    sizes = [len(page.events) for page in pages(partial(read, tmp_path, ALL, bounds=bounds))]
    assert len(sizes) > 3
    assert max(sizes) <= 64
    assert numbers(tmp_path, bounds=bounds) == list(range(1, 201))


def test_reading_goes_on_where_it_was_when_files_are_rolled_between_pages(tmp_path: Path) -> None:
    log = small(tmp_path)
    cursor, got = "", []
    for number in range(1, 301):
        record(log, number, number)
        page = read(tmp_path, ALL, cursor, Bounds(events=2 if number % 10 else 100))
        cursor = page.next
        got += numbers_of(page.events)
    assert got == list(range(1, 301))


def test_a_reader_beside_the_writer_misses_and_repeats_nothing(tmp_path: Path) -> None:
    log = small(tmp_path, files=1000)
    writer = threading.Thread(target=record, args=(log, 1, 3000))
    writer.start()
    cursor, got, is_over = "", [], False
    while not is_over:
        is_over = not writer.is_alive()
        for page in pages(partial(read, tmp_path, ALL), cursor):
            cursor = page.next
            got += numbers_of(page.events)
    writer.join()
    assert got == list(range(1, 3001))


def test_from_the_end_only_what_comes_later_is_read(tmp_path: Path) -> None:
    log = small(tmp_path)
    record(log, 1, 30)
    page = read(tmp_path, ALL, END)
    assert (page.events, page.is_end) == ([], True)
    record(log, 31, 90)
    assert numbers(tmp_path, after=page.next) == list(range(31, 91))


def test_a_cursor_into_a_file_that_was_removed_leads_to_the_oldest_that_is_left(tmp_path: Path) -> None:
    log = small(tmp_path, files=2)
    record(log, 1, 5)
    cursor = read(tmp_path, ALL).next
    record(log, 6, 300)
    left = numbers(tmp_path)
    assert left[0] > 6
    assert numbers(tmp_path, after=cursor) == left


def remove(folder: Path) -> None:
    for file in files_of(folder):
        file.unlink()


def remove_newest(folder: Path) -> None:
    (folder / FILE_NAME).unlink()


def empty_newest(folder: Path) -> None:
    os.truncate(folder / FILE_NAME, 0)


@pytest.mark.parametrize("take_away", [remove, remove_newest, empty_newest])
def test_what_is_written_after_a_file_was_taken_away_is_read(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    log = small(tmp_path)
    record(log, 1, 50)
    cursor = read(tmp_path, ALL).next
    take_away(tmp_path)
    assert numbers(tmp_path, after=cursor) == []
    log.record("another", text="of another length")
    record(log, 51, 60)
    assert numbers(tmp_path, after=cursor) == list(range(51, 61))


def test_lines_that_are_no_events_are_skipped_and_counted(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "n1")
    record(log, 1, 1)
    good = (tmp_path / FILE_NAME).read_bytes()
    bad = [
        good[:30],
        b"",
        b"\xff\xfe" * 20,
        b'{"time":"2026',
        b'{"time":"2026-11-25T17:29:15.208759Z","node":"n1"}',
        b'{"time":"2026-11-25T17:29:15.208759Z","node":1,"event":"e"}',
        b'{"time":"2026-11-25T17:29:15.208759Z","event":"e"}',
        b'{"time":"now","node":"n1","event":"e"}',
        b'{"time":"2026-13-25T17:29:15.208759Z","node":"n1","event":"e"}',
        b'{"time":"2026-11-25T17:29:15.208759Z","node":"n1","event":"e","time":1}',
        b"[" * 100_000,
        b'{"time":"2026-11-25T17:29:15.208759Z","a":' + b"[" * 100_000,
        b'{"time":"2026-11-25T17:29:15.208759Z","a":1e999999,"event":"\xff"}',
        b"x" * (LINE_BYTES + 1),
    ]
    (tmp_path / FILE_NAME).write_bytes(good + b"\n".join(bad) + b"\n")
    record(log, 2, 2)
    page = read(tmp_path, ALL, bounds=Bounds(seconds=10))
    assert numbers_of(page.events) == [1, 2]
    assert (page.skipped, page.is_end) == (len(bad), True)


def test_a_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "n1")
    record(log, 1, 2)
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole[:-10])
    page = read(tmp_path, ALL)
    assert (numbers_of(page.events), page.is_end, page.skipped) == ([1], True, 0)
    assert read(tmp_path, ALL, END) == Page([], page.next, is_end=True)
    (tmp_path / FILE_NAME).write_bytes(whole)
    assert numbers(tmp_path, after=page.next) == [2]


def test_half_a_line_at_the_end_of_a_full_file_is_skipped(tmp_path: Path) -> None:
    record(small(tmp_path), 1, 50)
    first = files_of(tmp_path)[0]
    last = len(first.read_text().splitlines())
    os.truncate(first, first.stat().st_size - 10)
    page = read(tmp_path, ALL)
    assert numbers_of(page.events) == [number for number in range(1, 51) if number != last]
    assert page.skipped == 1


def test_what_is_no_file_is_read_over(tmp_path: Path) -> None:
    record(small(tmp_path), 1, 50)
    files = files_of(tmp_path)
    for file in (files[0], files[-1]):
        file.unlink()
        os.mkfifo(file)
    assert numbers(tmp_path) == numbers_of(all_but_pipes(files[1:-1]))


def all_but_pipes(files: list[Path]) -> list[dict[str, Any]]:
    return [event for file in files for event in all_in(file)]


def all_in(file: Path) -> list[dict[str, Any]]:
    folder = file.parent / f"{file.name}.alone"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(file.read_bytes())
    return all_of(folder)


@pytest.mark.parametrize("cursor", ["x", "1", "1:", ":1", "-1:0", "1:0 ", "1:" + "9" * 19, "END"])
def test_what_is_no_cursor_is_refused(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(VaultError, match="expected a cursor") as caught:
        read(tmp_path, ALL, cursor)
    assert caught.value.code == "malformed"


# Filters.


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    log = EventLog(tmp_path, "n1")
    log.record("tokenize", owner="A", request_id="r1", seq=7)
    log.record("tokenize", owner='B "ü"', request_id="r2", seq=8)
    log.record("ordered", seq=7, requests=["r1", "r3"])
    log.record("stored", first=5, last=7)
    log.record("stored", first=8, last=8)
    log.record("refused", owner="A", request_id="r3", code="r1")
    log.record("view", view=7, chain=["A"], owner_of="r1")
    log.record("stored", first="5", last=None, seq=["7"], requests=7, owner=["A"])
    return log


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (Filter(), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Filter(events=frozenset({"tokenize"})), [0, 1]),
        (Filter(events=frozenset({"tokenize", "view"})), [0, 1, 6]),
        (Filter(events=frozenset({"token", "n1"})), []),
        (Filter(owners=frozenset({"A"})), [0, 5]),
        (Filter(owners=frozenset({'B "ü"', "C"})), [1]),
        (Filter(request_id="r1"), [0, 2]),
        (Filter(request_id="r3"), [2, 5]),
        (Filter(seqs=frozenset({7})), [0, 2, 3]),
        (Filter(seqs=frozenset({6, 8})), [1, 3, 4]),
        (Filter(seqs=frozenset({4, 9})), []),
        (Filter(events=frozenset({"stored", "ordered"}), seqs=frozenset({7})), [2, 3]),
        (Filter(events=frozenset({"tokenize"}), owners=frozenset({"A"}), request_id="r2"), []),
    ],
)
def test_an_event_is_given_that_fits_every_part_of_the_filter(
    log: EventLog, tmp_path: Path, wanted: Filter, places: list[int]
) -> None:
    assert log.written == 8
    events = all_of(tmp_path)
    assert read(tmp_path, wanted).events == [events[place] for place in places]


def test_only_events_since_a_time_are_given_also_over_files(tmp_path: Path) -> None:
    record(small(tmp_path), 1, 100)
    events = all_of(tmp_path)
    for place in (0, 1, 50, 99):
        moment = datetime.fromisoformat(events[place]["time"].replace("Z", "+00:00"))
        since = [event for event in events if event["time"] >= events[place]["time"]]
        assert read(tmp_path, Filter(since=moment.timestamp())).events == since


def test_a_file_that_was_written_before_that_time_is_not_even_read(tmp_path: Path) -> None:
    log = small(tmp_path)
    record(log, 1, 100)
    now = datetime.now(timezone.utc).timestamp()
    old, younger = files_of(tmp_path)[:2]
    old.write_bytes(b"no events\n" * 10)
    younger.write_bytes(b"no events\n" * 10)
    os.utime(old, (now - 100, now - 100))
    page = read(tmp_path, Filter(since=now - 50))
    assert page.skipped == 10
    assert page.events == [event for file in files_of(tmp_path)[2:] for event in all_in(file)]


@pytest.mark.parametrize(("since", "count"), [(-1e18, 3), (-1.0, 3), (0.0, 3), (4e9, 0), (1e300, 0)])
def test_a_time_may_be_any_number(tmp_path: Path, since: float, count: int) -> None:
    record(EventLog(tmp_path, "n1"), 1, 3)
    assert len(read(tmp_path, Filter(since=since)).events) == count


def test_pages_end_with_the_first_that_is_the_end() -> None:
    given = iter([Page([{}], "1:1", is_end=False), Page([], "1:2", is_end=True)])
    asked: list[str] = []

    def ask(after: str) -> Page:
        asked.append(after)
        return next(given)

    assert [page.next for page in pages(ask, "0:0")] == ["1:1", "1:2"]
    assert asked == ["0:0", "1:1"]
