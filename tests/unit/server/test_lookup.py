"""Lookups over HTTP: every token that a value has, of every epoch, and none is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.unit.server.crowded import rotation, token_of, writing
from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, RING, Node, problem_of, serving
from tvault.model.commands import DIGEST_BYTES
from tvault.model.records import LookTooLong, Places
from tvault.model.values import encode_value
from tvault.server.lookup import Finder
from tvault.server.reading import ValueReader
from tvault.wire import Limits

FAR = 1e9


def lookup(node: Node, values: Sequence[Any], owner: str = "alice") -> list[dict[str, str]]:
    answer = node.post("/lookup", {"values": values}, owner)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"tokens"}
    tokens: list[dict[str, str]] = answer.json()["tokens"]
    return tokens


def test_a_value_has_the_tokens_that_were_issued_by_epoch_in_rising_order(node: Node) -> None:
    issued: list[dict[str, str]] = [{}, {}, {}]
    for epoch in range(1, 12):
        if epoch > 1:
            node.post("/rotate-epoch", {"to": epoch})
        given = [number for number in range(3) if (epoch + number) % 3]
        for number, token in zip(given, node.tokenize(given), strict=True):
            issued[number][str(epoch)] = token

    found = lookup(node, [0, 1, 2, "0", None, 1])

    assert found == [*issued, {}, {}, issued[1]]
    assert [list(tokens) for tokens in found] == [sorted(tokens, key=int) for tokens in found]
    assert max(map(len, found)) > 6


def test_a_lookup_issues_nothing(node: Node) -> None:
    entries = node.engine.store.last().seq

    assert lookup(node, ["a", "b"]) == [{}, {}]

    assert node.engine.store.last().seq == entries
    assert "mint" not in node.engine.calls


def test_another_owners_tokens_are_never_among_them(node: Node) -> None:
    node.tokenize(["a"], "bob")

    assert lookup(node, ["a"]) == [{}]
    assert lookup(node, ["a"], "bob") == [{"1": token_of("a", 1, "bob")}]


def test_values_are_told_apart_by_type(node: Node) -> None:
    tokens = node.tokenize(["7", 7, 7.0, False])

    assert [found["1"] for found in lookup(node, ["7", 7, 7.0, False])] == tokens
    assert lookup(node, [0, "false", 7.5]) == [{}, {}, {}]


def test_a_lookup_of_nothing_finds_nothing(shared: Node) -> None:
    assert lookup(shared, []) == []
    assert lookup(shared, [None, None]) == [{}, {}]


def test_the_tokens_of_an_epoch_that_this_node_has_not_heard_of_are_found() -> None:
    engine = LoneEngine(KEYS)
    rotation(2)(engine)
    writing("a", epoch=2)(engine)
    engine.hints["alice"] = 1

    with serving(engine) as node:
        assert lookup(node, ["a"]) == [{"2": token_of("a", 2)}]


def test_what_is_absent_is_confirmed_and_so_is_the_epoch(node: Node) -> None:
    node.tokenize(["a"])
    node.engine.calls.clear()

    lookup(node, ["a", "b"])

    assert node.engine.calls == ["read_epoch", "look_up", "confirm"]


@pytest.mark.parametrize(
    ("values", "errors"),
    [
        (["a", {}, None, [1]], [(1, "object"), (3, "array")]),
        (b'{"values":["a","\\ud800"]}', [(1, "lone_surrogate")]),
        (
            b'{"values":[1e400,' + b"9" * 4301 + b"]}",
            [(0, "float_out_of_range"), (1, "integer_too_long")],
        ),
    ],
)
def test_values_are_judged_as_they_are_for_tokens(
    shared: Node, values: Any, errors: list[tuple[int, str]]
) -> None:
    document = values if isinstance(values, bytes) else {"values": values}

    answers = [shared.post(path, document) for path in ("/lookup", "/tokenize")]

    for answer in answers:
        assert problem_of(answer) == (422, "invalid_value")
        assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == errors


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"values": "a"},
        {"values": None},
        {"values": {}},
        {"records": []},
        {"tokens": []},
        {"values": [], "records": []},
        {"values": [], "epoch": 1},
    ],
)
def test_a_body_of_another_shape_is_malformed(shared: Node, document: Any) -> None:
    assert problem_of(shared.post("/lookup", document)) == (400, "malformed")


def test_values_times_epochs_have_a_limit_that_the_refusal_names() -> None:
    limits = Limits(values_per_request=20, value_bytes=10, lookups_per_request=12)
    with serving(limits=limits) as node:

        def limit_of(values: list[Any]) -> tuple[int, str] | None:
            answer = node.post("/lookup", {"values": values})
            if answer.status_code == 200:
                return None
            assert problem_of(answer) == (413, "too_large")
            return answer.json()["limit"], answer.json()["limit_name"]

        assert limit_of([1] * 12) is None
        assert limit_of([1] * 13) == (12, "lookups_per_request")
        node.post("/rotate-epoch", {"to": 2})
        assert limit_of([None, *range(6)]) is None
        assert limit_of(list(range(7))) == (12, "lookups_per_request")
        node.post("/rotate-epoch", {"to": 2}, "bob")
        node.post("/rotate-epoch", {"to": 3}, "bob")
        assert limit_of(list(range(6))) is None, "another owner's epochs must not count"
        assert limit_of(list(range(21))) == (20, "values_per_request")
        assert limit_of(["x" * 11]) == (10, "value_bytes")


def test_a_long_value_counts_once_more_for_each_kib_of_it() -> None:
    with serving(limits=Limits(lookups_per_request=6)) as node:
        node.post("/rotate-epoch", {"to": 2})

        assert lookup(node, ["x" * 2000, "y"]) == [{}, {}]
        answer = node.post("/lookup", {"values": ["x" * 4000]})

    assert problem_of(answer) == (413, "too_large")


def test_another_value_under_a_token_is_a_collision() -> None:
    engine = LoneEngine(KEYS)
    writing("fine")(engine)
    writing("other", under="mine")(engine)
    rotation(2)(engine)

    with serving(engine) as node:
        answer = node.post("/lookup", {"values": ["fine", "mine"]}, Request_Id="r1")
        fine = lookup(node, ["fine"])

    assert problem_of(answer) == (500, "collision")
    assert fine == [{"1": token_of("fine", 1)}]
    assert [(event, counts["epoch"]) for event, counts in node.events[:1]] == [("collision", 1)]


class ShortSighted(LoneEngine):
    """An engine that finds at most one value in one look; `meanwhile` happens after the first that
    found as little."""

    def __init__(self, meanwhile: Callable[[LoneEngine], None] | None = None) -> None:
        super().__init__(KEYS)
        self._meanwhile = meanwhile
        self.looks = 0

    def find(self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float) -> list[Places]:
        found = super().find(owner, asked, deadline)
        if sum(len(places.block_of) - len(places.missing()) for places in found) > 1:
            raise LookTooLong
        assert all(len(digests) % DIGEST_BYTES == 0 for _, digests in asked)
        self.looks += 1
        if self._meanwhile is not None and self.looks == 1:
            self._meanwhile(self)
        return found


def finder(engine: LoneEngine) -> Finder:
    return Finder(engine, RING, ValueReader(engine, RING, 1 << 20), 1000)


def test_what_is_too_long_for_one_look_is_found_in_parts() -> None:
    engine = ShortSighted()
    for epoch in (1, 2, 3):
        if epoch > 1:
            rotation(epoch)(engine)
        for number in range(epoch, 6):
            writing(f"{number}", epoch=epoch)(engine)
    canonicals = [encode_value(f"{number}", 100) for number in range(7)]

    existing = finder(engine).existing("alice", canonicals, FAR)

    assert existing.epoch == 3
    assert existing.tokens == [
        {str(epoch): token_of(f"{number}", epoch) for epoch in (1, 2, 3) if epoch <= number < 6}
        for number in range(7)
    ]
    assert engine.looks > 6


def test_what_is_found_in_parts_is_as_it_was_at_one_moment() -> None:
    """Whoever finds the later token finds the earlier one, although that was looked for first."""

    def write(engine: LoneEngine) -> None:
        for value in ("earlier", "later"):
            writing(value)(engine)

    engine = ShortSighted(write)
    for value in ("a", "b"):
        writing(value)(engine)
    values = ["earlier", "a", "later", "b"]

    existing = finder(engine).existing("alice", [encode_value(v, 100) for v in values], FAR)

    assert existing.tokens == [{"1": token_of(value, 1)} for value in values]
