"""The read path of a detokenization: tokens back to values, one answer to all that is not found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tvault.engine import Engine
from tvault.errors import VaultError
from tvault.model.commands import DIGEST_BYTES
from tvault.model.keys import KeyRing
from tvault.model.tokens import parse_alike, parse_token
from tvault.model.values import Value, decode_values
from tvault.server.tokenize import found_values

# What is looked up in the place of a text that is no token, so that the work is the same.
_DECOY: Final = (1, bytes(DIGEST_BYTES))


class Detokenizer:
    """Gives tokens their values back."""

    def __init__(self, engine: Engine, keys: KeyRing, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._keys = keys
        self._clock = clock

    def detokenize(self, owner: str, texts: Sequence[object], deadline: float) -> list[Value | None]:
        """The values of the owner's tokens, None where there is none.

        Where anything is not found it has made sure, after it looked, that nothing committed before
        the call was missed.  Raises `VaultError` `unavailable`.
        """
        asked = _by_epoch(texts)
        vantage: int | None = self._engine.vantage()
        while vantage is not None:
            values = self._look(owner, asked, len(texts), deadline)
            vantage = self._engine.confirm(vantage, deadline) if None in values else None
        return values

    def _look(
        self, owner: str, asked: Sequence[_Asked], count: int, deadline: float
    ) -> list[Value | None]:
        """What is there of these tokens: one look for each epoch."""
        values: list[Value | None] = [None] * count
        for tokens in asked:
            if self._clock() > deadline:
                raise VaultError("unavailable", "The request took too long; try again.")
            places = self._engine.look_up(owner, tokens.epoch, tokens.digests, deadline)
            if not places.blocks:
                continue
            found, canonicals = found_values(self._keys.scope(owner, tokens.epoch), places)
            for at, value in zip(found, decode_values(canonicals), strict=True):
                values[tokens.positions[at]] = value
            for position in tokens.odd:
                values[position] = None
        return values


@dataclass(frozen=True)
class _Asked:
    """Tokens of one epoch: their positions in the batch, and their digests, side by side.  `odd` are the
    positions of texts that are no tokens.
    """

    epoch: int
    positions: Sequence[int]
    digests: bytes
    odd: Sequence[int] = ()


def _by_epoch(texts: Sequence[object]) -> list[_Asked]:
    """What to look up, the newest epoch first: an epoch gets no tokens once a later one has begun, so
    what is found and what is missed could have been so at one moment.
    """
    alike = parse_alike(texts)
    if alike is not None:
        epoch, digests = alike
        return [_Asked(epoch, range(len(texts)), digests)]
    parsed = [parse_token(text) for text in texts]
    by_epoch: dict[int, list[int]] = {}
    for position, token in enumerate(parsed):
        by_epoch.setdefault((token or _DECOY)[0], []).append(position)
    return [
        _Asked(
            epoch,
            positions,
            b"".join((parsed[position] or _DECOY)[1] for position in positions),
            [position for position in positions if parsed[position] is None],
        )
        for epoch, positions in sorted(by_epoch.items(), reverse=True)
    ]
