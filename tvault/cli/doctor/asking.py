"""Each node asked on its peer port: what it says of itself, and what its clock says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from tvault.cli.doctor.clocks import Reading
from tvault.cli.moments import moment_of, now
from tvault.cli.nodes import Nodes
from tvault.config import NodeConfig
from tvault.errors import VaultError
from tvault.wire import PEER_STATUS

QUESTIONS = 3
"""Of so many answers the quickest tells the time."""


class Journal(msgspec.Struct, frozen=True):
    """How far a node's journal goes."""

    last: int
    committed: int
    digest: str


class Told(msgspec.Struct, frozen=True):
    """What a node says of itself; of another version perhaps less than this one."""

    node: str
    role: str
    view: int
    chain: list[str]
    ensemble: list[str]
    journal: Journal
    health: str
    trouble: str | None = None
    condition: str = "ready"
    version: str | None = None
    time: str | None = None
    uptime_s: float | None = None
    disk_free_bytes: int | None = None
    damage: str | None = None
    events_lost: int = 0
    missing_keys: list[str] = []
    configuration: dict[str, Any] | None = None
    changed_at: str | None = None
    changed_why: str | None = None


@dataclass(frozen=True)
class Heard:
    """A node and its answer, as it is and as it is understood, or why there is no sensible one."""

    node: NodeConfig
    answer: dict[str, Any] | VaultError
    told: Told | None = None
    clock: Reading | None = None

    @property
    def is_itself(self) -> bool:
        """Whether the node that should be there answers."""
        return self.told is not None and self.told.node == self.node.id


def ask_nodes(nodes: Nodes, chosen: Sequence[NodeConfig]) -> list[Heard]:
    """All asked at once."""
    with ThreadPoolExecutor(len(chosen)) as pool:
        return list(pool.map(lambda node: _ask(nodes, node), chosen))


def _ask(nodes: Nodes, node: NodeConfig) -> Heard:
    said: dict[str, Any] = {}
    told: Told | None = None
    clocks: list[Reading] = []
    try:
        for _ in range(QUESTIONS):
            asked, begun = now().timestamp(), time.monotonic()
            said = nodes.ask(node, PEER_STATUS)
            half_s = (time.monotonic() - begun) / 2
            told = msgspec.convert(said, Told)
            with suppress(ValueError, OverflowError):
                moment = moment_of(told.time or "").timestamp()
                clocks.append(Reading(node.id, moment - asked - half_s, half_s))
    except VaultError as error:
        if told is None:
            return Heard(node, error)
    except msgspec.ValidationError:
        why = f"what {node.peer.url} answers is no status of a node"
        return Heard(node, VaultError("unreachable", why))
    return Heard(node, said, told, min(clocks, key=lambda each: each.doubt_s, default=None))
