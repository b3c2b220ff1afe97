"""The read path of a lookup: the tokens that values have already, of every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from tvault.engine import Engine
from tvault.errors import VaultError
from tvault.model.commands import DIGEST_BYTES
from tvault.model.keys import KeyRing
from tvault.model.tokens import render_tokens
from tvault.server.reading import Asked, FoundValues, ValueReader
from tvault.server.tokenize import Collision

LONG_BYTES = 1024


@dataclass(frozen=True)
class Existing:
    """The tokens that each value has, by the decimal text of their epoch, in rising order; `epoch` was
    the active one.
    """

    epoch: int
    tokens: Sequence[Mapping[str, str]]

    def __repr__(self) -> str:
        return f"<Existing tokens of {len(self.tokens)} values>"


class Finder:
    """Finds the tokens of values.  A request has at most `most_lookups` values times epochs, where a
    value counts once more for each KiB: it is hashed anew for each epoch.
    """

    def __init__(self, engine: Engine, keys: KeyRing, reader: ValueReader, most_lookups: int) -> None:
        self._engine = engine
        self._keys = keys
        self._reader = reader
        self._most_lookups = most_lookups

    def existing(self, owner: str, canonicals: Sequence[bytes], deadline: float) -> Existing:
        """The tokens that canonical values have, as it was at one moment: nothing acknowledged before
        the call is missed.

        The epochs are those up to the confirmed one: a token of a later one can only have been
        acknowledged after the call began.

        Raises `Collision`; `VaultError` `too_large`, `unavailable`; `model.blocks.SealBroken`.
        """
        active = self._engine.read_epoch(owner, deadline)
        lookups = active * sum(1 + len(canonical) // LONG_BYTES for canonical in canonicals)
        if lookups > self._most_lookups:
            raise _too_many(self._most_lookups, active)
        distinct = list(dict.fromkeys(canonicals))
        asked = self._asked(owner, active, distinct) if distinct else []
        positions: list[int] = []
        for part in self._reader.parts(owner, asked, deadline):
            _refuse_collision(part, distinct)
            positions += part.positions
        tokens = _by_value(sorted(positions), asked, distinct)
        return Existing(active, [tokens[canonical] for canonical in canonicals])

    def _asked(self, owner: str, active: int, distinct: Sequence[bytes]) -> list[Asked]:
        """What to look up, the newest epoch first, as `ValueReader` wants it.  The positions of an epoch
        follow those of the one before it."""
        count = len(distinct)
        return [
            Asked(
                epoch,
                range((epoch - 1) * count, epoch * count),
                b"".join(self._keys.scope(owner, epoch).digests(distinct)),
            )
            for epoch in range(active, 0, -1)
        ]


def _refuse_collision(part: FoundValues, distinct: Sequence[bytes]) -> None:
    """Raise `Collision` when what was found under the token of a value is another value."""
    count = len(distinct)
    if any(
        canonical != distinct[position % count]
        for position, canonical in zip(part.positions, part.canonicals, strict=True)
    ):
        raise Collision(part.positions[0] // count + 1)


def _by_value(
    positions: Sequence[int], asked: Sequence[Asked], distinct: Sequence[bytes]
) -> dict[bytes, dict[str, str]]:
    """The tokens at these positions, in rising order, for each value by epoch."""
    count = len(distinct)
    tokens: dict[bytes, dict[str, str]] = {canonical: {} for canonical in distinct}
    for epoch, group in groupby(positions, lambda position: position // count + 1):
        places = [position % count for position in group]
        digests = asked[-epoch].digests
        cut = (digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES] for place in places)
        for place, token in zip(places, render_tokens(epoch, list(cut)), strict=True):
            tokens[distinct[place]][str(epoch)] = token
    return tokens


def _too_many(most: int, active: int) -> VaultError:
    members = {"limit": most, "limit_name": "lookups_per_request"}
    detail = f"A lookup takes at most {most} values times epochs; this owner has {active} epochs."
    return VaultError("too_large", detail, members=members)
