"""Backups as files: what was put in comes out, and whatever is not as it was written is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cluster.disks import flip_bit
from tests.conformance.naive_secrets import request_of, secrets_entry, version_of
from tests.unit.store.test_checking import ENTRIES, TOKENS, history
from tvault.errors import VaultError
from tvault.replication.entry import ORIGIN as START
from tvault.replication.entry import Entry, Kind, follow
from tvault.store.backup import ENTRIES as FILE
from tvault.store.backup import MANIFEST, Backup, BackupWriter, Manifest, Origin

ORIGIN = Origin(
    cluster="c",
    node="n2",
    ensemble=("n1", "n2", "n3"),
    fields="f" * 32,
    token_key="t" * 16,
    master_keys={"m1": "first", "m2": "second"},
)


def journal() -> list[Entry]:
    """Rows of all kinds, and a new view now and then."""
    entries: list[Entry] = []
    for each in history(ENTRIES):
        previous = entries[-1].position if entries else START
        entries.append(follow(previous, 1 + each.seq // 7, each.kind, each.body))
    version = version_of("key", 1, 10)
    entries.append(secrets_entry(entries[-1].position, [version], requests=[request_of(1)], view=99))
    return entries


def written(target: Path, entries: Sequence[Entry]) -> Manifest:
    writer = BackupWriter(target)
    writer.add(entries)
    manifest = writer.finish(ORIGIN, "2026-11-26T01:02:03.000004Z", "1.2.3")
    writer.put_in_place()
    return manifest


def damage(call: Callable[[], object]) -> str:
    with pytest.raises(VaultError) as caught:
        call()
    assert caught.value.code == "internal"
    return caught.value.detail


def test_what_is_put_in_comes_out_with_what_it_is_checked_by(tmp_path: Path) -> None:
    entries = journal()
    manifest = written(tmp_path / "b", entries)
    backup = Backup(tmp_path / "b")
    assert list(backup.entries()) == entries
    assert backup.manifest == manifest
    assert (manifest.last, manifest.view) == (len(entries), 99)
    assert manifest.digest == entries[-1].digest.hex()
    assert backup.check()._asdict() == manifest.rows
    assert manifest.rows["entries"] == len(entries)
    assert manifest.rows["tokens"] == TOKENS * sum(
        entry.seq % 5 != 0 and entry.seq % 7 != 0 for entry in entries[:-1]
    )
    assert manifest.rows["versions"] == manifest.rows["requests"] == 1
    assert dict(manifest.origin.master_keys) == {"m1": "first"}, "the key that sealed something"
    assert [backup.digest_at(entry.seq) for entry in entries] == [e.digest.hex() for e in entries]
    assert backup.digest_at(len(entries) + 1) is None


def test_a_backup_is_for_its_owner_alone_and_of_an_empty_journal_is_one_too(tmp_path: Path) -> None:
    manifest = written(tmp_path / "b", [])
    assert Backup(tmp_path / "b").check()._asdict() == manifest.rows
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0


def test_nothing_has_its_name_before_it_is_whole_and_nothing_is_left_of_what_is_given_up(
    tmp_path: Path,
) -> None:
    writer = BackupWriter(tmp_path / "b")
    writer.add(journal())
    writer.finish(ORIGIN, "now", "1")
    assert not (tmp_path / "b").exists()
    writer.give_up()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    written(tmp_path / "b", [])
    before = (tmp_path / "b" / MANIFEST).read_bytes()
    with pytest.raises(VaultError, match="exists already"):
        BackupWriter(tmp_path / "b")
    assert (tmp_path / "b" / MANIFEST).read_bytes() == before


def test_entries_that_do_not_follow_each_other_are_no_journal(tmp_path: Path) -> None:
    entries = history(5)
    writer = BackupWriter(tmp_path / "b")
    writer.add(entries[:2])
    assert "entry 3" in damage(lambda: writer.add([entries[3]]))
    other = follow(entries[1].position, 0, Kind.BARRIER, b"")
    assert "entry 3" in damage(lambda: writer.add([other]))
    writer.give_up()


def test_every_bit_that_changes_is_found(tmp_path: Path) -> None:
    written(tmp_path / "b", journal())
    for name in (FILE, MANIFEST):
        path = tmp_path / "b" / name
        size = path.stat().st_size
        for at in range(0, size, max(1, size // 150)):
            flip_bit(path, at)
            with pytest.raises(VaultError, match=r"is damaged|it has format"):
                Backup(tmp_path / "b").check()
            flip_bit(path, at)
    Backup(tmp_path / "b").check()


@pytest.mark.parametrize("cut", [1, 5, 200])
def test_a_file_that_is_cut_or_longer_is_found(tmp_path: Path, cut: int) -> None:
    written(tmp_path / "b", journal())
    path = tmp_path / "b" / FILE
    raw = path.read_bytes()
    path.write_bytes(raw[:-cut])
    assert "the size of entries" in damage(Backup(tmp_path / "b").check)
    assert "ends within entry" in damage(lambda: list(Backup(tmp_path / "b").entries()))
    path.write_bytes(raw + bytes(cut))
    assert "the size of entries" in damage(Backup(tmp_path / "b").check)
    path.unlink()
    assert "cannot be read" in damage(Backup(tmp_path / "b").check)


def test_an_entry_that_changed_is_named_and_not_shown(tmp_path: Path) -> None:
    written(tmp_path / "b", journal())
    path = tmp_path / "b" / FILE
    raw = path.read_bytes()
    at = raw.index(b"sealed of 03")
    path.write_bytes(raw[:at] + b"SEALED" + raw[at + 6 :])
    told = damage(lambda: list(Backup(tmp_path / "b").entries()))
    assert "entry 3 does not follow" in told
    assert "ealed of" not in told


def test_another_format_is_told_and_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    written(tmp_path / "b", [])
    path = tmp_path / "b" / MANIFEST
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "format": 2, "more": []}))
    with pytest.raises(VaultError, match="it has format 2, and this tvault reads format 1"):
        Backup(tmp_path / "b")
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(VaultError, match="is no backup"):
            Backup(folder)
