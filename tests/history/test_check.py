"""The check of histories: what is sound passes, what is not is told of, exactly and fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.history.check import violations
from tests.history.choices import Choices, GivenUp
from tests.history.naive import Dice, Habits, token_of
from tests.history.operations import (
    Asked,
    Conflict,
    Detokenize,
    Operation,
    ReadEpoch,
    Rotate,
    Tokenize,
    Value,
)
from tests.history.planted import ANOMALIES, Planter
from tests.history.schedule import Schedule
from tests.history.search import is_linearizable
from tests.history.spoiled import KINDS

HISTORY_OF_100_000_CPU_SECONDS = 15.0


def call(begin: float, end: float | None, what: Asked) -> Operation:
    return Operation("c", "n1", begin, end, what)


def tokenized(epoch: int, *values: Value, owner: str = "A") -> Tokenize:
    return Tokenize(owner, values, (epoch, tuple(token_of(owner, epoch, value) for value in values)))


def looked_up(epoch: int, value: Value, *, found: bool, owner: str = "A") -> Detokenize:
    return Detokenize(owner, (token_of(owner, epoch, value),), (value if found else None,))


@pytest.mark.parametrize(
    "habits",
    [
        Habits(),
        Habits(unknown=0.5),
        Habits(values=4, rotations=0.15, epochs=9),
        Habits(longest=40.0, batch=8),
        Habits(values=3, longest=20.0, unknown=0.4, rotations=0.1, whole_turns=True),
    ],
)
def test_what_a_vault_answered_one_after_another_is_sound_however_calls_overlap(habits: Habits) -> None:
    for seed in range(200):
        told = violations(Dice(seed, habits).history(120))
        assert told == [], f"seed {seed}"


@pytest.mark.parametrize("plant", ANOMALIES, ids=lambda plant: plant.__name__)
def test_each_planted_anomaly_is_told_of(plant: Callable[[Planter], None]) -> None:
    for seed in range(200):
        planter = Planter(seed)
        assert violations(planter.history) == []
        plant(planter)
        assert violations(planter.history), f"seed {seed}"


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_the_verdict_is_that_of_trying_every_order(make: Callable[[int], list[Operation]]) -> None:
    verdicts = {True: 0, False: 0}
    for seed in range(5_000):
        history = make(seed)
        told = violations(history)
        is_sound = is_linearizable(history)
        verdicts[is_sound] += 1
        assert (not told) == is_sound, (seed, [str(operation) for operation in history], told)
    assert min(verdicts.values()) > 800, "too few of one kind to compare"


def test_a_hundred_thousand_operations_take_seconds() -> None:
    habits = Habits(values=20_000, epochs=100, rotations=0.001)
    history = Dice(1, habits).history(100_000)
    began = time.process_time()
    assert violations(history) == []
    assert time.process_time() - began < HISTORY_OF_100_000_CPU_SECONDS


def test_a_line_names_the_two_operations_that_contradict() -> None:
    cases = [
        (call(1, 2, tokenized(1, "v")), call(3, 4, looked_up(1, "v", found=False))),
        (call(1, 2, Rotate("A", 2, "rotated")), call(3, 4, ReadEpoch("A", 1))),
        (call(1, 2, Rotate("A", 2, "rotated")), call(3, 4, tokenized(1, "v"))),
        (call(1, 2, Rotate("A", 2, "rotated")), call(1, 2, Rotate("A", 2, "rotated"))),
        (call(1, 9, tokenized(1, "v", "w")), call(1, 9, halves_of("v", "w"))),
        (call(1, 2, tokenized(1, "v")), call(1, 2, replace(tokenized(1, "w"), values=("v",)))),
    ]
    for first, second in cases:
        (line,) = violations([first, second])
        assert str(first) in line
        assert str(second) in line


def test_one_fault_is_told_of_once_by_its_nearest_operations() -> None:
    issued, missed = call(1, 2, tokenized(1, "v")), call(9, 10, looked_up(1, "v", found=False))
    rotation = call(3, 4, Rotate("A", 2, "rotated"))
    later = [call(5, 6, ReadEpoch("A", 2)), call(7, 8, tokenized(2, "v"))]
    (line,) = violations([*later, rotation, issued, missed])
    assert str(issued) in line
    assert str(missed) in line


def halves_of(found: str, missed: str) -> Detokenize:
    return Detokenize("A", (token_of("A", 1, found), token_of("A", 1, missed)), (found, None))


def test_a_miss_and_then_a_hit_is_what_a_new_token_looks_like() -> None:
    issued = call(1, 9, tokenized(1, "v"))
    looks = [call(2, 3, looked_up(1, "v", found=False)), call(4, 5, looked_up(1, "v", found=True))]
    assert violations([issued, *looks]) == []
    assert violations([issued, call(2, 3, looked_up(1, "v", found=True)), looks[0]]) == []
    assert violations([issued, *looks, call(6, 7, looked_up(1, "v", found=False))]) != []


def test_two_readers_must_not_see_two_new_tokens_in_opposite_orders() -> None:
    issued = [call(0, 9, tokenized(1, "v")), call(0, 9, tokenized(1, "w"))]
    one, other = call(0, 9, halves_of("v", "w")), call(0, 9, halves_of("w", "v"))
    assert violations([*issued, one]) == []
    assert violations([*issued, other]) == []
    assert violations([*issued, one, other]) != []


def test_tokens_of_different_epochs_may_be_looked_up_at_different_moments() -> None:
    first, second = token_of("A", 1, "v"), token_of("A", 2, "v")
    history = [call(2, 3, Rotate("A", 2, "rotated"))]
    history += [call(1, 2, tokenized(1, "v")), call(4, 5, tokenized(2, "v"))]
    assert violations([*history, call(0, 6, Detokenize("A", (first, second), (None, "v")))]) == []
    assert violations([*history, call(3, 6, Detokenize("A", (first, second), (None, "v")))]) != []


def test_old_epochs_keep_detokenizing_and_take_no_new_tokens() -> None:
    history = [call(1, 2, tokenized(1, "v")), call(3, 4, Rotate("A", 2, "rotated"))]
    assert violations([*history, call(5, 6, looked_up(1, "v", found=True))]) == []
    assert violations([*history, call(5, 6, tokenized(1, "v"))]) != []
    late = [call(5, None, Tokenize("A", ("w",))), call(7, 8, looked_up(1, "w", found=True))]
    assert violations([*history, *late]) != []


def test_a_tokenization_that_overlaps_a_rotation_may_use_either_epoch() -> None:
    rotation = call(2, 4, Rotate("A", 2, "rotated"))
    assert violations([rotation, call(3, 5, tokenized(1, "v")), call(1, 3, tokenized(2, "w"))]) == []


def test_once_anyone_saw_an_epoch_no_later_call_sees_less() -> None:
    history = [call(0, None, Rotate("A", 2)), call(1, 2, ReadEpoch("A", 2))]
    assert violations(history) == []
    for stale in (ReadEpoch("A", 1), Rotate("A", 1, "already"), tokenized(1, "v"), tokenized(1)):
        assert violations([*history, call(3, 4, stale)]) != []
    assert violations([*history, call(2, 4, ReadEpoch("A", 1))]) == [], "equal times overlap"


def test_an_unknown_outcome_may_take_effect_late_or_never() -> None:
    unknown = call(0, None, Tokenize("A", ("v", "w")))
    missed = call(5, 6, looked_up(1, "v", found=False))
    found = call(7, 8, looked_up(1, "v", found=True))
    assert violations([unknown]) == []
    assert violations([unknown, missed]) == []
    assert violations([unknown, missed, found]) == []
    assert violations([found, missed]) != [], "nobody submitted it"


def test_owners_share_nothing() -> None:
    mine, theirs = tokenized(1, "v"), tokenized(1, "v", owner="B")
    history = [call(1, 2, mine), call(1, 2, theirs), call(1, 2, Rotate("B", 2, "rotated"))]
    assert violations([*history, call(3, 4, ReadEpoch("A", 1)), call(3, 4, ReadEpoch("B", 2))]) == []
    foreign = Detokenize("B", (token_of("A", 1, "v"),), (None,))
    assert violations([*history, call(3, 4, foreign)]) == []
    assert violations([*history, call(3, 4, replace(foreign, result=("v",)))]) != []


def test_equal_values_of_other_types_are_other_values() -> None:
    values = ("1", 1, 1.0, True, 0.0, -0.0, False, 0, b"1", 10**40)
    history = [call(1, 2, tokenized(1, *values))]
    assert violations([*history, call(3, 4, looked_up(1, 1, found=True))]) == []
    for wrong in ("1", 1.0, True, b"1"):
        answer = Detokenize("A", (token_of("A", 1, 1),), (wrong,))
        assert violations([*history, call(3, 4, answer)]) != []
    minus = Detokenize("A", (token_of("A", 1, 0.0),), (-0.0,))
    assert violations([*history, call(3, 4, minus)]) != []


def test_null_stays_null() -> None:
    asked = Tokenize("A", (None, "v"), (1, (None, token_of("A", 1, "v"))))
    back = Detokenize("A", (None, token_of("A", 1, "v")), (None, "v"))
    assert violations([call(1, 2, asked), call(3, 4, back)]) == []
    swapped = replace(asked, result=(1, (token_of("A", 1, "v"), None)))
    assert violations([call(1, 2, swapped)]) != []


def test_a_conflict_says_which_epoch_is_active() -> None:
    history = [call(1, 2, Rotate("A", 2, "rotated"))]
    assert violations([*history, call(3, 4, Rotate("A", 9, Conflict(2)))]) == []
    for active in (1, 3):
        assert violations([*history, call(3, 4, Rotate("A", 9, Conflict(active)))]) != []


def test_a_search_that_would_take_too_long_says_so() -> None:
    schedule = Schedule()
    schedule.act(0, 1, must=True)
    with pytest.raises(GivenUp):
        Choices(schedule, {}, {}, most_steps=0).are_possible({})
