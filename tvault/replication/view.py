"""Views: a number that only one node may use, and an ordered chain of nodes."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tvault.replication.bounds import Count, Name, Why

MOST_NODES = 9
"""Nodes of an ensemble, at most."""


def majority(nodes: int) -> int:
    """How many of `nodes` are more than half."""
    return nodes // 2 + 1


def next_own_view(promised: int, index: int, nodes: int) -> int:
    """The lowest view number above `promised` that the node at `index` of the ensemble may open.

    `number mod nodes` names the only node that may open a view, so two candidates never share one.
    """
    return promised + 1 + (index - promised - 1) % nodes


class Member(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A node of a chain, in the life that the chain means: another incarnation is not the one named."""

    node: Name
    incarnation: Name


class View(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A decided view: its number, its chain from head to tail, and the `seq` of its barrier; and for
    people `why` it was asked for, and which nodes have `voted` for it."""

    number: Count
    chain: Annotated[tuple[Member, ...], msgspec.Meta(min_length=1, max_length=MOST_NODES)]
    barrier: Count
    why: Why = ""
    voted: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_NODES)] = ()

    @property
    def head(self) -> Member:
        """The node that orders."""
        return self.chain[0]

    def member(self, node: str) -> Member | None:
        """The member that is `node`, or None for an outsider."""
        return next((member for member in self.chain if member.node == node), None)

    def predecessor(self, node: str) -> Member | None:
        """The member before `node`, None for the head and for outsiders."""
        place = self._place(node)
        return self.chain[place - 1] if place > 0 else None

    def successor(self, node: str) -> Member | None:
        """The member after `node`, None for the tail and for outsiders."""
        place = self._place(node)
        return self.chain[place + 1] if 0 <= place < len(self.chain) - 1 else None

    def role(self, node: str) -> str:
        """`head`, `middle`, `tail`, `single` (head and tail at once) or `outside`."""
        place = self._place(node)
        if place < 0:
            return "outside"
        if len(self.chain) == 1:
            return "single"
        if place == 0:
            return "head"
        return "tail" if place == len(self.chain) - 1 else "middle"

    def _place(self, node: str) -> int:
        return next((i for i, member in enumerate(self.chain) if member.node == node), -1)
