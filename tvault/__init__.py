"""A distributed token vault: deterministic tokens, kept on a chain of durable nodes.

`Vault` is the library of its users; what a call refuses is a `VaultError`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tvault.client.answers import (
        Detokenized,
        DetokenizedJson,
        DetokenizedRecords,
        EnvEncrypted,
        Journal,
        MissingField,
        Retokenized,
        Rotated,
        Secret,
        SecretDeleted,
        SecretPut,
        SecretVersion,
        Status,
        StoredSecret,
        Tokenized,
        TokenizedJson,
        TokenizedRecords,
        Value,
    )
    from tvault.client.vault import Vault
    from tvault.errors import FieldError, VaultError

__all__ = [
    "Detokenized",
    "DetokenizedJson",
    "DetokenizedRecords",
    "EnvEncrypted",
    "FieldError",
    "Journal",
    "MissingField",
    "Retokenized",
    "Rotated",
    "Secret",
    "SecretDeleted",
    "SecretPut",
    "SecretVersion",
    "Status",
    "StoredSecret",
    "Tokenized",
    "TokenizedJson",
    "TokenizedRecords",
    "Value",
    "Vault",
    "VaultError",
]

_HOMES = {
    "FieldError": "tvault.errors",
    "Vault": "tvault.client.vault",
    "VaultError": "tvault.errors",
}


def __getattr__(name: str) -> object:
    """The library, loaded when it is first used: a node and the help of a command go without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_HOMES.get(name, "tvault.client.answers")), name)
    globals()[name] = found
    return found
