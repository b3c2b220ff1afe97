"""The text of tokens: `tv1_<epoch>_<32 lower-case hex digits>`.

The text is canonical.  What is not exactly what `render_token` writes is no token, so one mapping has
one text and nothing else is ever found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, cast

from tvault.model.commands import DIGEST_BYTES

PREFIX: Final = "tv1_"

MAX_EPOCH: Final = 10**18 - 1
"""The greatest epoch that a token can name: 18 digits, which fits 64 bits."""

_HEX_DIGITS: Final = 2 * DIGEST_BYTES
# Classes of ASCII characters: \d would let other scripts' digits in.  Always with fullmatch: $ would
# let a final newline in.
PATTERN: Final = rf"{PREFIX}([1-9][0-9]{{0,17}})_([0-9a-f]{{{_HEX_DIGITS}}})"
"""All of a token, for `re` and for whatever else looks for tokens by a regular expression."""

_TOKEN: Final = re.compile(PATTERN)


def render_token(epoch: int, digest: bytes) -> str:
    """The token of a 16-byte digest under `epoch` (1 to `MAX_EPOCH`)."""
    return render_tokens(epoch, (digest,))[0]


def render_tokens(epoch: int, digests: Sequence[bytes]) -> list[str]:
    """The tokens of 16-byte digests, all under `epoch`, in order."""
    assert 1 <= epoch <= MAX_EPOCH, "no such epoch"
    assert set(map(len, digests)) <= {DIGEST_BYTES}, "a digest of another length"
    return _rendered(epoch, b"".join(digests)).split()


def _rendered(epoch: int, digests: bytes) -> str:
    """The tokens of digests side by side, a blank before each."""
    head = f" {PREFIX}{epoch}_"
    return head + digests.hex(" ", DIGEST_BYTES).replace(" ", head) if digests else ""


def parse_token(text: object) -> tuple[int, bytes] | None:
    """The epoch and the 16-byte digest that a token names; None for anything that is not one."""
    match = _TOKEN.fullmatch(text) if isinstance(text, str) else None
    return (int(match[1]), bytes.fromhex(match[2])) if match else None


def parse_alike(texts: Sequence[object]) -> tuple[int, bytes] | None:
    """The epoch and the digests, side by side, of tokens that all name one epoch; None when there are
    none, or when anything else is among them.
    """
    first = parse_token(texts[0]) if texts else None
    if first is None or set(map(type, texts)) != {str}:
        return None
    epoch, _ = first
    text = " " + " ".join(cast("Sequence[str]", texts))
    try:
        digests = bytes.fromhex(text.replace(f" {PREFIX}{epoch}_", ""))
    except ValueError:
        return None
    # Blanks and upper-case digits went through.  Rendering writes neither, and one blank a token.
    is_exact = len(digests) == DIGEST_BYTES * len(texts) and _rendered(epoch, digests) == text
    return (epoch, digests) if is_exact else None
