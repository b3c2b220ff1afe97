"""What a store makes of the files of its index that it finds: after a crash anywhere, damaged, out of
date, of another node.  It finds every token all the same, or says that something is damaged."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from tests.conformance.naive import block_of, digest_of, rows_entry
from tests.unit.store.test_checking import ENTRIES, TOKENS, history
from tvault.replication.entry import Entry
from tvault.store.building import Source
from tvault.store.database import Database
from tvault.store.failures import JournalDamaged
from tvault.store.opening import MASKS_FILE, open_masks
from tvault.store.ports import Checked
from tvault.store.reading import DatabaseReader
from tvault.store.runs import PART_SUFFIX, Run
from tvault.store.sqlite import FILE_NAME, INDEX_FOLDER, SqliteStore

SOURCES = (0, 9, 15, 22, 30)
"""Where the runs begin and end that a merge makes one of."""

EVERYTHING = b"".join(digest_of(number) for number in range(TOKENS * (ENTRIES + 2)))


def journal_in(folder: Path, entries: list[Entry]) -> None:
    """A journal without runs."""
    with closing(SqliteStore(folder)) as store:
        store.write(None, entries, min(len(entries), ENTRIES - 1))
    shutil.rmtree(folder / INDEX_FOLDER)


def runs_of(folder: Path, bounds: tuple[int, ...]) -> list[Path]:
    """Run files of the journal in `folder`, between these entries."""
    (folder / INDEX_FOLDER).mkdir(exist_ok=True)
    runs: list[Run] = []
    with closing(Database(folder / FILE_NAME)) as database:
        reader = DatabaseReader(database)
        source = Source(reader, open_masks(folder / INDEX_FOLDER))
        for first, last in pairwise(bounds):
            after = reader.position(first)
            assert after is not None
            before = runs[-1].stretch if runs else None
            runs += source.runs(folder / INDEX_FOLDER, after, before, last)
    return [run.path for run in runs]


def assert_finds_everything(folder: Path, entries: list[Entry]) -> None:
    """Nothing is lost, nothing is left over, and a second start finds it so, too."""
    for _ in range(2):
        with closing(SqliteStore(folder, run_tokens=10 * TOKENS)) as store:
            assert store.last() == entries[-1].position
            places = [store.find(owner, 1, EVERYTHING).missing() for owner in ("anna", "bert")]
            assert places == expected_missing(entries)
            done = store.check_slice(Checked(), ENTRIES - 1, lambda: False)
            assert done.last == entries[ENTRIES - 2].position
            assert store.newest_epoch("anna")[0] == 1 + ENTRIES // 5
            store.settle(ENTRIES - 1)
            assert store._index.wait_until_idle(10)
            for _ in store.check_runs():
                pass
            held = {run.path for run in store._index.snapshot.runs}
        assert set((folder / INDEX_FOLDER).iterdir()) == held | {folder / INDEX_FOLDER / MASKS_FILE}


def expected_missing(entries: list[Entry]) -> list[list[int]]:
    brought = {entry.seq for entry in entries if entry.seq % 5 and entry.seq % 7}
    tokens = range(TOKENS * (ENTRIES + 2))
    annas = [n for n in tokens if n // TOKENS not in brought or n % TOKENS == 2]
    berts = [n for n in tokens if n // TOKENS not in brought or n % TOKENS != 2]
    return [annas, berts]


@dataclass
class Made:
    """A journal, all files that a merge may leave, and a folder to try them in."""

    folder: Path
    entries: list[Entry]
    sources: list[Path]
    merged: Path
    kept: Path

    def try_with(self, files: list[Path]) -> Path:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.kept, self.folder, ignore=shutil.ignore_patterns("*.run"))
        for file in files:
            shutil.copy(file, self.folder / INDEX_FOLDER / file.name)
        return self.folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    kept = tmp_path_factory.mktemp("made") / "kept"
    entries = history(ENTRIES)
    journal_in(kept, entries)
    sources = runs_of(kept, SOURCES)
    (merged,) = runs_of(kept, (SOURCES[0], SOURCES[-1]))
    return Made(kept.parent / "tried", entries, sources, merged, kept)


def test_whatever_files_a_crash_in_a_merge_leaves_the_index_is_whole_and_they_are_tidied(
    made: Made,
) -> None:
    everything = [*made.sources, made.merged]
    for count in range(len(everything) + 1):
        for files in combinations(everything, count):
            folder = made.try_with(list(files))
            part = folder / INDEX_FOLDER / (made.merged.stem + PART_SUFFIX)
            part.write_bytes(made.merged.read_bytes()[: 100 * count])
            assert_finds_everything(folder, made.entries)


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_or_torn_file_costs_no_token(made: Made, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(12):
        files = dice.choice([made.sources, [made.merged], [*made.sources, made.merged]])
        folder = made.try_with(files)
        for file in dice.sample(files, dice.randint(1, len(files))):
            victim = folder / INDEX_FOLDER / file.name
            content = bytearray(victim.read_bytes())
            if dice.random() < 0.3:
                content = content[: dice.randrange(len(content))]
            else:
                content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            victim.write_bytes(content)
        assert_finds_everything(folder, made.entries)


def test_an_older_copy_of_the_index_is_caught_up_and_a_missing_one_is_made(made: Made) -> None:
    for files in ([], made.sources[:1], made.sources[1:], made.sources[2:3]):
        assert_finds_everything(made.try_with(list(files)), made.entries)
    shutil.rmtree(made.try_with([]) / INDEX_FOLDER)
    assert_finds_everything(made.folder, made.entries)


def test_files_of_another_node_are_not_taken_for_those_of_this_one(made: Made, tmp_path: Path) -> None:
    """It has the same history, but gave other ids to its blocks, since some that it had were cut."""
    with closing(SqliteStore(tmp_path)) as other:
        for entry in made.entries:
            if entry.seq == 9:
                cut = rows_entry(other.last(), [block_of("carl", 1, [digest_of(1)])], view=99)
                other.write(None, [cut], 8)
            other.write(entry.seq - 1, [entry], min(entry.seq - 1, ENTRIES - 1))
    shutil.copy(made.kept / INDEX_FOLDER / MASKS_FILE, tmp_path / INDEX_FOLDER)
    assert_finds_everything(made.try_with(runs_of(tmp_path, SOURCES)), made.entries)


def test_files_made_with_other_masks_are_not_taken_for_those_of_this_store(
    made: Made, tmp_path: Path
) -> None:
    """As when the file of a node is copied into the index of another one."""
    journal_in(tmp_path, made.entries)
    others = runs_of(tmp_path, SOURCES)
    for count in range(1, len(others) + 1):
        for strange in combinations(others, count):
            own = [run for run in made.sources if run.name not in {other.name for other in strange}]
            assert_finds_everything(made.try_with([*own, *strange]), made.entries)


@pytest.mark.parametrize("content", [None, b"", b"short", bytes(24), bytes(10_000)])
def test_without_its_masks_the_index_is_made_again(made: Made, content: bytes | None) -> None:
    folder = made.try_with(made.sources)
    file = folder / INDEX_FOLDER / MASKS_FILE
    before = file.read_bytes()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert_finds_everything(folder, made.entries)
    assert file.read_bytes() not in {before, content}
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_masks_of_a_store_stay_and_no_other_store_has_them(tmp_path: Path) -> None:
    kept = [open_masks(tmp_path / name).name for name in ("one", "two", "one")]
    assert kept[0] == kept[2] != kept[1]


@pytest.mark.parametrize("lost", [1, 2, 10])
def test_an_older_copy_of_the_journal_beside_the_index_is_damage(
    made: Made, tmp_path: Path, lost: int
) -> None:
    journal_in(tmp_path, made.entries[: SOURCES[-1] - lost])
    shutil.copytree(made.kept / INDEX_FOLDER, tmp_path / INDEX_FOLDER)
    with pytest.raises(JournalDamaged):
        SqliteStore(tmp_path)
