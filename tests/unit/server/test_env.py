"""The calls about `.env` files: all or nothing, at one moment, as the page of the documentation says."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
import requests
from dotenv import dotenv_values

from tests.unit.model.env_examples import VALUES, VAULT, content_of, names
from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, Node, problem_of, serving
from tvault.engine import Overtaken, Written
from tvault.model.commands import WriteSecrets
from tvault.model.secrets import MasterKeys
from tvault.wire import ENV_ENCRYPT, ENV_EXPAND, SECRETS, Limits


def put(node: Node, name: str, value: str, owner: str = "alice") -> int:
    answer = node.request("PUT", f"{SECRETS}/{name}", json.dumps({"value": value}).encode(), owner)
    assert answer.status_code == 200, answer.text
    version: int = answer.json()["version"]
    return version


def secret(node: Node, name: str, owner: str = "alice") -> tuple[str, int] | None:
    """The current value of a secret and its version, None when there is no such secret."""
    answer = node.get(f"{SECRETS}/{name}", owner)
    return (answer.json()["value"], answer.json()["version"]) if answer.status_code == 200 else None


def secret_names(node: Node, owner: str = "alice") -> list[str]:
    found: list[str] = node.get(SECRETS, owner).json()["names"]
    return found


def encrypt(node: Node, content: str, values: dict[str, str] | None = None, **headers: str) -> Any:
    answer = asked(node, content, values, **headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def asked(
    node: Node, content: str, values: dict[str, str] | None = None, **headers: str
) -> requests.Response:
    more = {} if values is None else {"values": values}
    return node.post(ENV_ENCRYPT, {"content": content, **more}, **headers)


def expand(node: Node, content: str) -> str:
    answer = node.post(ENV_EXPAND, {"content": content})
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"content"}
    text: str = answer.json()["content"]
    return text


def unresolved(answer: requests.Response) -> list[str]:
    assert problem_of(answer) == (422, "unresolved")
    return [each["field"] for each in answer.json()["errors"]]


@pytest.fixture(scope="module")
def golden() -> Any:
    with serving() as node:
        for name, value in VAULT.items():
            put(node, name, value)
        yield node


@pytest.mark.parametrize("name", names())
def test_every_golden_content_is_encrypted_and_expanded_or_refused(golden: Node, name: str) -> None:
    content, encrypted = content_of(name), content_of(name, "encrypted")
    assert content is not None
    answer = asked(golden, content, VALUES)
    if encrypted is None:
        refusal = content_of(name, "refused")
        assert refusal is not None
        assert answer.status_code == 422
        assert refusal.splitlines()[:2] == [answer.json()["code"], answer.json()["detail"]]
        return
    assert answer.json()["content"] == encrypted
    assert expand(golden, encrypted) == content_of(name, "expanded")


def test_what_is_encrypted_is_stored_and_said_in_the_order_of_the_content(node: Node) -> None:
    put(node, "B", "old")
    put(node, "C", "same")
    said = encrypt(node, "A=enc(Z)\nX=enc(B)enc(C)\nB=new\nC=same\n", {"Z": "zett", "UNUSED": "u"})
    assert said == {
        "content": "A=secret(Z)\nX=secret(B)secret(C)\nB=secret(B)\nC=secret(C)\n",
        "stored": [
            {"name": "Z", "version": 1},
            {"name": "B", "version": 2},
            {"name": "C", "version": 1},
        ],
    }
    assert secret(node, "Z") == ("zett", 1)
    assert secret(node, "B") == ("new", 2)
    assert secret_names(node) == ["B", "C", "Z"]


def test_all_that_is_stored_becomes_valid_at_one_moment(node: Node) -> None:
    encrypt(node, "".join(f"A{at}={at}\nB{at}=enc(A{at})\n" for at in range(20)))
    moments = {node.get(f"{SECRETS}/A{at}").json()["valid_from"] for at in range(20)}
    assert len(moments) == 1


def test_a_name_without_value_stores_nothing_and_all_such_names_are_said(node: Node) -> None:
    put(node, "OLD", "old")
    content = "PW=hunter2\nA=enc(PW)\nB=enc(NO1)\nC=secret(NO2)\nD=secret(OLD)\nE=secret(PW)\nF=enc(NO3)"
    assert unresolved(asked(node, content)) == ["NO1", "NO2", "NO3"]
    assert unresolved(asked(node, "PW=x\nA=enc(PW)\nB=secret(NO)")) == ["NO"]
    assert secret_names(node) == ["OLD"]


def test_nothing_is_expanded_when_a_name_has_no_value_and_all_such_names_are_said(node: Node) -> None:
    put(node, "PW", "hunter2")
    answer = node.post(ENV_EXPAND, {"content": "A=secret(PW)\nB=secret(NO1)secret(NO2)\nC=enc(PW)"})
    assert unresolved(answer) == ["NO1", "NO2", "PW"]
    assert "hunter2" not in answer.text


def test_a_deleted_secret_has_no_value(node: Node) -> None:
    put(node, "PW", "hunter2")
    assert node.request("DELETE", f"{SECRETS}/PW", None).status_code == 200
    assert unresolved(node.post(ENV_EXPAND, {"content": "A=secret(PW)"})) == ["PW"]
    assert unresolved(asked(node, "A=secret(PW)")) == ["PW"]
    assert encrypt(node, "A=secret(PW)\nPW=again\nB=enc(PW)")["stored"] == [{"name": "PW", "version": 2}]


def test_secrets_of_others_are_as_if_they_were_not_there(node: Node) -> None:
    put(node, "PW", "hunter2", owner="bob")
    assert unresolved(node.post(ENV_EXPAND, {"content": "A=secret(PW)"})) == ["PW"]
    assert unresolved(asked(node, "A=secret(PW)")) == ["PW"]
    assert encrypt(node, "PW=mine\nA=enc(PW)")["stored"] == [{"name": "PW", "version": 1}]
    assert secret(node, "PW", "bob") == ("hunter2", 1)


def test_a_repeated_request_makes_no_new_versions(node: Node) -> None:
    content = "PW=hunter2\nA=enc(PW)"
    first = encrypt(node, content)
    assert encrypt(node, content) == first
    assert secret(node, "PW") == ("hunter2", 1)


def test_the_same_key_gives_the_same_answer_whatever_came_after(node: Node) -> None:
    put(node, "OLD", "old")
    content = "PW=hunter2\nA=enc(PW)\nB=secret(OLD)"
    first = encrypt(node, content, Idempotency_Key="one")
    put(node, "PW", "newer")
    assert node.request("DELETE", f"{SECRETS}/OLD", None).status_code == 200
    assert encrypt(node, content, Idempotency_Key="one") == first
    assert secret(node, "PW") == ("newer", 2)
    assert unresolved(asked(node, content, Idempotency_Key="two")) == ["OLD"]


def test_the_same_key_with_another_request_is_refused(node: Node) -> None:
    encrypt(node, "PW=hunter2\nA=enc(PW)", {"X": "x"}, Idempotency_Key="one")
    for content, values in (
        ("PW=hunter2\nA=enc(PW) ", {"X": "x"}),
        ("PW=hunter2\nA=enc(PW)", {"X": "y"}),
        ("PW=hunter2\nA=enc(PW)", {}),
    ):
        assert problem_of(asked(node, content, values, Idempotency_Key="one")) == (422, "invalid_value")
    assert secret(node, "PW") == ("hunter2", 1)


def test_what_was_refused_may_be_asked_again_with_the_same_key(node: Node) -> None:
    assert unresolved(asked(node, "A=secret(PW)\nB=b\nC=enc(B)", Idempotency_Key="one")) == ["PW"]
    put(node, "PW", "hunter2")
    assert encrypt(node, "A=secret(PW)\nB=b\nC=enc(B)", Idempotency_Key="one")["stored"]


def test_a_content_without_references_comes_back_as_it_is(node: Node) -> None:
    content = "\ufeff# enc(A)\r\n A = 'b' \r\n\rset -a\nB=$A"
    assert encrypt(node, content) == {"content": content, "stored": []}
    assert expand(node, content) == content
    assert encrypt(node, "") == {"content": "", "stored": []}


@pytest.mark.parametrize("path", [ENV_ENCRYPT, ENV_EXPAND])
@pytest.mark.parametrize(
    ("document", "refused"),
    [
        ({}, (400, "malformed")),
        ({"content": 1}, (400, "malformed")),
        ({"content": None}, (400, "malformed")),
        ({"content": ["A=1"]}, (400, "malformed")),
        ({"content": "A=1", "more": 1}, (400, "malformed")),
        ([], (400, "malformed")),
        ({"content": "A=\ud800"}, (422, "invalid_value")),
        ({"content": "A=secret(no name)"}, (422, "invalid_value")),
        ({"content": "A 'secret(A)'"}, (422, "invalid_value")),
        ({"content": "secret(A)"}, (422, "invalid_value")),
    ],
)
def test_other_bodies_are_refused(
    shared: Node, path: str, document: Any, refused: tuple[int, str]
) -> None:
    assert problem_of(shared.post(path, document)) == refused


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        (None, (400, "malformed")),
        ([], (400, "malformed")),
        ({"A": 1}, (400, "malformed")),
        ({"A": None}, (400, "malformed")),
        ({"two words": "x"}, (422, "invalid_value")),
        ({"": "x"}, (422, "invalid_value")),
        ({"A" * 129: "x"}, (422, "invalid_value")),
        ({"A": "\ud800"}, (422, "invalid_value")),
    ],
)
def test_other_values_are_refused(shared: Node, values: Any, refused: tuple[int, str]) -> None:
    answer = shared.post(ENV_ENCRYPT, {"content": "B=1", "values": values})
    assert problem_of(answer) == refused


def test_a_value_that_cannot_be_a_secret_is_refused_by_name_and_not_shown(shared: Node) -> None:
    values = {"A": "fine", "B": "hunter2\udfff"}
    answer = shared.post(ENV_ENCRYPT, {"content": "X=enc(A)", "values": values})
    assert problem_of(answer) == (422, "invalid_value")
    assert answer.json()["errors"] == [{"index": 1, "field": "B", "code": "lone_surrogate"}]
    assert "hunter2" not in answer.text
    assert secret(shared, "A") is None


def test_an_owner_id_in_the_body_is_ignored(shared: Node) -> None:
    for path in (ENV_ENCRYPT, ENV_EXPAND):
        assert shared.post(path, {"content": "A=1", "owner_id": "bob"}).status_code == 200


def test_limits_hold_for_lines_references_values_and_the_answer() -> None:
    limits = Limits(values_per_request=5, body_bytes=4000, secret_bytes=1000)

    def limit(path: str, content: str, **more: Any) -> Any:
        answer = node.post(path, {"content": content, **more})
        assert problem_of(answer) == (413, "too_large")
        return answer.json()["limit_name"], answer.json()["limit"]

    with serving(limits=limits) as node:
        put(node, "A", "a" * 900)
        put(node, "Q", "'" * 900)
        for path in (ENV_ENCRYPT, ENV_EXPAND):
            assert limit(path, "A\n" * 6) == ("values_per_request", 5)
            assert limit(path, "A=" + "secret(A)" * 6) == ("values_per_request", 5)
        assert limit(ENV_ENCRYPT, "", values=dict.fromkeys("ABCDEF", "")) == ("values_per_request", 5)
        assert limit(ENV_ENCRYPT, "", values={"X": "é" * 501}) == ("secret_bytes", 1000)
        assert limit(ENV_ENCRYPT, f"X={'x' * 1001}\nY=enc(X)") == ("secret_bytes", 1000)
        long = node.post(ENV_ENCRYPT, {"content": "", "values": {"W": "", "X": "x" * 1001}})
        assert long.json()["errors"] == [{"index": 1, "field": "X", "code": "too_large"}]
        assert limit(ENV_EXPAND, "A=" + "secret(A)" * 5) == ("body_bytes", 4000)
        assert limit(ENV_EXPAND, "A='" + "secret(Q)" * 3 + "'") == ("body_bytes", 4000)
        assert node.post(ENV_EXPAND, {"content": "A=" + "secret(A)" * 2}).status_code == 200
        assert secret_names(node) == ["A", "Q"]


def test_events_count_and_tell_neither_names_nor_values(node: Node) -> None:
    content = encrypt(node, "PW=hunter2\nA=enc(PW)")["content"]
    expand(node, content)
    told = [event for event in node.events if event[0].startswith("env-")]
    assert [name for name, _ in told] == ["env-encrypt", "env-expand"]
    assert [counts["names"] for _, counts in told] == [1, 1]
    assert all(text not in repr(told) for text in ("hunter2", "PW"))


def test_python_dotenv_reads_what_is_expanded_a_hundred_entries_at_once(shared: Node) -> None:
    wanted = {f"V{at}": f"{at}'\"\\ #$\n\r\t{'é' * at}" for at in range(100)}
    content = "".join(f"{name}=enc({name})\n" for name in wanted)
    expanded = expand(shared, encrypt(shared, content, wanted)["content"])
    assert dotenv_values(stream=io.StringIO(expanded, newline=""), interpolate=False) == wanted


class Overtaking(LoneEngine):
    """Lets something happen just before the next write."""

    def __init__(self) -> None:
        super().__init__(KEYS)
        self.before: Callable[[], object] = lambda: None

    def write_secrets(self, command: WriteSecrets, deadline: float) -> Written | Overtaken:
        before, self.before = self.before, lambda: None
        before()
        return super().write_secrets(command, deadline)


def test_a_secret_that_goes_while_the_request_is_under_way_is_unresolved_and_nothing_is_stored() -> None:
    engine = Overtaking()
    with serving(engine) as node:
        put(node, "OLD", "old")
        engine.before = lambda: node.request("DELETE", f"{SECRETS}/OLD", None)
        assert unresolved(asked(node, "PW=x\nA=enc(PW)\nB=secret(OLD)", Idempotency_Key="one")) == [
            "OLD"
        ]
        assert secret_names(node) == []


def test_a_version_that_comes_while_the_request_is_under_way_is_followed_by_that_of_the_request() -> (
    None
):
    engine = Overtaking()
    with serving(engine) as node:
        engine.before = lambda: put(node, "PW", "other")
        assert encrypt(node, "PW=x\nA=enc(PW)")["stored"] == [{"name": "PW", "version": 2}]
        engine.before = lambda: put(node, "PW", "same")
        assert encrypt(node, "PW=same\nA=enc(PW)")["stored"] == [{"name": "PW", "version": 3}]
        assert secret(node, "PW") == ("same", 3)


def test_a_content_that_only_needs_secrets_writes_nothing(node: Node) -> None:
    put(node, "PW", "hunter2")
    before = node.engine.store.last()
    assert encrypt(node, "A=secret(PW)")["stored"] == []
    assert encrypt(node, "PW=hunter2\nA=enc(PW)")["stored"] == [{"name": "PW", "version": 1}]
    assert node.engine.store.last() == before


def test_without_a_master_key_what_needs_it_is_refused_by_its_id_and_all_else_goes_on() -> None:
    others = MasterKeys("m2", {"m2": bytes(range(32, 64))}, os.urandom)
    with serving() as node:
        put(node, "OLD", "old")
        put(node, "PW", "hunter2")
        engine = node.engine
    with serving(engine, masters=others) as node:
        answer = node.post(ENV_EXPAND, {"content": "A=secret(OLD)"})
        assert problem_of(answer) == (503, "key_unavailable")
        assert answer.json()["key_id"] == "m1"
        said = encrypt(node, "PW=hunter2\nA=enc(PW)\nB=secret(OLD)")
        assert said["stored"] == [{"name": "PW", "version": 2}]
        assert expand(node, "A=secret(PW)") == "A=hunter2"
