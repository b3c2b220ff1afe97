"""The epoch of an owner: told, raised by one, and never anything else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.server.crowded import CrowdedEngine, rotation
from tests.unit.server.serving import Node, problem_of, serving
from tvault.server.epoch_calls import ROTATE_ROUNDS


def test_an_owner_begins_in_epoch_one(node: Node) -> None:
    assert node.get("/epoch").json() == {"epoch": 1}


def test_the_epoch_is_a_confirmed_one(node: Node) -> None:
    node.get("/epoch")

    assert node.engine.calls == ["read_epoch"]


def test_a_rotation_leads_to_the_next_epoch_and_can_be_repeated(node: Node) -> None:
    assert node.post("/rotate-epoch", {"to": 2}).json() == {"epoch": 2, "rotated": True}
    assert node.post("/rotate-epoch", {"to": 2}).json() == {"epoch": 2, "rotated": False}
    assert node.get("/epoch").json() == {"epoch": 2}


def test_a_rotation_to_the_first_epoch_has_nothing_to_do(node: Node) -> None:
    assert node.post("/rotate-epoch", {"to": 1}).json() == {"epoch": 1, "rotated": False}


@pytest.mark.parametrize("to", [1, 2, 5, 2**53])
def test_a_rotation_to_any_other_epoch_is_a_conflict_that_names_the_active_one(
    node: Node, to: int
) -> None:
    for epoch in (2, 3):
        node.post("/rotate-epoch", {"to": epoch})

    answer = node.post("/rotate-epoch", {"to": to})

    assert problem_of(answer) == (409, "epoch_conflict")
    assert answer.json()["epoch"] == 3
    assert node.get("/epoch").json() == {"epoch": 3}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"to": None},
        {"to": True},
        {"to": "2"},
        {"to": 1.5},
        {"to": 0.0},
        {"to": -2.0},
        {"to": 1e300},
        {"to": 0},
        {"to": -1},
        {"to": 2**53 + 1},
        {"to": 10**4299},
        b'{"to":1e400}',
        b'{"to":' + b"9" * 5000 + b"}",
        {"to": [2]},
        {"to": 2, "force": True},
        {"epoch": 2},
    ],
)
def test_anything_but_an_epoch_to_rotate_to_is_malformed(node: Node, body: Any) -> None:
    assert problem_of(node.post("/rotate-epoch", body)) == (400, "malformed")
    assert node.get("/epoch").json() == {"epoch": 1}


def test_owners_rotate_on_their_own(node: Node) -> None:
    node.post("/rotate-epoch", {"to": 2}, "alice")

    assert node.get("/epoch", "alice").json() == {"epoch": 2}
    assert node.get("/epoch", "bob").json() == {"epoch": 1}


def test_a_tokenization_after_a_rotation_uses_the_new_epoch(node: Node) -> None:
    before = node.tokenize(["a"])
    node.post("/rotate-epoch", {"to": 2})
    after = node.tokenize(["a"])

    assert [token[:6] for token in before + after] == ["tv1_1_", "tv1_2_"]
    assert before[0][6:] != after[0][6:]
    assert node.detokenize(before + after) == ["a", "a"]


def test_a_rotation_that_another_client_was_quicker_with_is_done_but_not_by_this_one() -> None:
    with serving(CrowdedEngine(rotation(2))) as node:
        assert node.post("/rotate-epoch", {"to": 2}).json() == {"epoch": 2, "rotated": False}


def test_a_rotation_that_others_went_past_is_a_conflict() -> None:
    def rotate_twice(engine: Any) -> None:
        rotation(2)(engine)
        rotation(3)(engine)

    with serving(CrowdedEngine(rotate_twice)) as node:
        answer = node.post("/rotate-epoch", {"to": 2})

    assert problem_of(answer) == (409, "epoch_conflict")
    assert answer.json()["epoch"] == 3


class Forgetful(CrowdedEngine):
    """An engine whose confirmed reads do not know yet what refuses a rotation."""

    def read_epoch(self, owner: str, deadline: float) -> int:
        super().read_epoch(owner, deadline)
        return 1


def test_a_rotation_that_cannot_be_decided_is_unavailable() -> None:
    engine = Forgetful(rotation(2))

    with serving(engine) as node:
        assert problem_of(node.post("/rotate-epoch", {"to": 2})) == (503, "unavailable")

    assert engine.calls.count("rotate") == ROTATE_ROUNDS
