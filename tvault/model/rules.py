"""The judge: which commands are admitted to the journal, and the rows of one entry.

Pure.  The head asks it before it orders anything; what it has admitted is never refused later.  Judging
is what keeps a token single, so it looks at the end of the journal, uncommitted entries included, and
at what the entry in the making holds already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from tvault.model.blocks import sealed_bound
from tvault.model.commands import (
    BLOCK_VALUES,
    DIGEST_BYTES,
    Block,
    Command,
    EpochStart,
    Mint,
    Rotate,
    Rows,
    WriteSecrets,
)
from tvault.model.records import Records
from tvault.model.secret_rules import SecretGroup
from tvault.model.verdicts import (
    Admitted,
    EpochRefused,
    Flaw,
    StaleEpoch,
    TokensExist,
    Unacceptable,
    Verdict,
)

COMMAND_BYTES: Final = 62 * 1024 * 1024
"""Most bytes of all rows of a command, whatever the limits: an entry holds up to a MiB of others beside
them, and must fit into one frame between nodes."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one command: bytes sealed in one block, values, and bytes of all its rows together."""

    sealed_bytes: int
    values: int
    command_bytes: int

    @staticmethod
    def for_requests(values: int, body_bytes: int, value_bytes: int) -> Limits:
        """Bounds that hold every command of a request within these limits.

        A value has no more canonical bytes than a body writes it with, but for a few; its block adds
        less than 1 KiB to it even when it stands there alone, and so do the rows of a secret.  None is
        larger than what nodes send each other at once.
        """
        return Limits(
            sealed_bytes=sealed_bound(value_bytes),
            values=values,
            command_bytes=min(body_bytes + 1024 * values, COMMAND_BYTES),
        )


STANDARD_LIMITS: Final = Limits.for_requests(
    values=10_000, body_bytes=16 * 1024 * 1024, value_bytes=64 * 1024
)

# Most bytes that msgpack adds to the texts and byte strings of a row, and of an entry.
_ROW_BYTES: Final = 32
_ENTRY_BYTES: Final = 16


class Judge:
    """Gathers the rows of one entry after another from the commands it admits.

    `records` must hold what `take` gave before `admit` is called again.  A command's rows go into one
    entry whole, and a refused command leaves everything as it was.  `admit` raises what `records` does.
    `clock` tells the time in microseconds since 1970 (UTC): it may be wrong, and it may jump.
    """

    def __init__(
        self,
        records: Records,
        owners: Collection[str],
        limits: Limits = STANDARD_LIMITS,
        *,
        clock: Callable[[], int],
    ) -> None:
        self._records = records
        self._owners = frozenset(owners)
        self._limits = limits
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._epochs: list[EpochStart] = []
        self._blocks: list[Block] = []
        self._newest: dict[str, int] = {}
        self._tokens: dict[tuple[str, int], set[bytes]] = {}
        self._secrets = SecretGroup(self._records, self._clock)
        self._size_bytes = _ENTRY_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been admitted since the last `take`."""
        return not (self._epochs or self._blocks) and self._secrets.is_empty

    @property
    def size_bytes(self) -> int:
        """No less than the encoded size of the rows gathered, and not much more."""
        return self._size_bytes + self._secrets.size_bytes

    def take(self) -> Rows:
        """The rows gathered, in the order of judging.  The next entry begins empty."""
        rows = Rows(tuple(self._epochs), tuple(self._blocks), *self._secrets.rows())
        self._begin()
        return rows

    def admit(self, command: Command) -> Verdict:
        """Judge the command; if it is admitted, its rows belong to the entry in the making."""
        if command.owner not in self._owners:
            return Unacceptable("unknown_owner")
        if isinstance(command, Rotate):
            return self._admit_rotation(command)
        if isinstance(command, WriteSecrets):
            return self._secrets.admit(command, self._limits.command_bytes)
        return self._admit_mint(command)

    def _admit_rotation(self, command: Rotate) -> Verdict:
        begun_here = self._newest.get(command.owner)
        newest, seq = (begun_here, 0) if begun_here else self._records.newest_epoch(command.owner)
        if command.to != newest + 1:
            return EpochRefused(newest, seq, in_group=begun_here is not None)
        self._newest[command.owner] = command.to
        self._epochs.append(EpochStart(owner=command.owner, epoch=command.to))
        self._size_bytes += _ROW_BYTES + len(command.owner.encode())
        return Admitted()

    def _admit_mint(self, command: Mint) -> Verdict:
        flaw = self._flaw(command)
        if flaw is not None:
            return Unacceptable(flaw)
        digests = b"".join([block.digests for block in command.blocks])
        distinct = set(np.frombuffer(digests, dtype=f"V{DIGEST_BYTES}").tolist())
        if len(distinct) * DIGEST_BYTES != len(digests):
            return Unacceptable("token_twice")
        scope = (command.owner, command.epoch)
        newest = self._newest.get(command.owner) or self._records.newest_epoch(command.owner)[0]
        if command.epoch != newest:
            return StaleEpoch(newest)
        here = self._tokens.get(scope)
        if here is not None and not here.isdisjoint(distinct):
            return TokensExist(seq=0, in_group=True)
        seq = self._records.exists(*scope, digests)
        if seq:
            return TokensExist(seq)
        self._tokens.setdefault(scope, set()).update(distinct)
        self._blocks.extend(command.blocks)
        self._size_bytes += _size_bytes(command)
        return Admitted()

    def _flaw(self, command: Mint) -> Flaw | None:
        if not command.blocks:
            return "no_blocks"
        for block in command.blocks:
            if (block.owner, block.epoch) != (command.owner, command.epoch):
                return "foreign_block"
            if len(block.digests) % DIGEST_BYTES or not 1 <= len(block) <= BLOCK_VALUES:
                return "bad_digests"
            if len(block.sealed) > self._limits.sealed_bytes:
                return "too_large"
        if sum(map(len, command.blocks)) > self._limits.values:
            return "too_many_values"
        return "too_large" if _size_bytes(command) > self._limits.command_bytes else None


def _size_bytes(command: Mint) -> int:
    fixed = _ROW_BYTES + len(command.owner.encode())
    return sum(fixed + len(block.digests) + len(block.sealed) for block in command.blocks)
