"""Clients that tokenize, retokenize and rotate at once, through every node, and what they saw."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import requests

from tests.cluster.cluster import Cluster
from tests.cluster.crowd import Oracle

OWNERS = ("A", "B")
ANSWER_SECONDS = 10.0
POOL = 40
"""So many values are asked for again and again, so that most have tokens already."""


@dataclass
class Seen:
    """What was answered to the clients of one owner.  Safe for many threads."""

    floor: int = 1
    """The newest epoch whose rotation has been answered."""
    rotated: Counter[int] = field(default_factory=Counter)
    """How often each epoch was answered with `rotated: true`."""
    unknown: Counter[int] = field(default_factory=Counter)
    """How often the outcome of a rotation to each epoch stayed unknown."""
    repeats: int = 0
    conflicts: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    tokens: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def newest_answered(self) -> int:
        """The epoch that whatever is asked from now on must have, or a later one."""
        with self.lock:
            return self.floor

    def note_epoch(self, epoch: int) -> None:
        """An answer said that this epoch is active."""
        with self.lock:
            self.floor = max(self.floor, epoch)


class Race:
    """Clients in threads of their own, through all of `fronts`, until the block ends.

    `seen` holds what they saw; a client that sees what must not be ends, and so does the race.
    """

    def __init__(self, cluster: Cluster, fronts: list[str], seed: int = 0) -> None:
        self.seen = {owner: Seen() for owner in OWNERS}
        self._cluster = cluster
        self._fronts = fronts
        self._seed = seed
        self._oracle = Oracle(cluster)
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(16)
        self._clients: list[Future[None]] = []

    def __enter__(self) -> Race:
        for owner in OWNERS:
            for number, work in enumerate(
                (self._tokenize, self._tokenize, self._tokenize, self._retokenize, *[self._rotate] * 3)
            ):
                name = f"{self._seed} {owner} {number}"
                self._clients.append(self._pool.submit(self._run, Client(self, owner, name), work))
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()

    def check(self) -> None:
        """Raise what a client saw that must not be."""
        for client in self._clients:
            if client.done():
                client.result()

    def _run(self, client: Client, work: Callable[[Client], None]) -> None:
        with client.session:
            while not self._stopping.is_set():
                work(client)

    def url(self, client: Client) -> str:
        """Where the next call of a client goes."""
        return self._cluster.url(client.dice.choice(self._fronts))

    def key(self, owner: str) -> str:
        """The API key of an owner."""
        return str(self._cluster.keys[owner])

    def _tokenize(self, client: Client) -> None:
        dice = client.dice
        values = [f"known {dice.randrange(POOL)}" for _ in range(dice.randint(1, 6))]
        if dice.random() < 0.3:
            values.append(f"{client.name} {dice.getrandbits(60)}")
        floor = client.seen.newest_answered()
        answer = client.post("/tokenize", {"values": values})
        if answer is not None:
            assert answer.status_code == 200, answer.text
            self._check_tokens(client, floor, values, answer.json())

    def _retokenize(self, client: Client) -> None:
        seen = client.seen
        with seen.lock:
            some = client.dice.sample(list(seen.tokens.items()), min(5, len(seen.tokens)))
        if not some:
            self._stopping.wait(0.01)
            return
        floor = seen.newest_answered()
        answer = client.post("/retokenize", {"tokens": [token for token, _ in some]})
        if answer is not None:
            assert answer.status_code == 200, answer.text
            assert answer.json()["not_found"] == [], "what was acknowledged is gone"
            self._check_tokens(client, floor, [value for _, value in some], answer.json())

    def _check_tokens(self, client: Client, floor: int, values: list[str], document: Any) -> None:
        """One epoch, none older than the rotations answered before the call, and the tokens that these
        values have in it whoever gives them."""
        epoch = document["epoch"]
        assert epoch >= floor, f"epoch {epoch} after the rotation to {floor} was answered"
        expected = [self._oracle.token(client.owner, epoch, value) for value in values]
        assert document["tokens"] == expected, f"an answer of epoch {epoch} holds other tokens"
        with client.seen.lock:
            client.seen.tokens.update(zip(expected, values, strict=True))

    def _rotate(self, client: Client) -> None:
        """To the next epoch, as other rotators do that know of the same one, and at times once more."""
        self._stopping.wait(0.05 * client.dice.random())
        seen = client.seen
        floor = seen.newest_answered()
        to = floor + client.dice.choice((1, 1, 1, 1, 0, 2))
        self._rotate_to(client, floor, to)
        if client.dice.random() < 0.3:
            self._rotate_to(client, seen.newest_answered(), to)

    def _rotate_to(self, client: Client, floor: int, to: int) -> None:
        seen = client.seen
        answer = client.post("/rotate-epoch", {"to": to})
        if answer is None:
            with seen.lock:
                seen.unknown[to] += 1
            return
        document = answer.json()
        active = document["epoch"]
        assert active >= floor, f"epoch {active} is said to be active after {floor} was"
        if answer.status_code == 409:
            assert active not in (to, to - 1), answer.text
        else:
            assert (answer.status_code, active) == (200, to), answer.text
        with seen.lock:
            seen.rotated[to] += int(document.get("rotated", False))
            seen.repeats += int(document.get("rotated") is False)
            seen.conflicts += int(answer.status_code == 409)
        seen.note_epoch(active)


class Client:
    """One client of an owner: where its calls go, and what comes of them."""

    def __init__(self, race: Race, owner: str, name: str) -> None:
        self.owner = owner
        self.name = name
        self.dice = Random(name)
        self.seen = race.seen[owner]
        self.session = requests.Session()
        self.session.trust_env = False
        self._race = race

    def post(self, path: str, body: object) -> requests.Response | None:
        """The answer to one call, None when its outcome is unknown."""
        headers = {"Authorization": f"Bearer {self._race.key(self.owner)}"}
        url = self._race.url(self) + path
        answer = None
        with suppress(requests.RequestException):
            answer = self.session.post(url, json=body, headers=headers, timeout=ANSWER_SECONDS)
        is_answered = answer is not None and answer.status_code != 503
        with self.seen.lock:
            self.seen.answers[path if is_answered else "unanswered"] += 1
        return answer if is_answered else None


def wrong_counts(seen: Seen, active: int) -> Iterator[str]:
    """What is wrong with how often each epoch was begun: once, or perhaps never to our knowledge when
    the outcome of a rotation to it stayed unknown."""
    for epoch in range(2, active + 1):
        least = 0 if seen.unknown[epoch] else 1
        if not least <= seen.rotated[epoch] <= 1:
            yield f"epoch {epoch} was begun {seen.rotated[epoch]} times"
    for epoch in seen.rotated:
        if seen.rotated[epoch] and not 2 <= epoch <= active:
            yield f"epoch {epoch} was begun, but {active} is active"
