"""Secrets on a real cluster: consecutive versions, one outcome of each request, all or nothing, whoever
dies in the middle of it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
import requests

from tests.cluster.cluster import GATEWAY, Cluster, eventually
from tests.cluster.raw import Line

TOGETHER = 12
"""Secrets of one write."""

WRITES = 12
"""What a thread writes while a node dies."""

CONTENT = "".join(f"S{number}=enc(SET.{number})\n" for number in range(TOGETHER))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes and a gateway that runs."""
    with Cluster(tmp_path_factory.mktemp("secrets") / "vault") as cluster:
        cluster.open()
        yield cluster
        assert cluster.ended() == []


@pytest.fixture(autouse=True)
def whole(cluster: Cluster) -> None:
    """Every node is in the chain when a test begins."""
    for name in cluster.nodes:
        if name not in cluster.processes:
            cluster.start(name)
    cluster.wait_until_whole()


def fronts(cluster: Cluster) -> list[str]:
    return [GATEWAY, *cluster.nodes]


def put(cluster: Cluster, front: str, name: str, value: str, **headers: str) -> requests.Response:
    return cluster.ask(front, "PUT", f"/secrets/{name}", {"value": value}, **headers)


def history(cluster: Cluster, front: str, name: str) -> list[dict[str, Any]]:
    answer = cluster.ask(front, "GET", f"/secrets/{name}/history")
    assert answer.status_code == 200, answer.text
    versions: list[dict[str, Any]] = answer.json()["versions"]
    return versions


