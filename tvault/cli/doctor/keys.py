"""The key files: there, private, whole, different, and in no repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tvault.cli.doctor.findings import Finding
from tvault.config import Config, KeyReference, read_key
from tvault.errors import VaultError

GIT_SECONDS = 5.0


def keys_found(config: Config, environ: Mapping[str, str], user: int) -> Iterator[Finding]:
    """A line for each key, as `user` would have it; nothing of a key is shown."""
    seen: dict[bytes, str] = {}
    for reference, is_needed in _references(config):
        yield _found(reference, environ, seen, user, is_needed=is_needed)


def _references(config: Config) -> Iterator[tuple[KeyReference, bool]]:
    """Each key, and whether a node starts only with it."""
    yield config.keys.token, True
    yield config.keys.cluster, True
    for master in config.master_keys:
        yield master.key, master.id == config.keys.master


def _found(
    reference: KeyReference,
    environ: Mapping[str, str],
    seen: dict[bytes, str],
    user: int,
    *,
    is_needed: bool,
) -> Finding:
    name = reference.setting
    try:
        key = read_key(reference, environ)
    except VaultError as error:
        found = error.detail.removeprefix(f"{name}: ")
        if is_needed:
            return Finding("keys", name, "failed", found, "no node starts without it")
        return Finding("keys", name, "warning", found, "secrets that it sealed cannot be read")
    other = seen.setdefault(hashlib.sha256(key).digest(), name)
    if other != name:
        return Finding("keys", name, "failed", f"is the same key as {other}", "make a second one")
    if reference.file is None:
        found = f"is in the environment variable {reference.variable}"
        return Finding("keys", name, "ok", found)
    return _file_found(name, reference.file, user)


def _file_found(name: str, file: Path, user: int) -> Finding:
    owner, folder_mode = file.stat().st_uid, file.parent.stat().st_mode
    if owner != user:
        found = f"{file} belongs to user {owner}, not to the user of this command"
        return Finding("keys", name, "warning", found, "run it as the user of the nodes")
    if folder_mode & (stat.S_IWGRP | stat.S_IWOTH) and not folder_mode & stat.S_ISVTX:
        found = f"other users can put another file in the place of {file}"
        return Finding("keys", name, "warning", found, f"run: chmod go-w {file.parent}")
    if _would_be_committed(file):
        found = f"{file} lies in a git working tree, which does not ignore it"
        return Finding("keys", name, "warning", found, "move it out, or list it in .gitignore")
    return Finding("keys", name, "ok", str(file))


def _would_be_committed(file: Path) -> bool:
    """Whether the file is tracked by git, or nothing keeps it from being so."""
    folder, git = file.resolve().parent, shutil.which("git")
    if git is None or not any((each / ".git").exists() for each in (folder, *folder.parents)):
        return False
    surroundings = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    with suppress(OSError, subprocess.TimeoutExpired):
        asked = subprocess.run(  # noqa: S603 - git itself, without a shell
            [git, "-C", str(folder), "check-ignore", "--quiet", "--", file.resolve().name],
            capture_output=True,
            check=False,
            timeout=GIT_SECONDS,
            env=surroundings,
        )
        return asked.returncode == 1
    return False
