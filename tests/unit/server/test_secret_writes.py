"""Writes of secrets when answers are lost, writers meet and nodes are behind: each is made once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from msgspec.structs import replace

from tests.unit.server.behind import ALWAYS, MOST, Behind, put, soon
from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, MASTERS, RING, Node, problem_of, serving
from tvault.engine import Overtaken, Written
from tvault.errors import VaultError
from tvault.model.commands import Done, SecretRequest, WriteSecrets
from tvault.model.secret_looks import FoundSecrets, Wanted
from tvault.server.preconditions import condition_in
from tvault.server.secret_vault import LONGEST_PAUSE_SECONDS, QUICK_ROUNDS, SecretVault


class Unheard(LoneEngine):
    """The answers to its next writes are lost: `lost` says of each whether it is carried out."""

    lost: list[bool]

    def write_secrets(self, command: WriteSecrets, deadline: float) -> Written | Overtaken:
        if not self.lost:
            return super().write_secrets(command, deadline)
        if self.lost.pop(0):
            super().write_secrets(command, deadline)
        raise VaultError("unavailable", "The outcome is unknown.")


@pytest.fixture(params=[False, True], ids=["node", "gateway"])
def unheard(request: pytest.FixtureRequest) -> Iterator[Node]:
    engine = Unheard(KEYS)
    engine.lost = []
    with serving(engine, by_gateway=request.param) as running:
        yield running


def send(node: Node, kind: str, key: str, value: str = "a", **headers: str) -> requests.Response:
    """A write of the secret N."""
    headers |= {"Idempotency_Key": key}
    if kind == "put":
        body = json.dumps({"value": value}).encode()
        return node.request("PUT", "/secrets/N", body, **headers)
    if kind == "delete":
        return node.request("DELETE", "/secrets/N", None, **headers)
    content = {"content": f"X=enc(N)\nY=secret(OTHER)\nN='{value}'\n"}
    return node.post("/env/encrypt", content, **headers)


def begin(node: Node) -> None:
    for name in ("N", "OTHER"):
        assert node.request("PUT", f"/secrets/{name}", b'{"value":"begun"}').status_code == 200


@pytest.mark.parametrize("is_carried_out", [True, False])
@pytest.mark.parametrize("kind", ["put", "delete", "encrypt"])
def test_after_a_lost_answer_the_same_key_gives_the_one_answer_for_ever(
    unheard: Node, kind: str, *, is_carried_out: bool
) -> None:
    begin(unheard)
    engine = unheard.engine
    assert isinstance(engine, Unheard)
    engine.lost = [is_carried_out]
    first = send(unheard, kind, "k")
    if first.status_code == 503:  # a gateway asks again by itself
        assert problem_of(first) == (503, "unavailable")
        first = send(unheard, kind, "k")
    assert first.status_code == 200, first.text
    assert unheard.request("PUT", "/secrets/N", b'{"value":"later"}').status_code == 200
    unheard.request("DELETE", "/secrets/OTHER", None)

    for _ in range(2):
        assert send(unheard, kind, "k").content == first.content
    history = unheard.get("/secrets/N/history").json()["versions"]
    assert len(history) == (2 if kind == "delete" else 3)
    told = first.json()
    if kind == "put":
        assert (told["version"], told["created"]) == (2, True)
        assert told["valid_from"] == history[1]["valid_from"]
    elif kind == "delete":
        assert told == {"name": "N", "version": 1, "valid_to": history[0]["valid_to"]}
        assert told["valid_to"] < history[1]["valid_from"]
    else:
        assert told["stored"] == [{"name": "N", "version": 2}]


def test_a_value_that_was_there_already_stays_so_for_the_same_key(node: Node) -> None:
    begin(node)
    first = send(node, "put", "k", "begun").json()
    send(node, "put", "other", "later")

    assert first["created"] is False
    assert send(node, "put", "k", "begun").json() == first
    assert node.get("/secrets/N").json()["value"] == "later"


@pytest.mark.parametrize(
    ("kind", "value", "headers"),
    [("put", "b", {}), ("put", "a", {"If_Match": '"1"'}), ("delete", "a", {}), ("encrypt", "a", {})],
)
def test_a_key_that_was_used_for_another_request_is_refused(
    node: Node, kind: str, value: str, headers: dict[str, str]
) -> None:
    begin(node)
    send(node, "put", "k")

    assert problem_of(send(node, kind, "k", value, **headers)) == (422, "invalid_value")
    other = node.request("PUT", "/secrets/OTHER", b'{"value":"a"}', Idempotency_Key="k")
    assert problem_of(other) == (422, "invalid_value")
    assert len(node.get("/secrets/N/history").json()["versions"]) == 2


def test_the_same_key_of_another_owner_is_another_request(node: Node) -> None:
    send(node, "put", "k")
    theirs = node.request("PUT", "/secrets/M", b'{"value":"b"}', "bob", Idempotency_Key="k")

    assert (theirs.status_code, theirs.json()["created"]) == (200, True)


def test_a_refusal_is_not_kept(node: Node) -> None:
    assert problem_of(send(node, "delete", "k1")) == (404, "not_found")
    assert problem_of(send(node, "put", "k2", If_Match='"1"')) == (412, "precondition_failed")
    begin(node)

    assert send(node, "put", "k2", If_Match='"1"').json()["version"] == 2
    assert send(node, "delete", "k1").json()["version"] == 2


def test_the_end_of_a_secret_has_conditions_as_well(node: Node) -> None:
    begin(node)
    for condition in ({"If_Match": '"2"'}, {"If_None_Match": "*"}, {"If_None_Match": '"1"'}):
        answer = send(node, "delete", "", **condition)
        assert problem_of(answer) == (412, "precondition_failed")
        assert answer.json()["version"] == 1

    assert send(node, "delete", "", If_Match='"1"').json()["version"] == 1
    assert problem_of(send(node, "delete", "", If_Match='"1"')) == (404, "not_found")


@pytest.mark.parametrize("key", ["a b", "x" * 256, "\u00e9", "a\tb"])
@pytest.mark.parametrize("kind", ["put", "delete", "encrypt"])
def test_a_key_of_another_form_is_malformed(node: Node, kind: str, key: str) -> None:
    begin(node)

    assert problem_of(send(node, kind, key)) == (400, "malformed")
    assert send(node, kind, "!" + "x" * 253 + "~").status_code == 200


def test_writers_of_one_name_get_consecutive_versions(node: Node) -> None:
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda at: send(node, "put", f"k{at}", f"v{at}").json(), range(30)))

    assert sorted(answer["version"] for answer in answers) == list(range(1, 31))
    by_version = sorted((answer["version"], answer["valid_from"]) for answer in answers)
    assert len({moment for _, moment in by_version}) == 30
    assert by_version == sorted(by_version, key=lambda pair: pair[1])
    for at, answer in enumerate(answers):
        found = node.get(f"/secrets/N?version={answer['version']}").json()
        assert (found["value"], found["valid_from"]) == (f"v{at}", answer["valid_from"])


@pytest.mark.parametrize("condition", [{"If_Match": '"1"'}, {"If_None_Match": "*"}])
def test_of_writers_with_one_condition_one_wins_and_the_others_learn_the_version(
    node: Node, condition: dict[str, str]
) -> None:
    if "If_Match" in condition:
        begin(node)
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda at: send(node, "put", f"k{at}", f"v{at}", **condition), range(5)))

    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    lost = [answer for answer in answers if answer.status_code != 200]
    assert {problem_of(answer) for answer in lost} == {(412, "precondition_failed")}
    assert {answer.json()["version"] for answer in lost} == {won[0].json()["version"]}


def test_a_write_costs_one_round_of_ordering_and_a_read_one_confirmation(node: Node) -> None:
    calls = node.engine.calls
    costs = []
    steps: list[Callable[[], requests.Response]] = [
        lambda: send(node, "put", "k1"),
        lambda: send(node, "put", "", "b"),
        lambda: node.get("/secrets/N"),
        lambda: send(node, "put", "", "b"),
        lambda: send(node, "delete", "k2"),
        lambda: node.get("/secrets"),
        lambda: node.get("/secrets/N/history"),
    ]
    for step in steps:
        del calls[:]
        assert step().status_code == 200
        costs.append(calls[:])
    written = ["peek_secrets", "write_secrets"]
    read = ["read_secrets"]
    assert costs == [
        *(written, written, read, ["peek_secrets", *read], written),
        *(["read_names"], ["read_history"]),
    ]


def test_a_write_that_is_overtaken_is_decided_again_on_a_confirmed_look(
    engine: Behind, secrets: SecretVault
) -> None:
    put(secrets, "a")
    engine.between = lambda: put(secrets, "b")
    del engine.calls[:]

    assert put(secrets, "c") == 3
    expected = ["peek_secrets", "peek_secrets", "write_secrets", "write_secrets"]
    assert engine.calls == [*expected, "wait_for", "read_secrets", "write_secrets"]


def test_a_condition_that_was_lost_on_the_way_is_refused(engine: Behind, secrets: SecretVault) -> None:
    put(secrets, "a")
    engine.between = lambda: put(secrets, "b")
    request = secrets.request("alice", "k")

    with pytest.raises(VaultError) as caught:
        secrets.put("alice", "N", "c", condition_in('"1"', None), request, soon())
    assert (caught.value.code, caught.value.members) == ("precondition_failed", {"version": 2})


def test_nothing_is_told_by_what_a_node_that_is_behind_holds(
    engine: Behind, secrets: SecretVault
) -> None:
    put(secrets, "a")
    engine.seen = engine.store.secrets("alice", [Wanted("N")], None)
    put(secrets, "b")

    assert put(secrets, "a") == 3, "it has that value no more"
    request = secrets.request("alice", None)
    third = condition_in('"3"', None)
    assert secrets.put("alice", "N", "d", third, request, soon()).version == 4
    engine.seen = FoundSecrets((None,), None, 0)
    request = secrets.request("alice", None)
    assert secrets.delete("alice", "N", ALWAYS, request, soon()).version == 4
    request = secrets.request("alice", None)
    absent = condition_in(None, "*")
    assert secrets.put("alice", "N", "e", absent, request, soon()).version == 5


def test_a_request_is_known_only_by_what_is_committed(engine: Behind, secrets: SecretVault) -> None:
    put(secrets, "a")
    request = secrets.request("alice", "k", b"asked")
    cut = SecretRequest("alice", request.name, request.fingerprint, (Done("N", 7, is_changed=True),))
    engine.seen = FoundSecrets((None,), cut, 9)

    assert secrets.put("alice", "N", "b", ALWAYS, request, soon()).version == 2


def test_the_moment_of_a_version_that_was_there_already_is_the_committed_one(
    engine: Behind, secrets: SecretVault
) -> None:
    began = secrets.put("alice", "N", "a", ALWAYS, secrets.request("alice", None), soon()).valid_from
    held = engine.store.secrets("alice", [Wanted("N")], None)
    (version,) = held.versions
    assert version is not None
    engine.seen = replace(held, versions=(replace(version, valid_from=began - 5),))

    for key in ("k", None):
        request = secrets.request("alice", key)
        assert secrets.put("alice", "N", "a", ALWAYS, request, soon()).valid_from == began


class Hopeless(LoneEngine):
    """Others are always first."""

    def write_secrets(self, command: WriteSecrets, deadline: float) -> Written | Overtaken:  # noqa: ARG002
        self._note("write_secrets", deadline)
        return Overtaken(0)


def test_a_write_that_is_overtaken_again_and_again_pauses_and_is_given_up_when_its_time_is_up() -> None:
    engine = Hopeless(KEYS)
    pauses: list[float] = []

    def random(count: int) -> bytes:
        return b"\xff" * count

    secrets = SecretVault(
        engine, RING, MASTERS, random, MOST, clock=lambda: 1.0 + sum(pauses), pause=pauses.append
    )
    request = secrets.request("alice", None)
    with pytest.raises(VaultError) as caught:
        secrets.put("alice", "NAME", "a", ALWAYS, request, 3.0)
    assert caught.value.code == "unavailable"
    assert engine.calls.count("write_secrets") == QUICK_ROUNDS + len(pauses)
    assert pauses == sorted(pauses)
    assert pauses[-1] <= LONGEST_PAUSE_SECONDS
    assert 2.0 <= sum(pauses) < 2.0 + LONGEST_PAUSE_SECONDS
