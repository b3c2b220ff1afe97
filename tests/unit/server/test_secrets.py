"""Secrets over HTTP: versions and their validity, values exactly, one *not found*, owners apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
import requests
from msgspec.structs import replace

from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, MASTERS, Node, problem_of, serving
from tvault.model.secrets import MasterKeys
from tvault.wire import Limits

SENTINEL = "sentinel-4711"


class Clock:
    """The judge's clock, in microseconds since 1970, set by hand."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@pytest.fixture(params=[False, True], ids=["node", "gateway"])
def vault(request: pytest.FixtureRequest) -> Iterator[Node]:
    with serving(by_gateway=request.param) as running:
        yield running


def asked(node: Node, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
    owner = headers.pop("owner", "alice")
    sent = None if body is None else json.dumps(body).encode()
    return node.request(method, f"/secrets{path}", sent, owner, **headers)


def put(node: Node, name: str, value: str, **headers: str) -> Any:
    answer = asked(node, "PUT", f"/{name}", {"value": value}, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == f'"{answer.json()["version"]}"'
    return answer.json()


def got(node: Node, path: str, **headers: str) -> Any:
    answer = asked(node, "GET", f"/{path}", **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == f'"{answer.json()["version"]}"'
    return answer.json()


def moment_in(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "value", ["", "x", "\x00", "e\u0301", "\u00e9\U0001f511", '"\\\n\r\t', " pad ", "x" * 1024 * 1024]
)
def test_a_value_comes_back_exactly_as_it_went_in(vault: Node, value: str) -> None:
    begun = put(vault, "N", value)

    assert begun["created"] is True
    assert got(vault, "N") == {
        "name": "N",
        "value": value,
        "version": 1,
        "valid_from": begun["valid_from"],
        "valid_to": None,
    }


def test_versions_are_consecutive_and_each_is_valid_until_the_next_begins(vault: Node) -> None:
    begun = [put(vault, "N", value) for value in ("a", "b", "c")]

    assert [each["version"] for each in begun] == [1, 2, 3]
    moments = [each["valid_from"] for each in begun]
    assert moments == sorted(set(moments))
    history = asked(vault, "GET", "/N/history").json()
    assert history == {
        "name": "N",
        "versions": [
            {"version": at + 1, "valid_from": began, "valid_to": ended, "key_id": "m1"}
            for at, (began, ended) in enumerate(zip(moments, [*moments[1:], None], strict=True))
        ],
    }
    for version, value in enumerate("abc", start=1):
        found = got(vault, f"N?version={version}")
        assert (found["value"], found["version"]) == (value, version)
        assert got(vault, f"N?at={moments[version - 1]}") == found
        if version > 1:
            before = moment_in(moments[version - 1]) - timedelta(microseconds=1)
            assert got(vault, f"N?at={quote(before.isoformat())}")["version"] == version - 1


def test_before_a_secret_began_and_in_the_gap_after_its_end_there_is_none(vault: Node) -> None:
    began = put(vault, "N", "a")["valid_from"]
    ended = asked(vault, "DELETE", "/N").json()
    again = put(vault, "N", "b")

    assert ended == {"name": "N", "version": 1, "valid_to": ended["valid_to"]}
    assert again["version"] == 2
    early = (moment_in(began) - timedelta(microseconds=1)).isoformat()
    for gone in (early, ended["valid_to"], "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z"):
        assert problem_of(asked(vault, "GET", f"/N?at={quote(gone)}")) == (404, "not_found")
    last = (moment_in(ended["valid_to"]) - timedelta(microseconds=1)).isoformat()
    assert got(vault, f"N?at={quote(last)}")["version"] == 1
    assert got(vault, "N?version=1")["valid_to"] == ended["valid_to"]
    assert got(vault, "N?at=9999-12-31T23:59:59Z")["version"] == 2


def test_a_deleted_secret_is_gone_but_its_versions_stay_and_counting_goes_on(vault: Node) -> None:
    put(vault, "N", "a")
    put(vault, "M", "b")
    asked(vault, "DELETE", "/N")

    assert asked(vault, "GET", "").json() == {"names": ["M"]}
    assert problem_of(asked(vault, "GET", "/N")) == (404, "not_found")
    assert problem_of(asked(vault, "DELETE", "/N")) == (404, "not_found")
    assert got(vault, "N?version=1")["value"] == "a"
    assert len(asked(vault, "GET", "/N/history").json()["versions"]) == 1
    again = put(vault, "N", "a")  # the value that it had, but has no more
    assert (again["version"], again["created"]) == (2, True)
    assert asked(vault, "GET", "").json() == {"names": ["M", "N"]}


def test_the_value_that_a_secret_has_already_begins_no_version(vault: Node) -> None:
    first = put(vault, "N", "a")

    for key in ("", "k-1", "k-2"):
        assert put(vault, "N", "a", Idempotency_Key=key) == {**first, "created": False}
    assert put(vault, "N", "a ")["version"] == 2


def test_moments_rise_strictly_though_the_clock_stands_still_or_jumps_back() -> None:
    clock = Clock(1_800_000_000_000_000)
    with serving(LoneEngine(KEYS, clock=clock)) as node:
        first = put(node, "N", "a")
        second = put(node, "M", "a")
        clock.now -= 10**15
        ended = asked(node, "DELETE", "/N").json()
        third = put(node, "N", "c")
        other = put(node, "N", "c", owner="bob")
        versions = asked(node, "GET", "/N/history").json()["versions"]
    assert first["valid_from"] == "2027-01-15T08:00:00.000000Z"
    assert second["valid_from"] == "2027-01-15T08:00:00.000001Z"
    assert ended["valid_to"] == "2027-01-15T08:00:00.000002Z"
    assert third["valid_from"] == "2027-01-15T08:00:00.000003Z"
    assert [each["valid_to"] for each in versions] == [ended["valid_to"], None]
    assert other["valid_from"] == "1995-05-09T06:13:20.000000Z", "owners tell each other nothing"


MALFORMED = ["1N", "-N", ".N", "a%2Fb", "%C3%A9", "%FF", "a%20b", "N%00", "N%0A", "x" * 129, "x" * 9000]


def test_unknown_foreign_malformed_and_ended_names_get_one_answer_and_one_effort(vault: Node) -> None:
    put(vault, "THEIRS", SENTINEL, owner="bob")
    put(vault, "ENDED", SENTINEL)
    asked(vault, "DELETE", "/ENDED")
    put(vault, "N", SENTINEL)
    odd = [*MALFORMED, "NEVER", "n", "THEIRS", "ENDED", "N?version=2", "N?version=0"]
    odd += [f"N?version={2**63 - 1}", f"N?version={'9' * 40}", "N?at=2000-01-01T00:00:00Z"]
    answers, efforts = set(), set()
    for path in odd:
        del vault.engine.calls[:]
        answer = asked(vault, "GET", f"/{path}", Request_Id="same")
        assert problem_of(answer) == (404, "not_found"), path
        answers.add((answer.content, str({**answer.headers, "Date": ""})))
        efforts.add(tuple(vault.engine.calls))
    assert len(answers) == 1
    assert efforts == {("read_secrets",)}
    for method, more in (("DELETE", ""), ("GET", "/history")):
        told = {
            asked(vault, method, f"/{name}{more}", Request_Id="same").content
            for name in (*MALFORMED, "NEVER", "THEIRS")
        }
        assert told == {answers.copy().pop()[0]}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_secret_cannot_have_another_name(vault: Node, name: str) -> None:
    answer = asked(vault, "PUT", f"/{name}", {"value": SENTINEL})

    assert problem_of(answer) == (422, "invalid_value")
    assert asked(vault, "GET", "").json() == {"names": []}


def test_one_owner_sees_nothing_of_another(vault: Node) -> None:
    put(vault, "N", "alice's")
    mine = put(vault, "N", "bob's", owner="bob")

    assert mine["version"] == 1
    assert got(vault, "N")["value"] == "alice's"
    assert got(vault, "N", owner="bob")["value"] == "bob's"
    asked(vault, "DELETE", "/N", owner="bob")
    assert asked(vault, "GET", "", owner="bob").json() == {"names": []}
    assert got(vault, "N?owner_id=bob")["value"] == "alice's"
    body = {"value": "alice's", "owner_id": "bob"}
    assert asked(vault, "PUT", "/N?owner_id=bob", body).json()["created"] is False


@pytest.mark.parametrize(
    "query",
    [
        *("version=", "version=x", "version=-1", "version=1.0", "version=%C2%B2", "version=+1"),
        *("at=", "at=1", "at=2026-11-26", "at=2026-11-26T00:00:00", "at=2026-13-26T00:00:00Z"),
        *(
            "at=2026-02-30T00:00:00Z",
            "at=2026-11-26T00:00:00%2B25:00",
            "at=2026-11-26T00:00:00%2B01:77",
            "version=1&at=2026-11-26T00:00:00Z",
            "version=1&version=1",
        ),
        *("x=1", "Version=1", "version", "&".join(["owner_id=a"] * 200)),
    ],
)
def test_a_query_that_says_nothing_clear_is_malformed(vault: Node, query: str) -> None:
    put(vault, "N", "a")

    assert problem_of(asked(vault, "GET", f"/N?{query}")) == (400, "malformed")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/N"), ("DELETE", "/N"), ("GET", "/N/history"), ("GET", "")]
)
def test_a_version_in_the_query_of_another_call_is_malformed(
    vault: Node, method: str, path: str
) -> None:
    put(vault, "N", "a")
    body = {"value": "b"} if method == "PUT" else None

    assert problem_of(asked(vault, method, f"{path}?version=1", body)) == (400, "malformed")
    assert got(vault, "N")["value"] == "a"


@pytest.mark.parametrize(
    "body", [{}, {"value": None}, {"value": 7}, {"value": ["a"]}, {"value": "a", "x": 1}, [], "a", None]
)
def test_another_body_is_malformed(vault: Node, body: Any) -> None:
    answer = vault.request("PUT", "/secrets/N", json.dumps(body).encode())

    assert problem_of(answer) == (400, "malformed")


def test_half_of_a_surrogate_pair_is_no_value(vault: Node) -> None:
    answer = vault.request("PUT", "/secrets/N", b'{"value":"a\\ud800"}')

    assert problem_of(answer) == (422, "invalid_value")
    assert asked(vault, "GET", "").json() == {"names": []}


def test_a_value_over_the_limit_is_refused_with_it() -> None:
    with serving(limits=Limits(secret_bytes=6)) as node:
        put(node, "N", "\u00e9" * 3)
        answer = asked(node, "PUT", "/N", {"value": "\u00e9" * 3 + "x"})
        assert got(node, "N")["version"] == 1
    assert problem_of(answer) == (413, "too_large")
    assert (answer.json()["limit_name"], answer.json()["limit"]) == ("secret_bytes", 6)


def test_head_tells_the_version_without_the_value(vault: Node) -> None:
    put(vault, "N", SENTINEL)

    head = asked(vault, "HEAD", "/N")

    assert (head.status_code, head.headers["ETag"], head.content) == (200, '"1"', b"")


def test_other_methods_are_refused_with_those_allowed(vault: Node) -> None:
    for path, allowed in (
        ("", "GET, HEAD, OPTIONS"),
        ("/N", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/N/history", "GET, HEAD, OPTIONS"),
    ):
        answer = asked(vault, "PATCH", path)
        assert problem_of(answer) == (405, "method_not_allowed")
        assert answer.headers["Allow"] == allowed
        assert asked(vault, "OPTIONS", path).headers["Allow"] == allowed


OLDER = MasterKeys("m0", {"m0": bytes(range(64, 96))}, bytes)
NEITHER = MasterKeys("m1", {"m1": bytes(32), "m0": bytes(32)}, bytes)


@pytest.mark.parametrize("masters", [MASTERS, NEITHER], ids=["not there", "another"])
def test_a_value_whose_master_key_is_missing_or_wrong_is_refused_by_the_keys_name_and_all_else_goes_on(
    masters: MasterKeys,
) -> None:
    engine = LoneEngine(KEYS)
    with serving(engine, masters=OLDER) as before:
        first = put(before, "N", "a")
        put(before, "M", "a")
    with serving(engine, masters=masters) as node:
        for path in ("N", "N?version=1"):
            answer = asked(node, "GET", f"/{path}")
            assert problem_of(answer) == (503, "key_unavailable")
            assert (answer.json()["key_id"], answer.headers["Retry-After"]) == ("m0", "1")
        assert asked(node, "GET", "/N/history").json()["versions"][0]["key_id"] == "m0"
        assert asked(node, "GET", "").json() == {"names": ["M", "N"]}
        assert asked(node, "DELETE", "/M").status_code == 200
        second = put(node, "N", "a")  # it cannot be compared, so it is a new version
        assert (second["version"], second["created"]) == (2, True)
        assert got(node, "N")["value"] == "a"
        assert second["valid_from"] > first["valid_from"]
        assert problem_of(asked(node, "GET", "/N?version=1")) == (503, "key_unavailable")


class Damaged(LoneEngine):
    """An engine over a disk that has changed a byte of every sealed value."""

    def read_secrets(self, *asked: Any, **named: Any) -> Any:
        found = super().read_secrets(*asked, **named)
        broken = [
            each and replace(each, sealed=replace(each.sealed, ciphertext=each.sealed.ciphertext + b"x"))
            for each in found.versions
        ]
        return replace(found, versions=tuple(broken))


def test_a_value_that_cannot_be_opened_is_to_be_asked_of_another_node() -> None:
    with serving(Damaged(KEYS)) as node:
        put(node, "N", SENTINEL)
        answer = asked(node, "GET", "/N")
    assert problem_of(answer) == (503, "unavailable")
    assert SENTINEL not in answer.text


def test_what_calls_did_is_noted_without_names_and_values(vault: Node) -> None:
    put(vault, "SECRET_NAME", SENTINEL, Request_Id="r1")
    put(vault, "SECRET_NAME", SENTINEL, Idempotency_Key=SENTINEL)
    got(vault, "SECRET_NAME")
    asked(vault, "DELETE", "/SECRET_NAME")

    assert [event for event, _ in vault.events] == ["secret-put"] * 2 + ["secret-get", "secret-delete"]
    assert [counts.get("created") for _, counts in vault.events] == [1, 0, None, None]
    assert vault.events[0][1]["request_id"] == "r1"
    told = repr(vault.events)
    assert SENTINEL not in told
    assert "SECRET_NAME" not in told


def test_no_row_holds_a_value_or_an_idempotency_key(vault: Node) -> None:
    put(vault, "N", SENTINEL, Idempotency_Key="key-4711")
    asked(vault, "DELETE", "/N", Idempotency_Key="key-4712")

    bodies = b"".join(entry.body for entry in vault.engine.store.entries(0, 10**6))
    assert b"alice" in bodies
    for plain in (SENTINEL.encode(), b"key-4711", b"key-4712"):
        assert plain not in bodies
