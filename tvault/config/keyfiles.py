"""The key material that the configuration refers to."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tvault.config.shapes import Config, KeyReference
from tvault.errors import VaultError

KEY_BYTES = 32
_MOST_DIGITS = 4096


@dataclass(frozen=True)
class Keys:
    """The cluster's two keys, each of 32 or more bytes.  Never shown."""

    token: bytes
    cluster: bytes

    def __repr__(self) -> str:
        return "Keys(token=…, cluster=…)"


def read_keys(config: Config, environ: Mapping[str, str]) -> Keys:
    """The keys of `config`, from their files or from `environ`.

    Raises `VaultError` (`configuration`) that names the setting and the file or variable: missing,
    unreadable, open to other users, too short, no hex digits, or one key in both places.
    """
    token = _read_key(config.keys.token, environ)
    cluster = _read_key(config.keys.cluster, environ)
    if token == cluster:
        why = "[keys] token and [keys] cluster are the same key; make a second one"
        raise VaultError("configuration", f"{config.path}: {why}")
    return Keys(token, cluster)


def _read_key(reference: KeyReference, environ: Mapping[str, str]) -> bytes:
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
