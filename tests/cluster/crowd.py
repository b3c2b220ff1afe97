"""Eight clients of a real cluster who ask about the same few values, and whose history is kept; and two
who keep secrets."""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError

from tests.cluster.cluster import Cluster
from tests.cluster.keepers import KEEPERS, Keepers
from tests.history.operations import Asked, Conflict, Detokenize, Operation, ReadEpoch, Rotate, Tokenize
from tests.history.record import A, Recorder, Refused, Unanswered, kind_of
from tvault.model.keys import KeyRing
from tvault.model.tokens import render_token
from tvault.model.values import encode_value

CLIENTS = 8
ANSWER_SECONDS = 1.5
THINK_SECONDS = 0.02
"""Longest pause between two calls of a client: the clients must not take both cores for themselves."""

OWNERS = ("A", "B")
CALLS_PER_VALUE = 6
WINDOW = 16
"""With each so many calls a new value comes up and the oldest of the window is asked for no more."""

LAST_EPOCHS = 10
"""A lookup's answer is judged for what it misses in so many epochs."""

LOOK_BACK = 1000
"""Tokens that are asked for at a time when everything is read back."""


class Oracle:
    """Names tokens before they exist, so that clients can look for them at any time."""

    def __init__(self, cluster: Cluster) -> None:
        self._keys = KeyRing(bytes.fromhex((cluster.folder / "keys" / "token.key").read_text()))

    def token(self, owner: str, epoch: int, value: str) -> str:
        """The token that the value has, or will have if it is ever tokenized."""
        digest = self._keys.scope(owner, epoch).digests([encode_value(value, 100)])[0]
        return render_token(epoch, digest)


