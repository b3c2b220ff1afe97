"""Clients of a real cluster that write and read secrets, and judge each answer by what they know.

A write bears an idempotency key and is repeated, at any door, until it is answered: so in the end nobody
is in doubt about any.  A version that is lost, made twice, half written or told too late shows at once.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import requests

from tests.cluster.cluster import Cluster
from tests.cluster.shelves import Book, Race, check_intervals

KEEPERS = 2
ANSWER_SECONDS = 1.5
PAUSE_SECONDS = 0.5
"""Longest pause between two calls of a keeper: in the end every version is read from every node."""

RETRY_SECONDS = 0.1
PATIENCE_SECONDS = 20.0
"""How long a write is repeated after the keepers were told to stop."""

OWNER = "A"

Answer = tuple[int, dict[str, Any]]
"""A status other than 503, and the document."""


class Keepers:
    """Two keepers, what they know, and how it is read back."""

    def __init__(self, cluster: Cluster, note: Callable[[str], None], seed: int) -> None:
        self._cluster = cluster
        self.races = [Race("race_1"), Race("race_2")]
        self.keepers = [Keeper(cluster, number, self, note, seed) for number in range(KEEPERS)]
        self._versions: dict[tuple[str, int], dict[str, Any]] = {}

    @property
    def books(self) -> list[Book]:
        """What each keeper alone writes."""
        return [book for keeper in self.keepers for book in keeper.books]

    def read_back(self, *nodes: str) -> bool:
        """Whether these nodes answer for every version; raises when one does not know what is known."""
        door = Door(self._cluster)
        return all(self._read_back(door, node) for node in nodes)

    def _read_back(self, door: Door, node: str) -> bool:
        live = [name for book in self.books if book.state(book.steps)[1] for name in book.names]
        live += [race.name for race in self.races if race.winners]
        names = door.ask(node, "GET", "/secrets")
        if names is None:
            return False
        assert names[1]["names"] == sorted(live), f"{node} has other names"
        for book in self.books:
            for name in book.names:
                versions = door.history(node, name)
                if versions is None:
                    return False
                book.check_history(book.steps, versions)
                if not self._read_values(door, node, name, [book.value(v["version"]) for v in versions]):
                    return False
        return all(self._read_race(door, node, race) for race in self.races)

    def _read_race(self, door: Door, node: str, race: Race) -> bool:
        versions = door.history(node, race.name)
        if versions is None:
            return False
        check_intervals(versions)
        told = [each["version"] for each in versions]
        assert told == sorted(race.winners), f"{node} has other versions of {race.name}"
        return self._read_values(door, node, race.name, [race.winners[version] for version in told])

    def _read_values(self, door: Door, node: str, name: str, values: Sequence[str]) -> bool:
        for version, value in enumerate(values, start=1):
            answer = door.ask(node, "GET", f"/secrets/{name}?version={version}")
            if answer is None:
                return False
            assert answer[0] == 200, f"{node} has no version {version} of {name}"
            assert answer[1]["value"] == value, f"version {version} of {name} is another on {node}"
            self._versions[name, version] = answer[1]
        return True

    def end_all(self, node: str) -> None:
        """End every secret: what has ended each node answers by itself."""
        door = Door(self._cluster)
        for name in {name for name, _ in self._versions}:
            ended = door.ask(
                node, "DELETE", f"/secrets/{name}", headers={"Idempotency-Key": f"end-{name}"}
            )
            assert ended is not None, f"{node} does not answer"
            newest = max(version for other, version in self._versions if other == name)
            assert ended[0] in {200, 404}, ended
            if ended[0] == 200:
                self._versions[name, newest]["valid_to"] = ended[1]["valid_to"]

    def read_alone(self, node: str) -> int:
        """Read every version from a node that has no others; how many there are."""
        door = Door(self._cluster)
        for (name, version), expected in self._versions.items():
            answer = door.ask(node, "GET", f"/secrets/{name}?version={version}")
            assert answer == (200, expected), f"{node} alone has another version {version} of {name}"
        return len(self._versions)


class Door:
    """Asks one node once, without a second try."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._session = requests.Session()
        self._session.trust_env = False

    def ask(
        self,
        node: str,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer | None:
        """The answer, None when there was none, or one that leaves it open."""
        allowed = {"Authorization": f"Bearer {self._cluster.keys[OWNER]}", **(headers or {})}
        url = self._cluster.url(node) + path
        try:
            answer = self._session.request(
                method, url, json=body, headers=allowed, timeout=ANSWER_SECONDS
            )
        except requests.RequestException:
            return None
        if answer.status_code == 503:
            return None
        assert answer.status_code in {200, 404, 412, 422}, f"{method} {path}: {answer.text}"
        return answer.status_code, answer.json()

    def history(self, node: str, name: str) -> list[dict[str, Any]] | None:
        """All versions, None when there was no answer."""
        answer = self.ask(node, "GET", f"/secrets/{name}/history")
        if answer is None:
            return None
        versions: list[dict[str, Any]] = answer[1].get("versions", [])
        return versions


class Keeper:
    """Writes its own books and in the common races, and reads everybody's."""

    def __init__(
        self, cluster: Cluster, number: int, all_: Keepers, note: Callable[[str], None], seed: int
    ) -> None:
        pair = (f"k{number}_pair", f"k{number}_pair.too")
        self.books = [
            Book((f"k{number}_one",)),
            Book((f"k{number}_mortal",), is_mortal=True),
            Book(pair),
        ]
        self._all = all_
        self._note = note
        self._doors = [*cluster.nodes, *cluster.gateways]
        self._door = Door(cluster)
        self._dice = Random(f"{seed} keeper {number}")
        self._number = number
        self._calls = itertools.count()
        self._stopping = threading.Event()

    def run(self, stopping: threading.Event) -> None:
        """Go on until it is time to stop, and every write is answered."""
        self._stopping = stopping
        while not stopping.is_set():
            roll = self._dice.random()
            if roll < 0.35:
                self._write(self._dice.choice(self.books))
            elif roll < 0.5:
                self._race(self._dice.choice(self._all.races))
            else:
                self._read(self._dice.choice(self._all.books))
            stopping.wait(PAUSE_SECONDS * self._dice.random())

    # Writing.

    def _write(self, book: Book) -> None:
        """The next step of a book."""
        book.asked += 1
        version, is_live = book.state(book.asked)
        if not is_live:
            document = self._surely("DELETE", f"/secrets/{book.name}")[1]
            assert document["version"] == version, f"{book.name} ends as {document}"
        elif len(book.names) == 1:
            value = {"value": book.value(version)}
            document = self._surely("PUT", f"/secrets/{book.name}", value)[1]
            told = document.get("version"), document.get("created")
            assert told == (version, True), f"{book.name} {version} is {document}"
            book.moments[version] = document["valid_from"]
        else:
            content = "".join(f"V{at}=enc({name})\n" for at, name in enumerate(book.names))
            values = dict.fromkeys(book.names, book.value(version))
            document = self._surely("POST", "/env/encrypt", {"content": content, "values": values})[1]
            stored = [{"name": name, "version": version} for name in book.names]
            assert document.get("stored") == stored, f"{book.name} {version} is {document}"
        book.steps = book.asked
        self._note("secret-write")

    def _race(self, race: Race) -> None:
        """Overwrite the version that is read, unless another one does."""
        known = race.newest
        read = self._ask("GET", f"/secrets/{race.name}")
        if read is None:
            return
        status, document = read
        version = document["version"] if status == 200 else 0
        if version:
            race.check(known, version, document["value"])
        assert version or not known, f"{race.name} is gone"
        value = f"{self._number} {next(self._calls)}"
        condition = {"If-Match": f'"{version}"'} if version else {"If-None-Match": "*"}
        status, document = self._surely("PUT", f"/secrets/{race.name}", {"value": value}, condition)
        if status == 412:
            race.losers.append(value)
            assert document["version"] > version, f"{race.name} is {document} after {version}"
        else:
            assert (document["version"], document["created"]) == (version + 1, True), document
            race.won(document["version"], value)
        self._note("secret-race")

    def _surely(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """The answer of a write, which is repeated until there is one; now and then once more."""
        key = f"{self._number}-{next(self._calls)}"
        sent = {"Idempotency-Key": key, **(headers or {})}
        late: float | None = None
        pause = threading.Event()
        while (answer := self._ask(method, path, body, sent)) is None:
            pause.wait(RETRY_SECONDS * self._dice.random())
            if self._stopping.is_set():
                late = late or time.monotonic() + PATIENCE_SECONDS
                assert time.monotonic() < late, f"{method} {path} is not answered"
        if answer[0] == 200 and self._dice.random() < 0.15:
            again = self._ask(method, path, body, sent)
            assert again is None or again == answer, f"{path}: {again} is told after {answer}"
        return answer

    # Reading.

    def _read(self, book: Book) -> None:
        known, roll = book.steps, self._dice.random()
        if roll < 0.3:
            versions = self._door.history(self._dice.choice(self._doors), book.name)
            if versions is not None:
                book.check_history(known, versions)
                self._note("secret-read")
            return
        if len(book.names) > 1:
            self._read_together(book, known)
            return
        answer = self._ask("GET", f"/secrets/{book.name}")
        if answer is None:
            return
        status, document = answer
        newest = document["version"] if status == 200 else None
        book.check(known, newest, answer)
        assert newest is None or document["value"] == book.value(newest), f"{book.name} is {document}"
        self._note("secret-read")

    def _read_together(self, book: Book, known: int) -> None:
        """What is written together is seen together."""
        content = "".join(f"V{at}=secret({name})\n" for at, name in enumerate(book.names))
        answer = self._ask("POST", "/env/expand", {"content": content})
        if answer is None:
            return
        told = set(re.findall(rf"{re.escape(book.name)} (\d+)", answer[1].get("content", "")))
        assert len(told) == (1 if answer[0] == 200 else 0), f"{book.name} is {answer}"
        book.check(known, int(told.pop()) if told else None, answer)
        self._note("secret-read")

    def _ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer | None:
        return self._door.ask(self._dice.choice(self._doors), method, path, body, headers)
