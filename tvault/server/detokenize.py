"""The read path of a detokenization: tokens back to values, one answer to all that is not found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tvault.engine import Engine
from tvault.errors import VaultError
from tvault.model.commands import DIGEST_BYTES
from tvault.model.keys import KeyRing
from tvault.model.tokens import parse_tokens
from tvault.model.values import Value, decode_value
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
        parsed = parse_tokens(texts)
        by_epoch: dict[int, list[int]] = {}
        for position, token in enumerate(parsed):
            by_epoch.setdefault((token or _DECOY)[0], []).append(position)
        vantage: int | None = self._engine.vantage()
        while vantage is not None:
            values = self._look(owner, parsed, by_epoch, deadline)
            vantage = self._engine.confirm(vantage, deadline) if None in values else None
        return values

    def _look(
        self,
        owner: str,
        parsed: Sequence[tuple[int, bytes] | None],
        by_epoch: dict[int, list[int]],
        deadline: float,
    ) -> list[Value | None]:
        """What is there of these tokens: one look for each epoch."""
        values: list[Value | None] = [None] * len(parsed)
        # The newest epoch first: an epoch gets no tokens once a later one has begun, so what is found
        # and what is missed could have been so at one moment.
        for epoch, positions in sorted(by_epoch.items(), reverse=True):
            if self._clock() > deadline:
                raise VaultError("unavailable", "The request took too long; try again.")
            digests = [(parsed[position] or _DECOY)[1] for position in positions]
            places = self._engine.look_up(owner, epoch, digests, deadline)
            if not places.blocks:
                continue
            found, canonicals = found_values(self._keys.scope(owner, epoch), places)
            for at, canonical in zip(found, canonicals, strict=True):
                if parsed[positions[at]] is not None:
                    values[positions[at]] = decode_value(canonical)
        return values
