"""Any number of values or tokens through a vault, in requests as large as a node takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeVar

from tvault.client.answers import Value
from tvault.client.job import Operation
from tvault.client.sending import is_too_much
from tvault.client.vault import Vault
from tvault.errors import FieldError, VaultError
from tvault.model.tokens import parse_alike, parse_token
from tvault.wire import Limits

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

MOST_VALUES = Limits.values_per_request
"""How many values a request holds at most: as many as a node takes, unless it is told otherwise."""

USUAL_BYTES = 4 * 1024 * 1024
"""A request with so many bytes of values gets no more of them."""

SIZE_OF_A_NUMBER = 8


class Each(Protocol):
    """What applies a function to each of some things and gives the results in their order: `map`, or
    the `map` of a pool of threads."""

    def __call__(self, function: Callable[[A], B], things: Iterable[A], /) -> Iterable[B]: ...


@dataclass(frozen=True, repr=False)
class Answers(Generic[T]):
    """What was `found` for each value or token, None for what was not; the epochs of the new tokens."""

    found: list[T | None]
    epochs: frozenset[int] = frozenset()


class Bulk:
    """Asks a vault about lists of any length.  `each` may ask for several pieces of a list at a time.

    A list that is cut gets its answers one piece after another: tokens may be of two epochs when the
    epoch changes meanwhile.  Every method raises `VaultError`; positions in it are those in the list.
    Give each value or token once: what stands twice is sent twice.  Safe for many threads.
    """

    def __init__(self, vault: Vault, each: Each = map) -> None:
        self._vault = vault
        self._each = each
        self._most = MOST_VALUES

    def tokenize(self, values: Sequence[Value]) -> Answers[str]:
        """The tokens of values."""

        def ask(part: Sequence[Value]) -> Answers[str]:
            made = self._vault.tokenize(part)
            return Answers(made.tokens, frozenset({made.epoch}))

        return self._ask(values, ask)

    def detokenize(self, tokens: Sequence[str]) -> Answers[Value]:
        """The values of tokens."""

        def ask(part: Sequence[str]) -> Answers[Value]:
            return Answers(self._vault.detokenize_tokens(part).values)

        return self._ask_tokens(tokens, ask)

    def retokenize(self, tokens: Sequence[str]) -> Answers[str]:
        """The tokens of the active epoch for the values that tokens stand for."""

        def ask(part: Sequence[str]) -> Answers[str]:
            made = self._vault.retokenize(part)
            has_some = any(token is not None for token in made.tokens)
            return Answers(made.tokens, frozenset({made.epoch} if has_some else ()))

        return self._ask_tokens(tokens, ask)

    def lookup(self, values: Sequence[Value]) -> Answers[dict[int, str]]:
        """The tokens that values have, by epoch; none are made."""

        def ask(part: Sequence[Value]) -> Answers[dict[int, str]]:
            return Answers([*self._vault.lookup(part)])

        return self._ask(values, ask)

    def asking(self, operation: Operation) -> Callable[[Sequence[Any]], Answers[Any]]:
        """The method of that name."""
        asking: Callable[[Sequence[Any]], Answers[Any]] = getattr(self, operation)
        return asking

    def _ask_tokens(
        self, texts: Sequence[str], ask: Callable[[Sequence[str]], Answers[T]]
    ) -> Answers[T]:
        """Without sending what is no token: it may be a value, and is found nowhere."""
        if parse_alike(texts) is not None:
            return self._ask(texts, ask)
        positions = [at for at, text in enumerate(texts) if parse_token(text) is not None]
        answers = self._ask([texts[at] for at in positions], ask)
        found: list[T | None] = [None] * len(texts)
        for at, one in zip(positions, answers.found, strict=True):
            found[at] = one
        return Answers(found, answers.epochs)

    def _ask(self, given: Sequence[A], ask: Callable[[Sequence[A]], Answers[T]]) -> Answers[T]:
        found: list[T | None] = []
        epochs: frozenset[int] = frozenset()
        cuts = [0, *_ends(given, self._most)]

        def piece(bounds: tuple[int, int]) -> Answers[T]:
            return self._piece(given, *bounds, ask)

        for answer in self._each(piece, pairwise(cuts)):
            found += answer.found
            epochs |= answer.epochs
        return Answers(found, epochs)

    def _piece(
        self, given: Sequence[A], begin: int, end: int, ask: Callable[[Sequence[A]], Answers[T]]
    ) -> Answers[T]:
        """One request, or several when it is too much for a node: then the next ones hold less."""
        try:
            return ask(given[begin:end])
        except VaultError as error:
            if not is_too_much(error):
                raise _moved(error, begin) from None
            if end - begin < 2:
                raise replace(error, errors=(FieldError(begin, "too_large"),)) from None
        middle = (begin + end) // 2
        self._most = min(self._most, end - middle)
        first = self._piece(given, begin, middle, ask)
        second = self._piece(given, middle, end, ask)
        return Answers(first.found + second.found, first.epochs | second.epochs)


def _moved(error: VaultError, by: int) -> VaultError:
    moved = tuple(replace(entry, index=entry.index + by) for entry in error.errors)
    return replace(error, errors=moved)


def _ends(given: Sequence[object], most: int) -> list[int]:
    """Where to cut: after `most` of them, or about `USUAL_BYTES`."""
    sizes = [len(one) if isinstance(one, str) else SIZE_OF_A_NUMBER for one in given]
    ends: list[int] = []
    count = size = 0
    if sum(sizes) <= USUAL_BYTES:
        return [*range(most, len(given), most), len(given)] if given else []
    for at, each in enumerate(sizes):
        if count == most or (count and size + each > USUAL_BYTES):
            ends.append(at)
            count = size = 0
        count += 1
        size += each
    return [*ends, len(given)]
