"""A client of PostgreSQL in a process of its own that tokenizes as a user would build it, told by JSON.

A token is a keyed hash of the value, and the value is sealed by AES-GCM, both here; the rows go to the
server many at a time.  Clocks and checks are as in `tests.bench.bulk_client`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from random import Random
from typing import Any

import msgspec
import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.bench.bulk_client import Told, in_batches, value_of

KEY = b"k" * 32
NONCE_BYTES = 12
PREFIX = "pg-"

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS mapping (owner text NOT NULL, epoch integer NOT NULL,"
    " token bytea NOT NULL, sealed bytea NOT NULL, PRIMARY KEY (owner, epoch, token))"
)
INSERT = (
    "INSERT INTO mapping SELECT 'A', 1, pair.token, pair.sealed"
    " FROM unnest(%b::bytea[], %b::bytea[]) AS pair (token, sealed) ON CONFLICT DO NOTHING"
)
SELECT = "SELECT token, sealed FROM mapping WHERE owner = 'A' AND epoch = 1 AND token = ANY(%b)"


class Task(msgspec.Struct):
    """What to do with `count` values: `tokenize` or `detokenize` them, shuffled by `seed` unless it is
    0.  `folder` and `port` name the server's socket."""

    action: str
    folder: str
    port: int
    count: int
    batch: int
    threads: int
    seed: int = 0


class Vault:
    """What a user would write."""

    def __init__(self, connections: SimpleQueue[psycopg.Connection[Any]]) -> None:
        self._connections = connections
        self._hash = hashlib.blake2b(key=KEY, digest_size=16)
        self._cipher = AESGCM(KEY)

    def _token(self, value: bytes) -> bytes:
        keyed = self._hash.copy()
        keyed.update(value)
        return keyed.digest()

    def tokenize(self, values: list[str]) -> list[str]:
        """Tokens, durable on all servers."""
        raw = [value.encode() for value in values]
        tokens = [self._token(value) for value in raw]
        nonces = [os.urandom(NONCE_BYTES) for _ in raw]
        encrypt = self._cipher.encrypt
        sealed = [
            nonce + encrypt(nonce, value, token)
            for nonce, value, token in zip(nonces, raw, tokens, strict=True)
        ]
        connection = self._connections.get()
        connection.execute(INSERT, (tokens, sealed))
        self._connections.put(connection)
        return [token.hex() for token in tokens]

    def detokenize(self, tokens: list[str]) -> list[str]:
        """Values in the order of the tokens."""
        raw = [bytes.fromhex(token) for token in tokens]
        connection = self._connections.get()
        found = dict(connection.execute(SELECT, (raw,), binary=True).fetchall())
        self._connections.put(connection)
        decrypt = self._cipher.decrypt
        return [
            decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], token).decode()
            for token, sealed in ((token, found[token]) for token in raw)
        ]


def connect(task: Task) -> psycopg.Connection[Any]:
    """A connection on which every statement is a transaction of its own."""
    return psycopg.connect(
        host=task.folder, port=task.port, user="bench", dbname="postgres", autocommit=True
    )


def run(task: Task) -> Told:
    """Do the task; everything that is answered is checked."""
    values = [value_of(PREFIX, number) for number in range(task.count)]
    keyed = hashlib.blake2b(key=KEY, digest_size=16)
    tokens = []
    for value in values:
        one = keyed.copy()
        one.update(value.encode())
        tokens.append(one.hexdigest())
    order = list(range(task.count))
    if task.seed:
        Random(task.seed).shuffle(order)
    asked, wanted = (values, tokens) if task.action == "tokenize" else (tokens, values)
    batches = in_batches([asked[at] for at in order], task.batch)
    connections: SimpleQueue[psycopg.Connection[Any]] = SimpleQueue()
    with ExitStack() as stack:
        stack.enter_context(connect(task)).execute(SCHEMA)
        for _ in range(task.threads):
            connections.put(stack.enter_context(connect(task)))
        pool = stack.enter_context(ThreadPoolExecutor(task.threads))
        vault = Vault(connections)
        call = vault.tokenize if task.action == "tokenize" else vault.detokenize
        wall, cpu = time.perf_counter(), time.process_time()
        parts = list(pool.map(call, batches))
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    assert [answer for part in parts for answer in part] == [wanted[at] for at in order], "wrong answers"
    return Told(task.count, seconds, cpu_seconds)


def main() -> None:
    """One task from stdin; its result on stdout."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    print(json.dumps(msgspec.to_builtins(run(task))))


if __name__ == "__main__":
    main()
