"""Operations of clients as they are seen from outside: who asked what when, and what was answered.

Times are numbers of one clock, whatever its unit: seconds of `time.monotonic()` for real clusters,
simulated milliseconds for the simulator.  Nothing here knows where a history comes from.

Calls about tokens stand here, those about secrets in `secret_operations`: the two share no state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from tests.history.secret_operations import SecretAsked, told_of_secrets

Value = str | int | float | bool | bytes
"""What is tokenized.  `"1"`, `1`, `1.0` and `True` are four values; simulated clients may use bytes."""


@dataclass(frozen=True)
class Tokenize:
    """`result` is the epoch and the tokens in the order of `values`, None for None."""

    kind: ClassVar[str] = "tokenize"
    owner: str
    values: tuple[Value | None, ...]
    result: tuple[int, tuple[str | None, ...]] | None = None


@dataclass(frozen=True)
class Detokenize:
    """`result` is the values in the order of `tokens`, None for None and for what was not found."""

    kind: ClassVar[str] = "detokenize"
    owner: str
    tokens: tuple[str | None, ...]
    result: tuple[Value | None, ...] | None = None

    def misses(self) -> bool:
        """Whether the answer says of a token that there is none."""
        answers = zip(self.tokens, self.result or (), strict=False)
        return any(value is None and token is not None for token, value in answers)


@dataclass(frozen=True)
class ReadEpoch:
    """`result` is the active epoch."""

    kind: ClassVar[str] = "epoch"
    owner: str
    result: int | None = None


@dataclass(frozen=True)
class Conflict:
    """A rotation was refused: the active epoch is another one, and not the one before its target."""

    active: int


@dataclass(frozen=True)
class Rotate:
    """`result`: this call made `to` active, it was active already, or neither."""

    kind: ClassVar[str] = "rotate"
    owner: str
    to: int
    result: Literal["rotated", "already"] | Conflict | None = None


Asked = Tokenize | Detokenize | ReadEpoch | Rotate
"""A call about tokens."""

AnyAsked = Asked | SecretAsked


@dataclass(frozen=True)
class Operation:
    """One call of one client.  `returned` is None when nobody knows how it ended: then `what.result` is
    None, too, and the call may have taken effect at any time since `invoked`, or may still, or never.

    A call that was refused, of which it is certain that it did and will do nothing, is no operation.
    `node` is for messages only.
    """

    client: str
    node: str
    invoked: float
    returned: float | None
    what: AnyAsked

    def __post_init__(self) -> None:
        known = self.returned is not None
        assert known == (self.what.result is not None), "an answer has a result, and nothing else has"
        assert self.invoked <= self.end, "a call returns after it was made"

    @property
    def end(self) -> float:
        """When it was over; infinity when nobody knows."""
        return math.inf if self.returned is None else self.returned

    def __str__(self) -> str:
        """One line for people."""
        end = "?" if self.returned is None else f"{self.returned:.6g}"
        when = f"[{self.invoked:.6g}, {end}]"
        return f"{self.client} on {self.node} {when}: {_told(self.what)}"


def _told(what: AnyAsked) -> str:
    if isinstance(what, SecretAsked):
        return told_of_secrets(what)
    if isinstance(what, ReadEpoch):
        answer = "?" if what.result is None else str(what.result)
        return f"{what.owner} reads epoch -> {answer}"
    if isinstance(what, Rotate):
        outcome = what.result
        told = f"conflict with {outcome.active}" if isinstance(outcome, Conflict) else outcome or "?"
        return f"{what.owner} rotates to {what.to} -> {told}"
    if isinstance(what, Tokenize):
        answer = "?" if what.result is None else f"epoch {what.result[0]} {_few(what.result[1])}"
        return f"{what.owner} tokenizes {_few(what.values)} -> {answer}"
    answer = "?" if what.result is None else _few(what.result)
    return f"{what.owner} detokenizes {_few(what.tokens)} -> {answer}"


def _few(items: Sequence[object]) -> str:
    told = ", ".join("none" if item is None else str(item)[:40] for item in items[:4])
    return f"[{told}{f', and {len(items) - 4} more' if len(items) > 4 else ''}]"
