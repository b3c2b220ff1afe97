"""What a node notes of requests: one event each, with counts, and never what was in them."""

from __future__ import annotations

from typing import Any

from tests.unit.server.serving import KEYS, Node

COMMON = {"owner", "request_id", "duration_ms"}


def counts_of(node: Node, event: str) -> dict[str, Any]:
    """The counts of the only event there is, which is this one."""
    [(name, counts)] = node.events
    assert name == event
    assert counts.keys() >= COMMON
    assert counts["owner"] == "alice"
    assert counts["request_id"] == "r1"
    assert counts["duration_ms"] >= 0
    return {key: count for key, count in counts.items() if key not in COMMON}


def test_a_tokenization_is_noted_with_what_was_new_and_known(node: Node) -> None:
    node.tokenize(["a", "b"])
    node.events.clear()

    node.post("/tokenize", {"values": ["a", "c", None, "c", "d"]}, Request_Id="r1")

    assert counts_of(node, "tokenize") == {"epoch": 1, "values": 4, "new": 2, "known": 1}


def test_a_detokenization_is_noted_with_what_was_found(node: Node) -> None:
    tokens = node.tokenize(["a", "b"])
    node.events.clear()

    node.post("/detokenize", {"tokens": [*tokens, None, "junk"]}, Request_Id="r1")

    assert counts_of(node, "detokenize") == {"values": 3, "found": 2, "not_found": 1}


def test_a_lookup_is_noted_with_what_was_found(node: Node) -> None:
    node.tokenize(["a", "b"])
    node.post("/rotate-epoch", {"to": 2})
    node.tokenize(["b", "c"])
    node.events.clear()

    node.post("/lookup", {"values": ["a", "b", None, "b", "d"]}, Request_Id="r1")

    assert counts_of(node, "lookup") == {"epoch": 2, "values": 4, "found": 3, "not_found": 1}


def test_a_retokenization_is_noted_with_what_was_found_and_what_was_new(node: Node) -> None:
    tokens = node.tokenize(["a", "b"])
    node.post("/rotate-epoch", {"to": 2})
    node.tokenize(["b"])
    node.events.clear()

    node.post("/retokenize", {"tokens": [*tokens, None, "junk", tokens[0]]}, Request_Id="r1")

    assert counts_of(node, "retokenize") == {
        "epoch": 2,
        "values": 4,
        "found": 3,
        "not_found": 1,
        "new": 1,
        "known": 1,
    }


def test_a_rotation_is_noted_with_whether_it_rotated(node: Node) -> None:
    node.post("/rotate-epoch", {"to": 2}, Request_Id="r1")

    assert counts_of(node, "rotate") == {"epoch": 2, "rotated": 1}


def test_a_request_id_that_is_made_up_is_the_one_that_is_answered(node: Node) -> None:
    answer = node.post("/tokenize", {"values": ["a"]})

    assert node.events[0][1]["request_id"] == answer.headers["Request-Id"]


def test_refused_requests_are_no_events(node: Node) -> None:
    node.post("/tokenize", {"values": [{}]})
    node.post("/detokenize", b"{")
    node.post("/rotate-epoch", {"to": 9})
    node.post("/lookup", {"values": [{}]})
    node.post("/retokenize", {"tokens": [5]})
    node.get("/nowhere")

    assert node.events == []


def test_no_event_holds_a_value_a_token_or_a_key(node: Node) -> None:
    value = "123-45-6789"
    token = node.tokenize([value])[0]
    records = [{"ssn": value, "name": "Zoe"}]
    node.post("/detokenize", {"token": token})
    node.post("/detokenize", {"tokens": [token[:-1]]})
    tokenized = node.post("/tokenize", {"records": records}).json()["records"]
    node.post("/detokenize", {"records": tokenized})
    node.post("/lookup", {"values": [value]})
    node.post("/retokenize", {"tokens": [token]})

    text = repr(node.events)
    assert len(node.events) == 7
    for told in (value, token, token[6:20], "Zoe", KEYS["alice"]):
        assert told not in text
