"""The master keys of a process, and whether they are those that sealed what a node holds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from tvault.errors import VaultError
from tvault.model.blocks import SealBroken
from tvault.model.commands import SecretVersion
from tvault.model.secrets import KeyUnavailable, MasterKeys

_NO_SECTION: Final = "there is no [[master_key]] with this id"
_OTHER_KEY: Final = "it is not the key that sealed the secrets of this node"

_log = logging.getLogger("tvault.serve")


class Record(Protocol):
    """Notes an event."""

    def __call__(self, event: str, *, key_id: str) -> object:
        """Note it."""


def tried(masters: MasterKeys, samples: Iterable[SecretVersion]) -> tuple[MasterKeys, dict[str, str]]:
    """The keys without those that do not open what they should have sealed, and of each that is missing
    why.  `samples` holds a version for each id that any has.

    Raises `VaultError` (`configuration`) when the active key is not the one that sealed a version.
    """
    missing: dict[str, str] = {}
    for sample in samples:
        key_id = sample.sealed.key_id
        try:
            masters.open(sample.owner, sample.name, sample.version, sample.sealed)
        except SealBroken:
            continue  # the right key: damage is found and repaired elsewhere
        except KeyUnavailable:
            missing[key_id] = _OTHER_KEY if key_id in masters.fingerprints() else _NO_SECTION
    if masters.active in missing:
        why = f"[[master_key]] {masters.active!r} key: {_OTHER_KEY}"
        raise VaultError("configuration", f"{why}; it is the active one ([keys] master)")
    for key_id in missing:
        masters = masters.without(key_id)
    return masters, missing


def warn_of_missing(missing: Mapping[str, str], record: Record) -> None:
    """Say in the log and the events which master keys are not there."""
    effect = "secrets that it sealed are answered 503 key_unavailable"
    for key_id, why in sorted(missing.items()):
        _log.warning("the master key %r is missing: %s; %s", key_id, why, effect)
        record("key-missing", key_id=key_id)
