"""Runs: sorted tokens of settled entries, one file each, never changed once it is there.

A file is a head, the columns of the tokens sorted by key (high half, low half, spot; 8 bytes each,
little endian), and a filter: words of 64 bits, in which each token has set three, in the word that its
key begins with.  A key whose bits are not all set is not in the run, so a look-up of what is new mostly
ends there (a blocked Bloom filter: Putze, Sanders, Singler, 2007).  The head has a checksum for every
column and one for itself.  It vouches for a stretch of the journal: the run holds the tokens of exactly
the entries after one position up to another.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np

from tvault.replication.entry import Position
from tvault.store.folders import sync_folder
from tvault.store.masked import Halves, Keys, Spots

SUFFIX = ".run"
PART_SUFFIX = ".part"
"""Of a file that is being written: worth nothing after a crash."""

_MAGIC = b"tvrun 2\n"
_HEAD = struct.Struct(">8sII")
_HEAD_BYTES = 512
_WORD = 8
_COLUMNS = 3
_TOKENS_A_WORD = 8  # at most, and half as many at least
_LEAST_FILTER_LOG2 = 1
_READ_BYTES = 2**20
_CLOSED = -1
_UNREADABLE = (errno.ENOENT, errno.EIO, errno.EUCLEAN, errno.EBADMSG)
_SYNC_BYTES = 2**23  # a large write is synced bit by bit: one long sync would hold up the journal's


class RunDamaged(Exception):
    """A run's file is not what was written: its tokens have to be read from the journal again."""


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of the journal whose tokens are in a run: the entries after one position up to another.

    `tokens` and `blocks` are how many these entries brought, `top_block` is the highest block id given
    out up to `last`, and `epochs` a checksum over all starts of epochs up to there.  `masks` is the name
    of the masks that their keys are made with.
    """

    after: Position
    last: Position
    tokens: int
    blocks: int
    top_block: int
    epochs: bytes
    masks: bytes


class _Head(msgspec.Struct, frozen=True, array_like=True):
    stretch: Stretch
    filter_log2: int
    sums: tuple[int, int, int, int]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Head)


class Columns(NamedTuple):
    """Tokens sorted by the high halves of their keys, then by the low ones."""

    high: Halves
    low: Halves
    spots: Spots

    def part(self, start: int, end: int) -> Columns:
        """Some tokens that follow each other."""
        return Columns(self.high[start:end], self.low[start:end], self.spots[start:end])


@dataclass(frozen=True, eq=False)
class Run:
    """A run in use: its filter is in memory, its columns are read from the file as they are needed."""

    path: Path
    stretch: Stretch
    columns: Columns
    filter: Halves
    filter_log2: int
    sums: tuple[int, int, int, int]

    def __len__(self) -> int:
        """How many tokens the run holds."""
        return self.stretch.tokens

    def find_into(self, keys: Keys, found: Spots) -> None:
        """Put the spots of those of `keys` that are in the run where they belong in `found`."""
        words = self.filter[keys.high >> np.uint64(64 - self.filter_log2)]
        asked = np.flatnonzero(words & keys.marks == keys.marks)
        if not len(asked):
            return
        asked = asked[np.argsort(keys.high[asked])]  # neighbours in a run share its cache lines
        high, low, spots = self.columns
        at = np.searchsorted(high, keys.high[asked])
        while len(asked):  # once for all, and again for each further token that shares a high half
            here = at < len(self)
            asked, at = asked[here], at[here]
            here = high[at] == keys.high[asked]
            asked, at = asked[here], at[here]
            here = low[at] == keys.low[asked]
            found[asked[here]] = spots[at[here]]
            asked, at = asked[~here], at[~here] + 1

    def check(self) -> None:
        """Read the whole file and compare its checksums.  Raises `RunDamaged`, `OSError`."""
        for _ in self.check_bit_by_bit():
            pass

    def check_bit_by_bit(self) -> Iterator[None]:
        """As `check`, with a pause for the caller after every MiB."""
        with reading(self.path) as file:
            file.seek(_HEAD_BYTES)
            for expected, size in zip(self.sums, _sizes(len(self), self.filter_log2), strict=True):
                total = 0
                for at in range(0, size, _READ_BYTES):
                    total = zlib.crc32(file.read(min(size - at, _READ_BYTES)), total)
                    yield
                if total != expected:
                    raise RunDamaged(f"{self.path.name} has a damaged column")


class RunWriter:
    """Writes a new run into `folder`, token by token in rising order.

    `finish` gives the run once the file is durable; until then nothing is there but a file with
    `PART_SUFFIX`.  Raises `OSError`.
    """

    def __init__(self, folder: Path, stretch: Stretch) -> None:
        name = f"{stretch.after.seq:020d}-{stretch.last.seq:020d}"
        self._path = folder / (name + SUFFIX)
        self._part = folder / (name + PART_SUFFIX)
        self._stretch = stretch
        self._filter_log2 = words_log2(stretch.tokens)
        self._filter_at = 0  # the first word of the filter that is not written yet
        self._word = np.uint64(0)  # and what is known of it
        self._sums = [0] * (_COLUMNS + 1)
        self._count = 0
        self._unsynced = 0
        self._file = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def put(self, tokens: Columns) -> None:
        """Append tokens whose keys are above all that were put before."""
        if not len(tokens.high):
            return
        for number, column in enumerate(tokens):
            words = column.astype("<u8", copy=False).tobytes()
            self._write(number, words, _WORD * (number * self._stretch.tokens + self._count))
        self._count += len(tokens.high)
        self._mark(Keys(tokens.high, tokens.low))

    def finish(self) -> Run:
        """The run, durable under its name."""
        assert self._count == self._stretch.tokens
        rest = np.zeros(2**self._filter_log2 - self._filter_at, dtype=np.uint64)
        rest[0] = self._word
        self._write_filter(rest)
        high, low, spots, words = self._sums
        body = _encoder.encode(_Head(self._stretch, self._filter_log2, (high, low, spots, words)))
        packed = _HEAD.pack(_MAGIC, zlib.crc32(body), len(body)) + body
        self._write_at(packed.ljust(_HEAD_BYTES, b"\0"), 0)
        os.fsync(self._file)
        os.close(self._file)
        self._file = _CLOSED
        self._part.replace(self._path)
        sync_folder(self._path.parent)
        return open_run(self._path)

    def close(self) -> None:
        """Leave nothing behind of what is not finished."""
        if self._file != _CLOSED:
            os.close(self._file)
            self._file = _CLOSED
            self._part.unlink()

    def _mark(self, keys: Keys) -> None:
        """Of the filter only what these keys are the last to touch is written; a word is kept back."""
        word = (keys.high >> np.uint64(64 - self._filter_log2)).astype(np.int64) - self._filter_at
        first = np.flatnonzero(np.concatenate(([True], word[1:] != word[:-1])))
        piece = np.zeros(word[-1] + 1, dtype=np.uint64)
        piece[0] = self._word
        piece[word[first]] |= np.bitwise_or.reduceat(keys.marks, first)
        self._word = piece[-1]
        self._write_filter(piece[:-1])

    def _write_filter(self, piece: Halves) -> None:
        at = _COLUMNS * self._stretch.tokens + self._filter_at
        self._write(_COLUMNS, piece.astype("<u8", copy=False).tobytes(), _WORD * at)
        self._filter_at += len(piece)

    def _write(self, column: int, data: bytes, at: int) -> None:
        """Write the next piece of a column, at a place counted from the end of the head."""
        self._sums[column] = zlib.crc32(data, self._sums[column])
        self._write_at(data, _HEAD_BYTES + at)

    def _write_at(self, data: bytes, at: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._file, view, at)
            view, at = view[written:], at + written
        self._unsynced += len(data)
        if self._unsynced >= _SYNC_BYTES:
            os.fdatasync(self._file)
            self._unsynced = 0


def open_run(path: Path) -> Run:
    """The run in the file at `path`, whose columns are not read yet.  Raises `RunDamaged`, `OSError`."""
    with reading(path) as file:
        start = file.read(_HEAD_BYTES)
        size = file.seek(0, os.SEEK_END)
        head = _head_of(path, start)
        tokens = head.stretch.tokens
        if size != _HEAD_BYTES + sum(_sizes(tokens, head.filter_log2)):
            raise RunDamaged(f"{path.name} has another size than its head says")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        file.seek(_HEAD_BYTES + _WORD * _COLUMNS * tokens)
        content = file.read()
    if zlib.crc32(content) != head.sums[_COLUMNS]:
        raise RunDamaged(f"{path.name} has a damaged filter")
    words = _WORD * tokens
    high = np.frombuffer(mapped, "<u8", tokens, _HEAD_BYTES)
    low = np.frombuffer(mapped, "<u8", tokens, _HEAD_BYTES + words)
    spots = np.frombuffer(mapped, "<i8", tokens, _HEAD_BYTES + 2 * words)
    bits = np.frombuffer(content, "<u8")
    return Run(path, head.stretch, Columns(high, low, spots), bits, head.filter_log2, head.sums)


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A file of the index, open.  Raises `RunDamaged` when it is gone or cannot be read; too many open
    files are no damage, but `OSError`."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        if error.errno not in _UNREADABLE:
            raise
        raise RunDamaged(f"{path.name} cannot be read: {error.strerror}") from error


def words_log2(tokens: int) -> int:
    """How many words the filter of so many tokens has, as a power of two."""
    return max(_LEAST_FILTER_LOG2, (tokens // _TOKENS_A_WORD).bit_length())


def most_bytes(tokens: int) -> int:
    """No less than the file of a run of so many tokens has, and not much more."""
    return _HEAD_BYTES + _WORD * (_COLUMNS * tokens + 2 * tokens // _TOKENS_A_WORD + 2)


def _head_of(path: Path, start: bytes) -> _Head:
    if len(start) == _HEAD_BYTES:
        magic, expected, length = _HEAD.unpack_from(start)
        body = start[_HEAD.size : _HEAD.size + length]
        if magic == _MAGIC and zlib.crc32(body) == expected and len(body) == length:
            return _decoder.decode(body)
    raise RunDamaged(f"{path.name} has a damaged head")


def _sizes(tokens: int, filter_log2: int) -> Iterator[int]:
    """How many bytes each column has, and the filter behind them."""
    yield from [_WORD * tokens] * _COLUMNS
    yield _WORD * 2**filter_log2
