"""Owners and the API keys that stand for them.  Only hashes of API keys are configured."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Final

API_KEY_PREFIX: Final = "tvk_"

API_KEY_RANDOM_BYTES: Final = 32

MAX_OWNER_CHARACTERS: Final = 128

_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


def valid_owner_id(text: str) -> bool:
    """Whether `text` may name an owner: 1 to 128 printable characters, no blank at either end.

    Control characters, lone surrogates and blanks other than the space are not printable.
    """
    return 1 <= len(text) <= MAX_OWNER_CHARACTERS and text.isprintable() and text == text.strip()


def new_api_key(random: bytes) -> str:
    """The API key of 32 random bytes: `tvk_` and 43 characters of base64url (RFC 4648), no padding."""
    if len(random) != API_KEY_RANDOM_BYTES:
        raise ValueError(f"an API key is made of {API_KEY_RANDOM_BYTES} random bytes")
    return API_KEY_PREFIX + urlsafe_b64encode(random).rstrip(b"=").decode()


def hash_api_key(text: str) -> str:
    """What is configured of an API key: `sha256:` and 64 lower-case hex digits.

    An API key has 256 random bits, so a plain hash cannot be searched.
    """
    return "sha256:" + sha256(text.encode(errors="surrogatepass")).hexdigest()


def valid_api_key_hash(text: str) -> bool:
    """Whether `text` has the form that `hash_api_key` gives."""
    return _HASH.fullmatch(text) is not None


class OwnerTable:
    """Which owner an API key stands for.

    Raises `ValueError` for an owner id or a hash that is not valid, and for one hash at two owners.
    """

    __slots__ = ("_hashes", "owners")

    def __init__(self, hashes: Mapping[str, Sequence[str]]) -> None:
        pairs: list[tuple[bytes, str]] = []
        for owner, of_owner in hashes.items():
            if not valid_owner_id(owner):
                raise ValueError("not a valid owner id")
            for text in of_owner:
                if not valid_api_key_hash(text):
                    raise ValueError(f"owner {owner!r}: not the hash of an API key")
                pairs.append((text.encode(), owner))
        if len({text for text, _ in pairs}) != len(pairs):
            raise ValueError("the same API key stands twice")
        self._hashes: Final = tuple(pairs)
        self.owners: Final = frozenset(hashes)

    def owner_of(self, presented: str) -> str | None:
        """The owner whose API key `presented` is, or None.

        Every configured hash is compared in full, whichever one matches, so that the time taken tells
        nothing about how close a guess came or whose key it was.
        """
        digest = hash_api_key(presented).encode()
        found: str | None = None
        for text, owner in self._hashes:
            matches = compare_digest(text, digest)
            found = owner if matches else found
        return found

    def __repr__(self) -> str:
        return f"<OwnerTable of {len(self.owners)} owners>"
