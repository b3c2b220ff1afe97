"""Secrets and `.env` contents through the library, against a real client API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.server.serving import KEYS, Node
from tvault import Vault, VaultError
from tvault.wire import Limits

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def bobs(node: Node) -> Iterator[Vault]:
    """The library as another owner."""
    with Vault([node.url], KEYS["bob"]) as vault:
        yield vault


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_a_value_comes_back_as_it_went_in(vault: Vault, value: str) -> None:
    made = vault.put_secret("EXACT", value)
    found = vault.get_secret("EXACT")
    assert (found.name, found.value, found.version) == ("EXACT", value, made.version)
    assert (found.valid_from, found.valid_to) == (made.valid_from, None)


def test_a_new_value_is_a_new_version_and_the_same_value_is_none(vault: Vault) -> None:
    first = vault.put_secret("V", "one")
    again = vault.put_secret("V", "one")
    second = vault.put_secret("V", "two")
    assert [(p.version, p.created) for p in (first, again, second)] == [(1, True), (1, False), (2, True)]
    assert again.valid_from == first.valid_from < second.valid_from
    assert vault.get_secret("V", version=1).value == "one"
    assert vault.get_secret("V", version=1).valid_to == second.valid_from
    history = vault.secret_history("V")
    assert [(each.version, each.valid_from, each.valid_to) for each in history] == [
        (1, first.valid_from, second.valid_from),
        (2, second.valid_from, None),
    ]


def test_the_version_of_a_moment_is_the_one_whose_interval_holds_it_to_the_microsecond(
    vault: Vault,
) -> None:
    first, second = vault.put_secret("AT", "one"), vault.put_secret("AT", "two")
    tick = timedelta(microseconds=1)
    assert vault.get_secret("AT", at=first.valid_from).value == "one"
    assert vault.get_secret("AT", at=second.valid_from - tick).value == "one"
    assert vault.get_secret("AT", at=second.valid_from).value == "two"
    assert vault.get_secret("AT", at=second.valid_from.isoformat()).value == "two"
    with pytest.raises(VaultError) as caught:
        vault.get_secret("AT", at=first.valid_from - tick)
    assert caught.value.code == "not_found"
    with pytest.raises(VaultError) as caught:
        vault.get_secret("AT", at="yesterday")
    assert caught.value.code == "malformed"


def test_conditions_hold_and_their_refusal_tells_the_current_version(vault: Vault) -> None:
    with pytest.raises(VaultError) as caught:
        vault.put_secret("C", "x", if_match=1)
    assert (caught.value.code, caught.value.members) == ("precondition_failed", {"version": None})
    assert vault.put_secret("C", "one", if_none_match=True).version == 1
    assert vault.put_secret("C", "two", if_match=1).version == 2
    for refused in (
        lambda: vault.put_secret("C", "x", if_match=1),
        lambda: vault.put_secret("C", "x", if_none_match=True),
        lambda: vault.delete_secret("C", if_match=1),
    ):
        with pytest.raises(VaultError) as caught:
            refused()
        assert (caught.value.code, caught.value.members) == ("precondition_failed", {"version": 2})
    assert vault.get_secret("C").value == "two"


def test_of_writers_at_once_under_one_condition_one_wins(vault: Vault) -> None:
    def put(number: int) -> tuple[str, object]:
        try:
            made = vault.put_secret("RACE", f"value {number}", if_match=1)
        except VaultError as error:
            return error.code, error.members["version"]
        return "put", made.version

    vault.put_secret("RACE", "first")
    with ThreadPoolExecutor(8) as pool:
        told = sorted(pool.map(put, range(8)))
    assert told == [("precondition_failed", 2)] * 7 + [("put", 2)]
    assert vault.get_secret("RACE").version == 2


def test_a_deleted_secret_keeps_its_versions_and_goes_on_counting(vault: Vault) -> None:
    made = vault.put_secret("D", "one")
    ended = vault.delete_secret("D")
    assert (ended.name, ended.version) == ("D", 1)
    assert ended.valid_to > made.valid_from
    assert "D" not in vault.secret_names()
    for gone in (
        lambda: vault.get_secret("D"),
        lambda: vault.get_secret("D", at=ended.valid_to),
        lambda: vault.delete_secret("D"),
    ):
        with pytest.raises(VaultError) as caught:
            gone()
        assert caught.value.code == "not_found"
    assert vault.get_secret("D", version=1).valid_to == ended.valid_to
    assert vault.put_secret("D", "one").version == 2
    assert [each.valid_to for each in vault.secret_history("D")] == [ended.valid_to, None]


def test_the_same_key_gives_the_same_answer_whatever_came_after(vault: Vault) -> None:
    first = vault.put_secret("K", "one", idempotency_key="k1")
    vault.put_secret("K", "two")
    assert vault.put_secret("K", "one", idempotency_key="k1") == first
    ended = vault.delete_secret("K", idempotency_key="k2")
    vault.put_secret("K", "three")
    assert vault.delete_secret("K", idempotency_key="k2") == ended
    assert [each.version for each in vault.secret_history("K")] == [1, 2, 3]
    made = vault.encrypt_env("A=enc(K4)", {"K4": "x"}, idempotency_key="k4")
    vault.put_secret("K4", "y")
    again = vault.encrypt_env("A=enc(K4)", {"K4": "x"}, idempotency_key="k4")
    assert (again, vault.get_secret("K4").value) == (made, "y")
    with pytest.raises(VaultError) as caught:
        vault.put_secret("K", "other", idempotency_key="k1")
    assert caught.value.code == "invalid_value"


@contextmanager
def losing_the_first_answer(node: Node, meanwhile: Callable[[], object]) -> Iterator[str]:
    """The node behind something that breaks off once it has carried the first request out; `meanwhile`
    comes between that one and the next."""
    lost = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def carry(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))) or None
            headers = {name: text for name, text in self.headers.items() if name != "Host"}
            answer = requests.request(
                self.command, node.url + self.path, data=body, headers=headers, timeout=20
            )
            if not lost.is_set():
                assert answer.status_code == 200, answer.text
                meanwhile()
                lost.set()
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Content-Length", "Request-Id"):
                self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(answer.content)

        do_PUT = do_POST = do_DELETE = carry  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
    assert lost.is_set()


@pytest.mark.parametrize("connections", [0, 8])
def test_a_write_whose_answer_is_lost_is_made_once_whatever_others_write_before_it_is_repeated(
    vault: Vault, node: Node, connections: int
) -> None:
    name = f"LOST{connections}"
    vault.put_secret(name, "first")
    with losing_the_first_answer(node, lambda: vault.put_secret(name, "other")) as url:
        with Vault([url], KEYS["alice"], connections=connections) as shaky:
            made = shaky.put_secret(name, "mine", if_match=1)
        assert (made.version, made.created) == (2, True)
    with losing_the_first_answer(node, lambda: vault.put_secret(name, "back")) as url:
        with Vault([url], KEYS["alice"], connections=connections) as shaky:
            ended = shaky.delete_secret(name, if_match=3)
        assert ended.version == 3
    with losing_the_first_answer(node, lambda: vault.put_secret(name, "other")) as url:
        with Vault([url], KEYS["alice"], connections=connections) as shaky:
            stored = shaky.encrypt_env(f"A=enc({name})", {name: "mine"}).stored
        assert [each.version for each in stored] == [5]
    versions = [each.version for each in vault.secret_history(name)]
    values = [vault.get_secret(name, version=number).value for number in versions]
    assert values == ["first", "mine", "other", "back", "mine", "other"]


def test_a_secret_of_another_owner_is_not_there(vault: Vault, bobs: Vault) -> None:
    vault.put_secret("MINE", "alice's")
    for look in (bobs.get_secret, bobs.secret_history, bobs.delete_secret):
        with pytest.raises(VaultError) as caught:
            look("MINE")
        assert caught.value.code == "not_found"
    assert "MINE" not in bobs.secret_names()
    assert bobs.put_secret("MINE", "bob's").version == 1
    assert vault.get_secret("MINE").value == "alice's"


def test_names_are_sorted(vault: Vault) -> None:
    for name in ("n.b", "n.a", "N", "_n", "n" * 128):
        vault.put_secret(name, "")
    names = vault.secret_names()
    assert names == sorted(names)
    assert {"n.b", "n.a", "N", "_n", "n" * 128} <= set(names)


def test_a_value_over_the_limit_is_refused_with_the_limit(vault: Vault) -> None:
    with pytest.raises(VaultError) as caught:
        vault.put_secret("LONG", "é" * (Limits.secret_bytes // 2 + 1))
    assert (caught.value.code, caught.value.members["limit"]) == ("too_large", Limits.secret_bytes)
    with pytest.raises(VaultError) as caught:
        vault.put_secret("LONG", "\ud800")
    assert caught.value.code == "invalid_value"


def test_the_secrets_of_an_env_content_are_stored_and_come_back(vault: Vault) -> None:
    content = "\ufeff# the base\r\nDB_URL = enc(DB_URL2)\r\nexport PW='enc(PW2)'\nPLAIN=1"
    made = vault.encrypt_env(content, {"DB_URL2": "pg://é", "PW2": "a b"})
    assert made.content == content.replace("enc(", "secret(")
    assert [(each.name, each.version) for each in made.stored] == [("DB_URL2", 1), ("PW2", 1)]
    assert vault.get_secret("PW2").value == "a b"
    expanded = vault.expand_env(made.content)
    assert "pg://é" in expanded
    assert "secret(" not in expanded
    for refused in (vault.encrypt_env, vault.expand_env):
        with pytest.raises(VaultError) as caught:
            refused("A=secret(NONE1)\nB=secret(NONE2)")
        assert caught.value.code == "unresolved"
        assert all(name in f"{caught.value.detail}{caught.value.members}" for name in ("NONE1", "NONE2"))
