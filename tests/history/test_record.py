"""The recorder: nothing that a client did is missing from the history."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.history.operations import Detokenize, ReadEpoch, Rotate, Tokenize
from tests.history.record import Recorder, Refused, Tally, Unanswered


@pytest.fixture
def recorder() -> Recorder:
    """A recorder whose clock goes on by one each time it is read."""
    ticks = itertools.count(1)
    return Recorder(clock=lambda: float(next(ticks)))


def raising(error: BaseException) -> Callable[[], ReadEpoch]:
    def ask() -> ReadEpoch:
        raise error

    return ask


def test_an_answer_is_kept_with_when_it_was_asked_for_and_when_it_came(recorder: Recorder) -> None:
    asked = Rotate("A", 2)
    answered = recorder.call("c1", "n2", asked, lambda: replace(asked, result="rotated"))
    assert answered == Rotate("A", 2, "rotated")
    (kept,) = recorder.operations()
    assert (kept.client, kept.node, kept.invoked, kept.returned) == ("c1", "n2", 1.0, 2.0)
    assert kept.what == answered


def test_a_call_without_an_answer_is_kept_as_one_that_may_have_had_effect(recorder: Recorder) -> None:
    asked = ReadEpoch("A")
    assert recorder.call("c", "n", asked, raising(Unanswered())) is None
    with pytest.raises(KeyError):
        recorder.call("c", "n", asked, raising(KeyError()))
    assert [(kept.returned, kept.what) for kept in recorder.operations()] == [(None, asked)] * 2


def test_a_refused_call_is_counted_and_is_no_part_of_the_history(recorder: Recorder) -> None:
    assert recorder.call("c", "n", ReadEpoch("A"), raising(Refused())) is None
    assert recorder.operations() == []
    assert recorder.summary()["epoch"] == Tally(refused=1)


def test_the_summary_counts_each_kind_and_calls_a_look_that_missed_a_miss(recorder: Recorder) -> None:
    tokenize, detokenize = Tokenize("A", ("v",)), Detokenize("A", ("t", None))
    recorder.call("c", "n", tokenize, lambda: replace(tokenize, result=(1, ("t",))))
    recorder.call("c", "n", detokenize, lambda: replace(detokenize, result=("v", None)))
    recorder.call("c", "n", detokenize, lambda: replace(detokenize, result=(None, None)))
    recorder.call("c", "n", ReadEpoch("A"), raising(Unanswered()))
    assert recorder.summary() == {
        "tokenize": Tally(acknowledged=1),
        "detokenize": Tally(acknowledged=1),
        "miss": Tally(acknowledged=1),
        "epoch": Tally(unknown=1),
        "rotate": Tally(),
    }


def test_clients_in_many_threads_lose_nothing() -> None:
    recorder = Recorder()

    def client(number: int) -> None:
        for _ in range(500):
            recorder.call(f"c{number}", "n", ReadEpoch("A"), lambda: ReadEpoch("A", 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    assert recorder.summary()["epoch"] == Tally(acknowledged=4000)
    assert all(kept.returned is not None for kept in recorder.operations())
