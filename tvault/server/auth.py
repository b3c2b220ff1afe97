"""Who asks: the owner that an `Authorization` header stands for."""

from __future__ import annotations

import re
from typing import Final

from tvault.errors import VaultError
from tvault.model.owners import OwnerTable

_BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)

# A key that stands for no owner: what a request without a key is checked against, so that the answer
# takes the same path.
_NO_KEY: Final = ""


def owner_of_header(owners: OwnerTable, header: str | None) -> str:
    """The owner whose API key the header `Authorization: Bearer <key>` carries (RFC 6750).

    Raises `VaultError` `unauthorized`, the same for no key, another scheme and an unknown key.
    """
    match = _BEARER.fullmatch(header.strip()) if header is not None else None
    owner = owners.owner_of(match[1] if match else _NO_KEY)
    if owner is None:
        raise VaultError("unauthorized", "The request needs the API key of an owner.")
    return owner
