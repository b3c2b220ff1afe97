"""Code that waits runs in steps of the world, and sees the same as if it had waited."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.sim.script import Script


def wait(script: Script, name: str, log: list[str]) -> Any:
    def step() -> Generator[str, Any, Any]:
        log.append(name)
        return (yield name)

    return script.later(step)


def test_every_question_is_asked_once_however_often_the_code_begins_anew() -> None:
    script, log = Script(), list[str]()

    def code() -> str:
        first = script.now(lambda: log.append("now") or len(log))  # type: ignore[func-returns-value]
        return f"{first} {wait(script, 'a', log)} {wait(script, 'b', log)}"

    steps = script.run(code)
    assert next(steps) == "a"
    assert steps.send(5) == "b"
    with pytest.raises(StopIteration) as end:
        steps.send(6)
    assert end.value.value == "1 5 6"
    assert log == ["now", "a", "b"]


def test_what_a_question_raises_the_code_may_catch() -> None:
    script = Script()

    def broken() -> Generator[str, Any, Any]:
        yield "broken"
        raise KeyError("x")

    def code() -> str:
        try:
            script.later(broken)
        except KeyError:
            return "caught"
        return "nothing"

    steps = script.run(code)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(None)
    assert end.value.value == "caught"
