"""What the API needs of a replicated vault: the seam between the server's API and what keeps the rows.

The chain over SQLite is the first engine.  Nothing above this seam knows heads, views or rowids.
Every call that can wait takes a `deadline` in seconds of `time.monotonic()`; past it, and whenever
the engine cannot promise its answer, it raises `VaultError` with code `unavailable` (the outcome of
a write is then unknown, and a retry is safe) or `overloaded` (nothing was written).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from tvault.errors import VaultError
from tvault.model.commands import Mint, Rotate, WriteSecrets
from tvault.model.records import Places
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted

Health = Literal["ok", "degraded", "unavailable"]
"""Whether writes can be taken: `degraded` when the chain is shorter than the ensemble."""


class Written(msgspec.Struct, frozen=True, array_like=True, tag="written"):
    """The command's rows are committed at `seq`; `stamp` is the moment of the changes that it makes to
    secrets, in microseconds since 1970.
    """

    seq: int
    stamp: int = 0


class StaleEpoch(msgspec.Struct, frozen=True, array_like=True, tag="stale-epoch"):
    """Refused: the owner's newest epoch is `newest` (a hint, it may be older than what is read)."""

    newest: int


class TokensExist(msgspec.Struct, frozen=True, array_like=True, tag="tokens-exist"):
    """Refused: some of the tokens are in the journal already, none later than entry `seq`.

    `is_perhaps_own`: perhaps by this very command, whose outcome was lost when it was sent before.
    """

    seq: int
    is_perhaps_own: bool = False


class EpochRefused(msgspec.Struct, frozen=True, array_like=True, tag="epoch-refused"):
    """Refused: the rotation does not lead to the successor of `newest`, which entry `seq` began."""

    newest: int
    seq: int


class Overtaken(msgspec.Struct, frozen=True, array_like=True, tag="overtaken"):
    """Refused: since entry `seq` a secret is not what the command says, or the request is done."""

    seq: int


class Engine(Protocol):
    """The replicated vault as the API sees it."""

    def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
        """Write the blocks whole, or say why not.  `Written` means committed on the chain."""

    def rotate(self, command: Rotate, deadline: float) -> Written | EpochRefused:
        """Write the owner's next epoch, or say why not."""

    def look_up(self, owner: str, epoch: int, digests: bytes, deadline: float) -> Places:
        """Where the values of these digests (16 bytes each, side by side) are: one look at the journal,
        at everything this node has persisted.  What is found is committed before the call returns; what
        is not found may have been acknowledged all the same.  Raises `LookTooLong`.
        """

    def find(self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float) -> list[Places]:
        """As `look_up` for each epoch and its digests, in this order, but what is not found is *not
        found*: nothing that was acknowledged before the call is missed.  Raises `LookTooLong`, also when
        it is all of them together that are too long.
        """

    def write_secrets(self, command: WriteSecrets, deadline: float) -> Written | Overtaken:
        """Make the changes whole, once, however often the command is sent; or say that one of them is
        not about the secret as it is, or that the request was carried out before."""

    def peek_secrets(
        self, owner: str, wanted: Sequence[Wanted], request: bytes | None, deadline: float
    ) -> FoundSecrets:
        """What this node's journal holds, which may be out of date and uncommitted: a ground for a
        write, which is judged, and for nothing that clients are told.  Raises as `read_secrets` does."""

    def read_secrets(
        self, owner: str, wanted: Sequence[Wanted], request: bytes | None, deadline: float
    ) -> FoundSecrets:
        """What is wanted of the owner's secrets, and what a request was carried out as, if it was: one
        look, all of it committed, and nothing missed that was acknowledged before the call.  Raises
        `LookTooLong`."""

    def read_history(self, owner: str, name: str, deadline: float) -> FoundHistory:
        """All versions of a secret, read in the same way."""

    def read_names(self, owner: str, deadline: float) -> FoundNames:
        """The names of the owner's secrets, read in the same way."""

    def hint_epoch(self, owner: str) -> int:
        """The newest epoch this node has seen: never shown to clients."""

    def read_epoch(self, owner: str, deadline: float) -> int:
        """The owner's active epoch, confirmed: no rotation acknowledged before the call is missed."""

    def wait_for(self, seq: int, deadline: float) -> None:
        """Return once this node holds entry `seq` and knows it to be committed, or once the chain that
        was to commit it has changed: look again."""

    def health(self) -> Health:
        """Whether this node can take writes now."""


def checked_repeat(
    verdict: Written | StaleEpoch | TokensExist, *, is_unsure: bool
) -> Written | StaleEpoch | TokensExist:
    """What a verdict on a mint says of the request, when `is_unsure` whether an earlier try of the same
    command was ordered.

    Raises `VaultError` `unavailable` when to go on could give one request tokens of two epochs.
    """
    if is_unsure and isinstance(verdict, StaleEpoch):
        raise unknown_outcome()
    if is_unsure and isinstance(verdict, TokensExist):
        return TokensExist(verdict.seq, is_perhaps_own=True)
    return verdict


def unknown_outcome() -> VaultError:
    """The refusal of a write that may have been done."""
    return VaultError(
        "unavailable", "The write was not acknowledged in time; its outcome is unknown; try again."
    )
