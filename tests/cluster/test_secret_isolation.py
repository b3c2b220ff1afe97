"""What one owner can see of another's secrets on a real cluster: nothing, to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.cluster.cluster import GATEWAY, Cluster, eventually
from tests.cluster.raw import Line, document_of, status_of

MISSING = {
    "unknown": "NOBODYS",
    "foreign and valid": "ONLY_A",
    "foreign and ended": "ENDED_OF_A",
    "ended": "ENDED_OF_B",
    "malformed": "a b",
    "begins with a digit": "1A",
    "too long": "N" * 129,
    "not ASCII": "\u00e4",
    "empty within": "%",
    "newline": "A\n",
    "NUL": "A\0",
}
"""Names of secrets that B has not, each for a reason of its own."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes and a gateway; A has much, B little."""
    with Cluster(tmp_path_factory.mktemp("isolation") / "vault") as cluster:
        cluster.open()
        for owner, names in (("A", ["ONLY_A", "ENDED_OF_A", "BOTH"]), ("B", ["ENDED_OF_B", "BOTH"])):
            with line(cluster, "n1", owner) as wire:
                for name in names:
                    assert status_of(wire.ask("PUT", f"/secrets/{name}", {"value": owner})) == 200
                    if name.startswith("ENDED"):
                        assert status_of(wire.ask("DELETE", f"/secrets/{name}")) == 200
        eventually(cluster.agree)
        yield cluster
        assert cluster.ended() == []


def line(cluster: Cluster, front: str, owner: str) -> Line:
    return Line(cluster.url(front), cluster.keys[owner])


@pytest.mark.parametrize(
    ("method", "behind"),
    [
        ("GET", ""),
        ("GET", "/history"),
        ("GET", "?version=7"),
        ("GET", "?at=2000-01-01T00:00:00Z"),
        ("DELETE", ""),
    ],
)
def test_a_secret_that_is_missing_gets_one_answer_to_the_byte(
    cluster: Cluster, method: str, behind: str
) -> None:
    answers: dict[str, bytes] = {}
    for front in (*cluster.nodes, GATEWAY):
        with line(cluster, front, "B") as wire:
            for kind, name in MISSING.items():
                if behind == "/history" and kind == "ended":
                    continue  # its own history goes on
                answers[f"{front}, {kind}"] = wire.ask(
                    method, f"/secrets/{quote(name, safe='')}{behind}"
                )
    first = next(iter(answers.values()))
    assert status_of(first) == 404
    assert {kind: answer for kind, answer in answers.items() if answer != first} == {}


def test_names_versions_and_conditions_are_of_one_owner(cluster: Cluster) -> None:
    for front in (*cluster.nodes, GATEWAY):
        with line(cluster, front, "A") as mine, line(cluster, front, "B") as other:
            assert document_of(mine.ask("GET", "/secrets")) == {"names": ["BOTH", "ONLY_A"]}
            assert document_of(other.ask("GET", "/secrets")) == {"names": ["BOTH"]}
            for wire, value in ((mine, "A"), (other, "B")):
                found = document_of(wire.ask("GET", "/secrets/BOTH"))
                assert isinstance(found, dict)
                assert (found["value"], found["version"]) == (value, 1)
            content = {"content": "X=secret(ONLY_A)\n"}
            assert status_of(mine.ask("POST", "/env/expand", content)) == 200
            unknown = {"content": "X=secret(NOBODYS)\n"}
            refused = [other.ask("POST", "/env/expand", body) for body in (content, unknown)]
            assert refused[0] == refused[1].replace(b"NOBODYS", b"ONLY_A").replace(
                b"Content-Length: %d" % (len(refused[1].split(b"\r\n\r\n", 1)[1])),
                b"Content-Length: %d" % (len(refused[0].split(b"\r\n\r\n", 1)[1])),
            )


def test_what_another_owner_writes_begins_no_version_and_no_moment_here(cluster: Cluster) -> None:
    with line(cluster, "n2", "A") as mine, line(cluster, "n3", "B") as other:
        before = document_of(other.ask("GET", "/secrets/BOTH/history"))
        for number in range(20):
            assert status_of(mine.ask("PUT", "/secrets/BOTH", {"value": f"A{number}"})) == 200
        assert document_of(other.ask("GET", "/secrets/BOTH/history")) == before
        assert status_of(mine.ask("PUT", "/secrets/BOTH", {"value": "A"})) == 200


def test_conditions_and_idempotency_keys_are_of_one_owner(cluster: Cluster) -> None:
    for number, front in enumerate((*cluster.nodes, GATEWAY)):
        name, body = f"CONDITION{number}", {"value": "same"}
        with line(cluster, front, "A") as mine, line(cluster, front, "B") as other:
            for wire in (mine, other):
                for header in ("If-None-Match: *", f"Idempotency-Key: shared-{number}"):
                    request = wire.request("PUT", f"/secrets/{name}", body)
                    with_header = request.replace(b"\r\n\r\n", f"\r\n{header}\r\n\r\n".encode(), 1)
                    made = document_of(wire.answer(with_header))
                    assert isinstance(made, dict)
                    assert (made["version"], made["created"]) == (1, header.startswith("If"))
            foreign = other.request("PUT", "/secrets/ONLY_A", body)
            matched = foreign.replace(b"\r\n\r\n", b'\r\nIf-Match: "1"\r\n\r\n', 1)
            refused = document_of(other.answer(matched))
            assert isinstance(refused, dict)
            assert (refused["code"], refused["version"]) == ("precondition_failed", None)
