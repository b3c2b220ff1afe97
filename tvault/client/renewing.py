"""Old tokens in the text of records become tokens of the active epoch; every other byte stays."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tvault.client.answers import MissingField
from tvault.client.sending import Converted, is_too_much
from tvault.client.vault import Vault
from tvault.errors import VaultError

# A string of JSON text that is exactly a token, and no key.  In JSON a quote without a backslash before
# it begins or ends a string, and no letter follows the end of one: so the quote before a token begins a
# string, and the next one ends it.  A quote with a backslash before it begins none: it is part of a
# longer string, or ends one.
_TOKEN = re.compile(rb'(?<=[^\\]")(tv1_[1-9][0-9]{0,17}_[0-9a-f]{32})(?="(?!\s*:))')

_BETWEEN = b"\0"
"""Stands nowhere in JSON text."""

MOST_TOKENS = 10_000
"""How many tokens a request holds at most: as many as a node takes, unless it is told otherwise."""


def renewed_records(vault: Vault, records: Sequence[bytes]) -> Converted:
    """The records, each the JSON text of one object, with a token of the active epoch in the place of
    each string that is a token, wherever it stands; keys and longer strings stay, and so does a token
    that is not found.

    A token counts as one only as every node writes it: without escapes.  Raises `VaultError`.
    """
    pieces = _TOKEN.split(_BETWEEN.join(records))
    tokens = list(dict.fromkeys(pieces[1::2]))
    if not tokens:
        return Converted([*records])
    epochs: set[int] = set()
    renewed: dict[bytes, bytes] = {}
    for first in range(0, len(tokens), MOST_TOKENS):
        _renew(vault, tokens[first : first + MOST_TOKENS], renewed, epochs, is_one=len(records) == 1)
    pieces[1::2] = [renewed.get(token, token) for token in pieces[1::2]]
    missing = _missing(records, renewed) if len(renewed) < len(tokens) else ()
    changed = {old: new for old, new in renewed.items() if old != new}
    return Converted(
        [*b"".join(pieces).split(_BETWEEN)], frozenset(epochs), missing=missing, changed=changed
    )


def _renew(
    vault: Vault, tokens: list[bytes], renewed: dict[bytes, bytes], epochs: set[int], *, is_one: bool
) -> None:
    """Ask for the tokens of the active epoch.  What is too much for a node is asked for in halves when
    it is of one record, which cannot be sent in pieces otherwise.
    """
    try:
        answer = vault.retokenize([token.decode("ascii") for token in tokens])
    except VaultError as error:
        if not is_too_much(error) or not is_one or len(tokens) < 2:
            raise
        for half in (tokens[: len(tokens) // 2], tokens[len(tokens) // 2 :]):
            _renew(vault, half, renewed, epochs, is_one=True)
        return
    found = [(old, new) for old, new in zip(tokens, answer.tokens, strict=True) if new is not None]
    renewed.update((old, new.encode("ascii")) for old, new in found)
    if found:
        epochs.add(answer.epoch)


def _missing(records: Sequence[bytes], renewed: dict[bytes, bytes]) -> tuple[MissingField, ...]:
    """Where the tokens stand that were not found: the record says it well enough."""
    return tuple(
        MissingField(position, "")
        for position, record in enumerate(records)
        for token in _TOKEN.findall(record)
        if token not in renewed
    )
