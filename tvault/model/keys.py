"""The keys of a cluster: one token key, and what is derived from it for every owner and epoch.

Every derivation is HKDF-SHA256 (RFC 5869) with no salt and an info that says what the key is for.  Its
parts are length-prefixed, so no two purposes, owners or epochs share an info.  Changing anything here
changes every token and makes every stored value unreadable.
"""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tvault.model.commands import DIGEST_BYTES, REQUEST_BYTES

KEY_BYTES: Final = 32
"""Bytes of every derived key, and the fewest that a token key may have."""

_DIGEST: Final = b"tvault 1 digest"
_SEAL: Final = b"tvault 1 seal"
_FINGERPRINT: Final = b"tvault 1 fingerprint"
_DERIVE: Final = b"tvault 1 derive"
_PERSON: Final = b"tvault token"
_REQUEST: Final = b"tvault 1 request"
_REQUEST_PERSON: Final = b"tvault request"


def frame(*parts: bytes) -> bytes:
    """The parts side by side, each behind its 4-byte length: other parts never give the same bytes."""
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def expand(secret: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """So many bytes derived from `secret` for the purpose that `info` names (see `frame`)."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)


def derive(secret: bytes, label: str) -> bytes:
    """32 bytes derived from `secret` for the purpose `label`, from which `secret` cannot be told.

    Raises `ValueError` when the secret is empty.
    """
    if not secret:
        raise ValueError("a secret to derive from must not be empty")
    return expand(secret, frame(_DERIVE, label.encode()))


def peer_credential(cluster_key: bytes) -> str:
    """What opens all of a peer port: for nodes, gateways and operators."""
    return derive(cluster_key, "peer").hex()


def scraper_credential(cluster_key: bytes) -> str:
    """What opens the metrics of nodes and gateways and nothing else: for whoever collects them.  Neither
    the cluster's key nor the peer credential can be told from it."""
    return derive(cluster_key, "metrics").hex()


class Scope:
    """The keys of one owner and epoch: for the digests of tokens, and for sealing values.

    `aead` is AES-256-GCM under a key that seals nothing but blocks of this owner and epoch; `binding`
    names the owner and the epoch without ambiguity.  Any thread may use a scope.
    """

    __slots__ = ("_state", "aead", "binding", "epoch", "owner")

    def __init__(self, token_key: bytes, owner: str, epoch: int) -> None:
        self.owner: Final = owner
        self.epoch: Final = epoch
        self.binding: Final = frame(owner.encode(), struct.pack(">Q", epoch))
        key = expand(token_key, frame(_DIGEST) + self.binding)
        self._state: Final = hashlib.blake2b(key=key, digest_size=DIGEST_BYTES, person=_PERSON)
        self.aead: Final = AESGCM(expand(token_key, frame(_SEAL) + self.binding))

    def digests(self, canonicals: Sequence[bytes]) -> list[bytes]:
        """The 16-byte digests of canonical values, in order: keyed BLAKE2b (RFC 7693)."""
        copy = self._state.copy
        digests: list[bytes] = []
        put = digests.append
        for canonical in canonicals:
            state = copy()
            state.update(canonical)
            put(state.digest())
        return digests

    def __repr__(self) -> str:
        return f"<Scope of {self.owner!r}, epoch {self.epoch}>"


class KeyRing:
    """The token key of a cluster and the scopes derived from it.

    Raises `ValueError` when the key is shorter than 32 bytes.  Keeps the `kept_scopes` scopes that were
    used last and derives the others anew.  Any thread may use it.
    """

    __slots__ = ("_kept", "_lock", "_scopes", "_token_key")

    def __init__(self, token_key: bytes, kept_scopes: int = 1024) -> None:
        if len(token_key) < KEY_BYTES:
            raise ValueError(f"a token key must have {KEY_BYTES} bytes or more")
        self._token_key: Final = bytes(token_key)
        self._kept: Final = kept_scopes
        self._scopes: Final[OrderedDict[tuple[str, int], Scope]] = OrderedDict()
        self._lock: Final = Lock()

    def scope(self, owner: str, epoch: int) -> Scope:
        """The keys of `owner` (without lone surrogates) in `epoch`."""
        name = (owner, epoch)
        with self._lock:
            scope = self._scopes.get(name)
            if scope is not None:
                self._scopes.move_to_end(name)
                return scope
        scope = Scope(self._token_key, owner, epoch)
        with self._lock:
            self._scopes[name] = scope
            self._scopes.move_to_end(name)
            while len(self._scopes) > self._kept:
                self._scopes.popitem(last=False)
        return scope

    def request_hash(self, owner: str, *parts: bytes) -> bytes:
        """16 bytes for what a request of `owner` asks, or for its name: keyed BLAKE2b (RFC 7693).

        Other parts give another hash, and without the token key nobody can tell which give the same.
        """
        key = expand(self._token_key, frame(_REQUEST, owner.encode()))
        state = hashlib.blake2b(key=key, digest_size=REQUEST_BYTES, person=_REQUEST_PERSON)
        state.update(frame(*parts))
        return state.digest()

    def fingerprint(self, purpose: str = "ring") -> str:
        """16 hex digits that differ when the token key differs and tell nothing else: safe to show."""
        return expand(self._token_key, frame(_FINGERPRINT, purpose.encode()), length=8).hex()

    def __repr__(self) -> str:
        return "<KeyRing>"
