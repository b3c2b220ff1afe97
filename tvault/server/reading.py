"""The read path: tokens back to values, one answer to all that is not found, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from tvault.engine import Engine
from tvault.errors import VaultError
from tvault.model.blocks import open_places
from tvault.model.commands import DIGEST_BYTES
from tvault.model.keys import KeyRing, Scope
from tvault.model.records import LookTooLong, Places
from tvault.model.tokens import parse_alike, parse_token
from tvault.model.values import Value, decode_values, escapes_of

MOST_ESCAPED: Final = 6
"""JSON writes a byte as so many, at most."""

# What is looked up in the place of a text that is no token, so that the work is the same.
_DECOY: Final = (1, bytes(DIGEST_BYTES))


@dataclass(frozen=True)
class Asked:
    """What to look up in one epoch: digests (16 bytes each, side by side), and the position of each in
    the request.
    """

    epoch: int
    positions: Sequence[int]
    digests: bytes

    def halves(self) -> tuple[Asked, Asked]:
        """The first half and the rest."""
        middle = len(self.positions) // 2
        cut = middle * DIGEST_BYTES
        return (
            Asked(self.epoch, self.positions[:middle], self.digests[:cut]),
            Asked(self.epoch, self.positions[middle:], self.digests[cut:]),
        )


@dataclass(frozen=True)
class FoundValues:
    """What was found of an `Asked`: positions of the request, and the canonical values there."""

    positions: Sequence[int]
    canonicals: Sequence[bytes]

    def __repr__(self) -> str:
        return f"<FoundValues {len(self.positions)} values>"


class ValueReader:
    """Finds values by their tokens.  Those of a request have at most `most_bytes` together, as JSON."""

    def __init__(self, engine: Engine, keys: KeyRing, most_bytes: int) -> None:
        self._engine = engine
        self._keys = keys
        self._most_bytes = most_bytes

    def values(self, owner: str, texts: Sequence[object], deadline: float) -> list[Value | None]:
        """The values of the owner's tokens; None where there is none.  Raises as `canonicals` does."""
        canonicals = self.canonicals(owner, texts, deadline)
        found = [canonical for canonical in canonicals if canonical is not None]
        values = iter(decode_values(found))
        return [None if canonical is None else next(values) for canonical in canonicals]

    def canonicals(self, owner: str, texts: Sequence[object], deadline: float) -> list[bytes | None]:
        """The canonical values of the owner's tokens, as they were at one moment; None where there was
        none, and nothing acknowledged before the call is missed.

        Raises `VaultError` `too_large` when they are too long together, `unavailable`;
        `model.blocks.SealBroken`.
        """
        asked, odd = _by_epoch(texts)
        canonicals: list[bytes | None] = [None] * len(texts)
        size = 0
        for part in self.parts(owner, asked, deadline):
            size += self._size_of(part.canonicals, self._most_bytes - size)
            for position, canonical in zip(part.positions, part.canonicals, strict=True):
                canonicals[position] = canonical
        for position in odd:
            canonicals[position] = None
        return canonicals

    def _size_of(self, canonicals: Sequence[bytes], most: int) -> int:
        """Bytes of these values in JSON.  Raises `VaultError` `too_large` for more than `most`."""
        size = sum(map(len, canonicals)) - len(canonicals)
        if size <= most < MOST_ESCAPED * size:
            size += escapes_of(canonicals)
        if size > most:
            raise _too_long(self._most_bytes)
        return size

    def parts(self, owner: str, asked: Sequence[Asked], deadline: float) -> Iterator[FoundValues]:
        """What is found of `asked` (the newest epoch first), as it was at one moment, part by part; what
        is in none of them was not there, and nothing acknowledged before the call is missed.

        Raises `VaultError` `unavailable`; `model.blocks.SealBroken`.
        """
        looks = 2
        # What was missed while other parts were looked at may be there by now: the last look is at all
        # that is missing, and nothing that was found goes away.
        while asked and looks > 1:
            looks = 0
            positions: list[Sequence[int]] = []
            for found in self._looks(owner, asked, deadline):
                looks += 1
                positions += [part.positions for part in found]
                yield from found
            asked = _still_missing(asked, set(chain(*positions))) if looks > 1 else []

    def _looks(self, owner: str, asked: Sequence[Asked], deadline: float) -> Iterator[list[FoundValues]]:
        """What is found of each of `asked`, in one look if it is not too long, else look after look."""
        try:
            places = self._engine.find(owner, [(part.epoch, part.digests) for part in asked], deadline)
        except LookTooLong:
            for half in _halves(asked):
                yield from self._looks(owner, half, deadline)
            return
        yield [self._opened(owner, part, there) for part, there in zip(asked, places, strict=True)]

    def _opened(self, owner: str, asked: Asked, places: Places) -> FoundValues:
        if not places.blocks:
            return FoundValues((), ())
        found, canonicals = opened(self._keys.scope(owner, asked.epoch), places)
        positions = asked.positions
        return FoundValues([positions[at] for at in found], canonicals)


def opened(scope: Scope, places: Places) -> tuple[list[int], list[bytes]]:
    """The positions that were found, and their canonical values.  Every block is opened once.

    Raises `model.blocks.SealBroken`.
    """
    positions, wanted = places.by_block()
    return positions, open_places(scope, wanted)


def _by_epoch(texts: Sequence[object]) -> tuple[list[Asked], list[int]]:
    """What to look up, the newest epoch first: an epoch gets no tokens once a later one has begun, so
    what is found and what is missed could have been so at one moment.  And the positions of texts that
    are no tokens.
    """
    alike = parse_alike(texts)
    if alike is not None:
        epoch, digests = alike
        return [Asked(epoch, range(len(texts)), digests)], []
    parsed = [parse_token(text) for text in texts]
    by_epoch: dict[int, list[int]] = {}
    for position, token in enumerate(parsed):
        by_epoch.setdefault((token or _DECOY)[0], []).append(position)
    asked = [
        Asked(epoch, positions, b"".join((parsed[position] or _DECOY)[1] for position in positions))
        for epoch, positions in sorted(by_epoch.items(), reverse=True)
    ]
    return asked, [position for position, token in enumerate(parsed) if token is None]


def _halves(asked: Sequence[Asked]) -> tuple[Sequence[Asked], Sequence[Asked]]:
    if len(asked) > 1:
        middle = len(asked) // 2
        return asked[:middle], asked[middle:]
    one, two = asked[0].halves()
    return (one,), (two,)


def _still_missing(asked: Sequence[Asked], there: Collection[int]) -> list[Asked]:
    missing: list[Asked] = []
    for part in asked:
        places = [at for at, position in enumerate(part.positions) if position not in there]
        if places:
            digests = (part.digests[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES] for at in places)
            positions = [part.positions[at] for at in places]
            missing.append(Asked(part.epoch, positions, b"".join(digests)))
    return missing


def _too_long(most: int) -> VaultError:
    members = {"limit": most, "limit_name": "body_bytes"}
    detail = f"The values of these tokens have more than {most} bytes together; ask for fewer."
    return VaultError("too_large", detail, members=members)
