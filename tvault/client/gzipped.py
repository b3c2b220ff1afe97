"""Streams packed by gzip (RFC 1952): read as what they hold, and written."""

from __future__ import annotations

import io
import zlib
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

from tvault.errors import VaultError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAGIC = b"\x1f\x8b"
"""How a gzip stream begins, and no text in UTF-8."""

SUFFIX = ".gz"

PACKED_BYTES = 64 * 1024
PLAIN_BYTES = 256 * 1024
"""How much is read, and unpacked, at a time: a stream may be a thousand times smaller than what it
holds."""

LEVEL = 6
_WITH_HEADER = 31
"""What zlib calls a stream with gzip's header and checksum."""


def unpacked(source: BinaryIO) -> tuple[io.BufferedReader, Unpacking]:
    """The content of a gzip stream, to be read, and how far reading it has come in the stream itself.

    Several streams one after another are one, as for gunzip.  Reading raises `VaultError` (`malformed`)
    for what is damaged or cut off.
    """
    unpacking = Unpacking(source)
    return io.BufferedReader(unpacking, PLAIN_BYTES), unpacking


class Unpacking(io.RawIOBase):
    """The content of a gzip stream."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._source = source
        self._stream = zlib.decompressobj(_WITH_HEADER)
        self._packed = b""  # read, and not unpacked yet
        self._read = 0  # bytes of the source
        self._made = 0  # bytes of the content
        self._places: deque[tuple[int, int]] = deque()
        self._place = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer as far as the next bytes of the content go; 0 at its end."""
        view = memoryview(buffer)
        piece = self._next(len(view))
        view[: len(piece)] = piece
        self._made += len(piece)
        self._places.append((self._made, self._read - len(self._packed)))
        return len(piece)

    def _next(self, most: int) -> bytes:
        while True:
            is_at_end = not (self._packed or self._read_on())
            if not self._stream.eof:
                piece = self._unpack(most)
                if piece:
                    return piece
                if is_at_end and not self._stream.eof:
                    raise VaultError(
                        "malformed", "ends in the middle of its gzip stream: it was cut off"
                    )
                continue
            # Another stream may follow, and zeros that mean nothing.
            self._packed = self._packed.lstrip(b"\0")
            if is_at_end:
                return b""
            if self._packed:
                self._stream = zlib.decompressobj(_WITH_HEADER)

    def _read_on(self) -> bool:
        self._packed = self._source.read(PACKED_BYTES)
        self._read += len(self._packed)
        return bool(self._packed)

    def _unpack(self, most: int) -> bytes:
        try:
            piece = self._stream.decompress(self._packed, most)
        except zlib.error:
            raise VaultError("malformed", "is no gzip file, or a damaged one") from None
        self._packed = self._stream.unconsumed_tail or self._stream.unused_data
        return piece

    def packed(self, made: int) -> int:
        """How many bytes of the stream held the first `made` bytes of the content.  Never less than
        before."""
        while self._places and self._places[0][0] <= made:
            self._place = self._places.popleft()[1]
        return self._place


class Packing:
    """Packs what is written to it into `target`: the same bytes for the same content, without a time or
    a name."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._stream = zlib.compressobj(LEVEL, zlib.DEFLATED, _WITH_HEADER)

    def write(self, data: bytes) -> int:
        """Take all of `data`."""
        self._target.write(self._stream.compress(data))
        return len(data)

    def flush(self) -> None:
        """Nothing: what is packed whole is smaller."""

    def finish(self) -> None:
        """Write the rest, and the end of the stream."""
        self._target.write(self._stream.flush())
        self._target.flush()
