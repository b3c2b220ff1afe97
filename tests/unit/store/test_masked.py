"""No owner can name the place of another owner's token, whatever it knows of tokens and of the code."""

from __future__ import annotations

import hashlib
import struct
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.conformance.naive import block_of, digest_of, rows_entry
from tvault.model.commands import DIGEST_BYTES
from tvault.replication.entry import ORIGIN
from tvault.store.masked import SECRET_BYTES, Masks
from tvault.store.opening import keep_masks
from tvault.store.sqlite import INDEX_FOLDER, SqliteStore

Mask = Callable[[str, int], bytes]

GUESSED = Masks(bytes(SECRET_BYTES))


def unkeyed(owner: str, epoch: int) -> bytes:
    """What the masks would be without their secret."""
    scope = struct.pack(">Q", epoch) + owner.encode()
    return hashlib.blake2b(scope, digest_size=DIGEST_BYTES, person=b"tvault index").digest()


def moved(digest: bytes, mask: Mask, old: tuple[str, int], new: tuple[str, int]) -> bytes:
    """The digest whose key in scope `new` is that of `digest` in `old`, if these are the masks."""
    parts = zip(digest, mask(*old), mask(*new), strict=True)
    return bytes(own ^ there ^ here for own, there, here in parts)


@pytest.mark.parametrize("asks", [("bert", 1), ("anna", 2), ("bert", 7), ("anna", 10**17)])
@pytest.mark.parametrize("mask", [unkeyed, GUESSED.mask], ids=["unkeyed", "guessed"])
@pytest.mark.parametrize("run_tokens", [1, 100], ids=["in a run", "in memory"])
def test_a_token_moved_to_another_scope_is_not_found_and_is_no_damage(
    tmp_path: Path, asks: tuple[str, int], mask: Mask, run_tokens: int
) -> None:
    digest = digest_of(1)
    with closing(SqliteStore(tmp_path, run_tokens=run_tokens)) as store:
        store.write(None, [rows_entry(ORIGIN, [block_of("anna", 1, [digest])])], 1)
        store.settle(1)
        assert store._index.wait_until_idle(10)
        forged = moved(digest, mask, ("anna", 1), asks)
        assert store.find("anna", 1, digest).is_whole
        assert store.find(*asks, forged).missing() == [0]
        assert store.exists(*asks, forged) == 0


def calls_of(work: Callable[[], object]) -> Counter[str]:
    """How often each function, of Python or of C, is called by `work`."""
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, what: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1
        elif event == "c_call":
            calls[getattr(what, "__qualname__", repr(what))] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("run_tokens", [1, 100], ids=["in a run", "in memory"])
def test_a_look_that_finds_nothing_is_the_same_calls_whatever_stands_elsewhere(
    tmp_path: Path, run_tokens: int
) -> None:
    """With masks that are always the same, so that no filter lets another one through by chance."""
    (tmp_path / INDEX_FOLDER).mkdir()
    keep_masks(tmp_path / INDEX_FOLDER, GUESSED)
    digests = [hashlib.blake2b(bytes([n]), digest_size=DIGEST_BYTES).digest() for n in range(3)]
    blocks = [block_of("anna", 1, digests[:1]), block_of("bert", 2, digests[1:2])]
    with closing(SqliteStore(tmp_path, run_tokens=run_tokens)) as store:
        store.write(None, [rows_entry(ORIGIN, blocks)], 1)
        store.settle(1)
        assert store._index.wait_until_idle(10)
        store.find("anna", 1, digests[2])  # numpy imports a part of itself at first use
        asked = {
            "unknown": ("anna", 1, digests[2]),
            "of another owner": ("anna", 2, digests[1]),
            "of another owner and epoch": ("anna", 1, digests[1]),
            "of another epoch": ("anna", 2, digests[0]),
            "of an epoch far off": ("anna", 10**17, digests[0]),
            "by an owner without any": ("carl", 1, digests[0]),
            "no token": ("anna", 1, bytes(DIGEST_BYTES)),
        }
        calls = {kind: calls_of(lambda what=what: store.find(*what)) for kind, what in asked.items()}  # type: ignore[misc]
        found = calls_of(lambda: store.find("anna", 1, digests[0]))
    assert {kind for kind, made in calls.items() if made != calls["unknown"]} == set()
    assert found != calls["unknown"]
