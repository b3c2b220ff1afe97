"""Short random histories of secrets, sound and unsound, for comparing two checks."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.history.operations import Operation
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


def short_history(seed: int) -> list[Operation]:
    """Two to seven operations on few secrets, whose times are often equal, and those that close the
    history; one history of four is sound, in the others one to three operations have been tampered with.
    """
    dice = Random(seed)
    habits = Habits(
        names=dice.choice((1, 1, 2)),
        values=dice.choice((0, 2, 3)),
        longest=dice.choice((3, 6, 10)),
        unknown=dice.choice((0, 0.2, 0.5)),
        conditions=dice.choice((0, 0.4)),
        whole_turns=dice.random() < 0.6,
    )
    count = dice.randint(2, 7)
    history = SecretDice(seed, habits).history(count)
    for _ in range(dice.randint(1, 3) if seed % 4 else 0):
        at = dice.randrange(count)
        history[at] = dice.choice((_moved, _forgotten, _lied))(history[at], dice)
    return history


def _moved(operation: Operation, dice: Random) -> Operation:
    by = dice.choice((-6, -4, -3, -2, 2, 3, 4, 6))
    returned = None if operation.returned is None else operation.returned + by
    return replace(operation, invoked=operation.invoked + by, returned=returned)


def _forgotten(operation: Operation, _: Random) -> Operation:
    return replace(operation, returned=None, what=replace(operation.what, result=None))


def _lied(operation: Operation, dice: Random) -> Operation:
    assert isinstance(operation.what, SecretAsked)
    known = operation.returned is not None
    return replace(operation, what=_lie(operation.what, dice)) if known else operation


def _lie(what: SecretAsked, dice: Random) -> SecretAsked:
    if isinstance(what, Put | End | PutAll):
        return _lie_of_write(what, dice)
    match what:
        case Get(name=name, result=tuple()):
            return replace(what, result=Absent((name,)))
        case Get():
            return replace(what, result=(Mark(1, 103, None), "v1"))
        case GetAll(names=names):
            return replace(what, result=Absent(tuple(dice.sample(names, 1))))
        case ReadHistory(result=tuple(marks)) if marks:
            last = replace(marks[-1], valid_to=None)
            return replace(what, result=dice.choice((marks[:-1], (*marks[:-1], last))))
        case ReadNames(result=tuple(names)):
            return replace(what, result=names[1:] if names else ("S0",))
    return what


def _lie_of_write(what: Put | End | PutAll, dice: Random) -> SecretAsked:
    by = dice.choice((-1, 1))
    match what:
        case Put(result=Done() as done):
            lies = (replace(done, version=done.version + by), replace(done, is_new=not done.is_new))
            return replace(what, result=dice.choice((*lies, Unmet(done.version))))
        case End(result=Ended(version, valid_to)):
            other = dice.choice((Ended(version + by, valid_to), Absent((what.name,)), Unmet(version)))
            return replace(what, result=other)
        case Put(result=Unmet(version)) | End(result=Unmet(version)):
            return replace(what, result=Unmet(dice.choice((None, (version or 0) + by))))
        case PutAll(result=tuple(done)):
            at = dice.randrange(len(done))
            lied = [(n, v + by if number == at else v) for number, (n, v) in enumerate(done)]
            return replace(what, result=tuple(lied))
    return what
