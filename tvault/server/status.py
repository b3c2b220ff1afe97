"""What a node says of itself: to clients, and to operators."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tvault.server.health import health_of, trouble_of
from tvault.server.hello import Hello
from tvault.server.moments import moment_text
from tvault.server.node import Node
from tvault.store.ports import Store

VERSION = version("tvault")


@dataclass(frozen=True)
class Status:
    """The documents, as they are at the moment of asking, for any thread.

    `set_aside` tells when and why files were set aside, `missing` has the ids of master keys that cannot
    be used; `lost` gives the events lost so far, `clock` microseconds since 1970 (UTC).
    """

    node: Node
    store: Store
    hello: Hello
    folder: Path
    set_aside: str | None
    missing: Sequence[str]
    lost: Callable[[], int]
    clock: Callable[[], int]
    _began: float = field(default_factory=time.monotonic)

    def for_clients(self) -> dict[str, Any]:
        """The document of `GET /status`; the digest is over the committed prefix."""
        state = self.node.state
        committed = self.store.position(state.committed)
        return {
            "node": state.node,
            "role": state.role,
            "view": state.view,
            "chain": list(state.chain),
            "ensemble": list(self.hello.ensemble),
            "journal": {
                "last": state.last,
                "committed": state.committed,
                "digest": committed.digest.hex() if committed is not None else "",
            },
        }

    def for_operators(self) -> dict[str, Any]:
        """The same, and what only operators see."""
        state = self.node.state
        return {
            **self.for_clients(),
            "health": health_of(state, can_write=self.node.can_write),
            "trouble": trouble_of(
                state,
                list(self.hello.ensemble),
                set_aside=self.set_aside,
                complaint=self.node.chronicle.complaint,
                damage=self.node.damage.why,
                silent_s=self.node.silent_s,
            ),
            "incarnation": state.incarnation,
            "standing": state.standing.name.lower(),
            "promised": state.promised,
            "condition": state.condition.name.lower(),
            "version": VERSION,
            "time": moment_text(self.clock()),
            "uptime_s": round(time.monotonic() - self._began, 3),
            "disk_free_bytes": self._free_bytes(),
            "damage": self.node.damage.why,
            "events_lost": self.lost(),
            "missing_keys": sorted(self.missing),
            "configuration": self._configuration(),
            **self._change(),
        }

    def _configuration(self) -> dict[str, Any]:
        """What all nodes must have in common, as `Hello` has it: digests and fingerprints, no key."""
        hello = self.hello
        return {
            "cluster": hello.cluster,
            "format": hello.format,
            "fields": hello.fields,
            "owners": hello.owners,
            "keys": hello.keys,
            "master": hello.master,
            "masters": dict(hello.masters),
        }

    def _change(self) -> dict[str, Any]:
        """When this node's part in views changed last, and why; nothing before it did."""
        change = self.node.chronicle.change
        if change is None:
            return {}
        return {
            "changed_at": moment_text(int(change.at * 1_000_000)),
            "changed_why": change.why,
            "changed_view": change.view,
            "changed_before": list(change.before),
        }

    def _free_bytes(self) -> int | None:
        with suppress(OSError):
            return shutil.disk_usage(self.folder).free
        return None
