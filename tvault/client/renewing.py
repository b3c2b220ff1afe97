"""Old tokens in the text of records become tokens of the active epoch; every other byte stays."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tvault.client.answers import MissingField
from tvault.client.bulk import Bulk
from tvault.client.sending import Converted

# A string of JSON text that is exactly a token, and no key.  In JSON a quote without a backslash before
# it begins or ends a string, and no letter follows the end of one: so the quote before a token begins a
# string, and the next one ends it.  A quote with a backslash before it begins none: it is part of a
# longer string, or ends one.
_TOKEN = re.compile(rb'(?<=[^\\]")(tv1_[1-9][0-9]{0,17}_[0-9a-f]{32})(?="(?!\s*:))')

_BETWEEN = b"\0"
"""Stands nowhere in JSON text."""


def renewed_records(bulk: Bulk, records: Sequence[bytes]) -> Converted:
    """The records, each the JSON text of one object, with a token of the active epoch in the place of
    each string that is a token, wherever it stands; keys and longer strings stay, and so does a token
    that is not found.

    A token counts as one only as every node writes it: without escapes.  Raises `VaultError`.
    """
    pieces = _TOKEN.split(_BETWEEN.join(records))
    tokens = list(dict.fromkeys(pieces[1::2]))
    if not tokens:
        return Converted([*records])
    answers = bulk.retokenize([token.decode("ascii") for token in tokens])
    renewed = {
        old: new.encode("ascii")
        for old, new in zip(tokens, answers.found, strict=True)
        if new is not None
    }
    pieces[1::2] = [renewed.get(token, token) for token in pieces[1::2]]
    missing = _missing(records, renewed) if len(renewed) < len(tokens) else ()
    changed = {old: new for old, new in renewed.items() if old != new}
    return Converted(
        [*b"".join(pieces).split(_BETWEEN)], answers.epochs, missing=missing, changed=changed
    )


def _missing(records: Sequence[bytes], renewed: dict[bytes, bytes]) -> tuple[MissingField, ...]:
    """Where the tokens stand that were not found: the record says it well enough."""
    return tuple(
        MissingField(position, "")
        for position, record in enumerate(records)
        for token in _TOKEN.findall(record)
        if token not in renewed
    )
