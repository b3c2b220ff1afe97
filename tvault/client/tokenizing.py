"""Tokens in the configured fields of JSON records, and whether there were any."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tvault.client.records import Text
from tvault.client.sending import TOKEN, Converted
from tvault.client.vault import Vault

_TOKENS = re.compile(re.escape(TOKEN) + rb'[^"]*')


class ConfiguredFields:
    """Has a cluster tokenize the fields that it is configured for, which only it knows.  Safe for many
    threads.

    `has_made_tokens` tells whether one value of all records so far became a token.  That is looked for
    until the first one is found, then no more: most files have it in their first batch.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.has_made_tokens = False

    def __call__(self, records: Sequence[bytes]) -> Converted:
        """The records, each the JSON text of one object, as they come back.  Raises `VaultError`."""
        answer = self._vault.tokenize_json(records)
        # Texts differ anyhow, as the cluster writes records anew; and tokens may stand in other fields.
        if not self.has_made_tokens and _tokens(answer.records) != _tokens(records):
            self.has_made_tokens = True
        return Converted([*answer.records], frozenset({answer.epoch}))


def _tokens(texts: Iterable[Text]) -> list[bytes]:
    return _TOKENS.findall(b"\n".join(texts))
