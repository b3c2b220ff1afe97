"""`GET /peer/state`: what the node holds, for operators.

To count takes a while in a large store: a request counts for a moment, and answers how far it has come
until all is counted; the next one goes on from there.  What was counted is not counted again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tvault.errors import VaultError
from tvault.server.holdings import tell_holdings
from tvault.server.peer_api import Handler
from tvault.server.web import Answer, Environ, json_answer
from tvault.store.failures import JournalDamaged, StoreFailure
from tvault.store.ports import Counted, Store
from tvault.wire import PEER_STATE

WORK_SECONDS: Final = 0.4
"""How long a request counts, at most, and waits for another one that does."""

SLICE_SECONDS: Final = 0.02
"""How long rows are counted in one go: no longer does a read transaction hold a checkpoint up."""


class StateApi:
    """Counts what `store` holds of the entries up to `committed()`; `doubt` is told of damage."""

    def __init__(
        self,
        store: Store,
        owners: Sequence[str],
        folder: Path,
        *,
        committed: Callable[[], int],
        doubt: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._owners = owners
        self._folder = folder
        self._committed = committed
        self._doubt = doubt
        self._clock = clock
        self._turn = threading.Lock()
        self._counted = Counted()
        self._upto = 0

    def routes(self) -> dict[str, tuple[str, Handler]]:
        """Its path on the peer port, with its method and who answers."""
        return {PEER_STATE: ("GET", self.tell)}

    def tell(self, _: Environ) -> Answer:
        """The document, or how far the count has come.  Raises `VaultError`."""
        try:
            counted = self._count()
            if counted.upto < self._upto:
                blocks = self._store.counts()[0]
                return json_answer({"counted": counted.rows.blocks, "of": blocks})
            return json_answer(tell_holdings(self._store, counted, self._owners, self._folder))
        except JournalDamaged as damage:
            self._doubt(str(damage))
            raise VaultError("unavailable", f"What is counted is damaged: {damage}.") from None
        except (StoreFailure, OSError) as failure:
            raise VaultError("unavailable", f"The store cannot be read: {failure}.") from None

    def _count(self) -> Counted:
        until = self._clock() + WORK_SECONDS
        if not self._turn.acquire(timeout=WORK_SECONDS):
            return self._counted
        try:
            if self._counted.upto >= self._upto:
                self._upto = max(self._upto, min(self._committed(), self._store.last().seq))
            while self._counted.upto < self._upto and self._clock() < until:
                end = self._clock() + SLICE_SECONDS
                self._counted = self._store.count_slice(
                    self._counted,
                    self._upto,
                    lambda end=end: self._clock() >= end,  # type: ignore[misc]
                )
            return self._counted
        finally:
            self._turn.release()