class Pulse:
    """Counts answers as they come, by kind of call.  Safe for many threads.

    Beside the kinds of a history there is `unanswered`, of whatever kind, and `retokenize` and `lookup`,
    which a history knows as what they do.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._writes: list[float] = []

    def note(self, answered: Asked | None) -> None:
        """What a call came to."""
        with self._lock:
            kind = "unanswered" if answered is None else kind_of(answered)
            self._counts[kind] += 1
            if kind == "tokenize":
                self._writes.append(time.monotonic())

    def note_more(self, kind: str) -> None:
        """A call of this kind was answered, too."""
        with self._lock:
            self._counts[kind] += 1

    def counts(self) -> Counter[str]:
        """How many there were of each kind by now."""
        with self._lock:
            return Counter(self._counts)

    def longest_gap(self, begin: float, end: float) -> float:
        """The longest time between two acknowledged writes, within an interval of time."""
        with self._lock:
            first, last = bisect_left(self._writes, begin), bisect_left(self._writes, end)
            moments = [begin, *self._writes[first:last], end]
        return max(late - early for early, late in itertools.pairwise(moments))


class Caller:
    """Asks one node once, without a second try, and records what came of it."""

    def __init__(self, cluster: Cluster, recorder: Recorder, pulse: Pulse, name: str) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._pulse = pulse
        self._name = name
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Ask no more."""
        self._session.close()

    def ask(self, node: str, asked: A) -> A | None:
        """What was asked with its result, or None when it was not answered."""
        answered = self._recorder.call(self._name, node, asked, lambda: self._result(node, asked))
        self._pulse.note(answered)
        return answered

    def retokenize(self, node: str, owner: str, value_of: Mapping[str, str]) -> Asked | None:
        """The tokens are looked up, and the values of those that are found tokenized.  `value_of` says
        whose tokens they are.  None when it was not answered: then each value may have been tokenized.
        """
        tokens = tuple(value_of)

        def ask() -> tuple[Asked, ...]:
            body = self._answer(node, owner, "/retokenize", {"tokens": tokens})
            there = [at for at, token in enumerate(body["tokens"]) if token is not None]
            assert sorted([*there, *body["not_found"]]) == list(range(len(tokens)))
            values = tuple(value_of[tokens[at]] for at in there)
            read = tuple(value_of[token] if at in there else None for at, token in enumerate(tokens))
            issued = tuple(body["tokens"][at] for at in there)
            return (
                Tokenize(owner, values, (body["epoch"], issued)),
                Detokenize(owner, tokens, read),
            )

        perhaps = [Tokenize(owner, (value,)) for value in value_of.values()]
        return self._ask_several(node, "retokenize", perhaps, ask)

    def lookup(self, node: str, owner: str, tokens_of: Mapping[str, Mapping[int, str]]) -> Asked | None:
        """The tokens of the values are looked up in every epoch.  `tokens_of` says of each value which
        tokens it has, if they exist, in those epochs that there are for certain.
        """
        values = tuple(tokens_of)

        def ask() -> tuple[Asked, ...]:
            found = self._answer(node, owner, "/lookup", {"values": values})["tokens"]
            rows: list[tuple[str, str | None]] = []
            for value, known in zip(values, found, strict=True):
                assert list(known) == sorted(known, key=int)
                rows += [(token, value) for token in known.values()]
                rows += [(t, None) for epoch, t in tokens_of[value].items() if str(epoch) not in known]
            tokens = tuple(token for token, _ in rows)
            return (Detokenize(owner, tokens, tuple(value for _, value in rows)),)

        perhaps = [Detokenize(owner, tuple(t for known in tokens_of.values() for t in known.values()))]
        return self._ask_several(node, "lookup", perhaps, ask)

    def _ask_several(
        self, node: str, kind: str, perhaps: Sequence[Asked], ask: Callable[[], Sequence[Asked]]
    ) -> Asked | None:
        answered = self._recorder.call_of_several(self._name, node, perhaps, ask)
        if answered is None:
            self._pulse.note(None)
            return None
        for each in answered:
            self._pulse.note(each)
        self._pulse.note_more(kind)
        return answered[0]

    def _result(self, node: str, asked: A) -> A:
        result: Any
        if isinstance(asked, Tokenize):
            body = self._answer(node, asked.owner, "/tokenize", {"values": asked.values})
            result = (body["epoch"], tuple(body["tokens"]))
        elif isinstance(asked, Detokenize):
            body = self._answer(node, asked.owner, "/detokenize", {"tokens": asked.tokens})
            assert body["not_found"] == [at for at, value in enumerate(body["values"]) if value is None]
            result = tuple(body["values"])
        elif isinstance(asked, ReadEpoch):
            result = self._answer(node, asked.owner, "/epoch")["epoch"]
        else:
            body = self._answer(node, asked.owner, "/rotate-epoch", {"to": asked.to})
            if body.get("code") == "epoch_conflict":
                result = Conflict(body["epoch"])
            else:
                result = "rotated" if body["rotated"] else "already"
        return replace(asked, result=result)

    def _answer(self, node: str, owner: str, path: str, body: object = None) -> Any:
        """The document of an answer 200 or 409.  Raises `Unanswered`, `Refused`."""
        headers = {"Authorization": f"Bearer {self._cluster.keys[owner]}"}
        url = self._cluster.url(node) + path
        method = "GET" if body is None else "POST"
        try:
            answer = self._session.request(
                method, url, json=body, headers=headers, timeout=ANSWER_SECONDS
            )
        except requests.RequestException as error:
            raise (Refused if _never_arrived(error) else Unanswered) from error
        document = answer.json()
        if answer.status_code == 503:
            raise Refused if document["code"] == "overloaded" else Unanswered
        assert answer.status_code in {200, 409}, answer.text
        return document


