"""Which token stands for which value: what must be one function, whatever the times."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.history.operations import Detokenize, Operation, Tokenize, Value

Q = TypeVar("Q")
A = TypeVar("A")

_TOKEN = re.compile(r"tv1_([1-9][0-9]{0,17})_[0-9a-f]{32}")

Mark = str | tuple[str, Value]
"""A value, told apart from equal values of other types."""


def mark_of(value: Value) -> Mark:
    """The mark of a value: `1`, `1.0`, `True` and `"1"` have four, and so have `0.0` and `-0.0` two."""
    if type(value) is str:
        return value
    return type(value).__name__, repr(value) if isinstance(value, float) else value


def epoch_named_by(token: str) -> int | None:
    """The epoch in a token's text; None when the text is no token's."""
    match = _TOKEN.fullmatch(token)
    return int(match[1]) if match else None


@dataclass(frozen=True)
class Key:
    """What a token stands for."""

    owner: str
    epoch: int
    mark: Mark


class Identities:
    """The tokens that were answered in a history.  `complaints` tells of each answer that does not fit
    an earlier one; its rows are left out of `issued` and `found`.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.complaints: list[str] = []
        self.issued: dict[int, list[str]] = {}
        self.found: dict[int, list[str]] = {}
        self.key_of: dict[str, Key] = {}
        self.tokens_of: defaultdict[tuple[str, Mark], dict[int, str]] = defaultdict(dict)
        self._first: dict[str, Operation] = {}
        for operation in operations:
            if isinstance(operation.what, Tokenize):
                self.issued[id(operation)] = self._tokens_issued(operation, operation.what)
        for operation in operations:
            if isinstance(operation.what, Detokenize):
                self.found[id(operation)] = self._tokens_found(operation, operation.what)

    def _tokens_issued(self, operation: Operation, what: Tokenize) -> list[str]:
        if what.result is None:
            return []
        epoch, tokens = what.result
        answers = self._rows(operation, what.values, tokens)
        good = {}
        for value, token in answers:
            if value is None and token is None:
                continue
            if value is None or token is None:
                self.complaints.append(f"a value without a token, or none with one: {operation}")
            elif epoch_named_by(token) != epoch:
                self.complaints.append(
                    f"the answer says epoch {epoch}, its token {token} does not: {operation}"
                )
            elif self._fits(operation, token, Key(what.owner, epoch, mark_of(value))):
                good[token] = True
        return list(good)

    def _tokens_found(self, operation: Operation, what: Detokenize) -> list[str]:
        if what.result is None:
            return []
        good = {}
        for token, value in self._rows(operation, what.tokens, what.result):
            if value is None:
                continue
            epoch = None if token is None else epoch_named_by(token)
            if token is None or epoch is None:
                self.complaints.append(f"a value for what is no token: {operation}")
            elif self._fits(operation, token, Key(what.owner, epoch, mark_of(value))):
                good[token] = True
        return list(good)

    def _rows(
        self, operation: Operation, asked: Sequence[Q], answered: Sequence[A]
    ) -> Iterable[tuple[Q, A]]:
        if len(asked) != len(answered):
            self.complaints.append(f"an answer of another length than its question: {operation}")
            return ()
        return zip(asked, answered, strict=True)

    def _fits(self, operation: Operation, token: str, key: Key) -> bool:
        """Whether no other answer says something else; the first to say it is believed."""
        known = self.key_of.get(token)
        if known == key:
            return True
        if known is None:
            other = self.tokens_of[key.owner, key.mark].setdefault(key.epoch, token)
            if other == token:
                self.key_of[token] = key
                self._first[token] = operation
                return True
            self._complain("one value has two tokens in one epoch", self._first[other], operation)
        elif known.owner != key.owner:
            self._complain(f"token {token} is shared by two owners", self._first[token], operation)
        else:
            self._complain(f"token {token} has two values", self._first[token], operation)
        return False

    def _complain(self, why: str, first: Operation, second: Operation) -> None:
        self.complaints.append(f"{why}: {first}; {second}")

    def tokens_by_epoch(self, what: Tokenize) -> Iterator[tuple[int, list[str]]]:
        """The tokens that `what` would have issued under each epoch, as far as any answer names them."""
        by_epoch: defaultdict[int, dict[str, None]] = defaultdict(dict)
        for value in what.values:
            if value is not None:
                for epoch, token in self.tokens_of.get((what.owner, mark_of(value)), {}).items():
                    by_epoch[epoch][token] = None
        for epoch, tokens in by_epoch.items():
            yield epoch, list(tokens)
