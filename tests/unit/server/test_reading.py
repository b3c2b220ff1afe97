"""Reading in bounded memory: what is too long for one look is looked at in parts, as of one moment."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import pytest

from tests.unit.server.crowded import rotation, token_of, writing
from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, RING
from tvault.errors import VaultError
from tvault.model.commands import DIGEST_BYTES
from tvault.model.records import LookTooLong, Places
from tvault.server.reading import ValueReader
from tvault.wire import encode_json

FAR = 1e9


class ShortSighted(LoneEngine):
    """An engine that finds at most `most` values in one look; `parts` are how many it was
    asked for in those that were short enough."""

    def __init__(self, most: int) -> None:
        super().__init__(KEYS)
        self.most = most
        self.parts: list[int] = []

    def find(self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float) -> list[Places]:
        found = super().find(owner, asked, deadline)
        if sum(len(places.block_of) - len(places.missing()) for places in found) > self.most:
            raise LookTooLong
        self.parts.append(sum(len(digests) for _, digests in asked) // DIGEST_BYTES)
        return found


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_what_is_too_long_for_one_look_is_read_in_parts(most: int) -> None:
    engine = ShortSighted(most)
    for epoch in (1, 2):
        for number in range(6):
            writing(f"{number}", epoch=epoch)(engine)
        if epoch == 1:
            rotation(2)(engine)
    values = [f"{number}" for number in range(8)]
    texts = [token_of(value, epoch) for value in values for epoch in (2, 1)]
    reader = ValueReader(engine, RING, 1000)

    read = reader.values("alice", ["junk", *texts, *texts[::-1]], FAR)

    expected = [value if int(value) < 6 else None for value in values for _ in (2, 1)]
    assert read == [None, *expected, *expected[::-1]]


class WritesBetweenLooks(ShortSighted):
    """Two values are written after the first look that is short enough."""

    def find(self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float) -> list[Places]:
        found = super().find(owner, asked, deadline)
        if len(self.parts) == 1:
            for value in ("earlier", "later"):
                writing(value)(self)
        return found


def test_what_is_read_in_parts_is_as_it_was_at_one_moment() -> None:
    """Whoever finds the later token finds the earlier one, although that was looked for first."""
    engine = WritesBetweenLooks(most=1)
    for value in ("a", "b"):
        writing(value)(engine)
    texts = [token_of(value) for value in ("earlier", "a", "later", "b")]

    assert ValueReader(engine, RING, 1000).values("alice", texts, FAR) == ["earlier", "a", "later", "b"]
    assert engine.parts[0] < len(texts)


def test_values_that_are_too_long_together_are_refused_with_the_limit() -> None:
    engine = ShortSighted(most=1)
    for value in ("aaaa", "bbbb", "cccc"):
        writing(value)(engine)
    texts = [token_of(value) for value in ("aaaa", "bbbb", "cccc")]

    assert ValueReader(engine, RING, 12).values("alice", texts, FAR) == ["aaaa", "bbbb", "cccc"]
    with pytest.raises(VaultError) as caught:
        ValueReader(engine, RING, 11).values("alice", texts, FAR)
    assert (caught.value.code, caught.value.members) == (
        "too_large",
        {"limit": 11, "limit_name": "body_bytes"},
    )


def test_a_value_that_is_asked_for_many_times_is_held_once() -> None:
    engine = LoneEngine(KEYS)
    writing("x" * 999, "y")(engine)
    reader = ValueReader(engine, RING, 1 << 40)

    tracemalloc.start()
    try:
        read = reader.canonicals("alice", [token_of("x" * 999), token_of("y")] * 10_000, FAR)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len({id(canonical) for canonical in read}) == 2
    assert peak < 6_000_000, "once for each it would be ten million"


@pytest.mark.parametrize(
    ("text", "size"), [("\x01" * 10, 60), ("\n" * 10, 20), ('"\\' * 5, 20), ("\u00e4", 2)]
)
def test_values_count_as_long_as_json_writes_them(text: str, size: int) -> None:
    engine = ShortSighted(most=1)
    writing(text)(engine)
    [token] = [token_of(text)]

    assert len(encode_json(text)) - 2 == size
    assert ValueReader(engine, RING, size).values("alice", [token], FAR) == [text]
    with pytest.raises(VaultError) as caught:
        ValueReader(engine, RING, size - 1).values("alice", [token], FAR)
    assert caught.value.code == "too_large"
