"""How large what is in a node's data folder is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tvault.server.folder import ASIDE
from tvault.store.sqlite import FILE_NAME, INDEX_FOLDER

OTHER = "other"

_PARTS = {FILE_NAME: "journal", INDEX_FOLDER: "index", "events": "events", ASIDE: "set_aside"}
"""The parts by how the names of their files and folders begin."""

PARTS = (*_PARTS.values(), OTHER)


def sizes_of(folder: Path) -> dict[str, int]:
    """Bytes of each part: `journal`, `index`, `events`, `set_aside`, `other`.  Also while the node
    writes, by any thread: what vanishes meanwhile is left out."""
    sizes = dict.fromkeys(PARTS, 0)
    with suppress(OSError):
        for entry in os.scandir(folder):
            part = next((part for start, part in _PARTS.items() if entry.name.startswith(start)), OTHER)
            sizes[part] += sum(_bytes_of(entry))
    return sizes


def _bytes_of(entry: os.DirEntry[str]) -> Iterator[int]:
    with suppress(OSError):
        if entry.is_dir(follow_symlinks=False):
            for inner in os.scandir(entry):
                yield from _bytes_of(inner)
        else:
            yield entry.stat(follow_symlinks=False).st_size
