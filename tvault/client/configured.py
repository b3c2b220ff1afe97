"""Which parts of a table are configured fields, as the cluster itself says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tvault.client.vault import Vault
from tvault.model.fields import EACH, FieldPath, parse_path

MOST_RECORDS = 1000

_LEAF = "x"
# A key in quotes, which may hold anything, or the number of an element.
_QUOTED_OR_NUMBER = re.compile(r'("(?:[^"\\]|\\.)*")|\[\d+\]')


def configured_fields(vault: Vault, paths: Iterable[FieldPath]) -> set[FieldPath]:
    """Those of `paths` that `tvault.toml` of the cluster names as fields.

    The cluster is asked to detokenize what is no token at each path: it says where a token was expected.
    Nothing is stored, and no value is sent.  Raises `VaultError`.
    """
    asked = list(dict.fromkeys(paths))
    found: set[FieldPath] = set()
    for first in range(0, len(asked), MOST_RECORDS):
        some = asked[first : first + MOST_RECORDS]
        answer = vault.detokenize_records([_record(path) for path in some])
        told = {(missing.record, _without_numbers(missing.field)) for missing in answer.not_found}
        found.update(path for at, path in enumerate(some) if (at, str(path)) in told)
    return found


def configured_columns(vault: Vault, names: Iterable[str]) -> list[str]:
    """Those of the columns `names` of a flat table that are configured fields: a column `patient.mrn` is
    the field `patient.mrn`.  Raises `VaultError`."""
    meant = {name: _meant_by(name) for name in names}
    fields = configured_fields(vault, (path for paths in meant.values() for path in paths))
    return [name for name, paths in meant.items() if any(path in fields for path in paths)]


def field_meant_by(name: str) -> str:
    """What a column may have been meant to be called: without blanks around it, in small letters."""
    return name.strip().lower()


def _meant_by(name: str) -> list[FieldPath]:
    try:
        return [FieldPath((name,)), parse_path(name)]
    except ValueError:
        return [FieldPath((name,))]


def _record(path: FieldPath) -> dict[str, Any]:
    """A record with nothing but what stands at the end of the path."""
    inner: Any = _LEAF
    for step in reversed(path.steps):
        inner = [inner] if step is EACH else {step: inner}
    record: dict[str, Any] = inner
    return record


def _without_numbers(field: str) -> str:
    return _QUOTED_OR_NUMBER.sub(lambda match: match[1] or "[*]", field)
