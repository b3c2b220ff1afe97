"""Short random histories, sound and unsound, for comparing two checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.history.naive import Dice, Habits, token_of
from tests.history.operations import (
    Asked,
    Conflict,
    Detokenize,
    Operation,
    ReadEpoch,
    Rotate,
    Tokenize,
)

VALUES = ("v0", "v1", "v2")


def short_history(seed: int) -> list[Operation]:
    """Two to seven operations on few values, whose times are often equal; one history of four is sound,
    in the others one to three operations have been tampered with."""
    dice = Random(seed)
    habits = Habits(
        values=dice.choice((1, 2, 2, 3)),
        epochs=3,
        batch=dice.choice((1, 2, 3)),
        longest=dice.choice((3, 6, 10)),
        unknown=dice.choice((0, 0.2, 0.5)),
        rotations=dice.choice((0.1, 0.25)),
        owners=dice.choice((("A",), ("A",), ("A", "B"))),
        whole_turns=dice.random() < 0.6,
    )
    history = Dice(seed, habits).history(dice.randint(2, 7))
    for _ in range(dice.randint(1, 3) if seed % 4 else 0):
        at = dice.randrange(len(history))
        history[at] = dice.choice((_moved, _forgotten, _lied))(history[at], dice)
    return history


def _moved(operation: Operation, dice: Random) -> Operation:
    by = dice.choice((-6, -4, -3, -2, 2, 3, 4, 6))
    returned = None if operation.returned is None else operation.returned + by
    return replace(operation, invoked=operation.invoked + by, returned=returned)


def _forgotten(operation: Operation, _: Random) -> Operation:
    return replace(operation, returned=None, what=replace(operation.what, result=None))


def _lied(operation: Operation, dice: Random) -> Operation:
    what = operation.what
    if operation.returned is None or not isinstance(what, Asked):
        return operation
    return replace(operation, what=_lie(what, dice))


def _lie(what: Asked, dice: Random) -> Asked:
    if isinstance(what, ReadEpoch):
        return replace(what, result=max(1, (what.result or 1) + dice.choice((-1, 1))))
    if isinstance(what, Rotate):
        return replace(what, result=dice.choice(("rotated", "already", Conflict(dice.randint(1, 3)))))
    if isinstance(what, Tokenize):
        epoch = max(1, (what.result or (1, ()))[0] + dice.choice((-1, 1)))
        tokens = tuple(token_of(what.owner, epoch, value) for value in what.values if value is not None)
        return replace(what, result=(epoch, tokens))
    found = list(what.result or ())
    at = dice.randrange(len(found))
    found[at] = None if found[at] is not None else _value_of(what.owner, what.tokens[at])
    return replace(what, result=tuple(found))


def _value_of(owner: str, token: str | None) -> str | None:
    named = {token_of(owner, epoch, value): value for epoch in (1, 2, 3) for value in VALUES}
    return named.get(token or "")


def torn_history(seed: int) -> list[Operation]:
    """Two or three tokenizations of unknown outcome, a rotation, and looks at what they may have issued
    under either epoch: most of the work is to find out under which epoch each took effect."""
    dice = Random(seed)
    history = [
        Operation(f"u{i}", "n1", dice.randint(0, 8), None, Tokenize("A", _some(dice)))
        for i in range(dice.randint(2, 3))
    ]
    rotation = Rotate("A", 2, "rotated")
    history.append(Operation("r", "n2", dice.randint(4, 8), dice.randint(8, 12), rotation))
    for i in range(dice.randint(2, 4)):
        epoch, values = dice.choice((1, 2)), _some(dice)
        begin = dice.randint(0, 6) + 6 * (epoch - 1)
        tokens = tuple(token_of("A", epoch, value) for value in values)
        if dice.random() < 0.2:
            what: Asked = Tokenize("A", values, (epoch, tokens))
        else:
            found = tuple(value if dice.random() < 0.8 else None for value in values)
            what = Detokenize("A", tokens, found)
        history.append(Operation(f"c{i}", "n3", begin, begin + dice.randint(0, 6), what))
    dice.shuffle(history)
    return history


def _some(dice: Random) -> tuple[str, ...]:
    return tuple(dice.sample(VALUES, dice.randint(1, 2)))


KINDS: tuple[Callable[[int], list[Operation]], ...] = (short_history, torn_history)
