"""The functions that SQL gets, as DuckDB calls them: columns of Arrow in, columns of Arrow out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa

from tvault.duck.recovery import Recovery
from tvault.errors import VaultError

DETOKENIZE = "detokenize"
TOKEN_OF = "token_of"  # noqa: S105 - the name of a function
TOKENS_OF = "tokens_of"
DETOKENIZE_LISTS = "__tvault_detokenize_lists"

Columns = Callable[..., pa.Array]


@dataclass(frozen=True)
class Function:
    """A function by its name in SQL.  Without `parameters` it takes what it is given, of any type."""

    name: str
    call: Columns
    parameters: list[str] | None
    result: str


class Functions:
    """All of them.  They hold no connection.

    `failure` is the first refusal that one of them met, until somebody takes it: DuckDB tells only its
    text.
    """

    def __init__(self, recovery: Recovery) -> None:
        self.failure: VaultError | None = None
        self._recovery = recovery

    def listed(self) -> list[Function]:
        """As they are given to DuckDB."""
        return [
            Function(DETOKENIZE, self._noting(self._recovery.values), ["VARCHAR"], "VARCHAR"),
            Function(TOKEN_OF, self._noting(self._token_of), None, "VARCHAR"),
            Function(TOKENS_OF, self._noting(self._tokens_of), None, "VARCHAR[]"),
            Function(DETOKENIZE_LISTS, self._noting(self._detokenize_lists), ["VARCHAR[]"], "VARCHAR[]"),
        ]

    def _noting(self, call: Columns) -> Columns:
        def noting(*columns: pa.ChunkedArray) -> pa.Array:
            try:
                with self._recovery.hands.may_be_stopped():
                    return call(*columns)
            except VaultError as error:
                failure = error
            self.failure = self.failure or failure
            raise failure.with_traceback(None)

        return noting

    def _detokenize_lists(self, column: pa.ChunkedArray) -> pa.Array:
        # From `revealed`, which gives every token once, and no null.
        lists = column.combine_chunks()
        ends = accumulate(lists.value_lengths().to_pylist(), initial=0)
        values = self._recovery.values_of_each(lists.flatten())
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)

    def _token_of(self, *columns: pa.ChunkedArray) -> pa.Array:
        found = self._recovery.tokens(_only(TOKEN_OF, columns))
        return pa.array([tokens[-1] if tokens else None for tokens in found], pa.string())

    def _tokens_of(self, *columns: pa.ChunkedArray) -> pa.Array:
        return pa.array(self._recovery.tokens(_only(TOKENS_OF, columns)), pa.list_(pa.string()))


def _only(name: str, columns: tuple[pa.ChunkedArray, ...]) -> pa.ChunkedArray:
    if len(columns) != 1:
        raise VaultError("usage", f"{name} takes one value, not {len(columns)}")
    return columns[0]
