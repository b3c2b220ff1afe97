"""The text of tokens: `tv1_<epoch>_<32 lower-case hex digits>`.

The text is canonical.  What is not exactly what `render_token` writes is no token, so one mapping has
one text and nothing else is ever found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tvault.model.commands import DIGEST_BYTES

PREFIX: Final = "tv1_"

MAX_EPOCH: Final = 10**18 - 1
"""The greatest epoch that a token can name: 18 digits, which fits 64 bits."""

_HEX_DIGITS: Final = 2 * DIGEST_BYTES
# Classes of ASCII characters: \d would let other scripts' digits in.  Always with fullmatch: $ would
# let a final newline in.
_TOKEN: Final = re.compile(rf"{PREFIX}([1-9][0-9]{{0,17}})_([0-9a-f]{{{_HEX_DIGITS}}})")


def render_token(epoch: int, digest: bytes) -> str:
    """The token of a 16-byte digest under `epoch` (1 to `MAX_EPOCH`)."""
    return render_tokens(epoch, (digest,))[0]


def render_tokens(epoch: int, digests: Sequence[bytes]) -> list[str]:
    """The tokens of 16-byte digests, all under `epoch`, in order."""
    assert 1 <= epoch <= MAX_EPOCH, "no such epoch"
    head = f"{PREFIX}{epoch}_"
    digits = b"".join(digests).hex()
    assert len(digits) == _HEX_DIGITS * len(digests), "a digest of another length"
    return [head + digits[at : at + _HEX_DIGITS] for at in range(0, len(digits), _HEX_DIGITS)]


def parse_token(text: object) -> tuple[int, bytes] | None:
    """The epoch and the 16-byte digest that a token names; None for anything that is not one."""
    match = _TOKEN.fullmatch(text) if isinstance(text, str) else None
    return (int(match[1]), bytes.fromhex(match[2])) if match else None


def parse_tokens(texts: Sequence[object]) -> list[tuple[int, bytes] | None]:
    """`parse_token` of each, in order."""
    matches = [_TOKEN.fullmatch(text) if isinstance(text, str) else None for text in texts]
    unhex = bytes.fromhex
    return [(int(match[1]), unhex(match[2])) if match else None for match in matches]
