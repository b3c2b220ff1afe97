"""Secrets at rest: each version under a data key of its own, which a master key wraps.

A version is one AES-256-GCM message (NIST SP 800-38D) under a fresh random data key, bound to the owner,
the name and the version.  The data key is stored beside it, wrapped by AES key wrap (RFC 3394) under a
key that HKDF derives from the configured master key and its id.  So versions share no key and no nonce,
a record cannot stand in another's place nor name another master key, and a leaked data key opens one
version alone.

New versions are sealed under the active master key; older ones only open what they once sealed.
Changing anything here makes every stored secret unreadable.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from tvault.model.blocks import NONCE_BYTES, SealBroken
from tvault.model.commands import Sealed
from tvault.model.keys import KEY_BYTES, expand, frame

_SECRET: Final = b"tvault 1 secret"
_WRAP: Final = b"tvault 1 wrap"
_FINGERPRINT: Final = b"tvault 1 master fingerprint"
_TAG_BYTES: Final = 16
WRAPPED_BYTES: Final = KEY_BYTES + 8
"""Bytes of a wrapped data key: AES key wrap adds 8."""


def sealed_size(value: bytes) -> int:
    """How many bytes the ciphertext of a value has."""
    return len(value) + _TAG_BYTES


class KeyUnavailable(Exception):
    """A version cannot be opened, for the master key of this id is not there, or is not the one that
    wrapped its data key."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the master key {key_id!r} is not available")
        self.key_id: Final = key_id


class MasterKeys:
    """The master keys of a cluster, of which the `active` one seals.

    `random` gives so many bytes that nobody can tell.  Raises `ValueError` when a key is shorter than
    32 bytes, or the active one is not among them.  Any thread may use it.
    """

    __slots__ = ("_fingerprints", "_keys", "_random", "_wrapping", "active")

    def __init__(self, active: str, keys: Mapping[str, bytes], random: Callable[[int], bytes]) -> None:
        if active not in keys:
            raise ValueError("the active master key must be among the master keys")
        if any(len(key) < KEY_BYTES for key in keys.values()):
            raise ValueError(f"a master key must have {KEY_BYTES} bytes or more")
        self.active: Final = active
        self._keys: Final = dict(keys)
        self._random: Final = random
        self._wrapping: Final = {
            key_id: expand(key, frame(_WRAP, key_id.encode())) for key_id, key in keys.items()
        }
        self._fingerprints: Final = {
            key_id: expand(key, frame(_FINGERPRINT, key_id.encode()), length=8).hex()
            for key_id, key in keys.items()
        }

    def seal(self, owner: str, name: str, version: int, value: bytes) -> Sealed:
        """The value as it is stored, under a new data key, which the active master key wraps."""
        data_key, nonce = self._random(KEY_BYTES), self._random(NONCE_BYTES)
        assert len(data_key) == KEY_BYTES, "a data key of another length"
        assert len(nonce) == NONCE_BYTES, "a nonce of another length"
        binding = _binding(owner, name, version)
        return Sealed(
            ciphertext=AESGCM(data_key).encrypt(nonce, value, binding),
            nonce=nonce,
            wrapped_key=aes_key_wrap(self._wrapping[self.active], data_key),
            key_id=self.active,
        )

    def open(self, owner: str, name: str, version: int, sealed: Sealed) -> bytes:
        """The value of this version of a secret.

        Raises `KeyUnavailable` when the master key that it names is not there or another one, and
        `SealBroken` for a record of another owner, name or version, or of damaged bytes.
        """
        if len(sealed.wrapped_key) != WRAPPED_BYTES or len(sealed.nonce) != NONCE_BYTES:
            raise SealBroken("a secret's wrapped key or nonce has a wrong length")
        if len(sealed.ciphertext) < _TAG_BYTES:
            raise SealBroken("a secret's ciphertext is too short")
        wrapping = self._wrapping.get(sealed.key_id)
        if wrapping is None:
            raise KeyUnavailable(sealed.key_id)
        try:
            data_key = aes_key_unwrap(wrapping, sealed.wrapped_key)
        except InvalidUnwrap:
            raise KeyUnavailable(sealed.key_id) from None
        binding = _binding(owner, name, version)
        try:
            return AESGCM(data_key).decrypt(sealed.nonce, sealed.ciphertext, binding)
        except InvalidTag:
            raise SealBroken("a secret does not open as this version of this name") from None

    def fingerprints(self) -> dict[str, str]:
        """For every master key, by id, 16 hex digits that differ when the key differs and tell nothing
        else: safe to show."""
        return dict(self._fingerprints)

    def without(self, key_id: str) -> MasterKeys:
        """These keys but for one, which is not the active one."""
        assert key_id != self.active, "the active master key seals"
        kept = {other: key for other, key in self._keys.items() if other != key_id}
        return MasterKeys(self.active, kept, self._random)

    def __repr__(self) -> str:
        return "<MasterKeys>"


def _binding(owner: str, name: str, version: int) -> bytes:
    """What a ciphertext is bound to, without ambiguity.  The key that wraps its data key is bound to the
    master key's id, so that data keys can be wrapped anew without touching what they encrypt."""
    return frame(_SECRET, owner.encode(), name.encode(), struct.pack(">Q", version))
