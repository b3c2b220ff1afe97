"""The data folder of a node on this machine.  Nothing in it is changed."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tvault.cli.doctor.findings import Finding, size_text
from tvault.config import NodeConfig
from tvault.errors import VaultError
from tvault.replication.promise import Promise, Standing
from tvault.replication.recovery import ForeignFolder, Identity, refuse_foreign
from tvault.server.folder import ASIDE, DOUBTFUL, LOCK_FILE, PROMISE_FILE, UNFINISHED
from tvault.server.sizes import sizes_of
from tvault.store.failures import PromiseDamaged
from tvault.store.promise import read_promise
from tvault.store.sqlite import FILE_NAME, INDEX_FOLDER

NEEDED = (LOCK_FILE, PROMISE_FILE, FILE_NAME, INDEX_FOLDER)
"""How the names begin of what a node does not start without.  (It does without its event log.)"""


def folder_found(node: NodeConfig, identity: Identity | None, user: int) -> Iterator[Finding]:
    """Whether the node, as `user`, can use its folder.  Without an `identity` nobody
    can tell whose it is."""
    about, folder = node.id, node.data
    if not folder.exists():
        yield _to_be_made(about, folder)
        return
    place = _place(about, folder, user)
    if place.result != "ok":
        yield place
    if place.result == "failed":
        return
    if is_in_use(folder):
        yield Finding("folder", about, "ok", f"{folder} is in use by a running process")
    else:
        yield _content(about, folder, identity)
    aside = sizes_of(folder)["set_aside"]
    count = len(list(folder.glob(ASIDE + "*")))
    if count:
        found = f"what was set aside lies here: {count} x, {size_text(aside)}"
        advice = f"remove {ASIDE}* once nobody wants to look into them"
        yield Finding("folder", about, "warning", found, advice)


def is_in_use(folder: Path) -> bool:
    """Whether a process has the folder.  (A node that starts in this instant waits for its end.)"""
    with suppress(OSError), (folder / LOCK_FILE).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def was_used(folder: Path) -> bool:
    """Whether a node has run in it, or this user may not know."""
    try:
        return (folder / PROMISE_FILE).exists()
    except OSError:
        return True


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def _to_be_made(about: str, folder: Path) -> Finding:
    above = existing(folder)
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return Finding("folder", about, "ok", f"{folder} is made when the node starts")
    found = f"{folder} is not there, and cannot be made in {above}"
    return Finding("folder", about, "failed", found, "make it for the user of the node, with mode 0700")


def _place(about: str, folder: Path, user: int) -> Finding:
    if not folder.is_dir():
        return Finding("folder", about, "failed", f"{folder} is no folder", "name another, or move it")
    told = folder.stat()
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        found = f"{folder} cannot be written by this user; it belongs to user {told.st_uid}"
        return Finding("folder", about, "failed", found, "run it as the user of the node")
    if told.st_uid != user:
        found = f"{folder} belongs to user {told.st_uid}, not to the user of this command"
        return Finding("folder", about, "warning", found, "run it as the user of the node")
    for file in folder.iterdir():
        if file.name.startswith(NEEDED) and not os.access(file, os.R_OK | os.W_OK):
            found = f"{file} cannot be read and written by this user"
            return Finding("folder", about, "failed", found, "give it to the user of the node")
    mode = stat.S_IMODE(told.st_mode)
    if mode & 0o077:
        found = f"{folder} is open to other users (mode {mode:04o})"
        return Finding("folder", about, "warning", found, f"run: chmod 700 {folder}")
    return Finding("folder", about, "ok", str(folder))


def _content(about: str, folder: Path, identity: Identity | None) -> Finding:
    """What a node would find here."""
    if (folder / UNFINISHED).exists():
        found = f"{folder} is half restored: no node starts in it"
        return Finding("folder", about, "failed", found, "repeat tvault restore")
    set_aside = "its files are set aside at the next start, and copied from the others"
    if (folder / DOUBTFUL).exists():
        return Finding("folder", about, "warning", "the node has found its files damaged", set_aside)
    try:
        promise = read_promise(folder / PROMISE_FILE)
    except PromiseDamaged:
        return Finding("folder", about, "warning", "the promise file is damaged", set_aside)
    except (VaultError, OSError) as error:
        return Finding("folder", about, "failed", f"the promise file cannot be read: {error}")
    if promise is None:
        if (folder / FILE_NAME).exists():
            found = "there is a journal, but no promise file"
            return Finding("folder", about, "warning", found, set_aside)
        return Finding("folder", about, "ok", f"{folder}: no node has run here yet")
    return _promised(about, folder, promise, identity)


def _promised(about: str, folder: Path, promise: Promise, identity: Identity | None) -> Finding:
    """What the promise of a node says that has used the folder."""
    try:
        if identity is not None:
            refuse_foreign(promise, identity)
    except ForeignFolder as error:
        advice = "start this node with the configuration and keys of its folder, or name another"
        return Finding("folder", about, "failed", f"{folder} is not this node's: {error}", advice)
    if promise.standing is Standing.BLANK:
        advice = "it is copied from the others once it runs and a majority of them can vote"
        return Finding("folder", about, "warning", "the node is blank: it may not vote yet", advice)
    whose = (
        "is this node's" if identity is not None else "is a node's; without keys nobody can tell whose"
    )
    return Finding("folder", about, "ok", f"{folder} {whose}")
