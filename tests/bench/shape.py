"""What the cost of a value depends on besides how many are stored: values a request, owners, epochs,
and nodes.  In CPU over client and nodes, which other work on the machine changes less than the clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tests.bench import machine
from tests.bench.fleet import in_a_process
from tests.bench.report import Row
from tests.bench.scale import Scale
from tests.cluster.cluster import Cluster
from tvault.model.owners import hash_api_key, new_api_key

REQUESTS = 400
"""Requests of a batch size, unless that are more values than a probe has."""

OWNERS, EPOCHS, USUAL_NODES = 1_000, 50, 3
OWNERS_BATCH = 100
THREADS = 6
NEW, BACK = "tokenize new values", "detokenize, shuffled"


@dataclass(frozen=True)
class Used:
    """CPU microseconds of a value: of the client, and of each node; and those by the clock."""

    client_us: float
    nodes_us: dict[str, float]
    wall_us: float

    @property
    def cpu_us(self) -> float:
        """Of all processes."""
        return self.client_us + sum(self.nodes_us.values())


class Sent:
    """Requests to a cluster, and what they cost."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder

    def tokenize(self, batches: Sequence[tuple[str, list[str]]]) -> tuple[Used, list[str]]:
        """Values by API key, a request each; their tokens, in order."""
        used, answers = self._send("/tokenize", "values", batches)
        return used, [token for answer in answers for token in answer["tokens"]]

    def detokenize(self, batches: Sequence[tuple[str, list[str]]]) -> Used:
        """Tokens by API key, a request each."""
        used, answers = self._send("/detokenize", "tokens", batches)
        assert not any(answer["not_found"] for answer in answers), "a token was not found"
        return used

    def _send(
        self, path: str, name: str, batches: Sequence[tuple[str, list[str]]]
    ) -> tuple[Used, list[Any]]:
        file, answers = self._folder / "requests", self._folder / "answers"
        with file.open("w") as out:
            for key, texts in batches:
                out.write(f"{key} {json.dumps({name: texts}, separators=(',', ':'))}\n")
        addresses = [urlsplit(url) for url in self._cluster.nodes.values()]
        task = {
            "nodes": [(address.hostname, address.port) for address in addresses],
            "path": path,
            "file": str(file),
            "answers": str(answers),
            "threads": THREADS,
        }
        before = self._cpu()
        told = in_a_process("tests.bench.sender", task)
        after = self._cpu()
        each = 1e6 / sum(len(texts) for _, texts in batches)
        nodes_us = {name: each * (after[name] - before[name]) for name in before}
        used = Used(each * told["cpu_seconds"], nodes_us, each * told["seconds"])
        return used, [json.loads(line) for line in answers.read_bytes().splitlines()]

    def _cpu(self) -> dict[str, float]:
        return {
            name: machine.cpu_seconds(process.pid) for name, process in self._cluster.processes.items()
        }


def measure(folder: Path, scale: Scale) -> list[Row]:
    """All of it."""
    rows: list[Row] = []
    for nodes in scale.nodes:
        part = folder / f"{nodes}-nodes"
        part.mkdir()
        with Cluster(part / "vault", nodes=nodes) as cluster:
            keys = add_owners(cluster.config, OWNERS)
            cluster.start()
            cluster.wait_until_whole()
            sent = Sent(cluster, part)
            alone = rows_of(sent, cluster.keys["A"], scale, nodes, rows)
            rows += alone
            if nodes == USUAL_NODES:
                rows += [*by_batch(sent, cluster.keys["A"], scale), *by_owners(sent, keys, scale)]
                rows += by_epochs(sent, cluster, scale)
    return rows


def add_owners(config: Path, count: int) -> list[str]:
    """More owners for a cluster that has not started yet; their API keys."""
    keys = [new_api_key(number.to_bytes(32, "big")) for number in range(count)]
    with config.open("a") as out:
        for number, key in enumerate(keys):
            out.write(f'\n[[owner]]\nid = "owner-{number}"\napi_keys = ["{hash_api_key(key)}"]\n')
    return keys


def values(prefix: str, count: int) -> list[str]:
    """Distinct values of 32 characters."""
    return [f"{prefix}{number:0{32 - len(prefix)}d}" for number in range(count)]


def cut(key: str, texts: list[str], size: int) -> list[tuple[str, list[str]]]:
    """Requests of one owner."""
    return [(key, texts[at : at + size]) for at in range(0, len(texts), size)]


def shuffled(texts: list[str]) -> list[str]:
    """The same in another order, always the same one."""
    mixed = list(texts)
    Random(1).shuffle(mixed)
    return mixed


