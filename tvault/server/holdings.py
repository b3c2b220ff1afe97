"""What a node holds, for operators: owners with their epochs and counts, the journal, sizes.

Of secrets only how many there are, never a name.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tvault.server.sizes import sizes_of
from tvault.store.ports import Counted, EpochCount, Epochs, Inspectable, SecretCount
from tvault.store.sqlite import FILE_NAME
from tvault.store.stopped import LOG_SUFFIX


def tell_holdings(
    store: Inspectable, counted: Counted, owners: Iterable[str], folder: Path
) -> dict[str, Any]:
    """The document of all that was `counted`; `owners` are those of the configuration, who may have
    nothing yet.  Raises what a look at the store does."""
    configured = set(owners)
    begun = store.epochs()
    position = store.position(counted.upto)
    known = configured | set(begun) | {owner for owner, _ in counted.tokens} | set(counted.secrets)
    return {
        "journal": {
            "last": store.last().seq,
            "committed": counted.upto,
            "digest": position.digest.hex() if position is not None else "",
            "entries": counted.rows.entries,
            "blocks": counted.rows.blocks,
            "tokens": counted.rows.tokens,
        },
        "owners": [_owner(owner, begun, counted) for owner in sorted(known)],
        "unconfigured": sorted(known - configured) if configured else [],
        "sizes": _sizes(folder),
        "free": shutil.disk_usage(folder).free,
    }


def _owner(owner: str, begun: Epochs, counted: Counted) -> dict[str, Any]:
    starts = {1: 0, **{epoch: seq for epoch, seq in begun.get(owner, ()) if seq <= counted.upto}}
    used = {epoch for name, epoch in counted.tokens if name == owner}
    counts = {epoch: counted.tokens.get((owner, epoch), EpochCount()) for epoch in starts.keys() | used}
    secrets = counted.secrets.get(owner, SecretCount())
    return {
        "owner": owner,
        "active": max(starts),
        "epochs": [
            {
                "epoch": epoch,
                "begun": starts.get(epoch),
                "tokens": counts[epoch].tokens,
                "blocks": counts[epoch].blocks,
            }
            for epoch in sorted(counts)
        ],
        "secrets": {
            "names": secrets.secrets,
            "versions": secrets.versions,
            "ended": secrets.ended,
        },
    }


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes by part; SQLite's log apart from the journal's file, into which it goes."""
    sizes = sizes_of(folder)
    log = 0
    with suppress(OSError):
        log = (folder / (FILE_NAME + LOG_SUFFIX)).stat().st_size
    # The log may have grown between the two looks.
    return {"journal": max(0, sizes.pop("journal") - log), "wal": log, **sizes}
