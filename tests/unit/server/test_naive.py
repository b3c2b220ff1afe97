"""Any sequence of calls by two owners is answered as by a vault that is as simple as can be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.server.crowded import token_of
from tests.unit.server.serving import Node, serving
from tvault.model.values import Value, encode_value

OWNERS = ("alice", "bob")
VALUES: tuple[Value, ...] = ("", "1", 1, 1.0, True, 0.0, -0.0)
EPOCHS = 3
ODD = ("junk", "", "tv1_1_" + "00" * 16, "tv1_0_" + "00" * 16)


class NaiveVault:
    """For each owner and epoch the values that have a token."""

    def __init__(self) -> None:
        self.active = dict.fromkeys(OWNERS, 1)
        self.values: dict[str, Value] = {}

    def tokenize(self, owner: str, values: Sequence[Value | None]) -> dict[str, Any]:
        return {"epoch": self.active[owner], "tokens": [self._token(owner, value) for value in values]}

    def detokenize(self, owner: str, tokens: Sequence[str | None]) -> dict[str, Any]:
        values = [self._value(owner, token) for token in tokens]
        return {"values": values, "not_found": self._not_found(tokens, values)}

    def retokenize(self, owner: str, tokens: Sequence[str | None]) -> dict[str, Any]:
        values = [self._value(owner, token) for token in tokens]
        return {**self.tokenize(owner, values), "not_found": self._not_found(tokens, values)}

    def lookup(self, owner: str, values: Sequence[Value | None]) -> dict[str, Any]:
        epochs = range(1, self.active[owner] + 1)
        known = [
            {
                str(epoch): token_of(value, epoch, owner)
                for epoch in epochs
                if value is not None and token_of(value, epoch, owner) in self.values
            }
            for value in values
        ]
        return {"tokens": known}

    def rotate(self, owner: str, to: int) -> dict[str, Any]:
        before = self.active[owner]
        if to not in {before, before + 1}:
            return {"epoch": before}
        self.active[owner] = to
        return {"epoch": to, "rotated": to != before}

    def _token(self, owner: str, value: Value | None) -> str | None:
        if value is None:
            return None
        token = token_of(value, self.active[owner], owner)
        self.values[token] = value
        return token

    def _value(self, owner: str, token: str | None) -> Value | None:
        value = None if token is None else self.values.get(token)
        is_own = value is not None and any(
            token_of(value, epoch, owner) == token for epoch in range(1, EPOCHS + 2)
        )
        return value if is_own else None

    @staticmethod
    def _not_found(tokens: Sequence[str | None], values: Sequence[Value | None]) -> list[int]:
        return [
            at
            for at, (token, value) in enumerate(zip(tokens, values, strict=True))
            if token is not None and value is None
        ]


owners = st.sampled_from(OWNERS)
some_values = st.lists(st.none() | st.sampled_from(VALUES), max_size=6)
tokens = st.builds(token_of, st.sampled_from(VALUES), st.integers(1, EPOCHS), owners)
some_tokens = st.lists(st.none() | st.sampled_from(ODD) | tokens, max_size=6)
calls = st.one_of(
    st.tuples(st.just("tokenize"), owners, some_values),
    st.tuples(st.just("detokenize"), owners, some_tokens),
    st.tuples(st.just("retokenize"), owners, some_tokens),
    st.tuples(st.just("lookup"), owners, some_values),
    st.tuples(st.just("rotate"), owners, st.integers(1, EPOCHS)),
)
MEMBERS = {
    "tokenize": ("/tokenize", "values"),
    "detokenize": ("/detokenize", "tokens"),
    "retokenize": ("/retokenize", "tokens"),
    "lookup": ("/lookup", "values"),
    "rotate": ("/rotate-epoch", "to"),
}


def ask(node: Node, call: str, owner: str, asked: object) -> str:
    """The members of an answer that the model knows, in JSON: there 1, 1.0 and true differ."""
    path, member = MEMBERS[call]
    answer = node.post(path, {member: asked}, owner)
    document = answer.json()
    if call == "rotate" and answer.status_code == 409:
        document = {"epoch": document["epoch"]}
    else:
        assert answer.status_code == 200, answer.text
    return json.dumps(document)


@settings(max_examples=60, deadline=None)
@given(st.lists(calls, max_size=25))
def test_every_sequence_of_calls_is_answered_as_by_a_naive_vault(
    steps: list[tuple[str, str, Any]],
) -> None:
    naive = NaiveVault()
    with serving() as node:
        for call, owner, asked in steps:
            expected = json.dumps(getattr(naive, call)(owner, asked))
            assert ask(node, call, owner, asked) == expected, call
        assert node.engine.store.counts()[1] == len(naive.values)


def test_the_naive_vault_is_not_fooled_by_values_that_are_equal_in_python() -> None:
    canonicals = {encode_value(value, 100) for value in VALUES}

    assert len(canonicals) == len(VALUES)