def _never_arrived(error: requests.RequestException) -> bool:
    """Whether there was nobody to take the call."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


class Crowd:
    """Clients in threads of their own that call random nodes, and gateways, about the same few values,
    until told to stop.  What is asked for moves on, so that there are always values that nobody has
    submitted yet.

    Each answer is kept in `recorder` and counted by `pulse`.
    """

    def __init__(self, cluster: Cluster, seed: int = 0) -> None:
        self.recorder = Recorder()
        self.pulse = Pulse()
        self._cluster = cluster
        self._seed = seed
        self._doors = [*cluster.nodes, *cluster.gateways]
        self._oracle = Oracle(cluster)
        self._stopping = threading.Event()
        self.keepers = Keepers(cluster, self.pulse.note_more, seed)
        self._pool = ThreadPoolExecutor(CLIENTS + KEEPERS)
        self._clients: list[Future[None]] = []
        self._epochs = dict.fromkeys(OWNERS, 1)
        self._calls = itertools.count()

    def __enter__(self) -> Crowd:
        self._clients = [self._pool.submit(self._run, number) for number in range(CLIENTS)]
        self._clients += [
            self._pool.submit(keeper.run, self._stopping) for keeper in self.keepers.keepers
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()

    def check(self) -> None:
        """Raise what a client met that no client may meet."""
        for client in self._clients:
            if client.done():
                client.result()

    def _run(self, number: int) -> None:
        dice = Random(f"{self._seed} {number}")
        caller = Caller(self._cluster, self.recorder, self.pulse, f"c{number}")
        while not self._stopping.is_set():
            newest = next(self._calls) // CALLS_PER_VALUE
            node, owner = dice.choice(self._doors), dice.choice(OWNERS)
            values = [f"v{newest - dice.randrange(WINDOW)}" for _ in range(dice.randint(1, 4))]
            answered = self._one_call(caller, dice, node, owner, values)
            self._stopping.wait(0.05 if answered is None else THINK_SECONDS * dice.random())
        caller.close()

    def _one_call(
        self, caller: Caller, dice: Random, node: str, owner: str, values: Sequence[str]
    ) -> Asked | None:
        chance = dice.random()
        if chance < 0.015:
            to = self._epochs[owner] + dice.choice((1, 1, 0, 4))
            answered = caller.ask(node, Rotate(owner, to))
            if answered is not None and isinstance(answered.result, str):
                self._epochs[owner] = max(self._epochs[owner], to)
            return answered
        if chance < 0.12:
            return caller.ask(node, ReadEpoch(owner))
        if chance < 0.17:
            return caller.lookup(node, owner, {value: self._tokens(owner, value) for value in values})
        if chance < 0.24:
            epochs = [max(1, self._epochs[owner] - dice.choice((0, 1, 1, 2))) for _ in values]
            pairs = zip(epochs, values, strict=True)
            return caller.retokenize(
                node, owner, {self._oracle.token(owner, epoch, value): value for epoch, value in pairs}
            )
        if chance < 0.55:
            return caller.ask(node, Tokenize(owner, tuple(values)))
        whose = owner if chance < 0.95 else dice.choice(OWNERS)
        newest = self._epochs[whose]
        asked = values[:2]
        epochs = [max(1, newest - dice.choice((0, 0, 0, 1))) for _ in asked]
        tokens = (self._oracle.token(whose, e, v) for e, v in zip(epochs, asked, strict=True))
        return caller.ask(node, Detokenize(owner, tuple(tokens)))

    def _tokens(self, owner: str, value: str) -> dict[int, str]:
        """The tokens that the value has, if they exist, in the last epochs that are there for sure."""
        newest = self._epochs[owner]
        epochs = range(max(1, newest - LAST_EPOCHS + 1), newest + 1)
        return {epoch: self._oracle.token(owner, epoch, value) for epoch in epochs}


def read_all_back(cluster: Cluster, crowd: Crowd, *nodes: str) -> None:
    """Ask these nodes for everything that was ever issued, and for the epochs; all must be answered."""
    issued = issued_tokens(crowd.recorder.operations())
    caller = Caller(cluster, crowd.recorder, crowd.pulse, "last")
    for node in nodes:
        for owner in OWNERS:
            for part in in_parts(sorted(token for whose, token in issued if whose == owner)):
                answered = caller.ask(node, Detokenize(owner, part))
                assert answered is not None, f"{node} does not answer"
            assert caller.ask(node, ReadEpoch(owner)) is not None, f"{node} does not answer"
    caller.close()


def issued_tokens(history: Sequence[Operation]) -> dict[tuple[str, str], str]:
    """The value of every (owner, token) that was acknowledged."""
    issued: dict[tuple[str, str], str] = {}
    for what in (operation.what for operation in history):
        if isinstance(what, Tokenize) and what.result is not None:
            for value, token in zip(what.values, what.result[1], strict=True):
                issued[what.owner, str(token)] = str(value)
    return issued


def in_parts(tokens: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Tokens in runs that one request may hold."""
    for at in range(0, len(tokens), LOOK_BACK):
        yield tuple(tokens[at : at + LOOK_BACK])


def lie_about(history: Sequence[Operation]) -> Operation:
    """A last look that misses what was found a moment ago: a check that is awake objects to it."""
    seen = next(op for op in reversed(history) if isinstance(op.what, Detokenize) and op.what.result)
    assert isinstance(seen.what, Detokenize)
    missed = replace(seen.what, result=(None,) * len(seen.what.tokens))
    return replace(seen, invoked=seen.end + 1, returned=seen.end + 2, what=missed)
