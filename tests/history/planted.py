"""Sound histories with one thing in them that no vault may do, at a random place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.history.naive import Dice, Habits, token_of
from tests.history.operations import (
    Conflict,
    Detokenize,
    Operation,
    ReadEpoch,
    Rotate,
    Tokenize,
    Value,
)

HABITS = Habits(rotations=0.08, epochs=6)
NEVER_SUBMITTED = "nobody's"
HALVES = ("first half", "second half")


class Planter:
    """A sound history, and what is needed to plant something in it."""

    def __init__(self, seed: int) -> None:
        self.history = Dice(seed, HABITS).history(80)
        self.dice = Random(seed)

    def tokenized(self) -> tuple[Operation, Tokenize, int, tuple[str, ...]]:
        """An acknowledged tokenization, its epoch and its tokens."""
        acknowledged = [
            (operation, operation.what, operation.what.result)
            for operation in self.history
            if isinstance(operation.what, Tokenize) and operation.what.result is not None
        ]
        operation, what, (epoch, tokens) = self.dice.choice(acknowledged)
        return operation, what, epoch, tuple(token for token in tokens if token is not None)

    def newest(self, owner: str) -> tuple[int, float]:
        """The newest epoch of the owner that has been answered, and when that was known first."""
        epochs: dict[int, float] = {1: 0.0}
        for operation in self.history:
            what, epoch = operation.what, 0
            if what.owner == owner and isinstance(what, Tokenize) and what.result is not None:
                epoch = what.result[0]
            elif what.owner == owner and isinstance(what, ReadEpoch) and what.result is not None:
                epoch = what.result
            elif what.owner == owner and isinstance(what, Rotate) and isinstance(what.result, str):
                epoch = what.to
            epochs[epoch] = min(epochs.get(epoch, operation.end), operation.end)
        return max(epochs.items())

    def put(self, begin: float, what: Tokenize | Detokenize | ReadEpoch | Rotate) -> Operation:
        """Add an operation that begins then, and takes a while if it is answered."""
        end = None if what.result is None else begin + self.dice.random() * 5
        operation = Operation("planted", f"n{self.dice.randint(1, 3)}", begin, end, what)
        self.history.insert(self.dice.randrange(len(self.history) + 1), operation)
        return operation

    def after(self, moment: float) -> float:
        """A little or much later."""
        return moment + 0.001 + self.dice.random() ** 3 * 40

    def end(self) -> float:
        """When all that is answered has been answered."""
        return max(operation.end for operation in self.history if operation.returned is not None)


def lost_write(plant: Planter) -> None:
    operation, what, _, tokens = plant.tokenized()
    kept = [other for other in plant.history if not _finds(other, what.owner, tokens)]
    plant.history[:] = [*kept, operation] if operation not in kept else kept
    plant.put(plant.after(operation.end), Detokenize(what.owner, tokens, (None,) * len(tokens)))


def _finds(operation: Operation, owner: str, tokens: tuple[str, ...]) -> bool:
    what = operation.what
    is_about = isinstance(what, Detokenize) and bool({*what.tokens} & {*tokens})
    return is_about and what.owner == owner


def false_miss_after_the_acknowledgement(plant: Planter) -> None:
    operation, what, _, tokens = plant.tokenized()
    plant.put(plant.after(operation.end), Detokenize(what.owner, (tokens[0],), (None,)))
    plant.put(plant.end(), Detokenize(what.owner, (tokens[0],), (what.values[0],)))


def false_miss_after_another_saw_it(plant: Planter) -> None:
    plant.put(0, Tokenize("A", ("fresh",)))
    token = token_of("A", 1, "fresh")
    seen = plant.put(plant.dice.random() * 60, Detokenize("A", (token,), ("fresh",)))
    plant.put(plant.after(seen.end), Detokenize("A", (token,), (None,)))


def stale_epoch_read(plant: Planter) -> None:
    owner = plant.dice.choice("AB")
    epoch, known = _rotated(plant, owner)
    plant.put(plant.after(known), ReadEpoch(owner, epoch - 1))


def stale_epoch_in_a_tokenization(plant: Planter) -> None:
    owner = plant.dice.choice("AB")
    epoch, known = _rotated(plant, owner)
    token = token_of(owner, epoch - 1, "v1")
    plant.put(plant.after(known), Tokenize(owner, ("v1",), (epoch - 1, (token,))))


def stale_epoch_in_a_rotation(plant: Planter) -> None:
    owner = plant.dice.choice("AB")
    epoch, known = _rotated(plant, owner)
    stale = plant.dice.choice(
        (Rotate(owner, epoch - 1, "already"), Rotate(owner, epoch + 5, Conflict(epoch - 1)))
    )
    plant.put(plant.after(known), stale)


def _rotated(plant: Planter, owner: str) -> tuple[int, float]:
    """The newest epoch, 2 or more, and when it was known."""
    epoch, known = plant.newest(owner)
    if epoch > 1:
        return epoch, known
    return 2, plant.put(plant.end() + 1, Rotate(owner, 2, "rotated")).end


def two_tokens_of_one_value(plant: Planter) -> None:
    operation, what, epoch, _ = plant.tokenized()
    other = token_of(what.owner, epoch, "something else")
    plant.put(operation.invoked, Tokenize(what.owner, what.values[:1], (epoch, (other,))))


def two_values_of_one_token(plant: Planter) -> None:
    operation, what, _, tokens = plant.tokenized()
    wrong: Value = plant.dice.choice(("v-other", 1, True, 0.0))
    plant.put(plant.after(operation.end), Detokenize(what.owner, tokens[:1], (wrong,)))


def token_of_another_owner_found(plant: Planter) -> None:
    operation, what, _, tokens = plant.tokenized()
    other = "B" if what.owner == "A" else "A"
    plant.put(plant.after(operation.end), Detokenize(other, tokens[:1], what.values[:1]))


def token_of_another_owner_found_that_only_they_submitted(plant: Planter) -> None:
    begin = plant.dice.random() * 60
    plant.put(begin, Tokenize("A", ("only A's",)))
    token = token_of("A", 1, "only A's")
    plant.put(plant.after(begin), Detokenize("B", (token,), ("only A's",)))


def phantom_value(plant: Planter) -> None:
    token = token_of("A", 1, NEVER_SUBMITTED)
    plant.put(plant.dice.random() * 60, Detokenize("A", (token,), (NEVER_SUBMITTED,)))


def value_found_before_it_was_submitted(plant: Planter) -> None:
    found = plant.put(
        plant.dice.random() * 60, Detokenize("A", (token_of("A", 1, "early"),), ("early",))
    )
    later = plant.after(found.end)
    plant.put(later, Tokenize("A", ("early",)))
    plant.put(later, Tokenize("A", ("early", "late")))


def half_of_a_batch_in_two_looks(plant: Planter) -> None:
    first, second = _unknown_batch(plant)
    seen = plant.put(plant.dice.random() * 60, Detokenize("A", (first,), (HALVES[0],)))
    plant.put(plant.after(seen.end), Detokenize("A", (second,), (None,)))


def half_of_a_batch_in_one_look(plant: Planter) -> None:
    half = plant.dice.choice(((HALVES[0], None), (None, HALVES[1])))
    plant.put(plant.dice.random() * 60, Detokenize("A", _unknown_batch(plant), half))


def _unknown_batch(plant: Planter) -> tuple[str, str]:
    """The tokens of a batch of unknown outcome; all of it is found at last."""
    plant.put(0, Tokenize("A", HALVES))
    tokens = (token_of("A", 1, HALVES[0]), token_of("A", 1, HALVES[1]))
    plant.put(plant.end() + 100, Detokenize("A", tokens, HALVES))
    return tokens


def two_epochs_in_one_answer(plant: Planter) -> None:
    operation, what, epoch, tokens = plant.tokenized()
    mixed = (*tokens, token_of(what.owner, epoch + 1, "x"))
    answered = replace(what, values=(*what.values, "x"), result=(epoch, mixed))
    plant.put(operation.invoked, answered)


def two_epochs_for_one_unknown_request(plant: Planter) -> None:
    owner = plant.dice.choice("AB")
    epoch, _ = _rotated(plant, owner)
    plant.put(0, Tokenize(owner, ("x", "y")))
    for at, value in ((epoch - 1, "x"), (epoch, "y")):
        plant.put(plant.end() + 1, Detokenize(owner, (token_of(owner, at, value),), (value,)))


def rotation_past_an_epoch(plant: Planter) -> None:
    owner = plant.dice.choice("AB")
    epoch, _ = plant.newest(owner)
    past = plant.dice.choice((9, epoch + 8))
    plant.put(plant.after(plant.end()), Rotate(owner, past, "rotated"))


def epoch_that_nobody_began(plant: Planter) -> None:
    owner = plant.dice.choice("AB")
    seen = plant.dice.choice((ReadEpoch(owner, 9), Rotate(owner, 9, "already"), ReadEpoch(owner, 0)))
    plant.put(plant.dice.random() * 90, seen)


def epoch_seen_before_its_rotation_began(plant: Planter) -> None:
    owner = plant.dice.choice("AB")
    epoch, _ = plant.newest(owner)
    later = plant.end() + 1
    seen = plant.put(later, ReadEpoch(owner, epoch + 1))
    tried = [op for op in plant.history if isinstance(op.what, Rotate) and op.what.to == epoch + 1]
    plant.history[:] = [op for op in plant.history if op not in tried]
    for outcome in (None, plant.dice.choice(("rotated", None))):
        rotation = Rotate(owner, epoch + 1, "rotated" if outcome else None)
        plant.put(plant.after(seen.end), rotation)


def two_rotations_to_one_epoch(plant: Planter) -> None:
    owner = plant.dice.choice("AB")
    epoch, known = _rotated(plant, owner)
    for _ in range(2):
        plant.put(known - plant.dice.random(), Rotate(owner, epoch, "rotated"))


def conflict_without_a_reason(plant: Planter) -> None:
    owner = plant.dice.choice("AB")
    epoch, known = plant.newest(owner)
    plant.put(known, Rotate(owner, epoch + plant.dice.randint(0, 1), Conflict(epoch)))


def answer_cut_short(plant: Planter) -> None:
    operation, what, _, tokens = plant.tokenized()
    plant.put(plant.after(operation.end), Detokenize(what.owner, (*tokens, tokens[0]), what.values))


def value_for_what_is_no_token(plant: Planter) -> None:
    operation, what, _, tokens = plant.tokenized()
    text = plant.dice.choice((tokens[0].upper(), tokens[0] + "\n", "v1", ""))
    plant.put(plant.after(operation.end), Detokenize(what.owner, (text,), what.values[:1]))


ANOMALIES: tuple[Callable[[Planter], None], ...] = (
    lost_write,
    false_miss_after_the_acknowledgement,
    false_miss_after_another_saw_it,
    stale_epoch_read,
    stale_epoch_in_a_tokenization,
    stale_epoch_in_a_rotation,
    two_tokens_of_one_value,
    two_values_of_one_token,
    token_of_another_owner_found,
    token_of_another_owner_found_that_only_they_submitted,
    phantom_value,
    value_found_before_it_was_submitted,
    half_of_a_batch_in_two_looks,
    half_of_a_batch_in_one_look,
    two_epochs_in_one_answer,
    two_epochs_for_one_unknown_request,
    rotation_past_an_epoch,
    epoch_that_nobody_began,
    epoch_seen_before_its_rotation_began,
    two_rotations_to_one_epoch,
    conflict_without_a_reason,
    answer_cut_short,
    value_for_what_is_no_token,
)
