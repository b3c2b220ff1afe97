"""What the judge says of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Admitted:
    """The command's rows are in the entry in the making, whole; `stamp` is the moment of the changes
    that it makes to secrets, and nothing when it makes none.
    """

    stamp: int = 0


@dataclass(frozen=True)
class StaleEpoch:
    """Refused: the owner's newest epoch is `newest`, which may not be committed yet (a hint)."""

    newest: int


@dataclass(frozen=True)
class TokensExist:
    """Refused: some of the command's tokens exist, none later than entry `seq`; or, when `in_group`,
    some are in the entry in the making, which has no seq yet (`seq` is 0 then).
    """

    seq: int
    in_group: bool = False


@dataclass(frozen=True)
class EpochRefused:
    """Refused: the rotation does not lead to the successor of `newest`, which entry `seq` began (0:
    the first epoch, which no entry begins); or, when `in_group`, the entry in the making, which has no
    seq yet (`seq` is 0 then).
    """

    newest: int
    seq: int
    in_group: bool = False


@dataclass(frozen=True)
class Overtaken:
    """Refused: since entry `seq` a secret is not what the command says, or its request is carried out;
    or, when `in_group`, by the entry in the making, which has no seq yet (`seq` is 0 then).
    """

    seq: int
    in_group: bool = False


Flaw = Literal[
    "unknown_owner",
    "no_blocks",
    "foreign_block",
    "bad_digests",
    "token_twice",
    "too_many_values",
    "too_large",
    "bad_request",
    "no_changes",
    "bad_change",
    "secret_twice",
]


@dataclass(frozen=True)
class Unacceptable:
    """Refused: no correct node that knows the same owners and limits proposes this command."""

    reason: Flaw


Verdict = Admitted | StaleEpoch | TokensExist | EpochRefused | Overtaken | Unacceptable
