"""The write path of a tokenization: one epoch, all or nothing, however often it must be tried.

The tokens of new values are written with an epoch that is believed to be the active one.  Whoever
orders the journal refuses the write when it is not, or when another request has written one of the
tokens meanwhile; then the tokens are looked up again.  A request whose values all have tokens writes
nothing, and must make sure that its epoch is still active before it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tvault.engine import Engine, StaleEpoch, TokensExist, Written, unknown_outcome
from tvault.errors import VaultError
from tvault.model.blocks import seal
from tvault.model.commands import Mint
from tvault.model.keys import KeyRing, Scope
from tvault.model.records import LookTooLong
from tvault.model.tokens import render_tokens
from tvault.server.reading import opened

ROUNDS: Final = 16
"""How often a write is tried when other writes keep coming between."""


class Collision(Exception):
    """Two values have one token, under the owner's keys of `epoch`."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"two values have one token in epoch {epoch}")
        self.epoch = epoch


@dataclass(frozen=True)
class Tokenized:
    """What a tokenization came to: `new` tokens that it issued, `known` ones that existed."""

    epoch: int
    answer: bytes
    new: int
    known: int


class Tokenizer:
    """Gives values their tokens.  `nonce` gives 12 bytes that it never gives again."""

    def __init__(self, engine: Engine, keys: KeyRing, nonce: Callable[[], bytes]) -> None:
        self._engine = engine
        self._keys = keys
        self._nonce = nonce

    def tokenize(
        self,
        owner: str,
        canonicals: Sequence[bytes],
        render: Callable[[int, list[str]], bytes],
        deadline: float,
        *,
        may_be_done: bool = False,
    ) -> Tokenized:
        """The tokens of canonical values, all committed when it returns.  `may_be_done`: the request may
        have written already.

        `render` makes the answer of an epoch and the tokens in the values' order.  It is called before
        anything is written, so that nothing is left behind when it raises, and once more for each
        further epoch that is tried.

        Raises `Collision`, with nothing written; `VaultError` `unavailable` or `overloaded`.
        """
        distinct = list(dict.fromkeys(canonicals))
        epoch = self._engine.hint_epoch(owner)
        work: _Work | None = None
        for _ in range(ROUNDS):
            if work is None or work.epoch != epoch:
                work = _Work.of(self._keys.scope(owner, epoch), distinct, canonicals, render)
            missing = self._missing(work, range(len(distinct)), deadline)
            if missing:
                verdict = self._write(work, missing, deadline, may_be_done=may_be_done)
            else:
                active = self._engine.read_epoch(owner, deadline)
                verdict = Written(0) if active == epoch else StaleEpoch(active)
            if isinstance(verdict, Written):
                return Tokenized(epoch, work.answer, len(missing), len(distinct) - len(missing))
            if isinstance(verdict, StaleEpoch):
                if may_be_done:  # it must not take effect in two epochs
                    raise VaultError("unavailable", "The epoch changed meanwhile; try again.")
                epoch = verdict.newest
            else:
                may_be_done |= verdict.is_perhaps_own
                self._engine.wait_for(verdict.seq, deadline)
        raise VaultError("unavailable", "Other writes kept coming between; try again.")

    def _missing(self, work: _Work, part: range, deadline: float) -> list[int]:
        """The places, in this part, of the values that have no token yet; the others' are found to be
        theirs."""
        if not part:
            return []
        digests = b"".join(work.digests[part.start : part.stop])
        try:
            places = self._engine.look_up(work.scope.owner, work.epoch, digests, deadline)
        except LookTooLong:
            middle = len(part) // 2
            one, two = (self._missing(work, half, deadline) for half in (part[:middle], part[middle:]))
            return one + two
        found, values = opened(work.scope, places)
        if values != [work.distinct[part[at]] for at in found]:
            raise Collision(work.epoch)
        return [part[at] for at in places.missing()]

    def _write(
        self, work: _Work, missing: Sequence[int], deadline: float, *, may_be_done: bool
    ) -> Written | StaleEpoch | TokensExist:
        digests, canonicals = work.digests, work.distinct
        if len(missing) < len(canonicals):
            digests, canonicals = ([side[at] for at in missing] for side in (digests, canonicals))
        blocks = seal(work.scope, digests, canonicals, self._nonce)
        try:
            return self._engine.mint(Mint(work.scope.owner, work.epoch, blocks), deadline)
        except VaultError as error:
            if may_be_done and error.code == "overloaded":  # which says that nothing was written
                raise unknown_outcome() from None
            raise


@dataclass(frozen=True)
class _Work:
    """A request's values under the keys of one epoch."""

    scope: Scope
    distinct: Sequence[bytes]
    digests: Sequence[bytes]
    answer: bytes

    @property
    def epoch(self) -> int:
        return self.scope.epoch

    @staticmethod
    def of(
        scope: Scope,
        distinct: Sequence[bytes],
        canonicals: Sequence[bytes],
        render: Callable[[int, list[str]], bytes],
    ) -> _Work:
        digests = scope.digests(distinct)
        if len(set(digests)) != len(digests):
            raise Collision(scope.epoch)
        tokens = render_tokens(scope.epoch, digests)
        if len(distinct) != len(canonicals):
            token_of = dict(zip(distinct, tokens, strict=True))
            tokens = [token_of[canonical] for canonical in canonicals]
        return _Work(scope, distinct, digests, render(scope.epoch, tokens))

    def __repr__(self) -> str:
        return f"<_Work of {len(self.distinct)} values in epoch {self.epoch}>"
