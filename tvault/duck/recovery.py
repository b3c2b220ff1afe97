"""Values of tokens, and tokens of values, for columns of Arrow."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import pyarrow as pa

from tvault.client.answers import Value, as_text
from tvault.client.bulk import MOST_VALUES, Bulk
from tvault.client.vault import Vault
from tvault.duck.hands import Hands, given_up
from tvault.duck.memo import Memo, Tally
from tvault.duck.python_values import python_values
from tvault.errors import VaultError

T = TypeVar("T")

LOG = logging.getLogger("tvault.duck")

PIECES_AT_A_TIME = 32
"""How many requests' tokens are taken out of a column at a time: it may hold more than memory has room
for beside the values."""

REPEATED_SECONDS = 0.5
"""For so long a failure is repeated when the same is asked for.  A call with constants that fails is
made up to twice again by DuckDB, and each would wait for the vault as long as the first did."""

NOT_FOUND = "what is no token of this vault was asked for: it became NULL, and is counted"


class Recovery:
    """Asks a vault for the columns of a query.  Safe for many threads.

    Each different token is asked for once in a column, and not again while the memo holds it.  What
    fails raises `VaultError`, without a value in it.
    """

    def __init__(self, vault: Vault, hands: Hands, memo: Memo) -> None:
        self.hands = hands
        self.memo = memo
        self.tally = Tally()
        self._bulk = Bulk(vault)
        # When, a mark of what was asked for (which may be values, and is not kept), and the refusal.
        self._failed: tuple[float, int, VaultError] = (-math.inf, 0, given_up())

    def values(self, tokens: pa.ChunkedArray) -> pa.ChunkedArray:
        """The texts of the values of `tokens`; null for null and for what is not found."""
        encoded = tokens.dictionary_encode()
        if not encoded.num_chunks:
            return pa.chunked_array([], pa.string())
        # All chunks share one dictionary, in which what comes first stands first.
        texts = self.values_of_each(encoded.chunk(0).dictionary)
        return pa.chunked_array([texts.take(chunk.indices) for chunk in encoded.chunks], pa.string())

    def values_of_each(self, tokens: pa.Array) -> pa.Array:
        """The same for tokens that are all different, none of them null."""
        most = PIECES_AT_A_TIME * MOST_VALUES
        parts = [
            pa.array(self._texts(tokens.slice(at, most).to_pylist()), pa.string())
            for at in range(0, len(tokens), most)
        ]
        return pa.concat_arrays(parts) if parts else pa.array([], pa.string())

    def tokens(self, values: pa.ChunkedArray) -> list[list[str] | None]:
        """For each value its tokens, from the oldest epoch to the newest.  None for null."""
        column = python_values(values)
        # Zeroes with and without a sign are one key and two values.
        keys = [repr(one) if isinstance(one, float) else one for one in column]
        asked = {
            key: one
            for key, one in zip(keys, column, strict=True)
            if one is not None and not (isinstance(one, float) and not math.isfinite(one))
        }
        wanted = [*asked.values()]
        known = self._guarded(wanted, lambda: self._known(wanted)) if wanted else []
        found = dict(zip(asked, known, strict=True))
        return [
            None if one is None else found.get(key, []) for key, one in zip(keys, column, strict=True)
        ]

    def _texts(self, tokens: list[str]) -> list[str | None]:
        """The texts of the values of different tokens."""
        texts = self.memo.known(tokens)
        missing = [at for at, text in enumerate(texts) if text is None]
        if not missing:
            return texts
        asked = [tokens[at] for at in missing]
        answers = self._guarded(asked, lambda: self.hands.map(self._fetched, _pieces(asked)))
        for at, text in zip(missing, (text for some in answers for text in some), strict=True):
            texts[at] = text
        unknown = [tokens[at] for at in missing if texts[at] is None]
        if unknown and self.tally.add(unknown):
            LOG.warning(NOT_FOUND)
        return texts

    def _fetched(self, tokens: Sequence[str]) -> list[str | None]:
        found = self._bulk.detokenize(tokens).found
        texts = [None if value is None else as_text(value) for value in found]
        self.memo.add(tokens, texts)
        return texts

    def _known(self, values: Sequence[Value]) -> list[list[str]]:
        answers = self.hands.map(lambda piece: self._bulk.lookup(piece).found, _pieces(values))
        listed = [by_epoch or {} for some in answers for by_epoch in some]
        return [[by_epoch[epoch] for epoch in sorted(by_epoch)] for by_epoch in listed]

    def _guarded(self, asked: Sequence[object], ask: Callable[[], T]) -> T:
        """What `ask` gives; its failure once more when the same is asked for right after it."""
        mark = hash(tuple(asked))
        failed_at, failed, failure = self._failed
        if failed == mark and time.monotonic() - failed_at < REPEATED_SECONDS:
            raise failure.with_traceback(None)
        try:
            return ask()
        except VaultError as error:
            failure = error
        except KeyboardInterrupt:
            # It came to the thread that waits here: the others that wait learn it from here.
            self.hands.stop()
            failure = given_up()
        self._failed = (time.monotonic(), mark, failure)
        raise failure.with_traceback(None)


def _pieces(asked: Sequence[T]) -> list[Sequence[T]]:
    return [asked[at : at + MOST_VALUES] for at in range(0, len(asked), MOST_VALUES)]
