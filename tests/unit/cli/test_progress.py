"""How far a file has come, on a real terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.cli.terminal import INTERRUPT, PACE_SECONDS, PIECE_BYTES, terminal

COUNT = 100
LINE = b'{"x":"' + b"x" * 2000 + b'"}\n'
BY_ONE = ("--batch", "1", "--jobs", "1")
DRAWN = re.compile(r"(?:\[(#*-*)\] )? {0,2}(\d+) %  ([\d,]+) records  [\d,]+/s  \d+:\d\d left")
DONE = re.compile(r"100 records in \d+\.\d s, [\d,]+/s\r\n")

pytestmark = pytest.mark.usefixtures("node")


@pytest.fixture(autouse=True)
def file() -> Path:
    path = Path("f.jsonl")
    path.write_bytes(LINE * COUNT)
    return path


@pytest.mark.parametrize(("columns", "bars"), [(120, {True}), (60, {True}), (42, {False})])
def test_a_bar_the_part_the_rate_and_the_time_left_stand_in_one_line(
    columns: int, bars: set[bool]
) -> None:
    with terminal(["detokenize", "f.jsonl", *BY_ONE], columns) as screen:
        assert screen.read_to_end() == 0
    assert screen.got == LINE * COUNT
    first, *drawn, done = screen.lines
    assert first == ""
    assert len(drawn) >= 2
    assert all(len(line) < columns for line in drawn)
    for line in drawn:
        match = DRAWN.fullmatch(line)
        assert match is not None, line
        bar, percent, records = match.groups()
        assert int(percent) == 100 * int(records) // COUNT
        assert (bar is not None) in bars
        assert not bar or bar.count("#") == len(bar) * int(records) // COUNT
    assert DONE.fullmatch(done)


@pytest.mark.parametrize("columns", [1, 20])
def test_a_line_is_never_longer_than_a_narrow_terminal(columns: int) -> None:
    with terminal(["detokenize", "f.jsonl", *BY_ONE], columns) as screen:
        assert screen.read_to_end() == 0
    assert len(screen.lines) > 2
    assert all(len(line) < columns for line in screen.lines[1:-1])


def test_a_terminal_that_does_not_tell_its_width_is_taken_for_a_usual_one() -> None:
    with terminal(["detokenize", "f.jsonl", *BY_ONE], 0) as screen:
        assert screen.read_to_end() == 0
    assert 60 < max(len(line) for line in screen.lines[1:-1]) < 80


def test_of_a_pipe_only_what_is_done_and_how_fast_is_known(file: Path) -> None:
    with (
        subprocess.Popen(["cat", str(file)], stdout=subprocess.PIPE) as cat,
        terminal(["detokenize", "-", *BY_ONE], 100, stdin=cat.stdout) as screen,
    ):
        assert screen.read_to_end() == 0
    _, *drawn, done = screen.lines
    assert drawn
    assert all(re.fullmatch(r"[\d,]+ records  [\d,]+/s", line) for line in drawn)
    assert DONE.fullmatch(done)


def test_an_error_stands_alone_in_its_line(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"[]\n")
    with terminal(["detokenize", "f.jsonl", *BY_ONE], 100) as screen:
        assert screen.read_to_end() == 1
    assert len(screen.lines) > 2
    assert screen.lines[-1] == "tvault: f.jsonl line 101 is JSON, but not an object\r\n"


def test_what_was_not_found_is_told_below_the_last_line(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b'{"ssn":"no token"}\n')
    with terminal(["detokenize", "f.jsonl", *BY_ONE], 100) as screen:
        assert screen.read_to_end() == 3
    done, told = screen.lines[-1].splitlines()
    assert done.startswith("101 records in ")
    assert told == "tvault: not found, left as they were: 1 (line 101, field ssn)"


def test_ctrl_c_clears_the_line() -> None:
    with terminal(["detokenize", "f.jsonl", *BY_ONE], 100) as screen:
        screen.read_until(b" left")
        screen.type(INTERRUPT)
        assert screen.read_to_end() == 130
    assert screen.lines[-1].strip() == ""


def test_a_terminal_that_cannot_draw_shows_nothing() -> None:
    with terminal(["detokenize", "f.jsonl", *BY_ONE], 100, kind="dumb") as screen:
        assert screen.read_to_end() == 0
    assert screen.seen == b""


def test_what_is_done_at_once_shows_nothing() -> None:
    with terminal(["detokenize", "f.jsonl", "-o", "out"], 100) as screen:
        assert screen.read_to_end() == 0
    assert screen.seen == b""


def test_off_a_terminal_nothing_is_shown() -> None:
    command = [sys.executable, "-m", "tvault", "detokenize", "f.jsonl", *BY_ONE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while os.read(process.stdout.fileno(), PIECE_BYTES):
            threading.Event().wait(PACE_SECONDS)
        assert process.stderr.read() == b""


def test_records_that_go_to_the_terminal_are_not_broken_by_it() -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "tvault", "detokenize", "f.jsonl", *BY_ONE]
    seen = b""
    with subprocess.Popen(command, stdout=slave, stderr=slave) as process:
        os.close(slave)
        while len(seen) < COUNT * (len(LINE) + 1):
            seen += os.read(master, PIECE_BYTES)
            threading.Event().wait(PACE_SECONDS)
        assert process.wait() == 0
    os.close(master)
    assert seen == LINE.replace(b"\n", b"\r\n") * COUNT
