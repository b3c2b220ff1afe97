"""Streams packed by gzip, judged by Python's `gzip`."""

from __future__ import annotations

import gzip
import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.client.test_csv_files import Trickle
from tvault.client.gzipped import PACKED_BYTES, PLAIN_BYTES, Packing, unpacked
from tvault.errors import VaultError

MANY = [b"x" * (PLAIN_BYTES + 7), random.Random(1).randbytes(PACKED_BYTES + 7), b"\0" * PLAIN_BYTES]
"""What is packed very small, and what is not."""


def packed(content: bytes) -> bytes:
    target = io.BytesIO()
    packing = Packing(target)
    for at in range(0, len(content), 50_000):
        packing.write(content[at : at + 50_000])
    packing.finish()
    return target.getvalue()


@given(
    st.lists(st.binary(max_size=60) | st.sampled_from(MANY), min_size=1, max_size=3),
    st.sampled_from([0, 0, 1, 700, 70_000]),
    st.integers(1, 20),
)
def test_all_streams_of_a_file_are_read_as_gunzip_reads_them_wherever_reading_breaks_off(
    parts: list[bytes], zeros: int, most: int
) -> None:
    padding = b"\0" * zeros
    whole = padding.join(map(gzip.compress, parts)) + padding
    source, _ = unpacked(Trickle(whole, most if len(whole) < 2000 else 60_000))
    assert source.read() == gzip.decompress(whole) == b"".join(parts)


@pytest.mark.parametrize("content", [b"", b"abc", *MANY], ids=["", "abc", "alike", "random", "zeros"])
def test_what_is_packed_comes_back_and_is_the_same_bytes_each_time(content: bytes) -> None:
    assert gzip.decompress(packed(content)) == content
    assert packed(content) == packed(content)


@pytest.mark.parametrize("kept", [0, 1, 5, 10, 11, 40, -9, -8, -1])
def test_a_stream_that_is_cut_off_is_told(kept: int) -> None:
    source, _ = unpacked(io.BytesIO(gzip.compress(b"abc" * 1000 + bytes(range(50)))[:kept]))
    with pytest.raises(VaultError, match=r"^ends in the middle of its gzip stream: it was cut off$"):
        source.read()


@pytest.mark.parametrize("at", [0, 1, 2, 30, -8, -4])
def test_a_stream_with_a_byte_changed_is_told(at: int) -> None:
    whole = bytearray(gzip.compress(random.Random(2).randbytes(200)))
    whole[at] ^= 0x55
    source, _ = unpacked(io.BytesIO(whole))
    with pytest.raises(VaultError, match=r"gzip"):
        source.read()


def test_what_follows_a_stream_and_is_none_is_told() -> None:
    source, _ = unpacked(io.BytesIO(gzip.compress(b"abc") + b"\0\0abc"))
    with pytest.raises(VaultError, match=r"^is no gzip file, or a damaged one$"):
        source.read()


@pytest.mark.parametrize("different", [1, 5 * PLAIN_BYTES])
def test_how_far_reading_has_come_is_told_in_bytes_of_the_stream(different: int) -> None:
    content = random.Random(1).randbytes(different) * (5 * PLAIN_BYTES // different)
    whole = gzip.compress(content)
    source, unpacking = unpacked(io.BytesIO(whole))
    seen = []
    made = 0
    while piece := source.read(40_000):
        made += len(piece)
        seen.append(unpacking.packed(made))
        assert abs(seen[-1] / len(whole) - made / len(content)) < 0.3
    assert seen == sorted(seen)
    assert unpacking.packed(made) == len(whole)