def row(title: str, used: Used, beside: Used | None, against: str) -> Row:
    """CPU of a value, beside that of the plain case."""
    details = {
        "wall_us": round(used.wall_us, 2),
        "client_us": round(used.client_us, 2),
        "nodes_us": {name: round(cpu, 2) for name, cpu in used.nodes_us.items()},
    }
    baseline = None if beside is None else beside.cpu_us
    return Row("shape", title, used.cpu_us, "us CPU a value", baseline, against, details=details)


def rows_of(sent: Sent, key: str, scale: Scale, nodes: int, before: Sequence[Row]) -> Iterator[Row]:
    """One owner and epoch, with so many nodes, beside the first that was measured."""
    used, tokens = sent.tokenize(cut(key, values("nodes-", scale.probe), scale.batch))
    back = sent.detokenize(cut(key, shuffled(tokens), scale.batch))
    for name, one in ((NEW, used), (BACK, back)):
        title = f"{name}, {nodes} {'node' if nodes == 1 else 'nodes'}"
        first = next((row.figure for row in before if row.title.startswith(name)), None)
        plain = None if first is None else Used(first, {}, 0.0)
        yield row(title, one, plain, "" if plain is None else f"{scale.nodes[0]} node")


def by_batch(sent: Sent, key: str, scale: Scale) -> Iterator[Row]:
    """Values a request."""
    plain: dict[str, Used] = {}
    for size in reversed(scale.batches):
        count = min(scale.probe, REQUESTS * size)
        used, tokens = sent.tokenize(cut(key, values(f"batch-{size}-", count), size))
        back = sent.detokenize(cut(key, shuffled(tokens), size))
        for name, one in ((NEW, used), (BACK, back)):
            title = f"{name}, {size:,} a request"
            yield row(title, one, plain.get(name), f"{scale.batches[-1]:,} a request" if plain else "")
        plain = plain or {NEW: used, BACK: back}


def by_owners(sent: Sent, keys: Sequence[str], scale: Scale) -> Iterator[Row]:
    """Requests of one owner, and as many of as many owners."""
    texts = values("owners-", scale.probe)
    of_one = cut(keys[0], texts, OWNERS_BATCH)
    of_all = [(keys[1:][at % (len(keys) - 1)], part) for at, (_, part) in enumerate(of_one)]
    plain: dict[str, Used] = {}
    for requests, title in ((of_one, "1 owner"), (of_all, f"{len(keys):,} owners")):
        used, tokens = sent.tokenize(requests)
        pieces = [tokens[at : at + OWNERS_BATCH] for at in range(0, len(tokens), OWNERS_BATCH)]
        back = sent.detokenize([(key, part) for (key, _), part in zip(requests, pieces, strict=True)])
        for name, one in ((NEW, used), ("detokenize, as made", back)):
            against = "1 owner" if plain else ""
            yield row(f"{name}, {title}, {OWNERS_BATCH} a request", one, plain.get(name), against)
        plain = plain or {NEW: used, "detokenize, as made": back}


def by_epochs(sent: Sent, cluster: Cluster, scale: Scale) -> Iterator[Row]:
    """Tokens of one epoch, and as many of as many epochs, mixed in every request."""
    key = cluster.keys["B"]
    share = scale.probe // EPOCHS
    used, tokens = sent.tokenize(cut(key, values("epochs-", scale.probe), scale.batch))
    back = sent.detokenize(cut(key, shuffled(tokens), scale.batch))
    yield row(f"{NEW}, 1 epoch", used, None, "")
    yield row(f"{BACK}, 1 epoch", back, None, "")
    mixed: list[str] = []
    for epoch in range(2, EPOCHS + 2):
        _ask(cluster, "/rotate-epoch", {"to": epoch})
        mixed += _ask(cluster, "/tokenize", {"values": values(f"in-{epoch}-", share)})["tokens"]
    last, _ = sent.tokenize(cut(key, values("last-", scale.probe), scale.batch))
    yield row(f"{NEW}, after {EPOCHS} epochs", last, used, "1 epoch")
    all_of_them = sent.detokenize(cut(key, shuffled(mixed), scale.batch))
    yield row(f"{BACK}, {EPOCHS} epochs in a request", all_of_them, back, "1 epoch")


def _ask(cluster: Cluster, path: str, body: Any) -> Any:
    """A call of owner B that is not measured."""
    answer = cluster.post(next(iter(cluster.nodes)), path, body, owner="B")
    assert answer.status_code == 200, answer.text
    return answer.json()
