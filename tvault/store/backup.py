"""Backups: the committed journal of a node, entry by entry, in a folder of two files.

`entries` holds each entry behind its length, in the order of the journal; `manifest.json` says what they
are checked by: the digest of the last one, which proves all before it, how many rows there are, and the
file's checksum.  Values and secrets in it are sealed as they are on a node's disk; no key is in it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final

import msgspec

from tvault.errors import VaultError
from tvault.model.commands import Rows, decode_rows
from tvault.replication.entry import ORIGIN, Entry, Position, continues
from tvault.store.folders import sync_file, sync_folder
from tvault.store.ports import RowCounts

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
ENTRIES: Final = "entries"

_LENGTH = struct.Struct(">I")
_LONGEST: Final = 1 << 30
"""Bytes of one entry: far beyond what a node writes."""

_TELL_ENTRIES: Final = 1000
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose journal it is, as the node says of itself: `fields` is a digest, `token_key` a fingerprint,
    and so are the values of `master_keys`, by their ids."""

    cluster: str
    node: str
    ensemble: tuple[str, ...]
    fields: str
    token_key: str
    master_keys: Mapping[str, str]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `manifest.json` says.  Of the `master_keys` of its origin it names those that sealed one of
    its secrets; `last`, `view` and `digest` are those of the last entry; `size` (bytes) and `sha256`
    are those of the file of entries, `checksum` is over all the rest."""

    format: int
    tvault: str
    made_at: str
    origin: Origin
    last: int
    view: int
    digest: str
    rows: dict[str, int]
    size: int
    sha256: str
    checksum: str = ""

    def sealed(self) -> Manifest:
        """With a `checksum` over all the rest."""
        bare = msgspec.structs.replace(self, checksum="")
        return msgspec.structs.replace(bare, checksum=hashlib.sha256(bare.text()).hexdigest())

    def text(self) -> bytes:
        """The one way in which it is written."""
        return json.dumps(msgspec.to_builtins(self), indent=2).encode() + b"\n"


class _Version(msgspec.Struct):
    """What every format of manifest says."""

    format: int


_versions = msgspec.json.Decoder(_Version)
_manifests = msgspec.json.Decoder(Manifest)


class BackupWriter:
    """Writes a backup to `folder`, beside `target`, which must not exist; `put_in_place` renames it.

    Raises `VaultError` (`usage`) when the target is there already, `OSError` when it cannot be written.
    """

    def __init__(self, target: Path) -> None:
        if target.exists():
            raise VaultError("usage", f"{target} exists already: a backup goes into a new folder")
        self._target = target
        self.folder = target.with_name(f".{target.name[:200]}.{token_hex(6)}.part")
        self.folder.mkdir(mode=0o700)
        self._file: BinaryIO = (self.folder / ENTRIES).open("xb", buffering=1 << 20)
        self._hash = hashlib.sha256()
        self._size = 0
        self._rows = RowCounts()
        self._sealed_by: Counter[str] = Counter()
        self.last = ORIGIN

    def add(self, entries: Sequence[Entry]) -> None:
        """Append entries.  Raises `VaultError` (`internal`) for one that does not follow."""
        for entry in entries:
            if not continues(self.last, entry):
                raise _spoiled(self.last.seq + 1)
            rows = _rows_of(entry)
            raw = _encoder.encode(entry)
            for part in (_LENGTH.pack(len(raw)), raw):
                self._file.write(part)
                self._hash.update(part)
                self._size += len(part)
            self._rows = self._rows.and_of([rows])
            self._sealed_by.update(version.sealed.key_id for version in rows.versions)
            self.last = entry.position

    def finish(self, origin: Origin, made_at: str, version: str) -> Manifest:
        """Make it durable; nothing can be added any more."""
        known = origin.master_keys
        manifest = Manifest(
            format=FORMAT,
            tvault=version,
            made_at=made_at,
            origin=msgspec.structs.replace(
                origin, master_keys={name: known.get(name, "") for name in sorted(self._sealed_by)}
            ),
            last=self.last.seq,
            view=self.last.view,
            digest=self.last.digest.hex(),
            rows=self._rows._asdict(),
            size=self._size,
            sha256=self._hash.hexdigest(),
        ).sealed()
        sync_file(self._file)
        self._file.close()
        with (self.folder / MANIFEST).open("xb") as file:
            file.write(manifest.text())
            sync_file(file)
        sync_folder(self.folder)
        return manifest

    def put_in_place(self) -> None:
        """Give it its name."""
        self.folder.rename(self._target)
        sync_folder(self._target.absolute().parent)

    def give_up(self) -> None:
        """Leave nothing behind, unless it is in its place."""
        self._file.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Backup:
    """A backup that is read.  Raises `VaultError` (`usage`) when there is none in the folder, and
    `internal` wherever it is not as it was written: which file, which entry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            raw = (folder / MANIFEST).read_bytes()
        except OSError as error:
            detail = f"{folder} is no backup: {MANIFEST} cannot be read: {error.strerror}"
            raise VaultError("usage", detail) from None
        self.manifest = self._decoded(raw)
        self._offsets = array("Q")

    def entries(self) -> Iterator[Entry]:
        """All entries, each checked to follow the one before."""
        with self._open() as file:
            previous = ORIGIN
            self._offsets = array("Q")
            while (place := file.tell()) < self.manifest.size:
                entry = self._read(file, previous.seq + 1)
                if not continues(previous, entry):
                    raise self._damaged(f"entry {previous.seq + 1} does not follow the one before it")
                self._offsets.append(place)
                yield entry
                previous = entry.position
        self._compare("the last entry", previous.seq, self.manifest.last)
        self._compare(f"the digest of entry {previous.seq}", previous.digest.hex(), self.manifest.digest)

    def check(self, tell: Callable[[float], None] = lambda _: None) -> RowCounts:
        """The rows of all entries, after everything was compared with the manifest."""
        self._check_file()
        counts = RowCounts()
        for entry in self.entries():
            counts = counts.and_of([_rows_of(entry)])
            if entry.seq % _TELL_ENTRIES == 0:
                tell(entry.seq / max(1, self.manifest.last))
        self._compare("the rows", counts._asdict(), self.manifest.rows)
        return counts

    def digest_at(self, seq: int) -> str | None:
        """The digest up to an entry, once all were checked; None when there is no such entry."""
        if seq == 0:
            return ORIGIN.digest.hex()
        if seq > len(self._offsets):
            return None
        with self._open() as file:
            file.seek(self._offsets[seq - 1])
            return self._read(file, seq).digest.hex()

    @property
    def end(self) -> Position:
        """Where its journal ends."""
        manifest = self.manifest
        return Position(seq=manifest.last, view=manifest.view, digest=bytes.fromhex(manifest.digest))

    def _check_file(self) -> None:
        digest = hashlib.sha256()
        with self._open() as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
            self._compare(f"the size of {ENTRIES}", file.tell(), self.manifest.size)
        self._compare(f"the checksum of {ENTRIES}", digest.hexdigest(), self.manifest.sha256)

    def _read(self, file: BinaryIO, seq: int) -> Entry:
        head = file.read(_LENGTH.size)
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else _LONGEST + 1
        raw = file.read(length) if length <= _LONGEST else b""
        if len(raw) != length:
            raise self._damaged(f"it ends within entry {seq}")
        entry = None
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            entry = _decoder.decode(raw)
        if entry is None:  # raised out here, so that it does not carry what could not be decoded
            raise self._damaged(f"entry {seq} cannot be read")
        return entry

    def _open(self) -> BinaryIO:
        try:
            return (self.folder / ENTRIES).open("rb")
        except OSError as error:
            raise self._damaged(f"it cannot be read: {error.strerror}") from None

    def _decoded(self, raw: bytes) -> Manifest:
        told, manifest = FORMAT, None
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            told = _versions.decode(raw).format
            manifest = _manifests.decode(raw) if told == FORMAT else None
        if told != FORMAT:
            detail = f"it has format {told}, and this tvault reads format {FORMAT}"
            raise VaultError("usage", f"{self.folder} cannot be read: {detail}")
        if manifest is None or manifest.sealed().text() != raw:
            detail = f"{MANIFEST} is not as it was written"
            raise VaultError("internal", f"the backup {self.folder} is damaged: {detail}")
        return manifest

    def _compare(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            raise self._damaged(f"{what} is {found}, and {MANIFEST} says {expected}")

    def _damaged(self, why: str) -> VaultError:
        return VaultError("internal", f"the backup {self.folder} is damaged: {ENTRIES}: {why}")


def _rows_of(entry: Entry) -> Rows:
    """Raises `VaultError` (`internal`)."""
    with suppress(msgspec.DecodeError):
        return decode_rows(entry.body)
    raise _spoiled(entry.seq)


def _spoiled(seq: int) -> VaultError:
    return VaultError("internal", f"entry {seq} is not as it was written")
