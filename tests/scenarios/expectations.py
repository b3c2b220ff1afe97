"""What a scenario may expect: each looks at the stage, and says whether it is so and what is.

head n1 · chain n1 n2 n3 · role n3 outside · view n2 6 · writable n1 · alive n1
last n2 4/v3 · holds n2 t1 · committed n2 4 · promised n2 6 · mark n2 4 · agree
standing n2 blank · condition n1 full · up n1 · ended n3 would undo
answer t1 committed at 4 · answer t1 nothing · call c1 epoch 2 · call c1 nothing
sent n2->n3 Append 0          how many of such messages were said since `watch`
acknowledged                  every entry that a client was told of is on the disk of every member
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.scenarios import lines
from tests.scenarios.stage import Stage, patterns
from tests.unit.replication.wire import rows

if TYPE_CHECKING:
    from tests.scenarios.director import Director

Finding = tuple[bool, str]


def ticket(name: str) -> int:
    """`t4` is ticket 4."""
    assert name.startswith("t"), f"{name} is no ticket"
    return int(name[1:])


class Expectations:
    """One method for each thing that can be expected."""

    def __init__(self, director: Director) -> None:
        self._director = director

    @property
    def _stage(self) -> Stage:
        return self._director.stage

    def find(self, words: list[str]) -> Finding:
        """Whether it is so, and what is."""
        if words[0] == "not":
            is_so, found = self.find(words[1:])
            return not is_so, found
        finding: Finding = getattr(self, "is_" + words[0].replace("-", "_"))(*words[1:])
        return finding

    # Views.

    def is_head(self, name: str) -> Finding:
        heads = [
            each.name for each in self._stage.staged.values() if each.is_up and self._orders(each.name)
        ]
        return heads == [name], f"{heads} can order"

    def _orders(self, name: str) -> bool:
        return self._stage[name].replica.may_propose()

    def is_chain(self, *names: str) -> Finding:
        """These make one chain, in this order, and each of them can write."""
        states = [self._stage[name].state for name in names if self._stage[name].is_up]
        found = sorted(
            {(state.view, state.chain, state.can_write, state.role != "outside") for state in states}
        )
        is_so = len(states) == len(names) and len(found) == 1 and found[0][1:] == (names, True, True)
        return is_so, f"{found}"

    def is_role(self, name: str, role: str) -> Finding:
        return self._stage[name].state.role == role, self._stage[name].state.role

    def is_view(self, name: str, number: str) -> Finding:
        found = self._stage[name].replica.view_number()
        return found == int(number), str(found)

    def is_writable(self, name: str) -> Finding:
        return self._stage[name].state.can_write, str(self._stage[name].state)

    def is_degraded(self, name: str) -> Finding:
        return self._stage[name].state.degraded, str(self._stage[name].state.chain)

    def is_promised(self, name: str, number: str) -> Finding:
        """As its disk says."""
        promised = self._stage[name].promise.promised
        return promised == int(number), str(promised)

    def is_standing(self, name: str, standing: str) -> Finding:
        found = self._stage[name].promise.standing.name.lower()
        return found == standing, found

    def is_condition(self, name: str, condition: str) -> Finding:
        found = self._stage[name].state.condition.name.lower()
        return found == condition, found

    # Journals.

    def is_last(self, name: str, position: str) -> Finding:
        found = lines.at(self._stage[name].store.last())
        return found == position, found

    def is_holds(self, name: str, what: str) -> Finding:
        """The disk holds what was proposed as this ticket, or an entry at this position."""
        entries = self._stage[name].store.entries(0, 1 << 40)
        if what.startswith("t"):
            is_so = any(entry.body == rows(lines.FIRST_RAW + ticket(what)) for entry in entries)
        else:
            is_so = any(lines.at(entry.position) == what for entry in entries)
        return is_so, " ".join(map(lines.entry, entries))

    def is_committed(self, name: str, seq: str) -> Finding:
        found = self._stage[name].state.committed
        return found == int(seq), str(found)

    def is_hint(self, name: str, seq: str) -> Finding:
        found = self._stage[name].store.committed_hint()
        return found == int(seq), str(found)

    def is_mark(self, name: str, seq: str) -> Finding:
        """As the promise file says, synced."""
        found = self._stage[name].promise.mark.seq
        return found == int(seq), str(found)

    def is_agree(self, *names: str) -> Finding:
        """The journals of these nodes (all) are the same, and each knows all of it to be committed."""
        nodes = [self._stage[name] for name in names or self._stage.names]
        ends = {node.store.last() for node in nodes}
        committed = {node.state.committed for node in nodes}
        is_so = len(ends) == 1 and committed == {end.seq for end in ends}
        return is_so, f"ends {sorted(map(lines.at, ends))}, committed {sorted(committed)}"

    def is_acknowledged(self) -> Finding:
        lost = [
            f"{node.name} lacks entry {seq}"
            for node in self._stage.staged.values()
            if node.is_up and node.replica.view_number()
            for seq, position in self._stage.acknowledged.items()
            if node.store.position(seq) != position
        ]
        return not lost, f"{lost}"

    # Clients.

    def is_answer(self, name: str, *words: str) -> Finding:
        found = [
            node.results[ticket(name)]
            for node in self._stage.staged.values()
            if ticket(name) in node.results
        ]
        expected = [] if words == ("nothing",) else [" ".join(words)]
        return found == expected, f"{found}"

    def is_call(self, name: str, *words: str) -> Finding:
        found = self._director.calls[name].result
        return found == (None if words == ("nothing",) else " ".join(words)), f"{found}"

    # Nodes and messages.

    def is_up(self, name: str) -> Finding:
        return self._stage[name].is_up, f"{self._stage[name].ended}"

    def is_ended(self, name: str, *words: str) -> Finding:
        found = self._stage[name].ended
        return found is not None and " ".join(words) in found, f"{found}"

    def is_sent(self, *words: str) -> Finding:
        found = self._said(list(words[:-1]))
        return found == int(words[-1]), str(found)

    def is_fewer(self, *words: str) -> Finding:
        """Fewer messages than so many."""
        found = self._said(list(words[:-1]))
        return found < int(words[-1]), str(found)

    def _said(self, words: list[str]) -> int:
        wanted = patterns(words)
        said = self._stage.said[self._stage.watched_from :]
        return sum(any(pattern.fits(item) for pattern in wanted) for item in said)
