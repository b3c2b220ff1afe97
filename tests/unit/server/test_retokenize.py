"""Retokenizations over HTTP: the same values under the active epoch, whole, and no value on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.server.crowded import CrowdedEngine, rotation, token_of, writing
from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, Node, problem_of, serving
from tests.unit.server.test_crowded import FirmlyRefusing
from tvault.wire import Limits

UNKNOWN = "tv1_1_" + "00" * 16


def retokenize(node: Node, tokens: Sequence[str | None], owner: str = "alice") -> dict[str, Any]:
    answer = node.post("/retokenize", {"tokens": tokens}, owner)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert document.keys() == {"epoch", "tokens", "not_found"}
    return document


def rotate(node: Node, to: int, owner: str = "alice") -> None:
    assert node.post("/rotate-epoch", {"to": to}, owner).status_code == 200


def test_tokens_of_any_epoch_become_those_of_the_active_one_for_the_same_values(node: Node) -> None:
    first = node.tokenize(["a", 1, True])
    rotate(node, 2)
    second = node.tokenize(["b", 1.0])
    rotate(node, 3)
    third = node.tokenize(["c", 1])

    done = retokenize(node, [*second, *first, *third])

    assert done["epoch"] == 3
    assert done["not_found"] == []
    assert done["tokens"] == node.tokenize(["b", 1.0, "a", 1, True, "c", 1])
    assert node.detokenize(done["tokens"]) == ["b", 1.0, "a", 1, True, "c", 1]


def test_a_token_of_the_active_epoch_comes_back_as_itself_and_writes_nothing(node: Node) -> None:
    rotate(node, 2)
    tokens = node.tokenize(["a", "b"])
    node.engine.calls.clear()

    assert retokenize(node, [*tokens, tokens[0]])["tokens"] == [*tokens, tokens[0]]
    assert "mint" not in node.engine.calls


def test_old_tokens_stay_what_they_were(node: Node) -> None:
    old = node.tokenize(["a"])
    rotate(node, 2)
    new = retokenize(node, old)["tokens"]

    assert node.detokenize([*old, *new]) == ["a", "a"]


def test_what_is_not_found_is_listed_and_does_not_fail_the_rest(node: Node) -> None:
    [a] = node.tokenize(["a"])
    [foreign] = node.tokenize(["a"], "bob")
    rotate(node, 2)

    done = retokenize(node, [UNKNOWN, a, None, foreign, "junk", a.upper(), a, None])

    [new] = node.tokenize(["a"])
    assert done == {
        "epoch": 2,
        "tokens": [None, new, None, None, None, None, new, None],
        "not_found": [0, 3, 4, 5],
    }


def test_nothing_to_do_is_done_under_the_active_epoch(node: Node) -> None:
    rotate(node, 2)

    assert retokenize(node, []) == {"epoch": 2, "tokens": [], "not_found": []}
    assert retokenize(node, [None]) == {"epoch": 2, "tokens": [None], "not_found": []}
    assert retokenize(node, [UNKNOWN]) == {"epoch": 2, "tokens": [None], "not_found": [0]}


def test_no_value_is_in_the_answer(node: Node) -> None:
    tokens = node.tokenize(["123-45-6789"])
    rotate(node, 2)

    answer = node.post("/retokenize", {"tokens": tokens})

    assert "123-45-6789" not in answer.text + repr(answer.headers) + repr(node.events)


def test_falsy_values_and_the_empty_text_are_found(node: Node) -> None:
    tokens = node.tokenize(["", 0, False, 0.0, -0.0])
    rotate(node, 2)

    assert retokenize(node, tokens)["not_found"] == []


def test_a_rotation_meanwhile_moves_the_whole_request_to_the_new_epoch() -> None:
    engine = CrowdedEngine()
    for happens in (writing("a", "b"), rotation(2), writing("a", epoch=2)):
        happens(engine)
    engine.disturbances.append(rotation(3))

    with serving(engine) as node:
        done = retokenize(node, [token_of("b", 1), token_of("a", 2), UNKNOWN])

    assert done["epoch"] == 3
    assert done["tokens"] == [token_of("b", 3), token_of("a", 3), None]


def test_a_request_that_fails_leaves_nothing_behind() -> None:
    engine = FirmlyRefusing("mint")
    for happens in (writing("a", "b"), rotation(2)):
        happens(engine)
    before = engine.store.last().seq

    with serving(engine) as node:
        answer = node.post("/retokenize", {"tokens": [token_of("a", 1), token_of("b", 1)]})

    assert problem_of(answer) == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert engine.store.last().seq == before


def test_another_value_under_the_new_token_is_a_collision_and_nothing_is_stored() -> None:
    engine = LoneEngine(KEYS)
    for happens in (writing("a", "b"), rotation(2), writing("other", under="b", epoch=2)):
        happens(engine)
    before = engine.store.last().seq

    with serving(engine) as node:
        answer = node.post("/retokenize", {"tokens": [token_of("a", 1), token_of("b", 1)]})

    assert problem_of(answer) == (500, "collision")
    assert engine.store.last().seq == before
    assert [(event, counts["epoch"]) for event, counts in node.events] == [("collision", 2)]


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"token": UNKNOWN},
        {"tokens": UNKNOWN},
        {"tokens": None},
        {"tokens": [5]},
        {"tokens": [[UNKNOWN]]},
        {"tokens": [True]},
        {"records": []},
        {"values": []},
        {"tokens": [], "to": 2},
        {"tokens": [], "records": []},
    ],
)
def test_a_body_of_another_shape_is_malformed(shared: Node, document: Any) -> None:
    assert problem_of(shared.post("/retokenize", document)) == (400, "malformed")


def test_what_is_no_text_is_refused_with_its_positions(shared: Node) -> None:
    answer = shared.post("/retokenize", {"tokens": [UNKNOWN, 5, None, {}]})

    assert [error["index"] for error in answer.json()["errors"]] == [1, 3]


def test_tokens_and_their_values_together_have_limits() -> None:
    with serving(limits=Limits(values_per_request=3, body_bytes=2048, value_bytes=1000)) as node:
        tokens = [node.tokenize([letter * 700])[0] for letter in "abc"]
        rotate(node, 2)

        many = node.post("/retokenize", {"tokens": [UNKNOWN] * 4})
        for path in ("/retokenize", "/detokenize"):
            long = node.post(path, {"tokens": tokens})
            assert problem_of(long) == (413, "too_large")
            assert (long.json()["limit"], long.json()["limit_name"]) == (2048, "body_bytes")
            assert "errors" not in long.json()
        assert problem_of(many) == (413, "too_large")
        assert (many.json()["limit"], many.json()["limit_name"]) == (3, "values_per_request")
        assert retokenize(node, [*tokens[:2], None])["not_found"] == []


def test_a_value_that_was_taken_under_a_higher_limit_is_refused_by_its_position() -> None:
    engine = LoneEngine(KEYS)
    for happens in (writing("short", "long" * 9), rotation(2)):
        happens(engine)
    tokens = [UNKNOWN, token_of("short"), None, token_of("long" * 9)]
    before = engine.store.last().seq

    with serving(engine, Limits(value_bytes=35)) as node:
        answer = node.post("/retokenize", {"tokens": tokens})
        read = node.post("/detokenize", {"tokens": tokens}).json()

    assert problem_of(answer) == (413, "too_large")
    assert (answer.json()["limit"], answer.json()["limit_name"]) == (35, "value_bytes")
    assert answer.json()["errors"] == [{"index": 3, "code": "too_large"}]
    assert engine.store.last().seq == before
    assert read["values"] == [None, "short", None, "long" * 9]


class BeganMeanwhile(LoneEngine):
    """An engine on which, once a request has read, a value gets its token and then an epoch begins."""

    is_due = True

    def read_epoch(self, owner: str, deadline: float) -> int:
        if self.is_due:
            self.is_due = False
            for happens in (writing("late"), rotation(2)):
                happens(self)
        return super().read_epoch(owner, deadline)


def test_what_was_there_when_the_new_epoch_began_is_not_missed() -> None:
    """Else the answer would be that of no moment: the epoch of now, and the tokens of before."""
    engine = BeganMeanwhile(KEYS)
    writing("known")(engine)
    with serving(engine) as node:
        done = retokenize(node, [token_of("late"), UNKNOWN, token_of("known")])

    assert done == {
        "epoch": 2,
        "tokens": [token_of("late", 2), None, token_of("known", 2)],
        "not_found": [1],
    }