def the_history(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    """The one history that all fronts tell; its versions are consecutive and their intervals meet."""
    told = [history(cluster, front, name) for front in fronts(cluster)]
    assert all(each == told[0] for each in told)
    assert [mark["version"] for mark in told[0]] == list(range(1, len(told[0]) + 1))
    moments = [mark["valid_from"] for mark in told[0]]
    assert moments == sorted(set(moments))
    for mark, following in zip(told[0], moments[1:], strict=False):
        assert mark["valid_from"] < mark["valid_to"] <= following
    return told[0]


def in_threads(work: Callable[[str], None], names: list[str]) -> None:
    with ThreadPoolExecutor(len(names)) as pool:
        for done in [pool.submit(work, name) for name in names]:
            done.result()


def test_writers_over_all_nodes_get_consecutive_versions(cluster: Cluster) -> None:
    made: list[tuple[int, str]] = []

    def write(front: str) -> None:
        for number in range(15):
            value = f"{front}, {number}"
            answer = put(cluster, front, "SHARED", value)
            assert answer.status_code == 200, answer.text
            made.append((answer.json()["version"], value))

    in_threads(write, fronts(cluster))
    assert sorted(version for version, _ in made) == list(range(1, len(made) + 1))
    assert len(the_history(cluster, "SHARED")) == len(made)
    for version, value in made:
        answer = cluster.ask("n2", "GET", f"/secrets/SHARED?version={version}")
        assert answer.json()["value"] == value


def test_under_one_condition_one_writer_wins(cluster: Cluster) -> None:
    assert put(cluster, "n1", "RACE", "begin").status_code == 200
    for version in range(1, 13):
        answers: list[tuple[int, int]] = []

        def write(front: str, version: int = version, answers: list[Any] = answers) -> None:
            answer = put(cluster, front, "RACE", f"{front}, {version}", If_Match=f'"{version}"')
            answers.append((answer.status_code, answer.json()["version"]))

        in_threads(write, fronts(cluster))
        assert sorted(answers) == [(200, version + 1)] + [(412, version + 1)] * 3
    the_history(cluster, "RACE")


def test_one_request_sent_to_all_nodes_at_once_is_carried_out_once(cluster: Cluster) -> None:
    for number in range(1, 13):
        answers: list[dict[str, Any]] = []

        def write(front: str, number: int = number, answers: list[Any] = answers) -> None:
            answer = put(cluster, front, "ONCE", f"value {number}", Idempotency_Key=f"once-{number}")
            assert answer.status_code == 200, answer.text
            answers.append(answer.json())

        in_threads(write, fronts(cluster))
        assert all(answer == answers[0] for answer in answers)
        assert (answers[0]["version"], answers[0]["created"]) == (number, True)
    assert len(the_history(cluster, "ONCE")) == 12


def test_a_deletion_holds_at_once_everywhere_and_counting_goes_on(cluster: Cluster) -> None:
    places = fronts(cluster)
    for number, front in enumerate(places * 2, start=1):
        other = places[number % len(places)]
        assert put(cluster, front, "FLEETING", str(number)).json()["version"] == number
        assert cluster.ask(other, "GET", "/secrets/FLEETING").json()["value"] == str(number)
        assert cluster.ask(other, "DELETE", "/secrets/FLEETING").json()["version"] == number
        for each in places:
            assert cluster.ask(each, "GET", "/secrets/FLEETING").status_code == 404
            assert "FLEETING" not in cluster.ask(each, "GET", "/secrets").json()["names"]
    ended = the_history(cluster, "FLEETING")
    assert all(mark["valid_to"] is not None for mark in ended)


class Writes:
    """Writes of the same secrets, all of one value each, from several threads; what became of them."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._numbers = count(1)
        self._lock = threading.Lock()
        self.answered: dict[int, list[dict[str, Any]]] = {}
        self.unknown: set[int] = set()

    def some(self, front: str) -> None:
        """As many writes as are enough to be in the middle of."""
        for _ in range(WRITES):
            with self._lock:
                number = next(self._numbers)
            stored = self.once(front, number)
            if stored is None:
                self.unknown.add(number)
            else:
                self.answered[number] = stored

    def once(self, front: str, number: int) -> list[dict[str, Any]] | None:
        """What is stored, None when the outcome is unknown."""
        values = {f"SET.{each}": f"value {number}" for each in range(TOGETHER)}
        body = {"content": CONTENT, "values": values}
        try:
            key = f"set-{number}"
            answer = self._cluster.ask(front, "POST", "/env/encrypt", body, Idempotency_Key=key)
        except requests.RequestException:
            return None
        assert answer.status_code in {200, 503}, answer.text
        stored: list[dict[str, Any]] = answer.json().get("stored")
        return stored

    def versions(self, number: int) -> set[int]:
        """The versions that a write gave: one for all of them."""
        return {each["version"] for each in self.answered[number]}


def test_a_write_of_many_is_done_whole_once_or_not_at_all_whichever_node_dies(cluster: Cluster) -> None:
    writes = Writes(cluster)
    for role in ("head", "middle", "tail"):
        name, done = cluster.by_role(role), len(writes.answered)
        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(writes.some, front) for front in fronts(cluster)]
            eventually(lambda done=done: len(writes.answered) > done + WRITES // 2)  # type: ignore[misc]
            cluster.kill(name)
            for future in running:
                future.result()
        cluster.start(name)
        cluster.wait_until_whole()
    asked = len(writes.answered) + len(writes.unknown)
    for number in sorted(writes.unknown | set(list(writes.answered)[-5:])):
        again = [writes.once(front, number) for front in fronts(cluster)]
        assert again[0] is not None
        assert all(stored == again[0] for stored in again), "one request, one answer"
        assert writes.answered.setdefault(number, again[0]) == again[0]
    assert all(len(writes.versions(number)) == 1 for number in writes.answered)
    began = {number: min(writes.versions(number)) for number in writes.answered}
    assert sorted(began.values()) == list(range(1, asked + 1)), "each was carried out once"
    first, last = (the_history(cluster, f"SET.{each}") for each in (0, TOGETHER - 1))
    assert [mark["valid_from"] for mark in first] == [mark["valid_from"] for mark in last]
    for number, version in list(began.items())[-10:]:
        for each in (0, TOGETHER - 1):
            found = cluster.ask("n3", "GET", f"/secrets/SET.{each}?version={version}").json()
            assert found["value"] == f"value {number}"


def test_what_one_look_sees_of_many_is_of_one_write(cluster: Cluster) -> None:
    writes = Writes(cluster)
    content = "".join(f"S{number}=secret(SET.{number})\n" for number in range(TOGETHER))
    writes.some("n1")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(writes.some, "n2")
        looks = 0
        while not running.done() or looks < len(fronts(cluster)):
            front = fronts(cluster)[looks % 4]
            answer = cluster.ask(front, "POST", "/env/expand", {"content": content})
            lines = answer.json()["content"].splitlines()
            assert len({line.split("=")[1] for line in lines}) == 1
            looks += 1
        running.result()


def test_a_node_that_was_wiped_serves_the_same_secrets(cluster: Cluster) -> None:
    for number in range(3):
        assert put(cluster, "n1", "KEPT", f"value {number}").status_code == 200
    before = the_history(cluster, "KEPT")
    cluster.kill("n2")
    assert put(cluster, "n1", "KEPT", "while it is away").status_code == 200
    shutil.rmtree(cluster.data("n2"))
    cluster.start("n2")
    cluster.wait_until_whole(60)
    after = the_history(cluster, "KEPT")
    assert [mark["valid_from"] for mark in after[:3]] == [mark["valid_from"] for mark in before]
    assert cluster.ask("n2", "GET", "/secrets/KEPT").json()["value"] == "while it is away"
    assert cluster.ask("n2", "GET", "/secrets/KEPT?version=1").json()["value"] == "value 0"


@pytest.mark.parametrize("role", ["head", "middle", "tail"])
def test_a_write_whose_answer_was_lost_with_its_node_is_not_made_again(
    cluster: Cluster, role: str
) -> None:
    """Another one has come between: made again, the value would come back as a version of its own."""
    name, path = cluster.by_role(role), f"/secrets/LOST.{role}"
    first, second = (node for node in cluster.nodes if node != name)
    with Line(cluster.url(name), cluster.keys["A"]) as line:
        keyed = f"\r\nIdempotency-Key: lost-{role}\r\n\r\n".encode()
        line.send(line.request("PUT", path, {"value": "lost"}).replace(b"\r\n\r\n", keyed, 1))
        eventually(lambda: cluster.ask(first, "GET", path).status_code == 200)
        cluster.kill(name)
    answers: list[requests.Response] = []

    def is_answered(front: str, value: str, **headers: str) -> bool:
        answers.append(cluster.ask(front, "PUT", path, {"value": value}, **headers))
        return answers[-1].status_code == 200

    eventually(lambda: is_answered(first, "between"))
    assert answers[-1].json()["version"] == 2
    eventually(lambda: is_answered(second, "lost", Idempotency_Key=f"lost-{role}"))
    made = answers[-1].json()
    assert (made["version"], made["created"]) == (1, True)
    assert len(history(cluster, second, f"LOST.{role}")) == 2
