"""`tvault inspect --watch`: one picture in its place."""

from __future__ import annotations

import io
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress

import click
import pytest

from tvault.cli.invocation import turns
from tvault.cli.watching import Screen

_CONTROL = re.compile(r"\x1b\[(\d*)([A-Za-z])|(\n)|([^\x1b\n]+)")


def shown_on(sent: str) -> list[str]:
    """What stands on a terminal that was sent this: it knows moving up to the beginning of a line,
    moving to the top, and clearing what is behind and below."""
    lines, row, column = [""], 0, 0
    for number, letter, newline, text in _CONTROL.findall(sent):
        if newline:
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif letter == "F":
            row, column = row - int(number), 0
        elif letter == "H":
            row, column = 0, 0
        elif letter == "K":
            lines[row] = lines[row][:column]
        elif letter == "J":
            keep = 0 if number == "2" else row
            lines[keep:] = [lines[keep][: 0 if number == "2" else column]]
        else:
            assert letter == "m", letter
    return lines


def drawn(pictures: Sequence[list[str]], *sizes: tuple[int, int], is_coloured: bool = False) -> str:
    """What is sent for these pictures, on a terminal of these sizes: columns and lines."""
    target = io.StringIO()
    given = iter(sizes)
    last = (80, 24)

    def size() -> os.terminal_size:
        nonlocal last
        last = next(given, last)
        return os.terminal_size(last)

    screen = Screen(target, size, is_coloured=is_coloured)
    for picture in pictures:
        screen.draw(picture)
    return target.getvalue()


@pytest.mark.parametrize("then", [["c", "d", "e"], ["long ago"], ["a", "much longer than before", ""]])
def test_a_picture_stands_where_the_one_before_stood_and_nothing_is_left_of_that(
    then: list[str],
) -> None:
    before = ["first line", "second", "third, which is the longest"]
    assert shown_on(drawn([before, then])) == [*then, ""]
    assert shown_on("$ tvault\n" + drawn([before, then, before])) == ["$ tvault", *before, ""]


def test_what_does_not_fit_on_the_terminal_is_left_out_so_that_it_does_not_scroll() -> None:
    picture = ["x" * 30, *map(str, range(20))]
    assert shown_on(drawn([picture, picture], (10, 5))) == ["x" * 9, "0", "1", "2", ""]


def test_a_terminal_whose_size_has_changed_is_cleared_first() -> None:
    sent = drawn([["x" * 40, "y"], ["z"]], (80, 24), (20, 24))
    assert shown_on("before\n" + sent) == ["z", ""]


def test_colours_are_sent_only_where_they_are_wanted() -> None:
    picture = [click.style("down", fg="red")]
    assert "\x1b[31m" in drawn([picture], is_coloured=True)
    assert "\x1b[31m" not in drawn([picture])
    assert shown_on(drawn([picture], is_coloured=True)) == ["down", ""]


def test_an_interrupt_that_is_dropped_within_a_turn_ends_it_all_the_same() -> None:
    """As Python drops one that comes while it collects what is no longer used."""
    going = turns(0.1)
    next(going)
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        next(going)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
