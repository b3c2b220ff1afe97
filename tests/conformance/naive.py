"""A journal that answers by looking at everything it holds, and dice that write to it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tvault.model.commands import DIGEST_BYTES, Block, EpochStart, Rows, encode_rows
from tvault.model.records import Places
from tvault.replication.entry import ORIGIN, Entry, Kind, Position, follow

OWNERS = ("anna", "bert", "")
EPOCHS = (1, 2)


def block_of(owner: str, epoch: int, digests: Sequence[bytes], sealed: bytes = b"sealed") -> Block:
    return Block(owner=owner, epoch=epoch, digests=b"".join(digests), sealed=sealed)


def rows_entry(
    previous: Position, blocks: Sequence[Block] = (), epochs: Sequence[EpochStart] = (), view: int = 1
) -> Entry:
    body = encode_rows(Rows(epochs=tuple(epochs), blocks=tuple(blocks)))
    return follow(previous, view, Kind.ROWS, body)


def digest_of(number: int) -> bytes:
    return number.to_bytes(DIGEST_BYTES, "big")


def split(digests: bytes) -> list[bytes]:
    return [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]


def resolved(places: Places) -> list[tuple[Block, int] | None]:
    """For each token asked for, its block and place, whatever order the blocks were given in."""
    return [
        None if number < 0 else (places.blocks[number], place)
        for number, place in zip(places.block_of, places.place_of, strict=True)
    ]


@dataclass
class NaiveJournal:
    """What a store must answer, worked out the slow way."""

    held: list[tuple[Entry, Rows]] = field(default_factory=list)
    hint: int = 0

    def last(self) -> Position:
        return self.held[-1][0].position if self.held else ORIGIN

    def position(self, seq: int) -> Position | None:
        if seq == 0:
            return ORIGIN
        return self.held[seq - 1][0].position if seq <= len(self.held) else None

    def write(self, keep: int, entries: Sequence[tuple[Entry, Rows]], committed: int) -> None:
        self.held = [*self.held[:keep], *entries]
        self.hint = max(self.hint, committed)

    def spot(self, owner: str, epoch: int, digest: bytes) -> tuple[int, Block, int] | None:
        for entry, rows in self.held:
            for block in rows.blocks:
                if (block.owner, block.epoch) == (owner, epoch) and digest in split(block.digests):
                    return entry.seq, block, split(block.digests).index(digest)
        return None

    def newest_epoch(self, owner: str) -> tuple[int, int]:
        started = [
            (start.epoch, entry.seq)
            for entry, rows in self.held
            for start in rows.epochs
            if start.owner == owner
        ]
        return started[-1] if started else (1, 0)

    def counts(self) -> tuple[int, int]:
        blocks = [block for _, rows in self.held for block in rows.blocks]
        return len(blocks), sum(map(len, blocks))

    def tokens(self) -> set[tuple[str, int, bytes]]:
        return {
            (block.owner, block.epoch, digest)
            for _, rows in self.held
            for block in rows.blocks
            for digest in split(block.digests)
        }


class Dice:
    """Seeded random entries: barriers, empty rows, several blocks and owners, starts of epochs."""

    def __init__(self, seed: int, pool: int = 400) -> None:
        self.random = random.Random(seed)
        self._pool = pool

    def digest(self) -> bytes:
        return digest_of(self.random.randrange(self._pool) << self.random.choice((0, 64)))

    def entries(self, journal: NaiveJournal, keep: int, count: int) -> list[tuple[Entry, Rows]]:
        """Entries that may follow the first `keep` of `journal`."""
        kept = NaiveJournal(journal.held[:keep])
        for _ in range(count):
            kept.held.append(self._entry(kept))
        return kept.held[keep:]

    def _entry(self, kept: NaiveJournal) -> tuple[Entry, Rows]:
        view = self.random.randrange(1, 2**40)
        if self.random.random() < 0.2:
            return follow(kept.last(), view, Kind.BARRIER, b""), Rows()
        taken = kept.tokens()
        blocks = []
        for _ in range(self.random.randrange(4)):
            owner, epoch = self.random.choice(OWNERS), self.random.choice(EPOCHS)
            drawn = {self.digest() for _ in range(self.random.randrange(1, 6))}
            fresh = sorted(digest for digest in drawn if (owner, epoch, digest) not in taken)
            self.random.shuffle(fresh)
            taken |= {(owner, epoch, digest) for digest in fresh}
            if fresh:
                blocks.append(block_of(owner, epoch, fresh, self.random.randbytes(5)))
        epochs = []
        if self.random.random() < 0.2:
            owner = self.random.choice(OWNERS)
            epochs.append(EpochStart(owner=owner, epoch=kept.newest_epoch(owner)[0] + 1))
        rows = Rows(epochs=tuple(epochs), blocks=tuple(blocks))
        return follow(kept.last(), view, Kind.ROWS, encode_rows(rows)), rows
