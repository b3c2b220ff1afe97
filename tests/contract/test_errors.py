"""Every row of the contract's table of errors, and the headers of every answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.fronts import Front
from tvault.model.commands import DIGEST_BYTES
from tvault.server.streams import HEADER_BYTES

POSTS = ["/tokenize", "/detokenize", "/lookup", "/retokenize", "/rotate-epoch"]
POSTS += ["/env/encrypt", "/env/expand"]
GETS = ["/epoch", "/status", "/health", "/secrets"]
CALLS = [*(("POST", path) for path in POSTS), *(("GET", path) for path in GETS)]
SECRET = [(method, "/secrets/N") for method in ("PUT", "GET", "DELETE")]
KEYED = [(method, path) for method, path in CALLS if path != "/health"]
KEYED += [*SECRET, ("GET", "/secrets/N/history")]
SANE = "a.B-c_9" * 9
INSANE = ["a b", "a" * 65, "\u00e9", "a/b", "<x>"]
PLACES = [
    ({"a": 1}, "object"),
    (["a"], "array"),
    ("\ud800", "lone_surrogate"),
]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"7", b"null", b'"x"', b"{}", b"\xff\xfe", b"[" * 100_000),
        *(b'\xef\xbb\xbf{"values":[]}', b'{"values":["\xff"]}', b'{"values":[],}'),
        *(b'{"values":[NaN]}', b'{"values":[-Infinity]}', b'{"values":[01]}'),
        *(b'{"unknown":1}', b'{"values":7}', b'{"tokens":"x"}', b'{"records":[7]}'),
    ],
)
def test_what_is_not_json_of_the_right_shape_is_malformed(front: Front, path: str, body: bytes) -> None:
    assert front.ask("POST", path, body).refusal == (400, "malformed")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {"values": [], "records": []}),
        ("/tokenize", {"values": [], "epoch": 1}),
        ("/tokenize", {"tokens": []}),
        ("/detokenize", {"token": "x", "tokens": []}),
        ("/detokenize", {"token": None}),
        ("/detokenize", {"tokens": [], "owner": "A"}),
        ("/lookup", {"records": []}),
        ("/retokenize", {"token": "x"}),
        ("/retokenize", {"tokens": {}}),
        ("/rotate-epoch", {"to": 0}),
        ("/rotate-epoch", {"to": "2"}),
        ("/rotate-epoch", {"to": True}),
        ("/rotate-epoch", {"to": 2.5}),
        ("/rotate-epoch", {"to": 2**53 + 1}),
        ("/rotate-epoch", {"to": 2, "from": 1}),
    ],
)
def test_another_shape_or_an_unknown_member_is_malformed(front: Front, path: str, body: object) -> None:
    assert front.ask("POST", path, body).refusal == (400, "malformed")


@pytest.mark.parametrize("path", ["/detokenize", "/retokenize"])
def test_a_token_that_is_no_text_is_listed_by_position(front: Front, path: str) -> None:
    reply = front.ask("POST", path, {"tokens": [None, 7, "x", []]})

    assert reply.refusal == (400, "malformed")
    assert reply.document["errors"] == [
        {"index": 1, "code": "not_a_string"},
        {"index": 3, "code": "not_a_string"},
    ]


@pytest.mark.parametrize(("method", "path"), KEYED)
def test_no_key_a_malformed_one_and_an_unknown_one_get_identical_bytes(
    front: Front, method: str, path: str
) -> None:
    key = front.keys["B"]
    headers = ["", "Bearer", "Bearer ", key, f"Basic {key}", f"Bearer {key}x", f"Bearer {key[:-1]}"]
    headers += ["Bearer tvk_unknown", f"Bearer {key} {key}", f'Bearer "{key}"', "Bearer " + "x" * 9000]
    answers = set()
    for header in headers:
        body: object = {"values": []} if method in {"POST", "PUT"} else None
        reply = front.ask(method, path, body, None, Authorization=header, Request_Id="same")
        assert reply.refusal == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        answers.add(reply.without_date())
    assert len(answers) == 1


@pytest.mark.parametrize("owner", ["B", None])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/tokenize/",
        "/Tokenize",
        "/secrets/",
        "/secrets/N/x",
        "/env",
        "/peer/status",
        "/%FF",
        "/tokenize%00",
    ],
)
def test_an_unknown_path_is_not_found(front: Front, path: str, owner: str | None) -> None:
    for method in ("GET", "POST"):
        body: object = {"values": []} if method == "POST" else None
        assert front.ask(method, path, body, owner).refusal == (404, "not_found")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_another_method_is_refused_with_those_that_are_allowed(
    front: Front, method: str, path: str
) -> None:
    allowed = "GET, HEAD, OPTIONS" if method == "GET" else "OPTIONS, POST"
    other = "POST" if method == "GET" else "GET"
    for name in (other, "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
        reply = front.ask(name, path)
        assert reply.refusal == (405, "method_not_allowed")
        assert reply.headers["Allow"] == allowed
    options = front.ask("OPTIONS", path, owner=None)
    assert (options.status, options.headers["Allow"], options.body) == (204, allowed, b"")
    options.check_common()


def test_another_method_of_a_secret_is_refused_with_those_that_are_allowed(front: Front) -> None:
    for path, allowed in (
        ("/secrets/N", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/secrets/N/history", "GET, HEAD, OPTIONS"),
    ):
        for name in ("POST", "PATCH", "TRACE"):
            reply = front.ask(name, path)
            assert reply.refusal == (405, "method_not_allowed")
            assert reply.headers["Allow"] == allowed
        options = front.ask("OPTIONS", path, owner=None)
        assert (options.status, options.headers["Allow"], options.body) == (204, allowed, b"")


@pytest.mark.parametrize("path", GETS)
def test_head_answers_as_get_does_without_the_body(front: Front, path: str) -> None:
    get, head = (front.ask(method, path, Request_Id="same") for method in ("GET", "HEAD"))

    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    head.check_common()


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "media",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "json"],
)
def test_a_body_that_is_not_announced_as_json_is_refused(front: Front, path: str, media: str) -> None:
    reply = front.ask("POST", path, b'{"values":[]}', Content_Type=media)

    assert reply.refusal == (415, "unsupported_media_type")


def test_a_compressed_body_is_refused(front: Front) -> None:
    reply = front.ask("POST", "/tokenize", b'{"values":[]}', Content_Encoding="gzip")

    assert reply.refusal == (415, "unsupported_media_type")


@pytest.mark.parametrize(("value", "code"), PLACES)
def test_what_is_no_value_is_refused_with_its_place_and_stores_nothing(
    front: Front, value: Any, code: str
) -> None:
    for path in ("/tokenize", "/lookup"):
        bare = front.ask("POST", path, {"values": [f"with {code}", None, value]})
        assert bare.refusal == (422, "invalid_value")
        assert bare.document["errors"] == [{"index": 2, "code": code}]
    fields = {"patient": {"mrn": f"with {code}"}, "contacts": [{}, {"phone": value}]}
    record = front.ask("POST", "/tokenize", {"records": [{}, fields]})
    assert record.refusal == (422, "invalid_value")
    assert record.document["errors"] == [{"index": 1, "field": "contacts[1].phone", "code": code}]
    there = front.ask("POST", "/lookup", {"values": [f"with {code}"]})
    assert there.document == {"tokens": [{}]}


@pytest.mark.parametrize(
    ("number", "code"), [(b"1" * 4301, "integer_too_long"), (b"1e999", "float_out_of_range")]
)
def test_a_number_that_cannot_be_given_back_is_refused(front: Front, number: bytes, code: str) -> None:
    for path in ("/tokenize", "/lookup"):
        reply = front.ask("POST", path, b'{"values":["a",%s]}' % number)
        assert reply.refusal == (422, "invalid_value")
        assert reply.document["errors"] == [{"index": 1, "code": code}]
    reply = front.ask("POST", "/tokenize", b'{"records":[{"ssn":%s}]}' % number)
    assert reply.refusal == (422, "invalid_value")
    assert reply.document["errors"] == [{"index": 0, "field": "ssn", "code": code}]


def test_a_field_that_is_not_where_its_path_says_is_refused(front: Front) -> None:
    reply = front.ask("POST", "/tokenize", {"records": [{"patient": 7}, {"contacts": {}}]})

    assert reply.refusal == (422, "invalid_value")
    assert reply.document["errors"] == [
        {"index": 0, "field": "patient.mrn", "code": "not_an_object"},
        {"index": 1, "field": "contacts[*].phone", "code": "not_an_array"},
    ]


def test_a_refusal_repeats_nothing_of_what_was_sent(front: Front) -> None:
    value = "123-45-6789"
    for body in (
        {"values": [value, {value: value}]},
        {"records": [{"ssn": [value]}]},
        {value: value},
        {"values": value},
    ):
        reply = front.ask("POST", "/tokenize", body)
        assert reply.status in {400, 422}
        assert value.encode() not in reply.body
    malformed = front.ask("POST", "/tokenize", f'{{"values":["{value}"'.encode())
    assert value.encode() not in malformed.body


# Limits.

FOUR, FIVE = ["a", "b", "c", "d"], ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("path", "fits", "too_much", "name", "limit"),
    [
        ("/tokenize", {"values": [*FOUR, None]}, {"values": FIVE}, "values_per_request", 4),
        (
            "/tokenize",
            {"records": [{"ssn": value, "x": value} for value in [*FOUR, None]]},
            {"records": [{"ssn": value} for value in FIVE]},
            "values_per_request",
            4,
        ),
        ("/detokenize", {"tokens": [*FOUR, None]}, {"tokens": FIVE}, "values_per_request", 4),
        (
            "/detokenize",
            {"records": [{"ssn": value} for value in FOUR]},
            {"records": [{"ssn": value} for value in FIVE]},
            "values_per_request",
            4,
        ),
        ("/lookup", {"values": ["a", "b", "c", None]}, {"values": FIVE}, "values_per_request", 4),
        ("/retokenize", {"tokens": [*FOUR, None]}, {"tokens": FIVE}, "values_per_request", 4),
        ("/tokenize", {"values": ["a" * 300]}, {"values": ["a" * 301]}, "value_bytes", 300),
        ("/tokenize", {"values": ["\u00e9" * 150]}, {"values": ["\u00e9" * 151]}, "value_bytes", 300),
        ("/tokenize", {"values": [10**299]}, {"values": [10**300]}, "value_bytes", 300),
        ("/lookup", {"values": ["a" * 300]}, {"values": ["a" * 301]}, "value_bytes", 300),
        ("/tokenize", b'{"values":[]}'.ljust(1024), b'{"values":[]}'.ljust(1025), "body_bytes", 1024),
    ],
)
def test_over_a_limit_the_answer_names_it(
    small: Front, path: str, fits: object, too_much: object, name: str, limit: int
) -> None:
    assert small.ask("POST", path, fits, "A").status == 200
    reply = small.ask("POST", path, too_much, "A")

    assert reply.refusal == (413, "too_large")
    assert (reply.document["limit_name"], reply.document["limit"]) == (name, limit)


def test_values_times_epochs_of_a_lookup_are_limited(small: Front) -> None:
    """Six, which are three values in two epochs."""
    epoch = small.ask("GET", "/epoch").document["epoch"]
    for to in range(epoch + 1, 3):
        assert small.ask("POST", "/rotate-epoch", {"to": to}).status == 200

    assert small.ask("POST", "/lookup", {"values": ["a", "b", "c"]}).status == 200
    reply = small.ask("POST", "/lookup", {"values": FOUR})

    assert reply.refusal == (413, "too_large")
    assert (reply.document["limit_name"], reply.document["limit"]) == ("lookups_per_request", 6)


@pytest.mark.parametrize("path", ["/detokenize", "/retokenize"])
def test_the_values_that_tokens_lead_to_are_limited_together(small: Front, path: str) -> None:
    values = [letter * 300 for letter in "wxyz"]
    tokens = []
    for value in values:
        tokens += small.ask("POST", "/tokenize", {"values": [value]}, "A").document["tokens"]

    assert small.ask("POST", path, {"tokens": tokens[:3]}, "A").status == 200
    reply = small.ask("POST", path, {"tokens": tokens}, "A")

    assert reply.refusal == (413, "too_large")
    assert (reply.document["limit_name"], reply.document["limit"]) == ("body_bytes", 1024)


def test_a_chunked_body_over_the_limit_is_refused_as_one_with_its_length_is(small: Front) -> None:
    head = f"POST /tokenize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {small.keys['B']}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nRequest-Id: mine\r\n\r\n"
    reply = small.send(head.encode() + b"401\r\n" + b" " * 1025 + b"\r\n0\r\n\r\n")

    assert reply.refusal == (413, "too_large")
    assert (reply.document["limit_name"], reply.document["limit"]) == ("body_bytes", 1024)
    assert reply.headers["Request-Id"] == "mine"


def test_headers_over_their_limit_are_refused(front: Front) -> None:
    reply = front.send(b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * HEADER_BYTES + b"\r\n\r\n")

    assert reply.refusal == (413, "too_large")
    assert (reply.document["limit_name"], reply.document["limit"]) == ("header_bytes", HEADER_BYTES)


# Request-Id.

ANSWERS: list[tuple[int, str, str, object, dict[str, str]]] = [
    (200, "POST", "/tokenize", {"values": []}, {}),
    (200, "GET", "/health", None, {}),
    (200, "HEAD", "/epoch", None, {}),
    (204, "OPTIONS", "/epoch", None, {}),
    (400, "POST", "/tokenize", b"{", {}),
    (401, "GET", "/epoch", None, {"Authorization": "Bearer x"}),
    (404, "GET", "/nowhere", None, {}),
    (404, "POST", "/detokenize", {"token": "tv1_1_" + "0" * 2 * DIGEST_BYTES}, {}),
    (405, "PUT", "/epoch", None, {}),
    (409, "POST", "/rotate-epoch", {"to": 2**53}, {}),
    (413, "POST", "/tokenize", b" " * 1025, {}),
    (413, "POST", "/tokenize", {"values": FIVE}, {}),
    (415, "POST", "/tokenize", b"{}", {"Content-Type": "text/plain"}),
    (422, "POST", "/tokenize", {"values": [[]]}, {}),
]


@pytest.mark.parametrize(("status", "method", "path", "body", "headers"), ANSWERS)
def test_a_sane_request_id_comes_back_on_every_answer_and_any_other_is_replaced(
    small: Front, status: int, method: str, path: str, body: object, headers: dict[str, str]
) -> None:
    for sent in (SANE, "1", *INSANE, ""):
        reply = small.ask(method, path, body, **{**headers, "Request-Id": sent})
        assert reply.status == status
        reply.check_common()
        assert (reply.headers["Request-Id"] == sent) == (sent in {SANE, "1"})


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Content-Length: 1x\r\n",
        b"Bad Header: x\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ],
)
def test_a_request_that_http_cannot_frame_is_refused_as_all_others_and_the_connection_closed(
    front: Front, framing: bytes
) -> None:
    head = f"POST /tokenize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {front.keys['B']}\r\n"
    head += "Content-Type: application/json\r\nRequest-Id: mine\r\n"
    reply = front.send(head.encode() + framing + b"\r\n{}\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")

    assert reply.refusal == (400, "malformed")
    assert reply.headers["Request-Id"] == "mine"


@pytest.mark.parametrize(
    "line", [b"nonsense", b"GET /health HTTP/9.9", b"GET  /health HTTP/1.1", b"GET //[ HTTP/1.1"]
)
def test_a_request_line_that_is_none_is_refused_as_all_others(front: Front, line: bytes) -> None:
    reply = front.send(line + b"\r\nHost: x\r\n\r\n")

    assert reply.refusal == (400, "malformed")
