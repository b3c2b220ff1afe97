"""The masks and runs that a store begins with: from sound files, and for the rest from the journal."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from tvault.replication.entry import ORIGIN, Position
from tvault.store.building import JournalReader, Source
from tvault.store.failures import JournalDamaged
from tvault.store.folders import sync_folder
from tvault.store.masked import NAME_BYTES, SECRET_BYTES, Masks
from tvault.store.runs import PART_SUFFIX, SUFFIX, Run, RunDamaged, open_run, reading

MUCH_TOKENS = 2**17
MUCH_ENTRIES = 2**14
"""From so many tokens or entries on, what is read from the journal becomes runs at once."""

MASKS_FILE = "masks"
"""Holds the secret of the masks and their name: without it, all runs are made again."""

_log = logging.getLogger("tvault.store")


def open_masks(folder: Path) -> Masks:
    """The masks of the store whose index is in `folder`, made when there are none or what is there is
    damaged.  Raises `OSError`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    masks = read_masks(folder)
    if masks is None:
        masks = Masks(os.urandom(SECRET_BYTES))
        keep_masks(folder, masks)
    return masks


def read_masks(folder: Path) -> Masks | None:
    """The masks of the store whose index is in `folder`, None when there are none or they are damaged.
    Raises `OSError`."""
    with suppress(RunDamaged), reading(folder / MASKS_FILE) as file:
        content = file.read(SECRET_BYTES + NAME_BYTES + 1)
        masks = Masks(content[:SECRET_BYTES])
        if content == masks.secret + masks.name:
            return masks
    return None


def keep_masks(folder: Path, masks: Masks) -> None:
    """Return once the masks of the store are on the disk.  Raises `OSError`."""
    part = folder / (MASKS_FILE + PART_SUFFIX)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(masks.secret + masks.name)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / MASKS_FILE)
    sync_folder(folder)


def open_runs(folder: Path, source: Source, settled: int) -> list[Run]:
    """The runs in `folder`, oldest first, without a gap from the beginning of the journal.

    Every file is read and its checksums compared; a damaged one is dropped and, when others follow it,
    its stretch read from the journal; so is what follows the last one up to entry `settled`, if it is
    much.  What a crash left behind is removed.

    Raises `JournalDamaged` when a sound run vouches for an entry that the journal does not hold: what
    is in a run was committed.  Raises `OSError`.
    """
    journal = source.journal
    for part in folder.glob("*" + PART_SUFFIX):
        part.unlink()
    left = [run for path in sorted(folder.glob("*" + SUFFIX)) if (run := _sound_run(path, source))]
    runs: list[Run] = []
    while left:
        first = min(run.stretch.after for run in left)
        end = _end_of(runs)
        if first.seq > end.seq:
            runs += source.runs(folder, end, runs[-1].stretch if runs else None, first.seq)
        # A merge that a crash cut short leaves its sources beside the run that has it all.
        begun = [run for run in left if run.stretch.after == first]
        runs.append(max(begun, key=lambda run: run.stretch.last))
        left = [run for run in left if run.stretch.after >= _end_of(runs)]
    end = _end_of(runs)
    is_much = settled - end.seq >= MUCH_ENTRIES or journal.tokens_after(end.seq) >= MUCH_TOKENS
    if settled > end.seq and is_much:
        runs += source.runs(folder, end, runs[-1].stretch if runs else None, settled)
    _remove_others(folder, runs)
    return runs


def _sound_run(path: Path, source: Source) -> Run | None:
    try:
        run = open_own_run(path, source.masks)
        run.check()
    except RunDamaged:
        _log.warning("%s is damaged: it is made again from the journal", path)
        path.unlink(missing_ok=True)
        return None
    return run if is_of(run, source.journal) else None


def open_own_run(path: Path, masks: Masks) -> Run:
    """The run in the file at `path`, whose columns are not read yet.  Raises `RunDamaged`, also when its
    keys are of other masks, and `OSError`."""
    run = open_run(path)
    if run.stretch.masks != masks.name:
        raise RunDamaged(f"{path.name} has keys of other masks")
    return run


def is_of(run: Run, journal: JournalReader) -> bool:
    """Whether a sound run is of this journal, and not of that of another node: nodes have one history,
    but each its own ids of blocks.  Raises `JournalDamaged`."""
    stretch = run.stretch
    for vouched in (stretch.after, stretch.last):
        if journal.position(vouched.seq) != vouched:
            raise JournalDamaged(f"the journal does not hold entry {vouched.seq}, which was committed")
    return journal.top_block(stretch.last.seq) == stretch.top_block


def _end_of(runs: list[Run]) -> Position:
    return runs[-1].stretch.last if runs else ORIGIN


def _remove_others(folder: Path, runs: list[Run]) -> None:
    kept = {run.path for run in runs}
    for path in folder.glob("*" + SUFFIX):
        if path not in kept:
            with suppress(FileNotFoundError):
                path.unlink()
    sync_folder(folder)
