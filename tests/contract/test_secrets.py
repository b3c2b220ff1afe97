"""The rows of the contract about secrets and `.env` contents, to the members of their JSON."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.contract.fronts import Front, Reply

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
VALUES = ["", "x", "\x00", "e\u0301", "\u00e9\U0001f511", "\"\\\n\r\t$#'", " pad ", "x" * 1024 * 1024]


def ask(front: Front, method: str, path: str, body: object = None, **headers: str) -> Reply:
    """An answer that has what every answer has, and its version in `ETag`, if it tells of one."""
    reply = front.ask(method, path, body, **headers)
    reply.check_common()
    is_tagged = reply.status == 200 and method in {"PUT", "GET"} and "version" in reply.document
    assert reply.headers["ETag"] == (f'"{reply.document["version"]}"' if is_tagged else None)
    return reply


def told(front: Front, method: str, path: str, body: object = None, **headers: str) -> Any:
    """The document of an answer 200."""
    reply = ask(front, method, path, body, **headers)
    assert reply.status == 200, reply.document
    assert reply.headers["Content-Type"] == "application/json"
    return reply.document


def put(front: Front, name: str, value: str, **headers: str) -> Any:
    document = told(front, "PUT", f"/secrets/{name}", {"value": value}, **headers)
    assert set(document) == {"name", "version", "valid_from", "created"}
    assert document["name"] == name
    assert MOMENT.fullmatch(document["valid_from"])
    return document


def test_a_secret_is_put_read_listed_ended_and_counted_on(front: Front) -> None:
    first = put(front, "life", "one")
    assert (first["version"], first["created"]) == (1, True)
    assert put(front, "life", "one") == {**first, "created": False}
    second = put(front, "life", "two")

    assert told(front, "GET", "/secrets/life") == {
        "name": "life",
        "value": "two",
        "version": 2,
        "valid_from": second["valid_from"],
        "valid_to": None,
    }
    old = {
        "name": "life",
        "value": "one",
        "version": 1,
        "valid_from": first["valid_from"],
        "valid_to": second["valid_from"],
    }
    assert told(front, "GET", "/secrets/life?version=1") == old
    assert told(front, "GET", f"/secrets/life?at={first['valid_from']}") == old
    assert told(front, "GET", f"/secrets/life?at={second['valid_from']}")["version"] == 2

    ended = told(front, "DELETE", "/secrets/life")
    assert ended == {"name": "life", "version": 2, "valid_to": ended["valid_to"]}
    assert ask(front, "GET", "/secrets/life").refusal == (404, "not_found")
    assert ask(front, "DELETE", "/secrets/life").refusal == (404, "not_found")
    assert told(front, "GET", "/secrets/life?version=2")["valid_to"] == ended["valid_to"]
    assert ask(front, "GET", f"/secrets/life?at={ended['valid_to']}").refusal == (404, "not_found")
    assert told(front, "GET", "/secrets/life/history") == {
        "name": "life",
        "versions": [
            {
                "version": 1,
                "valid_from": first["valid_from"],
                "valid_to": second["valid_from"],
                "key_id": "m1",
            },
            {
                "version": 2,
                "valid_from": second["valid_from"],
                "valid_to": ended["valid_to"],
                "key_id": "m1",
            },
        ],
    }
    assert put(front, "life", "two")["version"] == 3


def test_names_are_listed_sorted_and_only_while_they_are_valid(front: Front) -> None:
    for name in ("sort_b", "sort_a", "sort_C", "sort_gone"):
        put(front, name, "x")
    told(front, "DELETE", "/secrets/sort_gone")

    document = told(front, "GET", "/secrets")
    assert set(document) == {"names"}
    assert document["names"] == sorted(document["names"])
    mine = [name for name in document["names"] if name.startswith("sort_")]
    assert mine == ["sort_C", "sort_a", "sort_b"]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_any_text_is_a_value_and_comes_back_exactly(front: Front, value: str) -> None:
    put(front, "exact", value)

    assert told(front, "GET", "/secrets/exact")["value"] == value


def test_conditions_are_honoured_and_the_refusal_tells_the_version(front: Front) -> None:
    def refused(version: int | None, method: str, body: object = None, **headers: str) -> None:
        reply = ask(front, method, "/secrets/cond", body, **headers)
        assert reply.refusal == (412, "precondition_failed")
        assert reply.document["version"] == version

    body = {"value": "one"}
    refused(None, "PUT", body, If_Match="*")
    refused(None, "PUT", body, If_Match='"1"')
    assert put(front, "cond", "one", If_None_Match="*")["version"] == 1
    refused(1, "PUT", body, If_None_Match="*")
    refused(1, "PUT", body, If_Match='"2"')
    refused(1, "PUT", body, If_Match='W/"1"')
    refused(1, "DELETE", If_Match='"2"')
    assert put(front, "cond", "two", If_Match='"7", "1"')["version"] == 2
    assert put(front, "cond", "three", If_Match="*")["version"] == 3
    for header in ("If_Match", "If_None_Match"):
        bad = ask(front, "PUT", "/secrets/cond", body, **{header: "3"})
        assert bad.refusal == (400, "malformed")
    assert told(front, "DELETE", "/secrets/cond", If_Match='"3"')["version"] == 3
    refused(None, "PUT", body, If_Match='"3"')
    assert put(front, "cond", "four", If_None_Match="*")["version"] == 4


def test_the_same_key_gives_the_same_answer_and_another_request_with_it_is_refused(front: Front) -> None:
    first = put(front, "idem", "one", Idempotency_Key="idem-1")
    put(front, "idem", "two")
    assert put(front, "idem", "one", Idempotency_Key="idem-1") == first
    assert told(front, "GET", "/secrets/idem")["value"] == "two"
    other = ask(front, "PUT", "/secrets/idem", {"value": "three"}, Idempotency_Key="idem-1")
    assert other.refusal == (422, "invalid_value")
    ended = told(front, "DELETE", "/secrets/idem", Idempotency_Key="idem-2")
    put(front, "idem", "four")
    assert told(front, "DELETE", "/secrets/idem", Idempotency_Key="idem-2") == ended
    content = {"content": "X=enc(idem)\n", "values": {"idem": "five"}}
    stored = told(front, "POST", "/env/encrypt", content, Idempotency_Key="idem-3")
    put(front, "idem", "six")
    assert told(front, "POST", "/env/encrypt", content, Idempotency_Key="idem-3") == stored
    assert told(front, "GET", "/secrets/idem")["value"] == "six"
    bad = ask(front, "DELETE", "/secrets/idem", Idempotency_Key="two words")
    assert bad.refusal == (400, "malformed")


def test_unknown_foreign_and_malformed_names_get_one_answer(front: Front) -> None:
    put(front, "theirs", "x", owner="A")
    put(front, "ours", "x")
    strange = ["never", "theirs", "1x", "a%2Fb", "%C3%A9", "%00", "x" * 129, "ours?version=2", "ours%20"]
    answers = {
        front.ask("GET", f"/secrets/{path}", Request_Id="same").without_date() for path in strange
    }
    assert len(answers) == 1
    answer = answers.pop()
    assert answer[0] == 404
    for method, more in (("GET", "/history"), ("DELETE", "")):
        for name in ("never", "theirs", "1x", "a%2Fb"):
            assert ask(front, method, f"/secrets/{name}{more}").body == answer[2]
    assert told(front, "GET", "/secrets/theirs", owner="A")["value"] == "x"


@pytest.mark.parametrize("name", ["1x", "-x", ".x", "a%2Fb", "a%20b", "%C3%A9", "x" * 129])
def test_another_name_cannot_be_put(front: Front, name: str) -> None:
    assert ask(front, "PUT", f"/secrets/{name}", {"value": "x"}).refusal == (422, "invalid_value")
    values = {"content": "", "values": {"a b": "x"}}
    assert ask(front, "POST", "/env/encrypt", values).refusal == (422, "invalid_value")


@pytest.mark.parametrize("name", ["x", "_", "A.b-c_9", "x" * 128])
def test_every_name_of_the_form_can_be_put(front: Front, name: str) -> None:
    assert put(front, name, "x")["name"] == name


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        *(("PUT", "/secrets/shape", body) for body in (b"", b"{", b"[]", b"{}", b'{"value":1}')),
        ("PUT", "/secrets/shape", {"value": "x", "owner": "A"}),
        ("PUT", "/secrets/shape?version=1", {"value": "x"}),
        *(("GET", f"/secrets/there?{query}", None) for query in ("version=x", "at=x", "x=1")),
        ("GET", "/secrets/there?version=1&at=2026-01-01T00:00:00Z", None),
        *(("POST", "/env/encrypt", body) for body in (b"", b"{}", b'{"content":1}')),
        ("POST", "/env/encrypt", {"values": {}}),
        ("POST", "/env/encrypt", {"content": "", "values": {"A": 1}}),
        *(("POST", "/env/expand", body) for body in (b"", b"{}", b'{"content":null}')),
        ("POST", "/env/expand", {"content": "", "values": {}}),
    ],
)
def test_another_shape_is_malformed(front: Front, method: str, path: str, body: object) -> None:
    put(front, "there", "x")

    assert ask(front, method, path, body).refusal == (400, "malformed")
    assert ask(front, "GET", "/secrets/shape").refusal == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/secrets/half", b'{"value":"\\ud800"}'),
        ("/env/encrypt", b'{"content":"\\ud800"}'),
        ("/env/encrypt", b'{"content":"","values":{"half":"\\ud800"}}'),
        ("/env/expand", b'{"content":"\\ud800"}'),
        ("/env/expand", {"content": "A=secret(\n"}),
    ],
)
def test_what_is_no_text_or_no_reference_is_an_invalid_value(
    front: Front, path: str, body: object
) -> None:
    method = "PUT" if path.startswith("/secrets") else "POST"

    assert ask(front, method, path, body).refusal == (422, "invalid_value")


def test_a_content_is_encrypted_and_expanded_back(front: Front) -> None:
    content = "\ufeff# top\r\nexport DB='s3 cret'\r\n\r\nURL=\"a:enc(DB)@b\" # why\r\nK=enc(KEY)"
    done = told(front, "POST", "/env/encrypt", {"content": content, "values": {"KEY": "k"}})

    assert done == {
        "content": "\ufeff# top\r\nexport DB='secret(DB)'\r\n\r\n"
        'URL="a:secret(DB)@b" # why\r\nK=secret(KEY)',
        "stored": [{"name": "DB", "version": 1}, {"name": "KEY", "version": 1}],
    }
    back = told(front, "POST", "/env/expand", {"content": done["content"]})
    assert back == {"content": content.replace("enc(DB)", "s3 cret").replace("enc(KEY)", "k")}
    assert told(front, "GET", "/secrets/DB")["value"] == "s3 cret"


def test_all_unresolved_names_are_told_and_nothing_is_stored(front: Front) -> None:
    content = "A=enc(un_a)\nB=secret(un_b)\nC=enc(un_c)\nun_c=x\n"
    for path, names in (("/env/encrypt", ["un_a", "un_b"]), ("/env/expand", ["un_a", "un_b", "un_c"])):
        reply = ask(front, "POST", path, {"content": content})
        assert reply.refusal == (422, "unresolved")
        assert [entry["field"] for entry in reply.document["errors"]] == names
        assert all(name in reply.document["detail"] for name in names)
    assert ask(front, "GET", "/secrets/un_c").refusal == (404, "not_found")


def test_over_a_limit_the_answer_names_it_and_nothing_is_stored(small: Front) -> None:
    fits, too_long = "\u00e9" * 100, "\u00e9" * 100 + "x"
    content = "A=enc(long)\n"
    four = "".join(f"A=secret(n{at})\n" for at in range(4))
    for at in range(4):
        put(small, f"n{at}", "x" * 200)
    asked: list[tuple[str, str, object, str, int]] = [
        ("PUT", "/secrets/long", {"value": too_long}, "secret_bytes", 200),
        (
            "POST",
            "/env/encrypt",
            {"content": content, "values": {"long": too_long}},
            "secret_bytes",
            200,
        ),
        ("POST", "/env/encrypt", {"content": f"long={too_long}\n{content}"}, "secret_bytes", 200),
        ("POST", "/env/encrypt", {"content": "A=\n" * 5}, "values_per_request", 4),
        ("POST", "/env/expand", {"content": "A=\n" * 5}, "values_per_request", 4),
        ("POST", "/env/expand", {"content": four.replace("A=", "A=" + "y" * 100)}, "body_bytes", 1024),
    ]
    for method, path, body, name, limit in asked:
        reply = ask(small, method, path, body)
        assert reply.refusal == (413, "too_large"), path
        assert (reply.document["limit_name"], reply.document["limit"]) == (name, limit)
    assert ask(small, "GET", "/secrets/long").refusal == (404, "not_found")
    assert (
        ask(small, "POST", "/env/encrypt", {"content": content, "values": {"long": fits}}).status == 200
    )
    assert ask(small, "POST", "/env/expand", {"content": four}).status == 200


def test_no_refusal_repeats_a_value(front: Front) -> None:
    value = "sentinel-4711"
    put(front, "there", value)
    replies = [
        ask(front, "PUT", "/secrets/1x", {"value": value}),
        ask(front, "PUT", "/secrets/x", {"value": [value]}),
        ask(front, "PUT", "/secrets/there", {"value": value}, If_None_Match="*"),
        ask(front, "PUT", "/secrets/there", {"value": value}, Idempotency_Key=f"{value} x"),
        ask(front, "PUT", "/secrets/there", {"value": value, value: value}),
        ask(front, "POST", "/env/encrypt", {"content": f"A={value}enc(no)\n"}),
        ask(front, "POST", "/env/encrypt", {"content": f"A=enc({value}\n"}),
        ask(front, "POST", "/env/expand", {"content": f"A={value}secret(no)\n"}),
    ]
    for reply in replies:
        assert reply.status in {400, 412, 422}, reply.document
        assert value.encode() not in reply.body
