"""The thread that turns settled generations into runs, and many runs into fewer.

Nobody waits for it: the writer hands generations over and goes on, readers go on with the runs that they
have, and while a long merge is under way the generations that become ready meanwhile are written first.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tvault.store.building import (
    Gathering,
    Source,
    first_to_merge,
    in_parts,
    joint_stretch,
    write_run,
)
from tvault.store.folders import has_room
from tvault.store.generations import Generation
from tvault.store.runs import Columns, Run, RunDamaged, most_bytes

RETRY_SECONDS = 5.0
"""How long a full disk, or whatever else stands in the way, is left alone before the next try."""

RESTS = 3
"""How many times as long as a part of a merge took the thread then rests: a large merge is spread over
the many values that it is for, and takes a quarter of one processor at most."""

Publish = Callable[[Sequence[Run], "Generation | None"], None]


_log = logging.getLogger("tvault.store")


class _Stopped(Exception):
    """The merger was told to end."""


class Merger:
    """Keeps the runs in `folder` few.

    `publish` is called, on the merger's thread, with all runs and the generation that has become one of
    them, if one has.  After `failure` is set nothing more is done: a token stands twice
    (`StoreViolation`), the journal is damaged (`JournalDamaged`), or reading or writing failed.
    `merges`, `merge_seconds` and `repairs` tell what was done so far; any thread may look.
    """

    def __init__(self, folder: Path, runs: Sequence[Run], source: Source, publish: Publish) -> None:
        self._folder = folder
        self._runs = list(runs)
        self._source = source
        self._publish = publish
        self._waiting: deque[Generation] = deque()
        self._damaged: deque[Run] = deque()
        self._changed = threading.Condition()
        self._is_idle = False
        self._is_stuck = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self.failure: Exception | None = None
        self.merges = 0
        self.merge_seconds = 0.0
        self.repairs = 0

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def take(self, generation: Generation) -> None:
        """Make a run of a generation that is settled and to which nothing is added any more."""
        with self._changed:
            self._waiting.append(generation)
            self._changed.notify_all()

    def repair(self, run: Run) -> None:
        """Read the tokens of a damaged run from the journal again."""
        with self._changed:
            self._damaged.append(run)
            self._changed.notify_all()

    def wait_until_idle(self, timeout: float) -> bool:
        """Whether, before the timeout, there was nothing to do; a failure counts as that."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_idle and not self._has_work(), timeout)

    def close(self) -> None:
        """End soon, and wait for that; a merge under way is given up."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._work()
        except _Stopped:
            pass
        except Exception as error:  # noqa: BLE001  whatever it is, the writer has to learn of it
            self.failure = error
        finally:
            with self._changed:
                self._stopping = self._is_idle = True
                self._changed.notify_all()

    def _has_work(self) -> bool:
        return not self._stopping and (
            bool(self._waiting or self._damaged) or self._first_to_merge() is not None
        )

    def _wait_for_work(self) -> bool:
        with self._changed:
            if self._is_stuck:
                self._changed.wait_for(lambda: self._stopping, RETRY_SECONDS)
                self._is_stuck = False
            self._is_idle = not self._has_work()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopping or self._has_work())
            self._is_idle = False
            return not self._stopping

    def _work(self) -> None:
        try:
            self._write_waiting()
            while self._damaged:
                self._read_again(self._damaged[0])
                self._damaged.popleft()
            first = self._first_to_merge()
            if first is not None:
                self._merge(first)
        except (OSError, RunDamaged) as error:
            if isinstance(error, OSError) and error.errno == errno.EIO:
                raise
            self._is_stuck = True  # no room, too many open files: nothing is wrong with what is there

    def _first_to_merge(self) -> int | None:
        return first_to_merge([len(run) for run in self._runs])

    def _write_waiting(self) -> None:
        while self._waiting:
            self._stop_if_told()
            generation = self._waiting[0]
            self._refuse_last_room(len(generation))
            before = self._runs[-1].stretch if self._runs else None
            gathering = Gathering(self._source.masks, generation.after, before)
            gathering.add_generation(generation)
            self._runs.append(gathering.write(self._folder))
            self._publish(tuple(self._runs), generation)
            self._waiting.popleft()

    def _merge(self, first: int) -> None:
        sources = self._runs[first:]
        self._refuse_last_room(sum(map(len, sources)))
        for run in sources:
            self._stop_if_told()
            try:
                run.check()  # what is damaged must not get a good checksum
            except RunDamaged:
                self._damaged.append(run)
                return
        began = time.monotonic()
        parts = self._one_by_one(in_parts([run.columns for run in sources]))
        self._replace(sources, [write_run(self._folder, joint_stretch(sources), parts)])
        self.merges += 1
        self.merge_seconds += time.monotonic() - began

    def _one_by_one(self, parts: Iterator[Columns]) -> Iterator[Columns]:
        began = time.monotonic()
        for part in parts:
            self._write_waiting()
            yield part
            self._rest(RESTS * (time.monotonic() - began))
            began = time.monotonic()

    def _read_again(self, run: Run) -> None:
        if run not in self._runs:
            return
        place = self._runs.index(run)
        before = self._runs[place - 1].stretch if place else None
        stretch = run.stretch
        _log.warning("%s is damaged: it is made again from the journal", run.path)
        made: list[Run] = []
        for part in self._source.runs(self._folder, stretch.after, before, stretch.last.seq):
            made.append(part)
            self._stop_if_told()
        self._replace([run], made)
        self.repairs += 1

    def _replace(self, old: Sequence[Run], new: Sequence[Run]) -> None:
        place = self._runs.index(old[0])
        self._runs[place : place + len(old)] = new
        self._publish(tuple(self._runs), None)
        kept = {run.path for run in new}
        for run in old:
            if run.path not in kept:
                run.path.unlink(missing_ok=True)

    def _rest(self, seconds: float) -> None:
        """Leave the processor to others, unless something waits that takes memory meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or bool(self._waiting), seconds)
        self._stop_if_told()

    def _refuse_last_room(self, tokens: int) -> None:
        if not has_room(self._folder, most_bytes(tokens)):
            raise OSError(errno.ENOSPC, "the disk is nearly full")

    def _stop_if_told(self) -> None:
        if self._stopping:
            raise _Stopped
