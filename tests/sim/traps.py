"""Crashes that wait for a certain step of a node, so that each is hit however short it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvault.replication.entry import Kind
from tvault.replication.ready import Ready

if TYPE_CHECKING:
    from tests.sim.node import SimNode

MESSAGES = ("Learned", "NewView", "HandOver", "Promised", "Prepare", "Sync", "Index", "Leave")
"""Crash just after one of these has come."""

STEPS = ("promise", "standing", "cut", "journal", "barrier", "group", "mark")
"""Crash before, in or after the writing of one of these."""


class Traps:
    """At most one trap lies for a node at a time; it holds over the node's lives."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        self._laid: str | None = None
        self._is_sprung = False

    def lay(self, what: str) -> None:
        """The node crashes when next `what` comes about."""
        self._laid = what

    def clear(self) -> None:
        """The node is safe."""
        self._laid = None
        self._is_sprung = False

    def on_message(self, message: object) -> None:
        """A message has come."""
        if self._laid is not None and self._laid == type(message).__name__:
            self._spring(8)

    def on_ready(self, ready: Ready) -> None:
        """The node begins to carry this out."""
        if self._laid is not None and self._is_met_by(self._laid, ready):
            self._spring(2 * self._node.disk.pace.most)

    def _is_met_by(self, what: str, ready: Ready) -> bool:
        promise, before = ready.promise, self._node.disk.promise
        if what in {"promise", "standing"}:
            if promise is None or before is None:
                return False
            rises = promise.promised > before.promised
            return rises if what == "promise" else promise.standing is not before.standing
        if what == "barrier":
            return any(entry.kind is Kind.BARRIER for entry in ready.entries)
        return {
            "cut": ready.cut_after is not None,
            "journal": bool(ready.entries),
            "group": len(ready.entries) > 1,
            "mark": ready.mark is not None,
        }.get(what, False)

    def _spring(self, within: int) -> None:
        what, self._laid = self._laid, None
        self._is_sprung = True
        life = self._node.life
        world = self._node.world
        world.post(world.dice.randint(0, within), self._crash, life, what)

    def _crash(self, life: object, what: str) -> None:
        if self._node.life is life and self._is_sprung:
            self._is_sprung = False
            world = self._node.world
            world.note(f"{self._node.name} crashes at its {what}")
            world.counts["crashes at a step"] += 1
            self._node.end(power=world.random() < 0.3)
            world.post(world.dice.choice((10, 60, 400, 1_500)), self._node.start)
