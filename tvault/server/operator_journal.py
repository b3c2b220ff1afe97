"""`GET /peer/journal`: the committed journal of a node for backups, in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

import msgspec

from tvault.errors import VaultError
from tvault.server.engine_wire import MSGPACK_TYPE
from tvault.server.peer_api import Handler
from tvault.server.web import Answer, Environ
from tvault.store.failures import JournalDamaged, StoreBroken, StoreFailure
from tvault.store.ports import Store
from tvault.wire import PEER_JOURNAL

PIECE_BYTES: Final = 256 * 1024
"""Bodies in one answer, at most (one entry may be larger): whoever reads them has a chain to serve."""

_encoder = msgspec.msgpack.Encoder()


class JournalApi:
    """Reads `store`; `committed` says how far; `doubt` is told of damage that a look shows."""

    def __init__(
        self, store: Store, *, committed: Callable[[], int], doubt: Callable[[str], None]
    ) -> None:
        self._store = store
        self._committed = committed
        self._doubt = doubt

    def routes(self) -> dict[str, tuple[str, Handler]]:
        """Its path on the peer port, with its method and who answers."""
        return {PEER_JOURNAL: ("GET", self._tell)}

    def _tell(self, environ: Environ) -> Answer:
        """The entries after `after`, up to `upto`: some of them, at least one.  Raises `VaultError`."""
        after, upto = _asked(environ.get("QUERY_STRING", ""))
        if not after < upto <= self._committed():
            raise VaultError("unavailable", f"This node does not know entry {upto} to be committed.")
        try:
            entries = self._store.entries(after, PIECE_BYTES)
        except (JournalDamaged, StoreBroken) as damage:
            self._doubt(str(damage))
            raise VaultError("unavailable", "This node's disk is damaged; take another node.") from None
        except StoreFailure as failure:
            raise VaultError("unavailable", f"The journal cannot be read now: {failure}.") from None
        kept = [entry for entry in entries if entry.seq <= upto]
        return Answer(_encoder.encode(kept), headers=(("Content-Type", MSGPACK_TYPE),))


def _asked(query: str) -> tuple[int, int]:
    match {name: values[-1] for name, values in parse_qs(query).items()}:
        case {"after": after, "upto": upto, **others} if not others:
            if all(text.isdecimal() and len(text) < 16 for text in (after, upto)):
                return int(after), int(upto)
    raise VaultError("malformed", "Ask with ?after=N&upto=N.")
