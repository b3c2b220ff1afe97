"""Output files appear whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tvault.client.whole_file import whole_file


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with whole_file(target) as opened:
        opened.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")

    def fail() -> None:
        with whole_file(target) as opened:
            opened.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_an_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.touch()
    for mode in (0o600, 0o664, 0o444):
        target.chmod(mode)
        with whole_file(target) as opened:
            opened.write(b"x")
        assert mode_of(target) == mode


def test_an_existing_file_keeps_its_owner_or_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    if os.getuid() == 0:  # only root can give a file away
        os.chown(target, 1234, 2345)
    before = target.stat()
    with whole_file(target) as opened:
        opened.write(b"new")
    after = target.stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert target.read_bytes() == b"new"


def test_a_new_file_has_the_mode_asked_for_less_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        for name, mode in (("open", 0o666), ("closed", 0o600)):
            with whole_file(tmp_path / name, mode) as opened:
                beside = Path(f"/proc/self/fd/{opened.fileno()}").resolve()
                assert mode_of(beside) == mode & ~0o027
    finally:
        os.umask(before)
    assert (mode_of(tmp_path / "open"), mode_of(tmp_path / "closed")) == (0o640, 0o600)


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with whole_file(tmp_path / "link") as opened:
        opened.write(b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


def test_a_pipe_is_written_by_the_name_of_its_descriptor() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as end:
        with whole_file(Path(f"/dev/fd/{writing}")) as opened:
            opened.write(b"new")
        os.close(writing)
        assert end.read() == b"new"


def test_what_is_no_ordinary_file_is_written_as_it_is() -> None:
    with whole_file(Path(os.devnull)) as opened:
        opened.write(b"x")
    assert not Path(os.devnull).is_file()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "none" / "out"):
        pass
