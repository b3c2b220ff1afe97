"""What the library sends for a call about secrets, how often, and what it makes of the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.unit.client.canned import BREAK_OFF, Canned, TimelessPatience, canned, nobody
from tvault import Secret, SecretDeleted, SecretPut, SecretVersion, StoredSecret, Vault, VaultError
from tvault.wire import encode_json, problem

SENTINEL = "sentinel-4711"
BEGAN = "2026-11-26T01:22:02.000006Z"
MOMENT = datetime(2026, 11, 26, 1, 22, 2, 6, timezone.utc)

PUT = Canned(200, encode_json({"name": "N", "version": 3, "valid_from": BEGAN, "created": True}))
GOT = Canned(
    200,
    encode_json({"name": "N", "value": SENTINEL, "version": 3, "valid_from": BEGAN, "valid_to": None}),
)
DELETED = Canned(200, encode_json({"name": "N", "version": 3, "valid_to": BEGAN}))
ENCRYPTED = Canned(
    200, encode_json({"content": "A=secret(N)\r\n", "stored": [{"name": "N", "version": 1}]})
)

WRITES: dict[str, tuple[Callable[[Vault], object], Canned]] = {
    "put": (lambda vault: vault.put_secret("N", SENTINEL), PUT),
    "delete": (lambda vault: vault.delete_secret("N"), DELETED),
    "encrypt": (lambda vault: vault.encrypt_env("A=enc(N)", {"N": SENTINEL}), ENCRYPTED),
}

READS: list[Callable[[Vault, Any], object]] = [
    lambda vault, name: vault.get_secret(name),
    lambda vault, name: vault.get_secret(name, version=1),
    lambda vault, name: vault.secret_history(name),
    lambda vault, name: vault.delete_secret(name),
]


def refusing(code: str, **members: object) -> Canned:
    document = problem(VaultError(code, "said by the node", members=members))  # type: ignore[arg-type]
    return Canned(document["status"], encode_json(document), {"Retry-After": "1"})


def vault(*urls: str, patience: TimelessPatience | None = None) -> Vault:
    return Vault(urls, "k", patience=patience or TimelessPatience())


@pytest.mark.parametrize("kind", WRITES)
def test_a_write_has_one_key_in_all_its_attempts_on_all_nodes_and_the_next_one_another(
    kind: str,
) -> None:
    write, answer = WRITES[kind]
    with (
        canned([Canned(BREAK_OFF), refusing("unavailable"), answer]) as one,
        canned([refusing("unavailable"), Canned(200, b'{"half":')]) as two,
        vault(one.url, two.url) as client,
    ):
        write(client)
        first = [*one.seen, *two.seen]
        write(client)
        both = [*one.seen, *two.seen]
    assert len(first) >= 4
    assert len({seen.headers["Idempotency-Key"] for seen in first}) == 1
    assert len({(seen.method, seen.path, seen.body) for seen in first}) == 1
    assert len({seen.headers["Idempotency-Key"] for seen in both}) == 2


def test_a_key_that_is_given_is_the_one_that_is_sent() -> None:
    with canned([PUT]) as node, vault(node.url) as client:
        client.put_secret("N", "x", idempotency_key="mine")
        assert node.seen[0].headers["Idempotency-Key"] == "mine"


def test_a_read_has_no_key() -> None:
    with canned([GOT]) as node, vault(node.url) as client:
        client.get_secret("N")
        assert "Idempotency-Key" not in node.seen[0].headers


def test_conditions_go_as_headers_and_a_put_without_any_has_none() -> None:
    with canned([PUT]) as node, vault(node.url) as client:
        client.put_secret("N", "x", if_match=3)
        client.put_secret("N", "x", if_none_match=True)
        client.put_secret("N", "x")
        sent = [(s.headers.get("If-Match"), s.headers.get("If-None-Match")) for s in node.seen]
    assert sent == [('"3"', None), (None, "*"), (None, None)]
    with canned([DELETED]) as node, vault(node.url) as client:
        client.delete_secret("N", if_match=12)
        assert (node.seen[0].method, node.seen[0].headers["If-Match"]) == ("DELETE", '"12"')


def test_calls_about_one_secret_with_several_methods_do_not_mix() -> None:
    with canned([PUT, GOT, DELETED, GOT, PUT]) as node, vault(node.url) as client:
        client.put_secret("N", SENTINEL)
        client.get_secret("N")
        client.delete_secret("N")
        client.get_secret("N")
        client.put_secret("N", SENTINEL)
        sent = [(seen.method, seen.path) for seen in node.seen]
        bodies = [seen.body for seen in node.seen]
    assert sent == [(method, "/secrets/N") for method in ("PUT", "GET", "DELETE", "GET", "PUT")]
    assert [bool(body) for body in bodies] == [True, False, False, False, True]
    assert json.loads(bodies[0]) == {"value": SENTINEL}


def test_a_version_and_a_moment_go_into_the_query() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    with canned([GOT]) as node, vault(node.url) as client:
        client.get_secret("N", version=7)
        client.get_secret("N", at=MOMENT)
        client.get_secret("N", at=MOMENT.astimezone(east))
        client.get_secret("N", at="2026-01-01T00:00:00+05:30")
        paths = [seen.path for seen in node.seen]
    moment = "/secrets/N?at=2026-11-26T01%3A22%3A02.000006Z"
    assert paths == [
        "/secrets/N?version=7",
        moment,
        moment,
        "/secrets/N?at=2026-01-01T00%3A00%3A00%2B05%3A30",
    ]


def test_answers_are_what_the_nodes_said_with_moments_to_the_microsecond() -> None:
    history = {"version": 1, "valid_from": BEGAN, "valid_to": BEGAN, "key_id": "m1"}
    answers = [
        PUT,
        GOT,
        DELETED,
        ENCRYPTED,
        Canned(200, encode_json({"name": "N", "versions": [history]})),
        Canned(200, b'{"names":["A","B"]}'),
        Canned(200, b'{"content":"A=1"}'),
    ]
    with canned(answers) as node, vault(node.url) as client:
        assert client.put_secret("N", "x") == SecretPut("N", 3, MOMENT, True)
        assert client.get_secret("N") == Secret("N", SENTINEL, 3, MOMENT, None)
        assert client.delete_secret("N") == SecretDeleted("N", 3, MOMENT)
        encrypted = client.encrypt_env("A=enc(N)", {"N": SENTINEL})
        assert (encrypted.content, encrypted.stored) == ("A=secret(N)\r\n", [StoredSecret("N", 1)])
        assert client.secret_history("N") == [SecretVersion(1, MOMENT, MOMENT, "m1")]
        assert client.secret_names() == ["A", "B"]
        assert client.expand_env("A=secret(N)") == "A=1"


def test_what_is_shown_of_an_answer_holds_no_value_and_no_content() -> None:
    with canned([GOT, ENCRYPTED]) as node, vault(node.url) as client:
        shown = f"{client.get_secret('N')!r} {client.encrypt_env('A=enc(N)', {'N': SENTINEL})!r}"
    assert SENTINEL not in shown
    assert "A=" not in shown
    assert "version=3" in shown


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a?b", "a b", "1a", "é", "A\n", "N=x", "x" * 129]
)
def test_a_name_that_no_secret_can_have_goes_into_no_url_and_no_error(name: str) -> None:
    with canned([GOT]) as node, vault(node.url) as client:
        for read in READS:
            with pytest.raises(VaultError) as caught:
                read(client, name)
            assert caught.value.code == "not_found"
        with pytest.raises(VaultError) as caught:
            client.put_secret(name, "x")
        assert caught.value.code == "invalid_value"
        assert len(name) < 3 or name not in repr(caught.value)
        assert node.seen == []


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("usage", lambda vault: vault.put_secret("N", SENTINEL, if_match=1, if_none_match=True)),
        ("usage", lambda vault: vault.put_secret("N", SENTINEL, if_match=0)),
        ("usage", lambda vault: vault.put_secret("N", SENTINEL, if_match=True)),
        ("usage", lambda vault: vault.put_secret("N", SENTINEL, idempotency_key="")),
        ("usage", lambda vault: vault.put_secret("N", SENTINEL, idempotency_key="a\r\nX: y")),
        ("usage", lambda vault: vault.get_secret("N", version=1, at=MOMENT)),
        ("usage", lambda vault: vault.get_secret("N", version="1")),
        ("usage", lambda vault: vault.get_secret("N", at=datetime(2026, 1, 1))),  # noqa: DTZ001
        ("invalid_value", lambda vault: vault.put_secret("N", SENTINEL.encode())),
        ("invalid_value", lambda vault: vault.put_secret("N", None)),
        ("invalid_value", lambda vault: vault.put_secret(b"N", SENTINEL)),
        ("invalid_value", lambda vault: vault.encrypt_env(b"A=enc(N)")),
        ("invalid_value", lambda vault: vault.encrypt_env("A=enc(N)", {"N": 4711})),
        ("invalid_value", lambda vault: vault.expand_env(None)),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is_sent(
    code: str, call: Callable[[Any], object]
) -> None:
    with canned([PUT]) as node, vault(node.url) as client:
        with pytest.raises(VaultError) as caught:
            call(client)
        assert node.seen == []
    assert caught.value.code == code
    assert SENTINEL not in repr(caught.value)


def test_what_is_no_text_is_told_by_its_type() -> None:
    with vault("http://127.0.0.1:1") as client, pytest.raises(VaultError) as caught:
        client.encrypt_env("A=enc(N)", {"N": 4711})  # type: ignore[dict-item]
    assert str(caught.value).endswith(" is a str, and this is of type int")


@pytest.mark.parametrize(
    ("code", "members"),
    [
        ("precondition_failed", {"version": 4}),
        ("precondition_failed", {"version": None}),
        ("not_found", {}),
        ("unresolved", {"names": ["A", "B"]}),
    ],
)
def test_a_refusal_is_raised_at_once_with_what_it_says(code: str, members: dict[str, object]) -> None:
    with canned([refusing(code, **members), PUT]) as node, vault(node.url) as client:
        with pytest.raises(VaultError) as caught:
            client.put_secret("N", "x", if_match=3)
        assert len(node.seen) == 1
    assert (caught.value.code, caught.value.members) == (code, members)


def test_another_node_may_have_the_key_that_one_lacks() -> None:
    with canned([refusing("key_unavailable", key_id="m1")]) as poor, canned([GOT]) as rich:
        for urls in ((poor.url, rich.url), (rich.url, poor.url), (nobody(), poor.url, rich.url)):
            patience = TimelessPatience()
            with vault(*urls, patience=patience) as client:
                assert client.get_secret("N").value == SENTINEL
            assert patience.waits == []


def test_a_key_that_no_node_has_is_not_waited_for() -> None:
    patience = TimelessPatience()
    lacking = refusing("key_unavailable", key_id="m1")
    with canned([lacking]) as one, canned([lacking]) as two:
        with (
            vault(one.url, nobody(), two.url, patience=patience) as client,
            pytest.raises(VaultError) as caught,
        ):
            client.get_secret("N")
        assert (len(one.seen), len(two.seen)) == (1, 1)
    assert (caught.value.code, caught.value.members) == ("key_unavailable", {"key_id": "m1"})
    assert patience.waits == []


def test_a_key_is_waited_for_as_long_as_a_node_that_may_have_it_cannot_answer() -> None:
    lacking, unavailable = refusing("key_unavailable", key_id="m1"), refusing("unavailable")
    with canned([lacking]) as poor, canned([unavailable, unavailable, GOT]) as rich:
        with vault(poor.url, rich.url) as client:
            assert client.get_secret("N").value == SENTINEL
        assert len(rich.seen) == 3
