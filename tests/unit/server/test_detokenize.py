"""Detokenization over HTTP: what there is comes back, and all that there is not looks the same."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, RING, Node, problem_of, serving
from tvault.errors import VaultError
from tvault.model.blocks import seal
from tvault.model.commands import Mint
from tvault.model.verdicts import Admitted
from tvault.wire import Limits

UNKNOWN = "tv1_1_" + "0f" * 16


def as_seen(answer: requests.Response) -> tuple[int, dict[str, str], bytes]:
    """All that a client sees of an answer but for its id and the time."""
    headers = {name: text for name, text in answer.headers.items() if name not in {"Request-Id", "Date"}}
    return answer.status_code, headers, answer.content


def bad_tokens(node: Node) -> list[str]:
    """Tokens that are not there for alice, for every reason there is."""
    [mine] = node.tokenize(["mine"], "alice")
    [foreign] = node.tokenize(["foreign"], "bob")
    return [
        UNKNOWN,
        "tv1_1_" + "00" * 16,  # what is looked up in the place of a text that is no token
        foreign,
        mine.replace("tv1_1_", "tv1_2_"),
        mine.replace("tv1_1_", "tv1_999999999999999999_"),
        mine.replace("tv1_1_", "tv1_9999999999999999999_"),
        mine.replace("tv1_1_", "tv1_01_"),
        mine.replace("tv1_1_", "tv1_0_"),
        mine.replace("tv1_", "tv2_"),
        "tv1_1_" + mine[6:].upper(),
        mine + "\n",
        " " + mine,
        mine[:-1],
        mine + "0",
        "",
        "mine",
        "\u0661" * 40,
        "\U0001f600",
        "x" * 100_000,
    ]


def test_a_single_token_that_is_not_found_gets_one_answer_whatever_the_reason(node: Node) -> None:
    tokens = bad_tokens(node)

    seen = [as_seen(node.post("/detokenize", {"token": token})) for token in tokens]

    assert seen[0][0] == 404
    assert all(answer == seen[0] for answer in seen)
    assert problem_of(node.post("/detokenize", {"token": UNKNOWN})) == (404, "not_found")


def test_a_single_token_that_is_not_found_is_the_same_work_whatever_the_reason(node: Node) -> None:
    for token in bad_tokens(node):
        node.engine.calls.clear()
        node.post("/detokenize", {"token": token})

        assert node.engine.calls == ["look_up", "confirm"], token


def test_tokens_that_are_not_found_are_the_same_entries_of_a_batch(node: Node) -> None:
    tokens = bad_tokens(node)
    [good] = node.tokenize([5])

    answer = node.post("/detokenize", {"tokens": [good, *tokens, None, good]})

    count = len(tokens)
    assert answer.status_code == 200
    assert answer.json() == {
        "values": [5, *[None] * count, None, 5],
        "not_found": list(range(1, count + 1)),
    }


def test_not_found_is_said_only_after_a_confirmation_that_follows_the_look(node: Node) -> None:
    [good] = node.tokenize(["a"])
    node.engine.calls.clear()

    node.post("/detokenize", {"tokens": [good, UNKNOWN, UNKNOWN.replace("tv1_1", "tv1_2"), "junk"]})

    assert node.engine.calls == ["look_up", "look_up", "confirm"]


def test_what_is_all_found_needs_no_confirmation(node: Node) -> None:
    tokens = node.tokenize(["a", 1, False, 0, "", 0.0])
    node.engine.calls.clear()

    assert node.detokenize([*tokens, None]) == ["a", 1, False, 0, "", 0.0, None]
    assert node.engine.calls == ["look_up"]


class Unconfirmed(LoneEngine):
    """An engine that hears from no majority."""

    def confirm(self, deadline: float) -> None:
        super().confirm(deadline)
        raise VaultError("unavailable", "No majority answers.")


def test_without_a_confirmation_what_is_found_is_answered_and_the_rest_unavailable() -> None:
    with serving(Unconfirmed(KEYS)) as node:
        tokens = node.tokenize(["a"])

        assert node.detokenize(tokens) == ["a"]
        for body in ({"token": UNKNOWN}, {"tokens": [*tokens, "junk"]}, {"records": [{"ssn": "junk"}]}):
            assert problem_of(node.post("/detokenize", body)) == (503, "unavailable")


@pytest.mark.parametrize("value", ["text", "", 0, 1, -5, 1.0, -0.0, 1e16, True, False, 10**100])
def test_a_single_token_gives_its_value(shared: Node, value: Any) -> None:
    [token] = shared.tokenize([value])

    answer = shared.post("/detokenize", {"token": token})

    assert answer.status_code == 200
    assert list(answer.json()) == ["value"]
    assert repr(answer.json()["value"]) == repr(value)


def test_tokens_of_old_epochs_go_on_giving_their_values_also_in_one_batch(node: Node) -> None:
    tokens = []
    for epoch in range(1, 6):
        tokens += node.tokenize([f"in {epoch}", "in all"])
        assert node.post("/rotate-epoch", {"to": epoch + 1}).status_code == 200

    assert node.detokenize(tokens[::-1]) == [
        value for epoch in range(5, 0, -1) for value in ("in all", f"in {epoch}")
    ]


def test_falsy_values_in_records_are_found(node: Node) -> None:
    records = [{"ssn": value} for value in (False, 0, 0.0, "")]
    tokenized = node.post("/tokenize", {"records": records}).json()["records"]

    assert node.post("/detokenize", {"records": tokenized}).json() == {
        "records": records,
        "not_found": [],
    }


def test_no_text_that_is_no_token_finds_what_is_looked_up_in_its_place() -> None:
    engine = LoneEngine(KEYS)
    blocks = seal(RING.scope("alice", 1), [bytes(16)], [b"sodd"], lambda: bytes(12))
    assert engine.judge(Mint("alice", 1, blocks)) == Admitted()

    with serving(engine) as node:
        assert node.post("/detokenize", {"token": "junk"}).status_code == 404
        assert node.post("/detokenize", {"tokens": ["junk"]}).json()["not_found"] == [0]
        assert node.detokenize(["tv1_1_" + "00" * 16]) == ["odd"]


def test_records_get_their_values_back_and_keep_what_is_not_found(node: Node) -> None:
    a, b = node.tokenize(["a", 2])
    records = [
        {"ssn": a, "patient": {"mrn": UNKNOWN}, "other": UNKNOWN},
        {"ssn": None, "patient": None},
        {
            "ssn": 5,
            "patient": {"mrn": b},
            "contacts": [{"phone": "junk"}, {"phone": None}, {"phone": a}],
        },
        {"ssn": {"a": a}, "patient": "gone", "contacts": [[]]},
        {"ssn": False, "contacts": {"phone": a}},
        {},
    ]

    answer = node.post("/detokenize", {"records": records})

    expected: list[dict[str, Any]] = [dict(record) for record in records]
    expected[0]["ssn"] = "a"
    expected[2] |= {
        "patient": {"mrn": 2},
        "contacts": [{"phone": "junk"}, {"phone": None}, {"phone": "a"}],
    }
    assert answer.status_code == 200
    assert answer.json()["records"] == expected
    missed = {(entry["record"], entry["field"]) for entry in answer.json()["not_found"]}
    assert missed == {
        (0, "patient.mrn"),
        (2, "ssn"),
        (2, "contacts[0].phone"),
        (3, "ssn"),
        (3, "patient.mrn"),
        (3, "contacts[0].phone"),
        (4, "ssn"),
        (4, "contacts[*].phone"),
    }
    listed = [entry["record"] for entry in answer.json()["not_found"]]
    assert listed == sorted(listed)


def test_what_passes_through_records_comes_out_as_it_went_in(shared: Node) -> None:
    body = (
        b'{"records":[{"a":1.0,"b":'
        + b"9" * 4300
        + b',"c":"\\udc00","d":-0.0,"e":1e+16}],"not_found":[]}'
    )

    answer = shared.post("/detokenize", body.replace(b',"not_found":[]', b""))

    assert answer.content == body


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            b'{"records":[{},{"ssn":1e400}]}',
            [{"index": 1, "field": "ssn", "code": "float_out_of_range"}],
        ),
        (b'{"records":[{"x":[-1e400]}]}', [{"index": 0, "code": "float_out_of_range"}]),
        (b'{"records":[{"x":' + b"8" * 4301 + b"}]}", [{"index": 0, "code": "integer_too_long"}]),
    ],
)
def test_a_number_that_cannot_be_handed_back_is_refused(
    shared: Node, body: bytes, errors: list[dict[str, Any]]
) -> None:
    answer = shared.post("/detokenize", body)

    assert problem_of(answer) == (422, "invalid_value")
    assert answer.json()["errors"] == errors


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"token": None},
        {"token": 5},
        {"token": [UNKNOWN]},
        {"tokens": UNKNOWN},
        {"tokens": {}},
        {"tokens": [UNKNOWN, 5]},
        {"tokens": [True]},
        {"tokens": [[UNKNOWN]]},
        {"token": UNKNOWN, "tokens": [UNKNOWN]},
        {"records": [UNKNOWN]},
        {"records": [None]},
        {"records": {}},
        {"values": []},
    ],
)
def test_a_body_of_another_shape_is_malformed(shared: Node, document: dict[str, Any]) -> None:
    assert problem_of(shared.post("/detokenize", document)) == (400, "malformed")


def test_empty_requests_have_empty_answers(shared: Node) -> None:
    assert shared.post("/detokenize", {"tokens": []}).json() == {"values": [], "not_found": []}
    assert shared.post("/detokenize", {"records": []}).json() == {"records": [], "not_found": []}
    assert shared.post("/detokenize", {"tokens": [None]}).json() == {"values": [None], "not_found": []}


def test_the_limit_of_values_holds_for_tokens_too() -> None:
    with serving(limits=Limits(values_per_request=2)) as node:
        many = [{"tokens": ["a", "b", "c"]}, {"records": [{"ssn": "a"}, {"ssn": "b"}, {"ssn": "c"}]}]
        few = [{"tokens": ["a", None, "c"]}, {"records": [{"ssn": "a"}, {"ssn": None}, {"ssn": "c"}]}]

        for document in many:
            answer = node.post("/detokenize", document)
            assert problem_of(answer) == (413, "too_large")
            assert answer.json()["limit"] == 2
        for document in few:
            assert node.post("/detokenize", document).status_code == 200
