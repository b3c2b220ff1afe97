"""`tvault inspect state` and `verify` of running nodes that answer what a test says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.running import CommandLine, Ran
from tests.unit.client.canned import Canned, canned

DONE: dict[str, Any] = {
    "run": "a",
    "is_done": True,
    "failure": None,
    "upto": 5,
    "checked": 5,
    "rows": {"tokens": 3},
    "findings": [],
    "seconds": 0.1,
}
UNKNOWN = Canned(404, b'{"status":404,"code":"not_found","detail":"not known here"}')


def told(document: object) -> Canned:
    return Canned(200, json.dumps(document).encode())


@contextmanager
def nodes(tvault: CommandLine, *answers: Sequence[Canned]) -> Iterator[None]:
    """A cluster of which each of the first nodes gives its answers in turn, the last one for ever."""
    tvault("init", "c", "--owner", "A", "--base-port", 1)
    file = Path("c/tvault.toml")
    with ExitStack() as stack:
        for number, given in enumerate(answers, 1):
            address = stack.enter_context(canned(given)).url.removeprefix("http://")
            file.write_text(file.read_text().replace(f"127.0.0.1:{101 + number}", address))
        yield


def verified(tvault: CommandLine) -> Ran:
    return tvault("inspect", "verify", "--node", "n1", "--node", "n2", "--config", "c/tvault.toml")


def test_nodes_of_one_history_are_said_to_have_it_up_to_what_all_have(tvault: CommandLine) -> None:
    digest = told({"digest": "00"})
    with nodes(tvault, [told(DONE), digest], [told({**DONE, "upto": 4, "checked": 4}), digest]):
        ran = verified(tvault)
    assert ran.code == 0
    assert "the same history on all that are sound, up to entry 4" in ran.out.decode()


def test_a_node_that_is_started_again_after_its_check_is_not_taken_for_damaged(
    tvault: CommandLine,
) -> None:
    """It may not know at once what is committed; and nothing is said to be the same."""
    with nodes(tvault, [told(DONE), told({"digest": "00"})], [told(DONE), UNKNOWN]):
        ran = verified(tvault)
    assert ran.code == 4
    assert "same history" not in ran.out.decode()
    assert ran.err == "tvault: not compared: not known here\n"


def test_a_node_that_is_started_again_during_its_check_is_not_taken_for_damaged(
    tvault: CommandLine,
) -> None:
    with nodes(tvault, [told(DONE)], [told({**DONE, "is_done": False}), UNKNOWN]):
        ran = verified(tvault)
    assert (ran.code, ran.err) == (4, "tvault: n2: not known here\n")


@pytest.mark.parametrize("command", ["state", "verify"])
@pytest.mark.parametrize(
    "wrong", [{}, [], {**DONE, "findings": [{}]}, {"journal": {"last": 1}}, {"counted": "1", "of": 2}]
)
def test_what_no_node_answers_is_told_as_such(tvault: CommandLine, command: str, wrong: object) -> None:
    with nodes(tvault, [told(wrong)]):
        ran = tvault("inspect", command, "--node", "n1", "--config", "c/tvault.toml")
    assert ran.code == 1
    assert "tvault: n1: what answers is no node of this version\n" in ran.err
