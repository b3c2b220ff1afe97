"""What a node says of itself before anything else, and why another may refuse it by name.

Whoever knows the cluster secret may connect; whoever has another configuration may not take part.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable

import msgspec

from tvault.errors import VaultError
from tvault.replication.codec import FORMAT

HEADER = "Tvault-Hello"
"""The header that carries a `Hello` as JSON."""


class Hello(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node's name and life, and what all nodes must have in common.

    `keys` is the fingerprint of the token key, `fields` a digest of the configured paths.  `owners`, a
    digest of the owners' names, may differ for a while, so that a rolling restart can add one.
    """

    cluster: str
    ensemble: tuple[str, ...]
    fields: str
    keys: str
    node: str
    incarnation: str
    boot: int
    life: str
    owners: str
    format: int = FORMAT

    def refusal(self, other: Hello) -> str | None:
        """Why `other` may not talk to this node, naming both, or None."""
        for name, mine, theirs in (
            ("cluster", self.cluster, other.cluster),
            ("message format", self.format, other.format),
            ("ensemble", self.ensemble, other.ensemble),
            ("field list", self.fields, other.fields),
            ("token key", self.keys, other.keys),
        ):
            if mine != theirs:
                return f"node {other.node} has another {name} than node {self.node}"
        if other.node == self.node or other.node not in self.ensemble:
            return f"node {other.node} is not another node of the ensemble"
        return None


def digest_of_names(names: Iterable[str]) -> str:
    """Equal for equal lists of field paths or owners, in whatever order they were configured."""
    text = json.dumps(sorted(names))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def encode_hello(hello: Hello) -> str:
    """The header's text, ASCII."""
    return json.dumps(msgspec.to_builtins(hello), separators=(",", ":"))


def decode_hello(text: str | None) -> Hello:
    """The hello in a header.  Raises `VaultError` `malformed`."""
    try:
        return msgspec.json.decode((text or "").encode("latin-1"), type=Hello)
    except (msgspec.DecodeError, UnicodeError):
        raise VaultError("malformed", "The request carries no hello of a node.") from None


def check_credential(header: str | None, credential: str) -> None:
    """Raise `VaultError` `unauthorized` unless the header bears the cluster's credential."""
    kind, _, presented = (header or "").partition(" ")
    equal = hmac.compare_digest(presented.strip().encode("utf-8", "replace"), credential.encode())
    if kind.lower() != "bearer" or not equal:
        raise VaultError("unauthorized", "This port needs the cluster's credential.")
