"""The promise file: what a node must remember beside its journal, in two checksummed slots.

Rule: *the slot that holds the newest synced promise is never written.*  Everything goes to the other
slot, however often, until a sync has made that one the newest synced.  So a write that is torn by a
power cut costs at most what was not synced.  Writing the slots strictly in turn would not do: after two
unsynced writes the last synced promise would stand in neither.

After each sync the promise is copied to the other slot too, so that damage to one slot alone never
brings an older promise back.
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from tvault.errors import VaultError
from tvault.replication.promise import Promise
from tvault.store.failures import PromiseDamaged, StoreBroken, StoreClosed, StoreFull
from tvault.store.folders import sync_folder

SLOT_BYTES = 4096
_SLOTS = 2
_MAGIC = b"tvprmise"
_VERSION = 1
_HEADER = struct.Struct(">8sHBxQI")  # magic, format version, slot, generation, payload length
_CHECKSUM_BYTES = 32  # the last of a slot, over all its other bytes
_ROOM = SLOT_BYTES - _HEADER.size - _CHECKSUM_BYTES

_decoder = msgspec.msgpack.Decoder(Promise)


class _Read(NamedTuple):
    generation: int
    slot: int
    promise: Promise


class PromiseFile:
    """The promise file at `path`.  One thread uses it at a time.  `fsync` is what syncs its handle.

    Once a write or a sync has failed, every further one raises `StoreBroken`: after a failed fsync the
    kernel takes the pages for clean, and a second one that succeeds proves nothing.
    """

    def __init__(self, path: Path, fsync: Callable[[int], None] = os.fsync) -> None:
        self._path = path
        self._fsync = fsync
        self._handle: int | None = None
        self._generation = 0
        self._newest: Promise | None = None
        self._synced_slot = 0
        self._is_synced = True  # whether the newest promise is durable
        self._is_loaded = False  # whether what was loaded may still wait in the page cache alone
        self._has_failed = False

    def create(self, promise: Promise) -> None:
        """Make the file with `promise` in both slots, durable together with its name.

        A crash in between leaves no file.  Raises `FileExistsError` when there is one, `StoreFull`, or
        `StoreBroken`.
        """
        if self._path.exists():
            raise FileExistsError(f"{self._path} exists")
        draft = self._path.with_name(self._path.name + ".new")
        try:
            _write_new(draft, b"".join(_encode(slot, slot, promise) for slot in range(_SLOTS)))
            draft.rename(self._path)
            sync_folder(self._path.parent)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            self._has_failed = True
            raise _failure(error) from error
        self._generation = _SLOTS - 1
        self._newest = promise
        self._synced_slot = _SLOTS - 1

    def load(self) -> Promise | None:
        """The newest promise in the file, or None when there is no file.  Writes nothing.

        Raises `PromiseDamaged` when neither slot is whole, `VaultError` with code `configuration` when a
        newer tvault wrote it, `OSError` when the file may not be opened.
        """
        self.close()
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        newest = _read(self._handle, self._path)
        self._generation = newest.generation
        self._newest = newest.promise
        self._synced_slot = newest.slot
        self._is_synced = True
        self._is_loaded = True
        return newest.promise

    def write(self, promise: Promise, *, sync: bool) -> None:
        """Replace the promise.  Durable on return when `sync`; else after the next `sync()`, and until
        then a crash of the machine may bring the last synced one back.

        Raises `StoreBroken`, `StoreClosed`, or `StoreFull` when the slot could not be written.
        """
        handle = self._usable()
        try:
            if self._is_loaded:  # a process that died may have left the loaded slot unsynced
                self._fsync(handle)
                self._is_loaded = False
            self._put(handle, promise)
            self._newest = promise
            self._is_synced = False
        except OSError as error:
            self._has_failed = True
            raise _failure(error) from error
        if sync:
            self.sync()

    def sync(self) -> None:
        """Make the newest promise durable.  Raises as `write` does."""
        handle = self._usable()
        if self._newest is None or (self._is_synced and not self._is_loaded):
            return
        try:
            self._fsync(handle)
            self._is_loaded = False
            if not self._is_synced:
                self._is_synced = True
                self._synced_slot = _other(self._synced_slot)
            self._put(handle, self._newest)
        except OSError as error:
            self._has_failed = True
            raise _failure(error) from error

    def close(self) -> None:
        """Let the file go.  What was not synced may be lost.  Again: does nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _usable(self) -> int:
        if self._has_failed:
            raise StoreBroken(f"a write to {self._path} has failed before")
        if self._handle is None:
            raise StoreClosed(f"{self._path} is not open")
        return self._handle

    def _put(self, handle: int, promise: Promise) -> None:
        slot = _other(self._synced_slot)
        content = _encode(slot, self._generation + 1, promise)
        if os.pwrite(handle, content, slot * SLOT_BYTES) != SLOT_BYTES:
            raise OSError(errno.EIO, "a short write")
        self._generation += 1


def read_promise(path: Path) -> Promise | None:
    """The newest promise in the file at `path`, or None when there is no file.  Opens it to read only.

    Raises `PromiseDamaged`, `VaultError` and `OSError` as `PromiseFile.load` does.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _read(handle, path).promise
    finally:
        os.close(handle)


def _read(handle: int, path: Path) -> _Read:
    """The newest whole slot.  Raises `PromiseDamaged`, `VaultError`."""
    try:
        whole = os.pread(handle, _SLOTS * SLOT_BYTES, 0)
    except OSError as error:
        raise PromiseDamaged(f"{path} cannot be read: {error.strerror}") from error
    slots = (_decode(whole, slot, path) for slot in range(_SLOTS))
    newest = max((read for read in slots if read), key=lambda read: read.generation, default=None)
    if newest is None:
        raise PromiseDamaged(f"neither slot of {path} is whole")
    return newest


def _other(slot: int) -> int:
    return 1 - slot


def _encode(slot: int, generation: int, promise: Promise) -> bytes:
    payload = msgspec.msgpack.encode(promise)
    if len(payload) > _ROOM:
        raise ValueError(f"a promise takes at most {_ROOM} bytes")
    header = _HEADER.pack(_MAGIC, _VERSION, slot, generation, len(payload))
    content = (header + payload).ljust(SLOT_BYTES - _CHECKSUM_BYTES, b"\0")
    return content + _checksum(content)


def _decode(whole: bytes, slot: int, path: Path) -> _Read | None:
    """What slot `slot` of the bytes of the file at `path` says, or None when it is not whole."""
    raw = whole[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]
    content, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if len(raw) != SLOT_BYTES or checksum != _checksum(content):
        return None
    magic, version, written_slot, generation, length = _HEADER.unpack_from(content)
    if magic != _MAGIC or written_slot != slot:
        return None
    if version != _VERSION:
        known = f"its format is {version}, this one knows {_VERSION}"
        raise VaultError("configuration", f"{path} was written by another tvault: {known}")
    try:
        promise = _decoder.decode(content[_HEADER.size : _HEADER.size + length])
    except msgspec.DecodeError:
        return None
    return _Read(generation, slot, promise)


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECKSUM_BYTES, person=b"tvault promise").digest()


def _failure(error: OSError) -> StoreFull | StoreBroken:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull("the disk is full")
    return StoreBroken(f"the promise file could not be written: {error.strerror}")


def _write_new(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        if os.write(handle, content) != len(content):
            raise OSError(errno.EIO, "a short write")
        os.fsync(handle)
    finally:
        os.close(handle)
