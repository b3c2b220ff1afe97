"""The page of what is stored, held against the folder of a real node, and read by what it says alone."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from tests.cluster.cluster import Cluster
from tests.docs.pages import page_called, read, tables
from tvault.model.secrets import WRAPPED_BYTES
from tvault.replication.entry import ORIGIN, Position
from tvault.replication.promise import KnownLife, Promise
from tvault.store import backup, runs
from tvault.store.promise import SLOT_BYTES
from tvault.store.tables import MIGRATIONS

PAGE = read(page_called("storage"))
VALUES = ["078-05-1120", 4711, 1.5, True]
CANONICAL = [b"s078-05-1120", b"i4711", b"f" + struct.pack(">d", 1.5), b"b1"]
TOLD = "n3w, and löng"
IDEMPOTENCY_KEY = "deploy-17"


class Vault(NamedTuple):
    """The stopped folder of a node, its keys, and what was written to it."""

    folder: Path
    token_key: bytes
    master_key: bytes
    tokens: list[str]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """A vault of one node with tokens of two epochs and a secret that had two versions, stopped."""
    with Cluster(tmp_path_factory.mktemp("storage") / "vault", nodes=1) as cluster:
        cluster.start()
        cluster.wait_until_healthy()
        tokens = cluster.tokenize("n1", VALUES)
        assert cluster.post("n1", "/rotate-epoch", {"to": 2}).status_code == 200
        cluster.tokenize("n1", VALUES[:1])
        for value, named in (("s3cret", IDEMPOTENCY_KEY), (TOLD, "another")):
            cluster.ask("n1", "PUT", "/secrets/DB", {"value": value}, Idempotency_Key=named)
        cluster.ask("n1", "DELETE", "/secrets/DB")
        keys = cluster.folder / "keys"
        token, master = (
            bytes.fromhex((keys / name).read_text()) for name in ("token.key", "master-m1.key")
        )
        cluster.kill("n1")
        yield Vault(cluster.data("n1"), token, master, tokens)


def rows(vault: Vault, statement: str) -> list[Any]:
    with closing(
        sqlite3.connect(f"file:{vault.folder / 'journal.sqlite'}?mode=ro", uri=True)
    ) as database:
        return database.execute(statement).fetchall()


def select(columns: str, table: str) -> str:
    return f"SELECT {columns} FROM {table} ORDER BY id"  # noqa: S608


# What the page says of forms.


def test_the_tables_of_a_node_have_the_columns_of_the_page(vault: Vault) -> None:
    told = dict(
        zip(
            re.findall(r"^\*\*`(\w+)`\*\*", PAGE, re.MULTILINE),
            [
                [tuple(cell.strip("`") for cell in row[:2]) for row in found]
                for head, *found in tables(PAGE)
                if head[0] == "column"
            ],
            strict=True,
        )
    )
    names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    real = {
        name: [(column, kind) for _, column, kind, *_ in rows(vault, f"PRAGMA table_info({name})")]
        for (name,) in rows(vault, names)
    }
    assert told == real


def test_the_files_of_a_node_are_those_of_the_page(vault: Vault) -> None:
    (listed,) = (found for head, *found in tables(PAGE) if head[0] == "file")
    told = [name for row in listed for name in re.findall(r"`([^`]+)`", row[0])]
    real = {str(path.relative_to(vault.folder)) for path in vault.folder.rglob("*") if path.is_file()}
    fits = [re.compile(re.escape(name.rstrip("/")).replace("…", ".*")) for name in told]
    assert [name for name in real if not any(each.fullmatch(name) for each in fits)] == []
    assert {"journal.sqlite", "promise", "index/masks", "events.jsonl", "lock"} <= real


def test_versions_and_lengths_are_those_of_the_code(vault: Vault) -> None:
    assert f"`user_version` {len(MIGRATIONS)}" in PAGE
    assert f"schema {len(MIGRATIONS)}" in PAGE
    assert rows(vault, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    (number,) = rows(vault, "PRAGMA application_id")[0]
    assert f"`application_id` 0x{number:08x}" in PAGE
    assert f"Two slots of {SLOT_BYTES} bytes" in PAGE
    assert f"`manifest.json`: format {backup.FORMAT};" in PAGE
    assert f"| {runs._HEAD_BYTES} | head: `{runs._MAGIC.decode().strip()}`" in PAGE
    assert f"| `wrapped_key` | BLOB | {WRAPPED_BYTES} bytes |" in PAGE


def test_the_fields_of_a_promise_are_those_of_the_page(vault: Vault) -> None:
    (listed,) = (found for head, *found in tables(PAGE) if head[0] == "field")
    told = [name for row in listed for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(told) == sorted(Promise.__struct_fields__)
    slots = (vault.folder / "promise").read_bytes()
    assert len(slots) == 2 * SLOT_BYTES
    fields: list[dict[str, Any]] = []
    for slot in (slots[:SLOT_BYTES], slots[SLOT_BYTES:]):
        magic, version, _, _, length = struct.unpack_from(">8sHBxQI", slot)
        assert (magic, version) == (b"tvprmise", 1)
        assert (
            slot[-32:] == hashlib.blake2b(slot[:-32], digest_size=32, person=b"tvault promise").digest()
        )
        fields.append(msgspec.msgpack.decode(slot[24 : 24 + length]))
    assert sorted(fields[0]) == sorted(told)
    assert fields[0]["standing"] == 2
    assert len(KnownLife.__struct_fields__) == 4


# Read by what the page says alone.


def info(label: str) -> tuple[str, list[str]]:
    """The label of a derivation, and what else is framed, as the page has them."""
    (inside,) = re.findall(rf'`frame\(("{label}".*?)\)`', PAGE.replace("\n  ", " "))
    first, *rest = inside.split(", ")
    return first.strip('"'), rest


def frame(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def framed(label: str, **of: str | int) -> bytes:
    first, rest = info(label)
    parts = [of[name] for name in rest]
    return frame(
        first.encode(), *(p.encode() if isinstance(p, str) else struct.pack(">Q", p) for p in parts)
    )


def expand(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key)


def test_what_a_node_wrote_opens_by_the_page_alone(vault: Vault) -> None:
    found = {}
    for owner, epoch, digests, sealed in rows(vault, "SELECT owner, epoch, digests, sealed FROM block"):
        key = expand(vault.token_key, framed("tvault 1 seal", owner=owner, epoch=epoch))
        binding = framed("tvault 1 block", owner=owner, epoch=epoch) + digests
        plaintext = AESGCM(key).decrypt(sealed[:12], sealed[12:], binding)
        count = len(digests) // 16
        table = 4 * count
        ends = [0, *struct.unpack_from(f">{count}I", plaintext)]
        for place in range(count):
            token = f"tv1_{epoch}_{digests[16 * place : 16 * place + 16].hex()}"
            found[token] = plaintext[table + ends[place] : table + ends[place + 1]]
            digest_key = expand(vault.token_key, framed("tvault 1 digest", owner=owner, epoch=epoch))
            hashed = hashlib.blake2b(
                found[token], key=digest_key, digest_size=16, person=b"tvault token"
            )
            assert token.endswith(hashed.hexdigest())
    assert [found[token] for token in vault.tokens] == CANONICAL
    assert len(found) == len(VALUES) + 1
    columns = "owner, name, version, key_id, nonce, wrapped_key, ciphertext"
    (_, newest) = rows(vault, select(columns, "secret_version"))
    owner, name, version, key_id, nonce, wrapped, ciphertext = newest
    data_key = aes_key_unwrap(expand(vault.master_key, framed("tvault 1 wrap", key_id=key_id)), wrapped)
    binding = framed("tvault 1 secret", owner=owner, name=name, version=version)
    assert AESGCM(data_key).decrypt(nonce, ciphertext, binding).decode() == TOLD


def test_digests_and_guards_are_what_the_page_says(vault: Vault) -> None:
    previous = bytes(32)
    for seq, view, kind, digest, committed, guard in rows(
        vault, "SELECT seq, view, kind, digest, committed, guard FROM entry ORDER BY seq"
    ):
        body = body_of(vault, seq, kind)
        state = hashlib.blake2b(previous, digest_size=32, person=b"tvault journal")
        state.update(struct.pack(">QQBQ", view, seq, kind, len(body)) + body)
        assert state.digest() == digest
        hint = digest + struct.pack(">Q", committed)
        assert hashlib.blake2b(hint, digest_size=8, person=b"tvault hint").digest() == guard
        previous = digest
    for table, person, columns in (
        (
            "secret_version",
            b"tvault version",
            "seq, owner, name, version, valid_from, key_id, nonce, wrapped_key, checksum",
        ),
        ("secret_end", b"tvault end", "seq, owner, name, version, valid_to"),
        ("secret_request", b"tvault request", "seq, owner, request, fingerprint, done"),
    ):
        written = rows(vault, select(f"{columns}, guard", table))
        assert written != []
        for *row, guard in written:
            packed = msgspec.msgpack.encode(row)
            assert hashlib.blake2b(packed, digest_size=8, person=person).digest() == guard


def test_requests_and_masks_are_hashed_as_the_page_says(vault: Vault) -> None:
    (name,) = rows(vault, "SELECT request FROM secret_request ORDER BY id LIMIT 1")[0]
    key = expand(vault.token_key, framed("tvault 1 request", owner="A"))
    asked = frame(b"name", IDEMPOTENCY_KEY.encode())
    assert name == hashlib.blake2b(asked, key=key, digest_size=16, person=b"tvault request").digest()
    masks = (vault.folder / "index" / "masks").read_bytes()
    assert masks[16:] == hashlib.blake2b(masks[:16], digest_size=8, person=b"tvault masks").digest()


def test_a_run_is_laid_out_as_the_page_says(tmp_path: Path) -> None:
    last = Position(3, 1, bytes(32))
    stretch = runs.Stretch(ORIGIN, last, 2, 1, 7, bytes(8), bytes(8))
    high, low = np.array([1, 2**63], dtype=np.uint64), np.array([5, 6], dtype=np.uint64)
    writer = runs.RunWriter(tmp_path, stretch)
    writer.put(runs.Columns(high, low, np.array([7 * 65536, 7 * 65536 + 1], dtype=np.int64)))
    path = writer.finish().path
    assert path.name == f"{0:020d}-{3:020d}.run"
    raw = path.read_bytes()
    total, length = struct.unpack_from(">II", raw, 8)
    body = raw[16 : 16 + length]
    assert (raw[:8], total) == (b"tvrun 2\n", zlib.crc32(body))
    told, n, sums = msgspec.msgpack.decode(body)
    assert told[:5] == [[0, 0, bytes(32)], [3, 1, bytes(32)], 2, 1, 7]
    assert struct.unpack_from("<6Q", raw, 512) == (1, 2**63, 5, 6, 7 * 65536, 7 * 65536 + 1)
    assert len(raw) == 512 + 6 * 8 + 8 * 2**n
    assert sums == [zlib.crc32(raw[at : at + 16]) for at in (512, 528, 544)] + [zlib.crc32(raw[560:])]


def body_of(vault: Vault, seq: int, kind: int) -> bytes:
    """The body of an entry, rebuilt from its rows."""
    if not kind:
        return b""

    def of(table: str, columns: str) -> list[list[Any]]:
        found = rows(vault, select(f"seq, {columns}", table))
        return [list(rest) for its, *rest in found if its == seq]

    versions = [
        [*row[:4], row[4:]]
        for row in of(
            "secret_version",
            "owner, name, version, valid_from, ciphertext, nonce, wrapped_key, key_id",
        )
    ]
    ends = of("secret_end", "owner, name, version, valid_to")
    requests = [
        [*row[:3], msgspec.msgpack.decode(row[3])]
        for row in of("secret_request", "owner, request, fingerprint, done")
    ]
    body: list[Any] = [of("epoch", "owner, epoch"), of("block", "owner, epoch, digests, sealed")]
    if versions or ends or requests:
        body += [versions, ends, requests]
    return msgspec.msgpack.encode(body)
