"""Turns for requests: a burst waits for its turn, a flood is refused at once, none is ever lost."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from tests.unit.server.one_node import eventually
from tvault.errors import VaultError
from tvault.server.turns import Turns


def is_refused(turns: Turns, seconds: float = 20.0) -> bool:
    try:
        with turns.one(seconds=seconds):
            return False
    except VaultError as error:
        return error.code == "overloaded"


def test_a_burst_of_twice_the_clients_waits_for_its_turn_and_none_is_refused() -> None:
    turns = Turns(16)
    outcomes: list[bool] = []
    inside: list[int] = []
    now = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal now
        for _ in range(20):
            with turns.one():
                with lock:
                    now += 1
                    inside.append(now)
                threading.Event().wait(0.001)
                with lock:
                    now -= 1
            outcomes.append(True)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 32 * 20
    assert max(inside) <= 16
    assert not is_refused(turns)


def test_beyond_those_that_wait_a_request_is_refused_at_once() -> None:
    turns = Turns(1, waiting=2)
    answers: list[bool] = []
    with turns.one():
        threads = [threading.Thread(target=lambda: answers.append(is_refused(turns))) for _ in range(2)]
        for thread in threads:
            thread.start()
        eventually(lambda: turns._count == 2)
        began = time.monotonic()
        assert is_refused(turns)
        assert time.monotonic() - began < 1
    for thread in threads:
        thread.join()
    assert answers == [False, False]


def test_a_request_that_waits_in_vain_is_refused_and_takes_no_place_later() -> None:
    turns = Turns(1)
    with turns.one():
        assert is_refused(turns, seconds=0.05)
    assert not is_refused(turns, seconds=0.05)
    assert not is_refused(turns, seconds=0.05)


def test_places_are_given_in_the_order_of_coming() -> None:
    turns = Turns(1)
    order: list[int] = []

    def come(number: int) -> None:
        with turns.one(seconds=20):
            order.append(number)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    with turns.one():
        for number, thread in enumerate(threads, start=1):
            thread.start()
            eventually(lambda number=number: turns._count == number)  # type: ignore[misc]
    for thread in threads:
        thread.join()
    assert order == list(range(8))


@pytest.mark.parametrize("most", [1, 3])
def test_a_request_that_fails_gives_its_place_back(most: int) -> None:
    turns = Turns(most)
    for _ in range(10):
        with pytest.raises(KeyError), turns.one():
            raise KeyError
    with ExitStack() as stack:
        for _ in range(most):
            stack.enter_context(turns.one(seconds=0))
        assert is_refused(turns, seconds=0)
