"""Sound histories of secrets with one thing in them that no vault may do, at a random place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TypeVar

from tests.history.operations import Operation
from tests.history.secret_naive import OWNER, Habits, SecretDice
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

HABITS = Habits(names=2, conditions=0.2)
LATER = 2.0
"""When calls of one after another are made, after the one before."""

W = TypeVar("W", Put, End, PutAll, Get, GetAll, ReadHistory, ReadNames)


class Planter:
    """A sound history, to which calls can be added that the vault carries out one after another, and
    what is needed to tell lies about them."""

    def __init__(self, seed: int) -> None:
        self._random = SecretDice(seed, HABITS)
        self.dice = Random(seed)
        self.before = self._random.history(40)
        self.added: list[Operation] = []
        self.now = max((op.end for op in self.before if op.returned is not None), default=0.0)

    @property
    def history(self) -> list[Operation]:
        """All of it, closed."""
        whole = [*self.before, *self.added]
        self.dice.shuffle(whole)
        return whole + self._random.closing(self.now + 1000)

    def do(self, asked: W) -> W:
        """A call, carried out, answered and added."""
        answered = self._random.answer(asked)
        self.add(answered)
        assert type(answered) is type(asked)
        return answered

    def do_unseen(self, asked: SecretAsked) -> None:
        """A call, carried out, whose answer is lost."""
        self.carry_out(asked)
        self.add(asked)

    def carry_out(self, asked: SecretAsked) -> None:
        """What no call in the history has asked for is done."""
        self._random.answer(asked)

    def falsify(self, name: str, value: str) -> None:
        """The newest version has this value."""
        *older, (mark, _) = self._random.secrets[name]
        self._random.secrets = {**self._random.secrets, name: (*older, (mark, value))}

    def reserve(self, name: str) -> None:
        """The secret, which random clients do not use, is read at the end."""
        if name not in self._random.names:
            self._random.names.append(name)

    def lie(self, answered: SecretAsked) -> None:
        """A call with this answer, added and not carried out."""
        self.add(answered)

    def add(self, what: SecretAsked) -> None:
        self.now += LATER
        end = None if what.result is None else self.now + self.dice.random()
        self.added.append(Operation("planted", f"n{self.dice.randint(1, 3)}", self.now, end, what))

    def again(self, what: SecretAsked) -> None:
        """The call that was added last was this one."""
        self.added[-1] = replace(self.added[-1], what=what)

    def put(self, value: str, name: str = "P") -> Done:
        """A version of a secret that random clients do not use."""
        self.reserve(name)
        done = self.do(Put(OWNER, name, value)).result
        assert isinstance(done, Done)
        return done


def lost_write(plant: Planter) -> None:
    plant.put("one")
    plant.lie(Put(OWNER, "P", "two", None, Done(2, 10**6, is_new=True)))


def stale_read(plant: Planter) -> None:
    plant.put("one")
    seen = plant.do(Get(OWNER, "P"))
    plant.put("two")
    plant.lie(seen)


def read_of_what_was_deleted(plant: Planter) -> None:
    plant.put("one")
    seen = plant.do(Get(OWNER, "P"))
    plant.do(End(OWNER, "P"))
    plant.lie(seen)


def read_that_misses_what_another_saw(plant: Planter) -> None:
    plant.put("other", "Q")
    plant.reserve("P")
    plant.do_unseen(Put(OWNER, "P", "one"))
    plant.do(Get(OWNER, "P"))
    plant.lie(Get(OWNER, "P", result=Absent(("P",))))


def version_told_to_two_writers(plant: Planter) -> None:
    done = plant.put("one")
    plant.lie(Put(OWNER, "P", "one", None, done))


def version_with_two_values(plant: Planter) -> None:
    done = plant.put("one")
    plant.lie(Put(OWNER, "P", "two", None, done))


def request_carried_out_twice(plant: Planter) -> None:
    plant.put("one")
    plant.put("two")
    plant.carry_out(Put(OWNER, "P", "one"))


def deletion_carried_out_twice(plant: Planter) -> None:
    plant.put("one")
    plant.do_unseen(End(OWNER, "P"))
    plant.put("two")
    plant.carry_out(End(OWNER, "P"))


def version_that_nobody_asked_for(plant: Planter) -> None:
    plant.put("one")
    plant.carry_out(Put(OWNER, "P", "nobody's"))


def version_seen_before_it_was_asked_for(plant: Planter) -> None:
    plant.put("one")
    plant.carry_out(Put(OWNER, "P", "two"))
    plant.do(Get(OWNER, "P"))
    plant.add(Put(OWNER, "P", "two"))


def condition_under_which_both_won(plant: Planter) -> None:
    first = plant.put("one").version
    plant.do(Put(OWNER, "P", "two", first))
    won = plant.do(Put(OWNER, "P", "three"))
    plant.again(replace(won, condition=first))


def creation_that_both_won(plant: Planter) -> None:
    plant.put("one")
    won = plant.do(Put(OWNER, "P", "two"))
    plant.again(replace(won, condition=0))


def refusal_without_a_reason(plant: Planter) -> None:
    version = plant.put("one").version
    other = plant.dice.choice((version, version + 1, None))
    plant.lie(Put(OWNER, "P", "two", version, Unmet(other)))


def half_of_a_write_seen_at_once(plant: Planter) -> None:
    _write_two(plant)
    seen = plant.dice.choice((("new", "old"), ("old", "new")))
    plant.lie(GetAll(OWNER, ("P", "Q"), seen))


def half_of_a_write_seen_one_after_the_other(plant: Planter) -> None:
    plant.put("old", "Q")
    stale = plant.do(Get(OWNER, "Q"))
    _write_two(plant)
    plant.do(Get(OWNER, "P"))
    plant.lie(stale)


def half_of_a_write_done(plant: Planter) -> None:
    plant.put("old", "P")
    plant.put("old", "Q")
    plant.add(PutAll(OWNER, (("P", "new"), ("Q", "new"))))
    plant.carry_out(Put(OWNER, "P", "new"))
    plant.do(Get(OWNER, "P"))


def halves_of_a_write_at_two_moments(plant: Planter) -> None:
    plant.put("old", "P")
    plant.put("old", "Q")
    plant.add(PutAll(OWNER, (("P", "new"), ("Q", "new"))))
    for name in ("P", "Q"):
        plant.carry_out(Put(OWNER, name, "new"))


def write_whose_needs_were_not_met(plant: Planter) -> None:
    plant.put("one", "Q")
    plant.do(End(OWNER, "Q"))
    done = plant.do(PutAll(OWNER, (("P", "one"),)))
    plant.again(replace(done, needed=("Q",)))
    plant.reserve("P")


def _write_two(plant: Planter) -> None:
    plant.put("old", "P")
    plant.put("old", "Q")
    plant.do(PutAll(OWNER, (("P", "new"), ("Q", "new"))))


def history_that_shrinks(plant: Planter) -> None:
    plant.put("one")
    plant.put("two")
    history = plant.do(ReadHistory(OWNER, "P"))
    plant.lie(replace(history, result=(history.result or ())[:-1]))


def history_that_forgets_its_beginning(plant: Planter) -> None:
    plant.put("one")
    plant.put("two")
    history = plant.do(ReadHistory(OWNER, "P"))
    plant.lie(replace(history, result=(history.result or ())[1:]))


def end_of_a_version_that_moves(plant: Planter) -> None:
    plant.put("one")
    plant.do(End(OWNER, "P"))
    history = plant.do(ReadHistory(OWNER, "P"))
    (mark,) = history.result or ()
    assert mark.valid_to is not None
    moved = replace(mark, valid_to=mark.valid_to + plant.dice.choice((-1, 1)))
    plant.lie(Get(OWNER, "P", 1, result=(moved, "one")))


def versions_that_overlap(plant: Planter) -> None:
    plant.reserve("P")
    (first, second), value = (Mark(1, 100, 500), Mark(2, 400, None)), "one"
    plant.lie(Get(OWNER, "P", 1, result=(first, value)))
    plant.lie(Get(OWNER, "P", 2, result=(second, value)))


def version_that_is_left_out(plant: Planter) -> None:
    done = plant.put("one")
    plant.lie(Put(OWNER, "P", "two", None, Done(done.version + 2, done.valid_from + 10**6, is_new=True)))


def names_that_lack_one(plant: Planter) -> None:
    plant.put("one")
    names = plant.do(ReadNames(OWNER)).result or ()
    plant.again(ReadNames(OWNER, tuple(name for name in names if name != "P")))


def names_with_one_that_was_deleted(plant: Planter) -> None:
    plant.put("one")
    names = plant.do(ReadNames(OWNER))
    plant.do(End(OWNER, "P"))
    plant.lie(names)


def deletion_told_of_twice(plant: Planter) -> None:
    plant.put("one")
    plant.lie(plant.do(End(OWNER, "P")))


def deletion_of_what_was_replaced(plant: Planter) -> None:
    plant.put("one")
    done = plant.put("two")
    plant.lie(End(OWNER, "P", result=Ended(1, done.valid_from)))


def version_of_a_moment_that_it_did_not_cover(plant: Planter) -> None:
    done = plant.put("one")
    seen = plant.do(Get(OWNER, "P", 1))
    plant.lie(Get(OWNER, "P", at=done.valid_from - 1, result=seen.result))


def new_version_of_an_equal_value(plant: Planter) -> None:
    plant.put("one")
    done = plant.do(Put(OWNER, "P", "two"))
    plant.again(replace(done, value="one"))
    plant.falsify("P", "one")


def two_writes_at_one_moment(plant: Planter) -> None:
    plant.put("old", "P")
    plant.put("old", "Q")
    for name in ("P", "Q"):
        plant.add(Put(OWNER, name, "new"))
    plant.carry_out(PutAll(OWNER, (("P", "new"), ("Q", "new"))))


def write_that_did_more_than_was_asked(plant: Planter) -> None:
    plant.put("old", "P")
    plant.put("old", "Q")
    plant.add(PutAll(OWNER, (("P", "new"),)))
    plant.carry_out(PutAll(OWNER, (("P", "new"), ("Q", "new"))))


def nothing_new_where_there_was_something_to_do(plant: Planter) -> None:
    done = plant.put("one")
    plant.do(End(OWNER, "P"))
    plant.lie(Put(OWNER, "P", "one", None, replace(done, is_new=False)))


ANOMALIES: tuple[Callable[[Planter], None], ...] = (
    lost_write,
    stale_read,
    read_of_what_was_deleted,
    read_that_misses_what_another_saw,
    version_told_to_two_writers,
    version_with_two_values,
    request_carried_out_twice,
    deletion_carried_out_twice,
    version_that_nobody_asked_for,
    version_seen_before_it_was_asked_for,
    condition_under_which_both_won,
    creation_that_both_won,
    refusal_without_a_reason,
    half_of_a_write_seen_at_once,
    half_of_a_write_seen_one_after_the_other,
    half_of_a_write_done,
    halves_of_a_write_at_two_moments,
    write_whose_needs_were_not_met,
    history_that_shrinks,
    history_that_forgets_its_beginning,
    end_of_a_version_that_moves,
    versions_that_overlap,
    version_that_is_left_out,
    names_that_lack_one,
    names_with_one_that_was_deleted,
    deletion_told_of_twice,
    deletion_of_what_was_replaced,
    version_of_a_moment_that_it_did_not_cover,
    new_version_of_an_equal_value,
    two_writes_at_one_moment,
    write_that_did_more_than_was_asked,
    nothing_new_where_there_was_something_to_do,
)
