"""What eight clients of a real cluster were told while nodes crashed, judged as one history."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import Any

import requests

from tests.cluster.cluster import Cluster, eventually
from tests.history.check import violations
from tests.history.operations import Asked, Conflict, Detokenize, Operation, ReadEpoch, Rotate, Tokenize
from tests.history.record import Recorder, Refused, Unanswered
from tvault.model.keys import KeyRing
from tvault.model.tokens import render_token
from tvault.model.values import encode_value

CLIENTS = 8
RUN_SECONDS = 10.0
ANSWER_SECONDS = 1.5
OWNERS = ("A", "B")
CALLS_PER_VALUE = 6
WINDOW = 16
"""With each so many calls a new value comes up and the oldest of the window is asked for no more."""
FLOORS = {"tokenize": 200, "detokenize": 60, "miss": 60, "epoch": 40, "rotate": 5}
"""How many calls of each kind must have been acknowledged for a run to prove anything."""


class Oracle:
    """Names tokens before they exist, so that clients can look for them at any time."""

    def __init__(self, cluster: Cluster) -> None:
        self._keys = KeyRing(bytes.fromhex((cluster.folder / "keys" / "token.key").read_text()))

    def token(self, owner: str, epoch: int, value: str) -> str:
        """The token that the value has, or will have if it is ever tokenized."""
        digest = self._keys.scope(owner, epoch).digests([encode_value(value, 100)])[0]
        return render_token(epoch, digest)


class Caller:
    """Asks one node once, without a second try, and records what came of it."""

    def __init__(self, cluster: Cluster, recorder: Recorder, name: str) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._name = name
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def tokenize(self, node: str, asked: Tokenize) -> Tokenize | None:
        def ask() -> Tokenize:
            body = self._answer(node, asked, "/tokenize", {"values": asked.values})
            return replace(asked, result=(body["epoch"], tuple(body["tokens"])))

        return self._recorder.call(self._name, node, asked, ask)

    def detokenize(self, node: str, asked: Detokenize) -> Detokenize | None:
        def ask() -> Detokenize:
            body = self._answer(node, asked, "/detokenize", {"tokens": asked.tokens})
            assert body["not_found"] == [at for at, value in enumerate(body["values"]) if value is None]
            return replace(asked, result=tuple(body["values"]))

        return self._recorder.call(self._name, node, asked, ask)

    def read_epoch(self, node: str, asked: ReadEpoch) -> ReadEpoch | None:
        def ask() -> ReadEpoch:
            return replace(asked, result=self._answer(node, asked, "/epoch")["epoch"])

        return self._recorder.call(self._name, node, asked, ask)

    def rotate(self, node: str, asked: Rotate) -> Rotate | None:
        def ask() -> Rotate:
            body = self._answer(node, asked, "/rotate-epoch", {"to": asked.to})
            if body.get("code") == "epoch_conflict":
                return replace(asked, result=Conflict(body["epoch"]))
            return replace(asked, result="rotated" if body["rotated"] else "already")

        return self._recorder.call(self._name, node, asked, ask)

    def _answer(self, node: str, asked: Asked, path: str, body: object = None) -> Any:
        """The document of an answer 200 or 409.  Raises `Unanswered`, `Refused`."""
        headers = {"Authorization": f"Bearer {self._cluster.keys[asked.owner]}"}
        url = self._cluster.nodes[node] + path
        method = "GET" if body is None else "POST"
        try:
            answer = self._session.request(
                method, url, json=body, headers=headers, timeout=ANSWER_SECONDS
            )
        except requests.RequestException as error:
            raise Unanswered from error
        document = answer.json()
        if answer.status_code == 503:
            raise Refused if document["code"] == "overloaded" else Unanswered
        assert answer.status_code in {200, 409}, answer.text
        return document


class Crowd:
    """Clients in threads of their own that call random nodes about the same few values, until told to
    stop.  What is asked for moves on, so that there are always values that nobody has submitted yet."""

    def __init__(self, cluster: Cluster, recorder: Recorder, oracle: Oracle) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._oracle = oracle
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._epochs = dict.fromkeys(OWNERS, 1)
        self._calls = itertools.count()

    def __enter__(self) -> Crowd:
        self._clients = [self._pool.submit(self._run, number) for number in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for client in self._clients:
            client.result()
        self._pool.shutdown()

    def _run(self, number: int) -> None:
        dice = Random(number)
        caller = Caller(self._cluster, self._recorder, f"c{number}")
        while not self._stopping.is_set():
            newest = next(self._calls) // CALLS_PER_VALUE
            node, owner = dice.choice(list(self._cluster.nodes)), dice.choice(OWNERS)
            values = [f"v{newest - dice.randrange(WINDOW)}" for _ in range(dice.randint(1, 4))]
            if self._one_call(caller, dice, node, owner, values) is None:
                self._stopping.wait(0.05)
        caller.close()

    def _one_call(
        self, caller: Caller, dice: Random, node: str, owner: str, values: Sequence[str]
    ) -> Asked | None:
        chance = dice.random()
        if chance < 0.015:
            to = self._epochs[owner] + dice.choice((1, 1, 0, 4))
            answered = caller.rotate(node, Rotate(owner, to))
            if answered is not None and isinstance(answered.result, str):
                self._epochs[owner] = max(self._epochs[owner], to)
            return answered
        if chance < 0.12:
            return caller.read_epoch(node, ReadEpoch(owner))
        if chance < 0.5:
            return caller.tokenize(node, Tokenize(owner, tuple(values)))
        whose = owner if chance < 0.95 else dice.choice(OWNERS)
        newest = self._epochs[whose]
        asked = values[:2]
        epochs = [max(1, newest - dice.choice((0, 0, 0, 1))) for _ in asked]
        tokens = (self._oracle.token(whose, e, v) for e, v in zip(epochs, asked, strict=True))
        return caller.detokenize(node, Detokenize(owner, tuple(tokens)))


def crash_and_return(cluster: Cluster, recorder: Recorder, role: str) -> None:
    """Kill the node of a role under load, and start it again once clients have felt it."""
    more_of(recorder, acknowledged, 200)
    name = cluster.by_role(role)
    cluster.kill(name)
    more_of(recorder, unanswered, 2 * CLIENTS)
    cluster.start(name)
    cluster.wait_until_healthy()
    more_of(recorder, acknowledged, 200)


def acknowledged(recorder: Recorder) -> int:
    return sum(tally.acknowledged for tally in recorder.summary().values())


def unanswered(recorder: Recorder) -> int:
    return sum(tally.unknown + tally.refused for tally in recorder.summary().values())


def more_of(recorder: Recorder, count: Callable[[Recorder], int], more: int) -> None:
    """Wait until there is so much more."""
    before = count(recorder)
    eventually(lambda: count(recorder) >= before + more)


def read_all_back(cluster: Cluster, recorder: Recorder) -> None:
    """Every node, asked alone, about everything that was issued."""
    issued = {
        (what.owner, token)
        for what in issues(recorder)
        for token in (what.result or (1, ()))[1]
        if token is not None
    }
    caller = Caller(cluster, recorder, "last")
    for node in cluster.nodes:
        for owner in OWNERS:
            tokens = sorted(token for whose, token in issued if whose == owner)
            for at in range(0, len(tokens), 1000):
                part = tuple(tokens[at : at + 1000])
                answered = caller.detokenize(node, Detokenize(owner, part))
                assert answered is not None, f"{node} does not answer"
            assert caller.read_epoch(node, ReadEpoch(owner)) is not None
    caller.close()


def issues(recorder: Recorder) -> Iterator[Tokenize]:
    for operation in recorder.operations():
        if isinstance(operation.what, Tokenize):
            yield operation.what


def test_whatever_clients_are_told_while_nodes_crash_could_come_from_one_vault_that_never_failed(
    cluster: Cluster,
) -> None:
    recorder = Recorder()
    began = time.monotonic()
    with Crowd(cluster, recorder, Oracle(cluster)):
        crash_and_return(cluster, recorder, "head")
        crash_and_return(cluster, recorder, "tail")
        eventually(lambda: time.monotonic() > began + RUN_SECONDS)
    eventually(cluster.agree)
    read_all_back(cluster, recorder)
    history = recorder.operations()
    assert violations(history) == []
    summary = recorder.summary()
    few = {kind: summary[kind] for kind, floor in FLOORS.items() if summary[kind].acknowledged < floor}
    assert few == {}, "too little was acknowledged to prove anything"
    assert violations([*history, lie_about(history)]) != [], "the check is asleep"


def lie_about(history: Sequence[Operation]) -> Operation:
    """A last look that misses what was found a moment ago."""
    seen = next(op for op in reversed(history) if isinstance(op.what, Detokenize) and op.what.result)
    assert isinstance(seen.what, Detokenize)
    missed = replace(seen.what, result=(None,) * len(seen.what.tokens))
    return replace(seen, invoked=seen.end + 1, returned=seen.end + 2, what=missed)
