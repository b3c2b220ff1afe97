"""The work that waits for a node's thread: nothing is lost or overtaken, and there is a bound."""

from __future__ import annotations

import threading
import time

from tests.unit.server.one_node import eventually
from tvault.server.backlog import Backlog


def idle() -> None:
    """Do nothing."""


def test_work_is_taken_in_the_order_in_which_it_was_put() -> None:
    backlog, done = Backlog(100), list[int]()
    for number in range(50):
        assert backlog.put(lambda number=number: done.append(number), 0.0)  # type: ignore[misc]
    while (work := backlog.take(0.0)) is not None:
        work()
    assert done == list(range(50))


def test_who_finds_no_room_waits_for_it_or_is_told_that_there_was_none() -> None:
    backlog = Backlog(2)
    assert backlog.put(idle, 0.0)
    assert backlog.put(idle, 0.0)
    assert not backlog.put(idle, 0.05)
    waiting = threading.Thread(target=lambda: backlog.put(idle, 20.0))
    waiting.start()
    eventually(lambda: backlog._short == 1)
    assert backlog.take(0.0) is not None
    waiting.join(10)
    assert not waiting.is_alive()
    assert backlog.is_full


def test_no_work_of_many_threads_is_lost_though_they_fill_it_again_and_again() -> None:
    backlog = Backlog(4)
    outcomes: list[bool] = []

    def put_much() -> None:
        outcomes.extend(backlog.put(idle, 20.0) for _ in range(500))

    threads = [threading.Thread(target=put_much) for _ in range(6)]
    for thread in threads:
        thread.start()
    taken = sum(backlog.take(20.0) is not None for _ in range(6 * 500))
    for thread in threads:
        thread.join()
    assert outcomes == [True] * taken
    assert backlog.take(0.0) is None


def test_an_empty_backlog_is_waited_on_for_the_time_given() -> None:
    began = time.monotonic()
    assert Backlog(1).take(0.05) is None
    assert time.monotonic() - began >= 0.04


def test_large_work_waits_until_what_is_before_it_is_taken_however_few_pieces_that_are() -> None:
    backlog = Backlog(100, most_bytes=1000)
    assert backlog.put(idle, 0.0, 999)
    assert backlog.put(idle, 0.0, 5000), "one over the bound"
    assert not backlog.put(idle, 0.05, 1)
    assert not backlog.put(idle, 0.05)
    assert backlog.take(0.0) is not None
    assert not backlog.put(idle, 0.05, 1)
    assert backlog.take(0.0) is not None
    assert backlog.put(idle, 0.0, 1)
