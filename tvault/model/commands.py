"""What can be written to the vault, and the rows that a write becomes.

A *command* is one request's write.  The head judges commands (`model.rules`) and gathers the rows of
those it admits into one entry; the chain carries the encoded rows as opaque bytes, and every store
turns them back into the same rows.  `encode_rows(decode_rows(body)) == body` for every body written
by `encode_rows`: a store keeps rows only, and rebuilds an entry's bytes from them.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")

DIGEST_BYTES = 16
"""Bytes of a token's keyed hash."""

BLOCK_VALUES = 32
"""Most values in one block, so that a random read opens about 2 kB."""

REQUEST_BYTES = 16
"""Bytes of the name of a request that writes secrets, and of its fingerprint."""


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Values of one owner and epoch, from one request, sealed together.

    `digests` holds the tokens' 16-byte digests side by side, in the order of the sealed values;
    `sealed` is the ciphertext (see `model.blocks`).
    """

    owner: str
    epoch: int
    digests: bytes
    sealed: bytes

    def __len__(self) -> int:
        """How many values the block holds."""
        return len(self.digests) // DIGEST_BYTES


class EpochStart(msgspec.Struct, frozen=True, array_like=True):
    """From this entry on `epoch` is the owner's active epoch.  Epoch 1 has no row."""

    owner: str
    epoch: int


class Sealed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A secret value at rest: encrypted under a data key of its own, which is wrapped by the master key
    `key_id` (see `model.secrets`)."""

    ciphertext: bytes
    nonce: bytes
    wrapped_key: bytes
    key_id: str


class SecretVersion(msgspec.Struct, frozen=True, array_like=True):
    """From `valid_from` on, in microseconds since 1970 (UTC), the secret has this value."""

    owner: str
    name: str
    version: int
    valid_from: int
    sealed: Sealed


class SecretEnd(msgspec.Struct, frozen=True, array_like=True):
    """From `valid_to` on, in microseconds since 1970 (UTC), the version is no longer valid, and none is
    until another one begins."""

    owner: str
    name: str
    version: int
    valid_to: int


class Done(msgspec.Struct, frozen=True, array_like=True):
    """What a request has come to for one secret: its version, and whether the request began or ended it
    (else it was so already)."""

    name: str
    version: int
    is_changed: bool


class SecretRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request was carried out, whole: asked again, it gets the same answer.

    `request` is the keyed hash of the idempotency key, `fingerprint` that of all it asks for.
    """

    owner: str
    request: bytes
    fingerprint: bytes
    done: tuple[Done, ...]


class Mint(msgspec.Struct, frozen=True, array_like=True, tag="mint"):
    """Write these blocks, all of one owner and of the epoch that the writer believes active."""

    owner: str
    epoch: int
    blocks: tuple[Block, ...]


class Rotate(msgspec.Struct, frozen=True, array_like=True, tag="rotate"):
    """Make `to` the owner's active epoch; it must be the successor of the newest."""

    owner: str
    to: int


class Put(msgspec.Struct, frozen=True, array_like=True, tag="put"):
    """Begin the version that follows `newest`, the newest that the secret ever had (0: none), and which
    is still valid if `is_live`."""

    name: str
    newest: int
    is_live: bool
    sealed: Sealed


class Keep(msgspec.Struct, frozen=True, array_like=True, tag="keep"):
    """Change nothing: version `newest` is the newest, still valid, and has the value asked for."""

    name: str
    newest: int


class End(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """End the validity of version `newest`, which is the newest and still valid."""

    name: str
    newest: int


Change = Put | Keep | End


class WriteSecrets(msgspec.Struct, frozen=True, array_like=True, tag="write-secrets"):
    """Make all these changes to secrets of one owner, unless one of them is not about the secret as it
    is, or the request was carried out before."""

    owner: str
    request: bytes
    fingerprint: bytes
    changes: tuple[Change, ...]


Command = Mint | Rotate | WriteSecrets


class Rows(msgspec.Struct, frozen=True, array_like=True):
    """The rows of one entry, by table, each table in the order of judging."""

    epochs: tuple[EpochStart, ...] = ()
    blocks: tuple[Block, ...] = ()
    versions: tuple[SecretVersion, ...] = ()
    ends: tuple[SecretEnd, ...] = ()
    requests: tuple[SecretRequest, ...] = ()

    @property
    def brings_secrets(self) -> bool:
        """Whether there are rows about secrets: every change of one comes with its request."""
        return bool(self.requests or self.versions or self.ends)

    def __len__(self) -> int:
        """How many rows there are in all tables."""
        return sum(map(len, (self.epochs, self.blocks, self.versions, self.ends, self.requests)))


_encoder = msgspec.msgpack.Encoder()
_rows_decoder = msgspec.msgpack.Decoder(Rows)
_command_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)


def encode_command(command: Command) -> bytes:
    """The command as it travels to the head."""
    return _encoder.encode(command)


def decode_command(body: bytes) -> Command:
    """The command in `body`.  Raises `msgspec.DecodeError`."""
    return decoded(_command_decoder, body)


def decoded(decoder: msgspec.msgpack.Decoder[T], body: bytes) -> T:
    """What `decoder` reads; text that is no UTF-8, too, raises `msgspec.DecodeError`."""
    try:
        return decoder.decode(body)
    except UnicodeDecodeError:
        raise msgspec.DecodeError("text that is not UTF-8") from None


def encode_rows(rows: Rows) -> bytes:
    """The body of an entry that brings `rows`: the tables of secrets are left out when all are empty."""
    return _encoder.encode(rows if rows.brings_secrets else (rows.epochs, rows.blocks))


def decode_rows(body: bytes) -> Rows:
    """The rows of an entry's body.  The empty body (a barrier) has none.

    Raises `msgspec.DecodeError` (or its subclass `ValidationError`) for anything else that
    `encode_rows` did not write.
    """
    if not body:
        return Rows()
    return decoded(_rows_decoder, body)
