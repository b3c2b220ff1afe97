"""Where the time of bulk work goes: each step of a request of many values alone, in one process.

CPU microseconds of a value, the mean of some requests, with a store that is as full as those before have
made it.  What is not here is what lies between the steps: HTTP, threads, and the ways of messages.
"""

from __future__ import annotations

import io
import itertools
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import msgspec

from tests.bench.report import Row
from tests.bench.scale import Scale
from tvault.client.jsonl import jsonl_batches
from tvault.client.records import Batch, Cut
from tvault.model.blocks import seal
from tvault.model.commands import Mint, decode_command, encode_command, encode_rows
from tvault.model.fields import Fields, parse_path
from tvault.model.keys import KeyRing, Scope
from tvault.model.rules import Judge
from tvault.model.tokens import parse_alike, render_tokens
from tvault.model.values import decode_values
from tvault.model.verdicts import Admitted
from tvault.replication.entry import Kind, follow
from tvault.server.bodies import canonical_fields, members_of, records_of
from tvault.server.reading import opened
from tvault.store.sqlite import SqliteStore
from tvault.wire import Limits, encode_json

REQUESTS = 40
OWNER, EPOCH = "A", 1
CLIENT, ASKED, HEAD, EVERY = "client", "the node asked", "head", "every node"
NEW, BACK = "tokenize new values", "detokenize, shuffled"
IDLE_SECONDS = 60.0


class Steps:
    """Takes the CPU of one step after the other, for requests of `batch` values."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._taken: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    @contextmanager
    def step(self, work: str, where: str, name: str) -> Iterator[None]:
        """One step of one request."""
        began = time.process_time()
        yield
        self._taken[work, where, name].append(1e6 * (time.process_time() - began) / self._batch)

    def rows(self) -> list[Row]:
        """All steps, in the order in which they came first."""
        return [
            Row("steps", f"{work}: {name}", fmean(taken), "us CPU a value", details={"where": where})
            for (work, where, name), taken in self._taken.items()
        ]


class Requests:
    """Requests that are worked on step by step, as the parts of a vault do it."""

    def __init__(self, store: SqliteStore, batch: int) -> None:
        self._store = store
        self._judge = Judge(store, {OWNER}, clock=lambda: 0)
        self._fields = Fields([parse_path("ssn")])
        self._scope: Scope = KeyRing(bytes(range(32))).scope(OWNER, EPOCH)
        self._count = itertools.count()
        self._batch = batch
        self.steps = Steps(batch)
        self.answers: list[bytes] = []

    def tokenize(self) -> None:
        """One request of values that are new."""
        lines = [_record(next(self._count)) for _ in range(self._batch)]
        batch, body = self._sent(NEW, b"".join(lines))
        with self.steps.step(NEW, ASKED, "decode JSON"):
            document, is_marked = members_of(body, ("records", "values"))
            records = records_of(document)
        with self.steps.step(NEW, ASKED, "find the fields, canonical bytes"):
            found, canonicals = canonical_fields(records, self._fields, Limits(), is_marked=is_marked)
            distinct = list(dict.fromkeys(canonicals))
        with self.steps.step(NEW, ASKED, "tokens: keyed hash, text"):
            digests = self._scope.digests(distinct)
            assert len(set(digests)) == len(digests)
            tokens = render_tokens(EPOCH, digests)
        with self.steps.step(NEW, ASKED, "put tokens in, encode the answer"):
            found.put(tokens)
            answer = encode_json({"epoch": EPOCH, "records": records})
        with self.steps.step(NEW, ASKED, "look up, in vain"):
            places = self._store.find(OWNER, EPOCH, b"".join(digests))
            assert len(places.missing()) == self._batch
        with self.steps.step(NEW, ASKED, "seal, encode for the head"):
            blocks = seal(self._scope, digests, distinct, lambda: os.urandom(12))
            command = encode_command(Mint(OWNER, EPOCH, blocks))
        self._order(command)
        self._written(NEW, batch, answer)
        self.answers.append(answer)

    def detokenize(self, records: list[bytes]) -> None:
        """One request of tokens."""
        batch, body = self._sent(BACK, b"\n".join(records))
        with self.steps.step(BACK, ASKED, "decode JSON"):
            document, _ = members_of(body, ("records",))
            objects = records_of(document)
        with self.steps.step(BACK, ASKED, "find the fields, parse tokens"):
            found = self._fields.find(objects)
            parsed = parse_alike(found.values)
            assert parsed is not None
        with self.steps.step(BACK, ASKED, "look up, read the blocks"):
            places = self._store.find(OWNER, EPOCH, parsed[1])
        with self.steps.step(BACK, ASKED, "open the blocks, decode values"):
            positions, canonicals = opened(self._scope, places)
            assert len(positions) == self._batch
            values = decode_values(canonicals)
        with self.steps.step(BACK, ASKED, "put values in, encode the answer"):
            ordered: list[Any] = [None] * self._batch
            for position, value in zip(positions, values, strict=True):
                ordered[position] = value
            found.put(ordered)
            answer = encode_json({"records": objects, "not_found": []})
        self._written(BACK, batch, answer)

    def _sent(self, work: str, text: bytes) -> tuple[Batch, bytes]:
        with self.steps.step(work, CLIENT, "read lines, check, make the body"):
            (batch,) = jsonl_batches(io.BytesIO(text), Cut(self._batch, len(text) + 1))
            body = b'{"records":[' + b",".join(batch.records) + b"]}"
        return batch, body

    def _order(self, command: bytes) -> None:
        with self.steps.step(NEW, HEAD, "judge, encode the entry"):
            verdict = self._judge.admit(decode_command(command))
            assert isinstance(verdict, Admitted)
            body = encode_rows(self._judge.take())
        with self.steps.step(NEW, EVERY, "chain digest"):
            entry = follow(self._store.last(), 1, Kind.ROWS, body)
        with self.steps.step(NEW, EVERY, "check, insert, sync; remember the tokens"):
            self._store.write(None, [entry], entry.seq)
        with self.steps.step(NEW, EVERY, "runs and merges"):
            self._store.settle(entry.seq)
            assert self._store._index.wait_until_idle(IDLE_SECONDS)

    def _written(self, work: str, batch: Batch, answer: bytes) -> None:
        with self.steps.step(work, CLIENT, "take the answer apart, write"):
            records = msgspec.json.decode(answer, type=_Answer).records
            assert len(batch.filled(records)) > len(answer) // 2


class _Answer(msgspec.Struct):
    records: list[msgspec.Raw]


def measure(folder: Path, scale: Scale) -> list[Row]:
    """All steps of both kinds of requests."""
    with closing(SqliteStore(folder / "steps")) as store:
        requests = Requests(store, scale.batch)
        for _ in range(REQUESTS):
            requests.tokenize()
        records = [
            bytes(record)
            for answer in requests.answers
            for record in msgspec.json.decode(answer, type=_Answer).records
        ]
        Random(1).shuffle(records)
        for at in range(0, len(records), scale.batch):
            requests.detokenize(records[at : at + scale.batch])
        return requests.steps.rows()


def _record(number: int) -> bytes:
    return b'{"id":%d,"ssn":"%032d","city":"Springfield","year":%d}\n' % (
        number,
        number,
        1980 + number % 30,
    )
