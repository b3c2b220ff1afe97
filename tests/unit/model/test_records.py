"""What a look at the journal found can be taken block by block, and nothing of it is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tvault.model.commands import Block
from tvault.model.records import Places

BLOCKS = [Block(owner="A", epoch=1, digests=bytes([number]) * 16, sealed=b"") for number in range(4)]
SPOTS = st.tuples(st.integers(0, len(BLOCKS) - 1), st.integers(0, 63))


@given(st.lists(SPOTS | st.none()))
def test_every_token_that_is_there_is_given_once_with_its_block_and_place(
    spots: list[tuple[int, int] | None],
) -> None:
    number, place = zip(*[spot or (-1, -1) for spot in spots], strict=True) if spots else ((), ())
    places = Places(BLOCKS, np.array(number, dtype=np.int64), np.array(place, dtype=np.int64), 1)
    positions, by_block = places.by_block()
    given_out = [(block, at) for block, there in by_block for at in there]
    found = [(BLOCKS[spot[0]], spot[1]) for position in positions if (spot := spots[position])]
    assert given_out == found
    assert sorted(positions + places.missing()) == list(range(len(spots)))
    assert places.missing() == [position for position, spot in enumerate(spots) if spot is None]
