"""What is remembered of values, for how long, and how much of it."""

from __future__ import annotations

import threading

import pytest

from tvault.duck.hands import Hands
from tvault.duck.memo import BYTES_OF_A_MAPPING, MOST_COUNTED, Memo, Tally, as_count
from tvault.errors import VaultError


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_memo_knows_what_it_was_told_and_nothing_else() -> None:
    memo = Memo(10**6, 60, Clock())
    memo.add(["a", "b", "c"], ["1", None, ""])
    assert memo.known(["c", "b", "a", "d"]) == ["", None, "1", None]
    memo.clear()
    assert memo.known(["a", "c"]) == [None, None]


def test_a_memo_stays_within_its_bytes_and_drops_what_came_first() -> None:
    memo = Memo(100 * BYTES_OF_A_MAPPING, 60, Clock())
    for number in range(1000):
        memo.add([f"t{number}"], ["v"])
        assert len(memo) <= 100
    assert memo.known(["t0", "t999", "t960"]) == [None, "v", "v"]
    memo.add(["large"], ["x" * 100 * BYTES_OF_A_MAPPING])
    assert memo.known(["large", "t999"]) == [None, "v"]


def test_a_memo_counts_long_values_by_their_length() -> None:
    memo = Memo(100 * BYTES_OF_A_MAPPING, 60, Clock())
    for number in range(100):
        memo.add([f"t{number}"], ["x" * 10 * BYTES_OF_A_MAPPING])
    assert len(memo) < 10


def test_a_memo_gives_out_nothing_after_its_time() -> None:
    clock = Clock()
    memo = Memo(10**6, 60, clock)
    memo.add(["a"], ["1"])
    clock.now += 29
    memo.add(["b"], ["2"])
    assert memo.known(["a", "b"]) == ["1", "2"]
    clock.now += 20
    assert memo.known(["a", "b"]) == ["1", "2"]
    clock.now += 30
    assert memo.known(["a", "b"]) == [None, None]
    memo.add(["a"], ["1"])
    clock.now += 3600
    assert memo.known(["a"]) == [None]
    assert len(memo) == 0


def test_a_tally_counts_each_text_once_keeps_none_and_has_an_end() -> None:
    tally = Tally()
    assert tally.add(["a secret value", "b"])
    assert not tally.add(["b", "c"])
    assert tally.count == 3
    assert "secret" not in repr(vars(tally))
    tally.add(map(str, range(2 * MOST_COUNTED)))
    assert as_count(tally.count) == f"{MOST_COUNTED} or more"
    assert tally.take() == MOST_COUNTED
    assert (tally.take(), as_count(7)) == (0, "7")


class Work:
    """Takes a moment, and remembers how many did it at a time."""

    def __init__(self) -> None:
        self.most = 0
        self._busy = 0
        self._lock = threading.Lock()
        self._turn = threading.Event()

    def __call__(self, piece: int) -> int:
        with self._lock:
            self._busy += 1
            self.most = max(self.most, self._busy)
        self._turn.wait(0.002)
        with self._lock:
            self._busy -= 1
        return -piece


def test_hands_give_answers_in_order_and_take_no_more_pieces_at_a_time_than_they_may() -> None:
    hands, work = Hands(3), Work()
    assert hands.map(work, range(40)) == [-piece for piece in range(40)]
    assert work.most == 3
    assert hands.map(work, []) == []


def test_several_who_wait_share_the_hands() -> None:
    hands, work = Hands(2), Work()
    waiting = [threading.Thread(target=hands.map, args=(work, range(10))) for _ in range(4)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert work.most == 2


def test_what_was_given_up_takes_no_place_of_what_comes_after_it() -> None:
    hands = Hands(1)
    begun, never = threading.Event(), threading.Event()

    def stuck(_: int) -> None:
        begun.set()
        never.wait(30)

    def stop() -> None:
        begun.wait(30)
        hands.stop()

    threading.Thread(target=stop).start()
    with pytest.raises(VaultError, match="interrupted"):
        hands.map(stuck, [1])
    assert hands.map(abs, [-1]) == [1]
    never.set()


def test_an_error_in_one_piece_is_raised_and_the_others_are_not_begun() -> None:
    begun: list[int] = []

    def work(piece: int) -> int:
        begun.append(piece)
        raise VaultError("unavailable", "as expected")

    with pytest.raises(VaultError, match="as expected"):
        Hands(2).map(work, range(1000))
    assert len(begun) <= 2


def test_whoever_waits_is_told_at_once_when_the_work_is_given_up() -> None:
    hands = Hands(2)
    begun, never = threading.Event(), threading.Event()

    def stop() -> None:
        begun.wait(30)
        hands.stop()

    threading.Thread(target=stop).start()

    def work(_: int) -> bool:
        begun.set()
        return never.wait(30)

    with pytest.raises(VaultError, match="interrupted"):
        hands.map(work, range(5))
    never.set()
    assert hands.map(abs, [-1]) == [1]


def test_whoever_is_about_to_wait_when_the_work_is_given_up_does_not_begin() -> None:
    hands = Hands(1)
    with hands.may_be_stopped():
        hands.stop()
        with pytest.raises(VaultError, match="interrupted"):
            hands.map(threading.Event().wait, [30])
    assert hands.map(abs, [-1]) == [1]


def test_whoever_waits_a_moment_after_a_stop_is_told_so_when_no_answer_comes_soon() -> None:
    hands, never = Hands(2), threading.Event()
    hands.stop()
    with pytest.raises(VaultError, match="interrupted"):
        hands.map(lambda _: never.wait(30), range(5))
    never.set()
