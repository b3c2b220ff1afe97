"""The calls of a vault about secrets and `.env` contents."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TypeVar
from urllib.parse import quote

from tvault import wire
from tvault.client.answers import EnvEncrypted, Secret, SecretDeleted, SecretPut, SecretVersion
from tvault.client.reading import Expanded, History, Names, reader
from tvault.client.retries import Call
from tvault.errors import VaultError

T = TypeVar("T")

NAMES = "a name has 1 to 128 letters of ASCII, digits, '_', '.' and '-', and begins with a letter or '_'"


class SecretCalls(ABC):
    """One method a call.

    A write bears an `Idempotency-Key`, made for the call unless one is given, in all its attempts: when
    the answer to one is lost, the next one finds what it did and does it no second time.
    """

    @abstractmethod
    def _ask(self, call: Call[T], deadline_s: float | None) -> T:
        """What the nodes answer."""

    def put_secret(
        self,
        name: str,
        value: str,
        *,
        if_match: int | None = None,
        if_none_match: bool = False,
        idempotency_key: str | None = None,
        deadline_s: float | None = None,
    ) -> SecretPut:
        """Make `value` the secret's value: a new version, unless it is the value already.

        With `if_match` only when that is the number of the current version, with `if_none_match` only
        when there is none; else `VaultError` (`precondition_failed`, whose member `version` is the
        current one's number or None).
        """
        if not _is_name(name):
            raise VaultError("invalid_value", NAMES)
        conditions = _match(if_match)
        if if_none_match:
            if conditions:
                raise VaultError("usage", "if_match and if_none_match exclude each other")
            conditions = {wire.IF_NONE_MATCH: "*"}
        body = {"value": _text(value, "the value of a secret")}
        headers = _once(idempotency_key) | conditions
        return self._write("PUT", _path(name), reader(SecretPut), deadline_s, headers, body)

    def get_secret(
        self,
        name: str,
        *,
        version: int | None = None,
        at: datetime | str | None = None,
        deadline_s: float | None = None,
    ) -> Secret:
        """The secret as it is now, its version of that number, or the one that was valid `at` a moment,
        a `datetime` with its time zone or a text of RFC 3339.  Raises `VaultError` (`not_found`)."""
        if version is not None and at is not None:
            raise VaultError("usage", "version and at exclude each other")
        query = ""
        if version is not None:
            query = f"?version={_number(version, 'version')}"
        elif at is not None:
            query = f"?at={quote(_moment(at), safe='')}"
        return self._read(_found(name) + query, reader(Secret), deadline_s)

    def secret_history(self, name: str, *, deadline_s: float | None = None) -> list[SecretVersion]:
        """All versions of a secret, also a deleted one, oldest first.  Raises `VaultError`
        (`not_found`)."""
        return self._read(f"{_found(name)}/history", reader(History), deadline_s).versions

    def secret_names(self, *, deadline_s: float | None = None) -> list[str]:
        """The names of the secrets that have a value now, sorted."""
        return self._read(wire.SECRETS, reader(Names), deadline_s).names

    def delete_secret(
        self,
        name: str,
        *,
        if_match: int | None = None,
        idempotency_key: str | None = None,
        deadline_s: float | None = None,
    ) -> SecretDeleted:
        """End the validity of the secret's current version, with `if_match` only if it has that number.
        Its versions can still be got by `version` and `at`, and a new put goes on counting.

        Raises `VaultError` (`not_found`, `precondition_failed`).
        """
        headers = _once(idempotency_key) | _match(if_match)
        return self._write("DELETE", _found(name), reader(SecretDeleted), deadline_s, headers)

    def encrypt_env(
        self,
        content: str,
        values: Mapping[str, str] | None = None,
        *,
        idempotency_key: str | None = None,
        deadline_s: float | None = None,
    ) -> EnvEncrypted:
        """The content of a `.env` file with `secret(NAME)` for each `enc(NAME)` in it, whose value is
        stored as the secret NAME: that of `values`, or the one that the content defines.

        All or nothing.  Raises `VaultError` (`unresolved`) with all names that have no value.
        """
        asked: dict[str, Any] = {"content": _text(content, "the content of a .env file")}
        if values:
            asked["values"] = {
                _text(name, "a name among the values"): _text(value, "the value of a secret")
                for name, value in values.items()
            }
        headers = _once(idempotency_key)
        read = reader(EnvEncrypted)
        return self._write("POST", wire.ENV_ENCRYPT, read, deadline_s, headers, asked)

    def expand_env(self, content: str, *, deadline_s: float | None = None) -> str:
        """The content of a `.env` file with the secrets' current values for each `secret(NAME)` in it.

        Raises `VaultError` (`unresolved`) with all names that have none.
        """
        body = wire.encode_json({"content": _text(content, "the content of a .env file")})
        call = Call("POST", wire.ENV_EXPAND, reader(Expanded), body)
        return self._ask(call, deadline_s).content

    def _read(self, path: str, read: Callable[[bytes], T], deadline_s: float | None) -> T:
        return self._ask(Call("GET", path, read), deadline_s)

    def _write(
        self,
        method: str,
        path: str,
        read: Callable[[bytes], T],
        deadline_s: float | None,
        headers: Mapping[str, str],
        asked: Mapping[str, object] | None = None,
    ) -> T:
        body = None if asked is None else wire.encode_json(asked)
        return self._ask(Call(method, path, read, body, headers=headers), deadline_s)


def _is_name(name: str) -> bool:
    return wire.valid_secret_name(_text(name, "a secret's name"))


def _path(name: str) -> str:
    """Where a secret is.  Only a name that a secret can have goes into a URL: what was given by mistake
    for one may be a value.  Nothing in such a name needs to be quoted there."""
    return f"{wire.SECRETS}/{name}"


def _found(name: str) -> str:
    """Where the secret is that must be there, which one with another name is never."""
    if not _is_name(name):
        raise VaultError("not_found", f"no secret has such a name: {NAMES}")
    return _path(name)


def _text(given: str, what: str) -> str:
    if not isinstance(given, str):
        raise VaultError("invalid_value", f"{what} is a str, and this is of type {type(given).__name__}")
    return given


def _number(given: int, what: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise VaultError("usage", f"{what} is the number of a version, 1 or more")
    return given


def _match(version: int | None) -> dict[str, str]:
    return {} if version is None else {wire.IF_MATCH: f'"{_number(version, "if_match")}"'}


def _once(idempotency_key: str | None) -> dict[str, str]:
    """The header by which a call is carried out once, however often it is sent."""
    key = secrets.token_hex(16) if idempotency_key is None else idempotency_key
    if not isinstance(key, str) or not wire.sane_idempotency_key(key):
        raise VaultError(
            "usage", "an idempotency key is 1 to 255 printable characters of ASCII, no blanks"
        )
    return {wire.IDEMPOTENCY_KEY: key}


def _moment(at: datetime | str) -> str:
    if isinstance(at, str) and at.isascii():
        return at
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise VaultError("usage", "at is a datetime with a time zone, or a text of RFC 3339")
    return at.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
