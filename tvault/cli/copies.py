"""Copies of the journal, wherever they are: each checked by itself, then compared with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Tell = Callable[[float], None]
"""Told how much of a check is done, from 0 to 1."""


@dataclass(frozen=True)
class Account:
    """What the check of one copy came to: the last entry that it knows to be committed, the last one
    that was checked, the rows up to there, and what is not as it was written, each with `where`, `what`
    and `seq`."""

    committed: int
    checked: int
    rows: Mapping[str, int] = field(default_factory=dict)
    findings: Sequence[Mapping[str, Any]] = ()
    seconds: float = 0.0


class Copy(Protocol):
    """One copy.  Any thread, one at a time.  Both calls raise `VaultError` when it cannot be asked."""

    name: str

    def check(self, tell: Tell) -> Account:
        """Check all that it holds."""

    def digest_at(self, seq: int) -> str | None:
        """The digest of its journal at an entry up to the committed one; None when that is gone."""


@dataclass(frozen=True)
class Difference:
    """Two copies do not hold the same, from entry `seq` on; None when the entries are the same, and the
    numbers of rows are not."""

    one: str
    other: str
    seq: int | None

    def __str__(self) -> str:
        if self.seq is None:
            return f"{self.other} has other numbers of rows than {self.one}"
        return f"{self.other} differs from {self.one} from entry {self.seq} on"


def differences(checked: Sequence[tuple[Copy, Account]]) -> list[Difference]:
    """How each copy differs from the longest one, as far as both are committed.  Raises `VaultError`."""
    if not checked:
        return []
    longest, account = max(checked, key=lambda each: each[1].committed)
    found = []
    for copy, other in checked:
        if copy is longest:
            continue
        upto = min(account.committed, other.committed)
        seq = first_difference(longest, copy, upto)
        # Rows of entries that are not known to be committed may well differ.
        is_comparable = account.checked == other.checked == upto
        has_same_rows = not is_comparable or account.rows == other.rows
        if seq is not None or not (has_same_rows or account.findings or other.findings):
            found.append(Difference(longest.name, copy.name, seq))
    return found


def first_difference(one: Copy, other: Copy, upto: int) -> int | None:
    """The first entry, up to `upto`, at which two copies differ; None when there is none.  Digests go on
    from each other: from the first one that differs, all do."""

    def differ(seq: int) -> bool:
        digest = one.digest_at(seq)
        return digest is None or digest != other.digest_at(seq)

    if upto == 0 or not differ(upto):
        return None
    same = 0
    while upto - same > 1:
        middle = (same + upto) // 2
        if differ(middle):
            upto = middle
        else:
            same = middle
    return upto
