from __future__ import annotations

import json
import os
import resource
import threading
from datetime import datetime, timezone
from pathlib import Path

from tvault.events import FILE_NAME, WAITING_EVENTS, EventLog


def lines_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / FILE_NAME).read_text().splitlines()]


def test_an_event_is_one_line_with_its_time_and_node(tmp_path: Path) -> None:
    before = datetime.now(timezone.utc)
    log = EventLog(tmp_path, "n1")
    log.record("tokenize", owner="A", values=3)
    log.close()
    (event,) = lines_of(tmp_path)
    time = datetime.fromisoformat(str(event.pop("time")).replace("Z", "+00:00"))
    assert before <= time <= datetime.now(timezone.utc)
    assert event == {"node": "n1", "event": "tokenize", "owner": "A", "values": 3}


def test_events_of_earlier_runs_stay(tmp_path: Path) -> None:
    for name in ("start", "stop"):
        log = EventLog(tmp_path, "n1")
        log.record(name)
        log.close()
    assert [event["event"] for event in lines_of(tmp_path)] == ["start", "stop"]


def test_threads_never_mix_their_lines(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "n1")

    def note(number: int) -> None:
        for turn in range(200):
            log.record("e", number=number, turn=turn)

    threads = [threading.Thread(target=note, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    seen = {(event["number"], event["turn"]) for event in lines_of(tmp_path)}
    assert len(seen) == 1600


def record_while_full(folder: Path, count: int) -> list[dict[str, object]]:
    """What a log holds after so many events that found it full, and one more when there was room again:
    in a child, whose files may not grow past a limit that is then lifted."""
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
            log = EventLog(folder, "n1")
            for number in range(count):
                log.record("e", number=number)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            log.record("after")
            log.record("again")
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    return lines_of(folder)


def test_a_log_that_cannot_grow_stops_nothing_and_its_events_wait(tmp_path: Path) -> None:
    events = record_while_full(tmp_path, 10)
    assert [event["event"] for event in events] == ["e"] * 10 + ["after", "again"]
    assert [event.get("number") for event in events[:10]] == list(range(10))


def test_events_beyond_those_that_can_wait_are_lost_and_the_loss_is_told(tmp_path: Path) -> None:
    events = record_while_full(tmp_path, WAITING_EVENTS + 100)
    kept = [event["number"] for event in events if event["event"] == "e"]
    assert kept == list(range(len(kept))), "the first ones are kept: they tell how it began"
    assert WAITING_EVENTS <= len(kept) < WAITING_EVENTS + 10
    assert [event["event"] for event in events[len(kept) :]] == ["events-lost", "after", "again"]
    assert events[len(kept)]["count"] == WAITING_EVENTS + 100 - len(kept)
