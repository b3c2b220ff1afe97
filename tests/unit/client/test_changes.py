"""The map of old tokens to new ones: each old one once, whatever the number."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault.client.changes import MOST_RUNS, Changes


def token(number: int, epoch: int) -> bytes:
    return f"tv1_{epoch}_{number:032x}".encode()


def written(changes: Changes) -> list[bytes]:
    target = io.BytesIO()
    changes.write(target)
    header, *lines = target.getvalue().splitlines(keepends=True)
    assert header == b"old,new\n"
    return lines


pieces = st.lists(
    st.dictionaries(
        st.builds(token, st.integers(0, 9), st.integers(1, 3)),
        st.builds(token, st.integers(0, 9), st.sampled_from([4, 10])),
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("beside")


@given(given_pieces=pieces)
def test_each_old_token_stands_once_with_the_new_one_of_the_latest_epoch(
    folder: Path, given_pieces: list[dict[bytes, bytes]]
) -> None:
    with Changes(folder) as changes:
        for piece in given_pieces:
            changes.add(piece)
        lines = [line[:-1].split(b",") for line in written(changes)]
    olds = [old for old, _ in lines]
    assert olds == sorted({old for piece in given_pieces for old in piece})
    for old, new in lines:
        epochs = {piece[old].split(b"_")[1] for piece in given_pieces if old in piece}
        assert new in [piece.get(old) for piece in given_pieces]
        assert new.split(b"_")[1] == max(epochs, key=int)


def test_many_changes_wait_in_files_and_come_out_once_each(tmp_path: Path) -> None:
    held, count = 10, 10 * (MOST_RUNS + 3)
    numbers = [n for n in range(count) for _ in range(3)]
    random.Random(7).shuffle(numbers)
    with Changes(tmp_path, most_held=held) as changes:
        for first in range(0, len(numbers), held):
            changes.add({token(n, 1): token(n, 2) for n in numbers[first : first + held]})
        lines = written(changes)
    assert lines == [b"%b,%b\n" % (token(n, 1), token(n, 2)) for n in range(count)]


def test_the_latest_epoch_is_kept_though_files_lie_between(tmp_path: Path) -> None:
    with Changes(tmp_path, most_held=1) as changes:
        for epoch in (2, 10, 9):
            changes.add({token(1, 1): token(1, epoch)})
        assert written(changes) == [b"%b,%b\n" % (token(1, 1), token(1, 10))]


def test_few_files_are_open_however_many_changes_there_are(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Changes(tmp_path, most_held=1) as changes:
        for n in range(MOST_RUNS * 4):
            changes.add({token(n, 1): token(n, 2)})
        assert len(os.listdir("/proc/self/fd")) - before < MOST_RUNS + 8  # noqa: PTH208
        assert len(written(changes)) == MOST_RUNS * 4


def test_no_file_is_left_behind_and_a_folder_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with Changes(tmp_path, most_held=1) as changes:
        changes.add({token(1, 1): token(1, 2)})
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        Changes(tmp_path / "none")
