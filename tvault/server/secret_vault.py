"""The owners' secrets over an engine: sealed here, ordered there.

A write is decided on what this node's journal holds, however old that is: whoever orders the journal
refuses it if a secret has changed since, and then it is decided again.  What writes nothing is decided
on a confirmed read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tvault.engine import Engine, Written
from tvault.errors import VaultError
from tvault.model.blocks import SealBroken
from tvault.model.commands import (
    REQUEST_BYTES,
    Change,
    Done,
    End,
    Keep,
    Put,
    SecretRequest,
    WriteSecrets,
)
from tvault.model.keys import KeyRing
from tvault.model.records import LookTooLong
from tvault.model.secret_looks import (
    FoundHistory,
    FoundVersion,
    Wanted,
)
from tvault.model.secrets import KeyUnavailable, MasterKeys, sealed_size
from tvault.server.preconditions import Condition

QUICK_ROUNDS: Final = 3
"""So often a write that others overtake is decided anew at once; from then on after a pause."""

FIRST_PAUSE_SECONDS: Final = 0.02
LONGEST_PAUSE_SECONDS: Final = 0.1
"""A pause has a random length, up to twice that of the one before, so that one of many writers of a
secret comes through at a time."""

Found = FoundVersion | None
Decide = Callable[[Sequence[Found]], Sequence[Change]]


@dataclass(frozen=True)
class Request:
    """Whose repetitions get one answer: its name, and what it asks for, both as keyed hashes.

    It `is_kept` when the client named it; else a write that changes nothing leaves no trace.
    """

    name: bytes
    fingerprint: bytes
    is_kept: bool


@dataclass(frozen=True)
class Secret:
    """A version of a secret; its value is not shown."""

    name: str
    value: str
    version: int
    valid_from: int
    valid_to: int | None

    def __repr__(self) -> str:
        return f"<Secret {self.name}, version {self.version}>"


@dataclass(frozen=True)
class PutDone:
    """The version that has the value, since when, and whether the request began it."""

    version: int
    valid_from: int
    is_new: bool


@dataclass(frozen=True)
class DeleteDone:
    """The version that a request ended, and when."""

    version: int
    valid_to: int


@dataclass(frozen=True)
class _Outcome:
    """What was done for each secret, and the moment of the changes; without changes by this call no
    moment, and the versions as they are if nothing was written at all."""

    done: Sequence[Done]
    stamp: int | None = None
    versions: Sequence[Found] = ()


class SecretVault:
    """Puts, reads and ends secrets.

    `random` gives so many random bytes; what one answer reads has at most `most_bytes` together.  Every
    call raises `VaultError`: `unavailable`, `overloaded`, and what it says itself.
    """

    def __init__(
        self,
        engine: Engine,
        keys: KeyRing,
        masters: MasterKeys,
        random: Callable[[int], bytes],
        most_bytes: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._masters = masters
        self._random = random
        self._most_bytes = most_bytes
        self._clock = clock
        self._pause = pause

    def request(self, owner: str, key: str | None, *asked: bytes) -> Request:
        """The request with this idempotency key, None if it has none, that asks for all of `asked`."""
        if key is None:
            return Request(self._random(REQUEST_BYTES), self._random(REQUEST_BYTES), is_kept=False)
        raw = key.encode()
        return Request(
            self._keys.request_hash(owner, b"name", raw),
            self._keys.request_hash(owner, b"asked", raw, *asked),
            is_kept=True,
        )

    def put(
        self, owner: str, name: str, value: str, condition: Condition, request: Request, deadline: float
    ) -> PutDone:
        """Make `value` the secret's value, unless it is that already.

        Raises `VaultError` `precondition_failed`; `invalid_value` when the idempotency key was used for
        another request.
        """

        def decide(versions: Sequence[Found]) -> Sequence[Change]:
            current = _live(versions[0])
            condition.check(current.version if current else None)
            return [self._change(owner, name, value, versions[0])]

        outcome = self._write(owner, [_comparable(name, value)], request, decide, deadline)
        (done,) = outcome.done
        valid_from = outcome.stamp
        if valid_from is None:
            found = outcome.versions[0] if outcome.versions else None
            valid_from = (found or self._numbered(owner, name, done.version, deadline)).valid_from
        return PutDone(done.version, valid_from, done.is_changed)

    def delete(
        self, owner: str, name: str, condition: Condition, request: Request, deadline: float
    ) -> DeleteDone:
        """End the version that is valid.  Raises `VaultError` `not_found`, and as `put` does."""

        def decide(versions: Sequence[Found]) -> Sequence[Change]:
            current = _live(versions[0])
            if current is None:
                raise no_such_secret()
            condition.check(current.version)
            return [End(name, current.version)]

        outcome = self._write(owner, [Wanted(name, size=0)], request, decide, deadline)
        (done,) = outcome.done
        if outcome.stamp is not None:
            return DeleteDone(done.version, outcome.stamp)
        ended = self._numbered(owner, name, done.version, deadline)
        assert ended.valid_to is not None, "what was ended stays so"
        return DeleteDone(done.version, ended.valid_to)

    def write_many(
        self,
        owner: str,
        values: Mapping[str, str],
        needed: Collection[str],
        request: Request,
        deadline: float,
    ) -> dict[str, int]:
        """Make all these the values of secrets, at one moment, if at that moment those `needed` have a
        value; the versions that have the values.

        Raises `Missing` with the names of those that have none, and as `put` does.
        """
        wanted = [_comparable(name, value) for name, value in values.items()]
        wanted += [Wanted(name, size=0) for name in needed if name not in values]
        names = [each.name for each in wanted]

        def decide(versions: Sequence[Found]) -> Sequence[Change]:
            there = dict(zip(names, versions, strict=True))
            missing = [name for name in names if name not in values and not _live(there[name])]
            if missing:
                raise Missing(missing)
            return [
                self._change(owner, name, values[name], found)
                if name in values
                else Keep(name, _version(found))
                for name, found in there.items()
            ]

        outcome = self._write(owner, wanted, request, decide, deadline)
        return {done.name: done.version for done in outcome.done if done.name in values}

    def get(self, owner: str, wanted: Wanted, deadline: float) -> Secret:
        """The version that is wanted; without a number or a moment, the one that is valid.

        Raises `VaultError` `not_found`, `key_unavailable`.
        """
        (found,) = self._engine.read_secrets(owner, [wanted], None, deadline).versions
        if wanted.version is None and wanted.at is None:
            found = _live(found)
        if found is None:
            raise no_such_secret()
        value = self._opened(owner, wanted.name, found)
        return Secret(wanted.name, value, found.version, found.valid_from, found.valid_to)

    def current(self, owner: str, names: Collection[str], deadline: float) -> dict[str, str]:
        """The values that these secrets have at one moment.

        Raises `Missing` with the names of those that have none; `VaultError` `too_large` when they are
        too long together, `key_unavailable`.
        """
        try:
            found = self._engine.read_secrets(owner, list(map(Wanted, names)), None, deadline)
        except LookTooLong:
            raise self._too_long() from None
        versions = dict(zip(names, found.versions, strict=True))
        live = {name: there for name, there in versions.items() if there is not None and there.is_live}
        if len(live) < len(versions):
            raise Missing([name for name in versions if name not in live])
        if sum(len(version.sealed.ciphertext) for version in live.values()) > self._most_bytes:
            raise self._too_long()
        return {name: self._opened(owner, name, version) for name, version in live.items()}

    def missing(self, owner: str, names: Collection[str], deadline: float) -> set[str]:
        """Which of these secrets have no value."""
        wanted = [Wanted(name, size=0) for name in names]
        found = self._engine.read_secrets(owner, wanted, None, deadline)
        return {name for name, there in zip(names, found.versions, strict=True) if not _live(there)}

    def history(self, owner: str, name: str, deadline: float) -> FoundHistory:
        """All versions, oldest first.  Raises `VaultError` `not_found` when there is none."""
        history = self._engine.read_history(owner, name, deadline)
        if not history.versions:
            raise no_such_secret()
        return history

    def names(self, owner: str, deadline: float) -> Sequence[str]:
        """The names of the secrets that have a value, sorted."""
        return self._engine.read_names(owner, deadline).names

    def _write(
        self, owner: str, wanted: Sequence[Wanted], request: Request, decide: Decide, deadline: float
    ) -> _Outcome:
        """Carry the request out, once.  `decide` makes the changes of the newest version of each name,
        or refuses."""
        is_confirmed = False
        number = 0
        while True:
            self._wait_for_turn(number, deadline)
            look = self._engine.read_secrets if is_confirmed else self._engine.peek_secrets
            found = look(owner, wanted, request.name, deadline)
            changes: Sequence[Change] = ()
            if found.request is not None:
                if is_confirmed:
                    return _as_before(found.request, request)
            else:
                try:
                    changes = decide(found.versions)
                except (VaultError, Missing):
                    if is_confirmed:
                        raise
            is_change = any(not isinstance(change, Keep) for change in changes)
            if is_change or (changes and request.is_kept):
                command = WriteSecrets(owner, request.name, request.fingerprint, tuple(changes))
                verdict = self._engine.write_secrets(command, deadline)
                if isinstance(verdict, Written):
                    return _Outcome(_done(changes), verdict.stamp if is_change else None)
                self._engine.wait_for(verdict.seq, deadline)
            elif changes and is_confirmed:
                return _Outcome(_done(changes), versions=found.versions)
            is_confirmed = True
            number += 1

    def _wait_for_turn(self, number: int, deadline: float) -> None:
        """Before round `number`, from 0: raises `VaultError` `unavailable` once the time is up."""
        if self._clock() >= deadline:
            raise VaultError("unavailable", "Other writes kept coming between; try again.")
        if number >= QUICK_ROUNDS:
            longest = min(FIRST_PAUSE_SECONDS * 2 ** (number - QUICK_ROUNDS), LONGEST_PAUSE_SECONDS)
            self._pause(longest * self._random(1)[0] / 256)

    def _change(self, owner: str, name: str, value: str, found: Found) -> Change:
        current = _live(found)
        if current is not None and self._is_equal(owner, name, current, value):
            return Keep(name, current.version)
        newest = _version(found)
        sealed = self._masters.seal(owner, name, newest + 1, value.encode())
        return Put(name, newest, current is not None, sealed)

    def _is_equal(self, owner: str, name: str, current: FoundVersion, value: str) -> bool:
        """Whether a version has this value; one that cannot be opened is taken for another."""
        try:
            return self._masters.open(owner, name, current.version, current.sealed) == value.encode()
        except (KeyUnavailable, SealBroken):
            return False

    def _numbered(self, owner: str, name: str, version: int, deadline: float) -> FoundVersion:
        wanted = [Wanted(name, version, size=0)]
        (found,) = self._engine.read_secrets(owner, wanted, None, deadline).versions
        assert found is not None, "a version never goes away"
        return found

    def _opened(self, owner: str, name: str, found: FoundVersion) -> str:
        key_id: str | None = None  # raised outside of the handlers, so that no ciphertext hangs on it
        try:
            return self._masters.open(owner, name, found.version, found.sealed).decode()
        except KeyUnavailable as error:
            key_id = error.key_id
        except SealBroken:
            pass
        if key_id is None:
            raise VaultError("unavailable", "A secret cannot be opened here; try another node.")
        detail = f"The master key {key_id!r} of secret {name} is not here, or it is another one."
        raise VaultError("key_unavailable", detail, members={"key_id": key_id})

    def _too_long(self) -> VaultError:
        members = {"limit": self._most_bytes, "limit_name": "body_bytes"}
        detail = f"These secrets have more than {self._most_bytes} bytes together; ask for fewer."
        return VaultError("too_large", detail, members=members)


class Missing(Exception):
    """Secrets that have no value, though they must have one."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("secrets have no value")
        self.names = tuple(names)


def no_such_secret() -> VaultError:
    """The one refusal for a secret that is not there, whatever the reason."""
    return VaultError("not_found", "There is no such secret.")


def _comparable(name: str, value: str) -> Wanted:
    """The newest version, with its ciphertext only if it may be of this value."""
    return Wanted(name, size=sealed_size(value.encode()))


def _live(found: Found) -> Found:
    """The version if it is valid."""
    return found if found is not None and found.is_live else None


def _version(found: Found) -> int:
    return found.version if found is not None else 0


def _done(changes: Sequence[Change]) -> list[Done]:
    return [
        Done(
            change.name,
            change.newest + 1 if isinstance(change, Put) else change.newest,
            is_changed=not isinstance(change, Keep),
        )
        for change in changes
    ]


def _as_before(kept: SecretRequest, request: Request) -> _Outcome:
    """The outcome of a request that was carried out before, which must have been this one."""
    if kept.fingerprint != request.fingerprint:
        detail = "The Idempotency-Key was used for another request; use a new one."
        raise VaultError("invalid_value", detail)
    return _Outcome(kept.done)
