"""The grammar of `.env` files is that of python-dotenv, and knows where every value stands."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Callable

import pytest
from dotenv.parser import parse_stream

from tests.unit.model.env_examples import content_of, names
from tvault.model.envfile import Binding, TooMany, Unreadable, Value, decoded, parse

Said = tuple[list[tuple[str, str | None]], int]
"""Names with their values, and how many places cannot be read."""


def theirs(content: str) -> Said:
    found, unreadable = [], 0
    for binding in parse_stream(io.StringIO(content, newline="")):
        unreadable += binding.error
        if binding.key is not None:
            found.append((binding.key, binding.value))
    return found, unreadable


def ours(content: str) -> Said:
    file = parse(content)
    found = [(each.name, None if each.value is None else each.value.text) for each in file.bindings]
    return found, len(file.unreadable)


def check_places(content: str) -> None:
    """Lines and values stand where they are said to stand."""
    file = parse(content)
    at = 0
    lines: list[Binding | Unreadable] = [*file.bindings, *file.unreadable]
    for line in sorted(lines, key=lambda line: line.start):
        assert at <= line.start < line.end <= len(content)
        before = content[: line.start].replace("\r\n", "\n").replace("\r", "\n")
        assert line.line == before.count("\n") + 1
        at = line.end
    for binding in file.bindings:
        if binding.value is not None:
            check_value(content, binding.value)
            assert binding.start < binding.value.start <= binding.value.end <= binding.end


def check_value(content: str, value: Value) -> None:
    assert decoded(content[value.start : value.end], value.quote) == value.text
    before = content[: value.start - len(value.quote)]
    assert before.rstrip().endswith("=")
    assert value.follows_blank == (not before.endswith("="))
    if value.quote:
        assert content[value.start - 1] == value.quote == content[value.end]


@pytest.mark.parametrize("length", range(6))
def test_every_short_content_says_what_python_dotenv_reads(length: int) -> None:
    for letters in itertools.product("A='\"\\ #\n", repeat=length):
        content = "".join(letters)
        assert ours(content) == theirs(content), repr(content)


@pytest.mark.parametrize("name", names())
def test_every_golden_content_says_what_python_dotenv_reads(name: str) -> None:
    content = content_of(name)
    assert content is not None
    assert ours(content) == theirs(content)
    check_places(content)


def test_a_byte_order_mark_is_skipped_at_the_very_beginning_only() -> None:
    assert ours("\ufeffA=1\n\ufeffB=2") == ([("A", "1"), ("\ufeffB", "2")], 0)


def test_no_value_is_in_the_repr_of_what_was_read() -> None:
    assert "hunter2" not in repr(parse("A='hunter2'\nB=hunter2\nhunter 'hunter2'"))


HOSTILE: list[Callable[[int], str]] = [
    lambda n: " " * n + "A",
    lambda n: "\n" * n + "A",
    lambda n: "A=b" + " " * n + "c",
    lambda n: "A=b" + " #" * n,
    lambda n: "A " + " " * n + "b",
    lambda n: 'A="' + "\\" * n + '"',
    lambda n: 'A="' + '\\"' * n,
    lambda n: "A='" + "\\'\\\\" * n + "'" + " " * n + "x",
    lambda n: "A='\n" * n,
    lambda n: "A=\"x' y\n" * n,
    lambda n: "'" * n,
    lambda n: "export " * n,
    lambda n: "a b\r\n" * n,
]


@pytest.mark.parametrize("content", HOSTILE)
def test_the_time_to_read_rises_no_faster_than_the_content(content: Callable[[int], str]) -> None:
    def seconds(times: int) -> float:
        text = content(times)
        started = time.process_time()
        parse(text)
        return time.process_time() - started

    assert min(seconds(160_000) for _ in range(3)) < 0.02 + 24 * min(seconds(20_000) for _ in range(3))


def test_more_lines_than_there_may_be_are_refused_and_blank_ones_not_counted() -> None:
    assert len(parse("\n\nA\n  \nB=1\n\n", 2).bindings) == 2
    for content in ("A\nB\nC", "# a\n# b\nC=", "A b\nB c\nC"):
        with pytest.raises(TooMany):
            parse(content, 2)
