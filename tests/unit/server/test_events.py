"""What a node notes of requests: one event each, with counts, and never what was in them."""

from __future__ import annotations

from typing import Any

from tests.unit.server.serving import KEYS, Node

COMMON = {"owner", "request_id", "duration_ms", "view", "seq"}


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


def test_a_refused_request_is_one_event_with_what_the_client_was_told(node: Node) -> None:
    for method, path, body, status, code in (
        ("POST", "/tokenize", {"values": [{}]}, 422, "invalid_value"),
        ("POST", "/detokenize", b"{", 400, "malformed"),
        ("POST", "/rotate-epoch", {"to": 9}, 409, "epoch_conflict"),
        ("POST", "/retokenize", {"tokens": [5]}, 400, "malformed"),
        ("GET", "/secrets/NONE", None, 404, "not_found"),
    ):
        node.events.clear()
        if body is None:
            node.get(path, Request_Id="r1")
        else:
            node.post(path, body, Request_Id="r1")

        [(event, told)] = node.events
        assert event == "refused"
        assert told.pop("duration_ms") >= 0
        call = "GET /secrets/<name>" if path.startswith("/secrets") else f"{method} {path}"
        expected = {"call": call, "status": status, "code": code}
        assert told == {"owner": "alice", "request_id": "r1", **expected}


def test_a_token_that_is_not_found_is_counted_in_one_event(node: Node) -> None:
    assert node.post("/detokenize", {"token": "junk"}, Request_Id="r1").status_code == 404

    assert counts_of(node, "detokenize") == {"values": 1, "found": 0, "not_found": 1}


def test_requests_without_a_valid_key_are_told_together_and_nothing_of_the_keys(node: Node) -> None:
    for header in ("Bearer tvk_wrong", "Basic x", ""):
        assert node.get("/epoch", Authorization=header).status_code == 401
    assert node.events == [("key-refused", {"count": 1})]
    node.api.refusals.flush()
    node.api.refusals.flush()
    assert node.events[1:] == [("key-refused", {"count": 2})]


def test_a_path_that_is_none_is_no_event(node: Node) -> None:
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
