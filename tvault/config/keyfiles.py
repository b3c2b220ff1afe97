"""The key material that the configuration refers to."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from tvault.config.shapes import Config, KeyReference
from tvault.errors import VaultError

KEY_BYTES = 32
_MOST_DIGITS = 4096


@dataclass(frozen=True)
class Keys:
    """The cluster's keys, each of 32 or more bytes.  Never shown.

    `masters` holds the master keys by id, the active one among them; `missing` says of those that
    cannot be read why, in one line each.
    """

    token: bytes
    cluster: bytes
    masters: Mapping[str, bytes]
    missing: Mapping[str, str]

    def __repr__(self) -> str:
        return "Keys(token=…, cluster=…, masters=…)"


def read_keys(config: Config, environ: Mapping[str, str]) -> Keys:
    """The keys of `config`, from their files or from `environ`.

    Raises `VaultError` (`configuration`) that names the setting and the file or variable: missing,
    unreadable, open to other users, too short, no hex digits, or one key in two places.  A master key
    that is not active is then `missing`, unless it is a key that stands elsewhere, too.
    """
    token = read_key(config.keys.token, environ)
    cluster = read_key(config.keys.cluster, environ)
    found = {config.keys.token.setting: token, config.keys.cluster.setting: cluster}
    masters: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    for master in config.master_keys:
        try:
            masters[master.id] = found[master.key.setting] = read_key(master.key, environ)
        except VaultError as error:  # noqa: PERF203 - each for itself
            if master.id == config.keys.master:
                raise
            missing[master.id] = error.detail
    _refuse_same(config, found)
    return Keys(token, cluster, masters, missing)


def _refuse_same(config: Config, found: Mapping[str, bytes]) -> None:
    for (one, key), (other, other_key) in combinations(found.items(), 2):
        if key == other_key:
            why = f"{one} and {other} are the same key; make a second one"
            raise VaultError("configuration", f"{config.path}: {why}")


def read_key(reference: KeyReference, environ: Mapping[str, str]) -> bytes:
    """One key, from its file or from `environ`.  Raises `VaultError` as `read_keys` does."""
    if reference.file is not None:
        place = f"{reference.setting}: {reference.file}"
        digits = _file_text(reference.file, place)
    else:
        place = f"{reference.setting}: environment variable {reference.variable}"
        found = environ.get(reference.variable or "")
        if not found:
            raise VaultError("configuration", f"{place} is not set")
        digits = found
    return _key(digits.strip(), place)


def _file_text(file: Path, place: str) -> str:
    return _private_content(file, place, _MOST_DIGITS + 2).decode("ascii", errors="replace")


def judge_private(file: Path, setting: str) -> None:
    """Raise `VaultError` (`configuration`) unless only this user can read the key in `file`."""
    _private_content(file, f"{setting}: {file}", 0)


def _private_content(file: Path, place: str, most_bytes: int) -> bytes:
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            content = opened.read(most_bytes)
    except OSError as error:
        raise VaultError("configuration", f"{place} cannot be read: {error.strerror}") from error
    if os.name == "posix" and mode & 0o077:
        why = f"is open to other users (mode {mode:04o}); run: chmod 600 {file}"
        raise VaultError("configuration", f"{place} {why}")
    return content


def _key(digits: str, place: str) -> bytes:
    try:
        key = bytes.fromhex(digits)
    except ValueError as error:
        raise VaultError("configuration", f"{place} does not hold hex digits") from error
    if len(key) < KEY_BYTES:
        why = f"is too short: {2 * len(key)} hex digits where {2 * KEY_BYTES} are needed"
        raise VaultError("configuration", f"{place} {why}")
    if len(digits) > _MOST_DIGITS:
        raise VaultError("configuration", f"{place} is too long: at most {_MOST_DIGITS} hex digits")
    return key
