"""The slow way to tell whether a short history of secrets is linearizable: try every order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.history.operations import Operation
from tests.history.secret_naive import Secrets, answer
from tests.history.secret_operations import Done, Ended, Mark, SecretAsked

NEVER_TOLD = 10**9
"""The first of the moments of changes that nobody was told of."""


def is_linearizable(operations: Sequence[Operation]) -> bool:
    """Whether some order of the operations, all of one owner, explains all their answers."""
    return _Search(operations).finds(frozenset(range(len(operations))), {}, 0)


def _moments(result: object) -> Iterator[int]:
    """The moments of changes that an answer names."""
    if isinstance(result, Done):
        yield result.valid_from
    elif isinstance(result, Ended):
        yield result.valid_to
    elif isinstance(result, Mark):
        yield result.valid_from
        if result.valid_to is not None:
            yield result.valid_to
    elif isinstance(result, tuple):
        for each in result:
            yield from _moments(each)


class _Search:
    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._moments = sorted({m for op in operations for m in _moments(op.what.result)})
        self._failed: set[object] = set()

    def finds(self, left: frozenset[int], secrets: Secrets, changes: int) -> bool:
        """Whether what is left can follow from here."""
        if all(self._operations[at].returned is None for at in left):
            return True
        deadline = min(self._operations[at].end for at in left)
        here = (left, tuple(sorted(secrets.items(), key=lambda item: item[0])))
        if here in self._failed:
            return False
        for at in left:
            operation = self._operations[at]
            if operation.invoked <= deadline:
                told = changes < len(self._moments)
                moment = self._moments[changes] if told else NEVER_TOLD + changes
                assert isinstance(operation.what, SecretAsked)
                answered, after = answer(secrets, operation.what, moment)
                if operation.returned is None or answered == operation.what:
                    count = changes + (after != secrets)
                    if self.finds(left - {at}, after, count):
                        return True
        self._failed.add(here)
        return False
