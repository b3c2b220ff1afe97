"""`GET /peer/verify`: the check of all that the node holds, begun and followed by operators.

`?begin=1` begins one, or joins the one under way; `?run=ID` tells how far it has come, and in the end
what it has found; `?seq=N` gives the digest of the committed journal at entry N.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import uuid4

from tvault.errors import VaultError
from tvault.server.peer_api import Handler
from tvault.server.web import Answer, Environ, json_answer
from tvault.store.checking import Record
from tvault.store.failures import JournalDamaged, StoreFailure
from tvault.store.ports import Store
from tvault.store.verification import Verification
from tvault.wire import PEER_VERIFY

RESTS: Final = 3
"""How many times as long as a slice of the check its thread then rests: it takes a quarter of one core
at most.  Only SQLite's own check, which reads a table in one go, does not rest; it leaves the
interpreter to others."""

ABANDONED_SECONDS: Final = 10.0
"""A check that nobody has asked about for so long ends."""


class _Run:
    """One check, and the thread that does it."""

    def __init__(self, verification: Verification, clock: Callable[[], float]) -> None:
        self.id = uuid4().hex
        self.verification = verification
        self.began = self.asked = clock()
        self.seconds = 0.0
        self.failure: str | None = "it ended without an outcome"
        self.is_done = False

    def document(self) -> dict[str, Any]:
        """What is told of it."""
        verification = self.verification
        return {
            "run": self.id,
            "is_done": self.is_done,
            "failure": self.failure if self.is_done else None,
            "step": verification.step,
            **verification.document(),
            "seconds": round(self.seconds, 1),
        }


class VerifyApi:
    """Checks `store` up to `committed()`, one check at a time, until `stop`.

    What is found is damage as any other: `doubt` is told of it, at the end of the check.  A check that
    has found nothing is the event `checked`.
    """

    def __init__(
        self,
        store: Store,
        *,
        committed: Callable[[], int],
        doubt: Callable[[str], None],
        record: Record,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._committed = committed
        self._doubt = doubt
        self._record = record
        self._clock = clock
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._run: _Run | None = None

    def routes(self) -> dict[str, tuple[str, Handler]]:
        """Its path on the peer port, with its method and who answers."""
        return {PEER_VERIFY: ("GET", self.tell)}

    def stop(self) -> None:
        """End the check under way; waits for its thread."""
        with self._lock:
            self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def tell(self, environ: Environ) -> Answer:
        """The answer to a question of an operator.  Raises `VaultError`."""
        asked = parse_qs(environ.get("QUERY_STRING", ""))
        match {name: values[-1] for name, values in asked.items()}:
            case {"seq": seq, **others} if not others and seq.isdecimal() and len(seq) < 20:
                return json_answer({"seq": int(seq), "digest": self._digest_at(int(seq))})
            case {"begin": "1", **others} if not others:
                return json_answer(self._begin().document())
            case {"run": run, **others} if not others:
                return json_answer(self._followed(run).document())
        raise VaultError("malformed", "Ask with ?begin=1, ?run=ID or ?seq=N.")

    def _digest_at(self, seq: int) -> str:
        try:
            position = self._store.position(seq) if seq <= self._upto() else None
        except (StoreFailure, JournalDamaged) as failure:
            raise VaultError("unavailable", f"The store cannot be read: {failure}.") from None
        if position is None:
            raise VaultError("not_found", f"Entry {seq} is not known here to be committed.")
        return position.digest.hex()

    def _upto(self) -> int:
        return min(self._committed(), self._store.last().seq)

    def _begin(self) -> _Run:
        with self._lock:
            if self._stopping.is_set():
                raise VaultError("unavailable", "The node is stopping.")
            if self._run is None or self._run.is_done:
                self._run = _Run(
                    Verification(self._store, self._upto(), self._stopping.is_set), self._clock
                )
                self._thread = threading.Thread(
                    target=self._work, args=(self._run,), name="verification", daemon=True
                )
                self._thread.start()
            self._run.asked = self._clock()
            return self._run

    def _followed(self, run: str) -> _Run:
        found = self._run
        if found is None or found.id != run:
            raise VaultError(
                "not_found",
                "This check is not known here: the node was started again, or another check began.",
            )
        found.asked = self._clock()
        return found

    def _work(self, run: _Run) -> None:
        try:
            run.failure = self._check(run)
        except (StoreFailure, OSError) as failure:
            run.failure = str(failure)
        finally:
            run.seconds = self._clock() - run.began
            run.is_done = True
        damage = [each for each in run.verification.findings if not each.is_mended]
        if damage:
            self._doubt(f"{damage[0].where}: {damage[0].what}")
        elif run.failure is None:
            self._record("checked", entries=run.verification.upto, seconds=round(run.seconds, 1))

    def _check(self, run: _Run) -> str | None:
        """Why it was broken off, if it was."""
        slice_began = self._clock()
        for _ in run.verification.slices():
            now = self._clock()
            run.seconds = now - run.began
            if now - run.asked > ABANDONED_SECONDS:
                return "nobody asked about it any more"
            if self._stopping.wait(RESTS * (now - slice_began)):
                return "the node is stopping"
            slice_began = self._clock()
        return None
