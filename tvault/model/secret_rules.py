"""The judge's rules about secrets: which writes are admitted, and the rows and moments they become.

Versions rise by one.  A write names the newest version that it knows of each secret, so that of two
writers who know the same one only the first is admitted, and a request is carried out once.  The moments
of one owner's secrets rise strictly from write to write, whatever the clock does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tvault.model.blocks import NONCE_BYTES
from tvault.model.commands import (
    REQUEST_BYTES,
    Change,
    Done,
    End,
    Keep,
    Put,
    Sealed,
    SecretEnd,
    SecretRequest,
    SecretVersion,
    WriteSecrets,
)
from tvault.model.records import NewestSecret, Records
from tvault.model.secret_names import KEY_ID_PATTERN, NAME_PATTERN
from tvault.model.secrets import WRAPPED_BYTES
from tvault.model.verdicts import Admitted, Flaw, Overtaken, Unacceptable

_NAME: Final = re.compile(NAME_PATTERN)
_KEY_ID: Final = re.compile(KEY_ID_PATTERN)

_ROW_BYTES: Final = 64
"""Most bytes that msgpack adds to the texts and byte strings of the rows of one change."""


class SecretGroup:
    """The rows about secrets of one entry in the making.  `clock` gives microseconds since 1970."""

    def __init__(self, records: Records, clock: Callable[[], int]) -> None:
        self._records = records
        self._clock = clock
        self._versions: list[SecretVersion] = []
        self._ends: list[SecretEnd] = []
        self._requests: list[SecretRequest] = []
        self._newest: dict[tuple[str, str], NewestSecret] = {}
        self._known: set[tuple[str, bytes]] = set()
        self._stamps: dict[str, int] = {}
        self._size_bytes = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been admitted."""
        return not self._requests

    @property
    def size_bytes(self) -> int:
        """No less than the encoded size of the rows, and not much more."""
        return self._size_bytes

    def rows(
        self,
    ) -> tuple[tuple[SecretVersion, ...], tuple[SecretEnd, ...], tuple[SecretRequest, ...]]:
        """The rows gathered, by table, in the order of judging."""
        return tuple(self._versions), tuple(self._ends), tuple(self._requests)

    def admit(self, command: WriteSecrets, most_bytes: int) -> Admitted | Overtaken | Unacceptable:
        """Judge a command of a known owner, whose rows may have `most_bytes` together.

        A request that was carried out is told so before anything else, however secrets are by now.
        """
        size = _size_bytes(command)
        flaw = "too_large" if size > most_bytes else _flaw(command)
        if flaw is not None:
            return Unacceptable(flaw)
        obstacle = self._obstacle(command)
        if obstacle is not None:
            return obstacle
        self._size_bytes += size
        return Admitted(self._gather(command))

    def _obstacle(self, command: WriteSecrets) -> Overtaken | None:
        owner = command.owner
        if (owner, command.request) in self._known:
            return Overtaken(seq=0, in_group=True)
        seq = self._records.request_seq(owner, command.request)
        if seq:
            return Overtaken(seq)
        # What is to be changed comes first: others want the same, and then the many that are only to
        # stay need no look.
        changing = [change for change in command.changes if not isinstance(change, Keep)]
        staying = [change for change in command.changes if isinstance(change, Keep)]
        return self._moved(owner, changing) or self._moved(owner, staying)

    def _moved(self, owner: str, changes: Sequence[Change]) -> Overtaken | None:
        """Whether one of these secrets is another one than its change says."""
        names = [change.name for change in changes]
        for change, written in zip(changes, self._records.newest_secrets(owner, names), strict=True):
            here = self._newest.get((owner, change.name))
            newest = here or written
            if (newest.version, newest.is_live) != _expected(change):
                return Overtaken(newest.seq, in_group=here is not None)
        return None

    def _gather(self, command: WriteSecrets) -> int:
        """Add the command's rows; the moment of its changes."""
        owner = command.owner
        stamp = self._stamp(command)
        done: list[Done] = []
        for change in command.changes:
            version, is_live = _expected(change)
            match change:
                case Put(name, sealed=sealed):
                    version, is_live = version + 1, True
                    self._versions.append(SecretVersion(owner, name, version, stamp, sealed))
                case End(name):
                    is_live = False
                    self._ends.append(SecretEnd(owner, name, version, stamp))
            self._newest[owner, change.name] = NewestSecret(version, is_live)
            done.append(Done(change.name, version, is_changed=isinstance(change, Put | End)))
        self._requests.append(SecretRequest(owner, command.request, command.fingerprint, tuple(done)))
        self._known.add((owner, command.request))
        return stamp

    def _stamp(self, command: WriteSecrets) -> int:
        """One moment for the whole command, later than all of the owner's so far."""
        owner = command.owner
        newest = self._stamps.get(owner) or self._records.newest_stamp(owner)
        stamp = max(self._clock(), newest + 1)
        if any(isinstance(change, Put | End) for change in command.changes):
            self._stamps[owner] = stamp
        return stamp


def _expected(change: Change) -> tuple[int, bool]:
    """The newest version that the secret must have, and whether that must be valid still."""
    return (change.newest, change.is_live) if isinstance(change, Put) else (change.newest, True)


def _flaw(command: WriteSecrets) -> Flaw | None:
    if len(command.request) != REQUEST_BYTES or len(command.fingerprint) != REQUEST_BYTES:
        return "bad_request"
    if not command.changes:
        return "no_changes"
    if not all(map(_is_sound, command.changes)):
        return "bad_change"
    if len({change.name for change in command.changes}) != len(command.changes):
        return "secret_twice"
    return None


def _is_sound(change: Change) -> bool:
    version, is_live = _expected(change)
    return (
        _NAME.fullmatch(change.name) is not None
        and (version >= 1 if is_live else version >= 0)
        and (not isinstance(change, Put) or _is_sealed(change.sealed))
    )


def _is_sealed(sealed: Sealed) -> bool:
    return (
        len(sealed.nonce) == NONCE_BYTES
        and len(sealed.wrapped_key) == WRAPPED_BYTES
        and _KEY_ID.fullmatch(sealed.key_id) is not None
    )


def _size_bytes(command: WriteSecrets) -> int:
    return sum(_sizes_of(command))


def _sizes_of(command: WriteSecrets) -> Iterator[int]:
    owner = len(command.owner.encode())
    yield _ROW_BYTES + owner + 2 * REQUEST_BYTES
    for change in command.changes:
        # The name stands in the row of the change and in that of the request.
        yield _ROW_BYTES + owner + 2 * len(change.name.encode())
        if isinstance(change, Put):
            sealed = change.sealed
            yield len(sealed.ciphertext) + len(sealed.nonce) + len(sealed.wrapped_key)
            yield len(sealed.key_id.encode())
