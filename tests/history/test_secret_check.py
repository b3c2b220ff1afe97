"""The check of histories of secrets: what is sound passes, what is not is told of, exactly and fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.history.check import violations
from tests.history.naive import token_of
from tests.history.operations import Detokenize, Operation, Tokenize
from tests.history.record import Recorder
from tests.history.secret_naive import Habits, SecretDice
from tests.history.secret_operations import (
    Absent,
    Done,
    End,
    Ended,
    Get,
    GetAll,
    Mark,
    Put,
    PutAll,
    ReadHistory,
    ReadNames,
    SecretAsked,
    Unmet,
)
from tests.history.secret_planted import ANOMALIES, Planter
from tests.history.secret_search import is_linearizable
from tests.history.secret_spoiled import short_history

HISTORY_OF_20_000_CPU_SECONDS = 15.0


def call(begin: float, end: float | None, what: SecretAsked) -> Operation:
    return Operation("c", "n1", begin, end, what)


def put(version: int, moment: int, value: str, name: str = "P", *, condition: int | None = None) -> Put:
    return Put("A", name, value, condition, Done(version, moment, is_new=True))


def closed(*marks: Mark, name: str = "P") -> Operation:
    return call(100, 101, ReadHistory("A", name, marks))


@pytest.mark.parametrize(
    "habits",
    [
        Habits(),
        Habits(unknown=0.5),
        Habits(names=1, conditions=0.9),
        Habits(names=6, longest=40.0),
        Habits(values=2, longest=20.0, unknown=0.4, whole_turns=True),
    ],
)
def test_what_a_vault_answered_one_after_another_is_sound_however_calls_overlap(habits: Habits) -> None:
    for seed in range(100):
        told = violations(SecretDice(seed, habits).history(100))
        assert told == [], f"seed {seed}"


@pytest.mark.parametrize("plant", ANOMALIES, ids=lambda plant: plant.__name__)
def test_each_planted_anomaly_is_told_of(plant: Callable[[Planter], None]) -> None:
    for seed in range(50):
        assert violations(Planter(seed).history) == []
        planter = Planter(seed)
        plant(planter)
        told = violations(planter.history)
        assert told, f"seed {seed}"
        assert not any("have to be read last" in line for line in told)


def test_the_verdict_is_that_of_trying_every_order() -> None:
    verdicts = {True: 0, False: 0}
    for seed in range(5_000):
        history = short_history(seed)
        told = violations(history)
        is_sound = is_linearizable(history)
        verdicts[is_sound] += 1
        assert (not told) == is_sound, (seed, [str(operation) for operation in history], told)
    assert min(verdicts.values()) > 800, "too few of one kind to compare"


def test_twenty_thousand_operations_take_seconds() -> None:
    history = SecretDice(1, Habits(names=200)).history(20_000)
    began = time.process_time()
    assert violations(history) == []
    assert time.process_time() - began < HISTORY_OF_20_000_CPU_SECONDS


def test_a_line_names_the_two_calls_that_contradict() -> None:
    first, second = Mark(1, 10, 20), Mark(2, 20, None)
    writes = [call(1, 2, put(1, 10, "one")), call(3, 4, put(2, 20, "two"))]
    end = closed(first, second)
    stale = call(5, 6, Get("A", "P", result=(replace(first, valid_to=None), "one")))
    (line,) = violations([*writes, stale, end])
    assert str(writes[1]) in line
    assert str(stale) in line
    twice = call(3, 4, put(2, 20, "two"))
    (line,) = violations([*writes, twice, end])
    assert str(writes[1]) in line
    assert str(twice) in line


def test_two_writers_whose_calls_overlap_may_come_in_either_order() -> None:
    marks = Mark(1, 10, 20), Mark(2, 20, None)
    for first, second in (("one", "two"), ("two", "one")):
        writes = [call(1, 9, put(1, 10, first)), call(1, 9, put(2, 20, second))]
        assert violations([*writes, closed(*marks)]) == []
    after = [call(1, 2, put(2, 20, "two")), call(3, 9, put(1, 10, "one")), closed(*marks)]
    assert violations(after) != []


def test_of_two_writers_under_one_condition_one_is_refused_with_the_version_of_the_other() -> None:
    begin, end = call(1, 2, put(1, 10, "one")), closed(Mark(1, 10, 20), Mark(2, 20, None))
    won = call(3, 6, put(2, 20, "two", condition=1))
    lost = Put("A", "P", "three", 1, Unmet(2))
    assert violations([begin, won, call(3, 6, lost), end]) == []
    assert violations([begin, won, call(3, 6, replace(lost, result=Unmet(1))), end]) != []
    assert violations([begin, won, call(1, 2, lost), end]) != [], "it lost before the other began"


def test_an_unknown_outcome_may_take_effect_late_or_never_and_once() -> None:
    unknown = call(1, None, Put("A", "P", "one"))
    missed = call(2, 3, Get("A", "P", result=Absent(("P",))))
    found = call(4, 5, Get("A", "P", result=(Mark(1, 10, None), "one")))
    assert violations([unknown, missed, found, closed(Mark(1, 10, None))]) == []
    assert violations([unknown, missed, closed()]) == []
    assert violations([missed, found, closed(Mark(1, 10, None))]) != [], "nobody asked for it"
    ended = call(6, 7, End("A", "P", result=Ended(1, 20)))
    again = closed(Mark(1, 10, 20), Mark(2, 30, None))
    value = call(90, 91, Get("A", "P", 2, result=(Mark(2, 30, None), "one")))
    assert violations([unknown, found, ended, value, again]) != [], "it was carried out twice"
    assert violations([unknown, unknown, found, ended, value, again]) == []


def test_several_secrets_are_written_and_read_at_one_moment() -> None:
    write = call(1, 9, PutAll("A", (("P", "p"), ("Q", "q")), result=(("P", 1), ("Q", 1))))
    ends = [closed(Mark(1, 10, None)), closed(Mark(1, 10, None), name="Q")]
    whole, none = GetAll("A", ("P", "Q"), ("p", "q")), GetAll("A", ("P", "Q"), Absent(("P", "Q")))
    half = GetAll("A", ("P", "Q"), Absent(("Q",)))
    assert violations([write, call(2, 3, none), call(4, 5, whole), *ends]) == []
    assert violations([write, call(2, 3, whole), call(4, 5, none), *ends]) != []
    assert violations([write, call(2, 8, half), *ends]) != []
    apart = [closed(Mark(1, 10, None)), closed(Mark(1, 11, None), name="Q")]
    assert violations([write, *apart]) != []


def test_names_are_those_of_one_moment() -> None:
    writes = [call(1, 2, put(1, 10, "p")), call(3, 9, put(1, 20, "q", "Q"))]
    ends = [closed(Mark(1, 10, None)), closed(Mark(1, 20, None), name="Q")]
    for names, is_sound in ((("P",), True), (("P", "Q"), True), (("Q",), False), ((), False)):
        told = violations([*writes, call(4, 5, ReadNames("A", names)), *ends])
        assert (not told) == is_sound, names


def test_a_history_that_is_not_read_at_the_end_is_not_judged_by_guesses() -> None:
    write, look = call(1, 2, put(1, 10, "one")), closed(Mark(1, 10, None))
    assert violations([write, look]) == []
    for history in ([write], [write, replace(look, invoked=1.5, returned=3)]):
        (line,) = violations(history)
        assert "have to be read last" in line


def test_tokens_and_secrets_of_one_history_are_both_judged() -> None:
    write, look = call(1, 2, put(1, 10, "one")), closed(Mark(1, 10, None))
    token = token_of("A", 1, "v")
    tokenized = Operation("c", "n1", 1, 2, Tokenize("A", ("v",), (1, (token,))))
    missed = Operation("c", "n1", 3, 4, Detokenize("A", (token,), (None,)))
    stale = call(3, 4, Get("A", "P", result=Absent(("P",))))
    assert violations([write, tokenized, look]) == []
    assert len(violations([write, tokenized, missed, look])) == 1
    assert len(violations([write, tokenized, stale, look])) == 1


def test_the_recorder_keeps_and_counts_calls_about_secrets() -> None:
    recorder, asked = Recorder(), Put("A", "P", "one")
    assert recorder.call("c", "n", asked, lambda: put(1, 10, "one")) == put(1, 10, "one")
    assert recorder.summary()["put"].acknowledged == 1
    (kept,) = recorder.operations()
    assert "A put name P, value one" in str(kept)
