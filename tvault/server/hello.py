"""What a node says of itself before anything else, and why another may refuse it by name.

Whoever knows the cluster secret may connect; whoever has another configuration may not take part.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Annotated

import msgspec

from tvault.errors import VaultError
from tvault.model.secret_names import KEY_ID_PATTERN
from tvault.replication.bounds import Boot, Life, Name
from tvault.replication.codec import FORMAT
from tvault.replication.view import MOST_NODES

HEADER = "Tvault-Hello"
"""The header that carries a `Hello` as JSON."""

NodeName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
"""What a log may quote."""

KeyId = Annotated[str, msgspec.Meta(pattern=rf"\A{KEY_ID_PATTERN}\Z")]
Fingerprint = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{16}\Z")]
Fingerprints = Annotated[dict[KeyId, Fingerprint], msgspec.Meta(max_length=64)]
"""Master keys by id, no more than a configuration may have."""


class Hello(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node's name and life, and what all nodes must have in common.

    `keys` is the fingerprint of the token key, `master` the id of the active master key, `fields` a
    digest of the configured paths.  `masters` are those master keys that it could read: each side may
    have some that the other has not.  `owners`, a digest of the owners' names, may differ for a while,
    so that a rolling restart can add one.
    """

    cluster: Name
    ensemble: Annotated[tuple[NodeName, ...], msgspec.Meta(max_length=MOST_NODES)]
    fields: Name
    keys: Name
    master: KeyId
    masters: Fingerprints
    node: NodeName
    incarnation: Name
    boot: Boot
    life: Life
    owners: Name
    format: int = FORMAT

    def refusal(self, other: Hello) -> str | None:
        """Why `other` may not talk to this node, naming both, or None."""
        for name, mine, theirs in (
            ("cluster", self.cluster, other.cluster),
            ("message format", self.format, other.format),
            ("ensemble", self.ensemble, other.ensemble),
            ("field list", self.fields, other.fields),
            ("token key", self.keys, other.keys),
            ("active master key", self.master, other.master),
        ):
            if mine != theirs:
                return f"node {other.node} has another {name} than node {self.node}"
        key_id = other_master_key(self.masters, other.masters)
        if key_id is not None:
            other_key = f"another key under the master key id {key_id!r}"
            return f"node {other.node} has {other_key} than node {self.node}"
        if other.node == self.node or other.node not in self.ensemble:
            return f"node {other.node} is not another node of the ensemble"
        return None


class _Version(msgspec.Struct, frozen=True):
    """What every version's hello holds, whatever else is in it."""

    node: NodeName
    format: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]


# Made before there are threads: two at once that are msgspec's first to decode a type crash the process.
_hellos = msgspec.json.Decoder(Hello)
_versions = msgspec.json.Decoder(_Version)


def digest_of_names(names: Iterable[str]) -> str:
    """Equal for equal lists of field paths or owners, in whatever order they were configured."""
    text = json.dumps(sorted(names))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def other_master_key(mine: Mapping[str, str], theirs: Mapping[str, str]) -> str | None:
    """The first id under which both sides have a master key, but not the same, or None."""
    shared = sorted(mine.keys() & theirs.keys())
    return next((key_id for key_id in shared if mine[key_id] != theirs[key_id]), None)


def encode_hello(hello: Hello) -> str:
    """The header's text, ASCII."""
    return json.dumps(msgspec.to_builtins(hello), separators=(",", ":"))


def decode_hello(text: str | None) -> Hello:
    """The hello in a header.  Raises `VaultError` `malformed`; for one of another version, which may
    hold other things, by name."""
    raw = (text or "").encode("latin-1", "replace")
    try:
        return _hellos.decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        pass
    refusal = "The request carries no hello of a node."
    with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
        other = _versions.decode(raw)
        if other.format != FORMAT:
            refusal = f"node {other.node} has another message format ({other.format}, here {FORMAT})"
    raise VaultError("malformed", refusal)


def check_credential(header: str | None, *credentials: str) -> None:
    """Raise `VaultError` `unauthorized` unless the header bears one of the credentials; each is compared
    in full, whichever one matches."""
    kind, _, presented = (header or "").partition(" ")
    digest = _digest(presented.strip())
    equal = [hmac.compare_digest(digest, _digest(credential)) for credential in credentials]
    if kind.lower() != "bearer" or not any(equal):
        raise VaultError("unauthorized", "This port needs the cluster's credential.")


def _digest(text: str) -> bytes:
    """Of one length for every text: comparing takes the same time, whatever was presented."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
