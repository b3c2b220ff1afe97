"""Folders that were filled from a backup: together they found a cluster where it ends, alone nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from tests.unit.replication.wire import Wire, history
from tvault.replication.entry import Entry
from tvault.replication.memory import ProtocolViolation
from tvault.replication.promise import Standing

VIEW = 4
SHORT, LONG = history(*[VIEW] * 5), history(*[VIEW] * 9)


def restore(wire: Wire, name: str, entries: Sequence[Entry]) -> None:
    """What `tvault restore` leaves in a folder."""
    last = entries[-1]
    node = wire[name]
    node.remembers(list(entries), last.view, Standing.BLANK, committed=last.seq, marked=last.seq)
    assert node.written is not None
    node.synced = node.written = msgspec.structs.replace(node.written, start=last.position)


@pytest.mark.parametrize("names", [["n1", "n2", "n3"], ["n1", "n2"], ["n3"]])
@pytest.mark.parametrize("many", [5, 300])
def test_restored_nodes_and_empty_ones_found_a_cluster_that_goes_on_from_the_backup(
    names: list[str], many: int
) -> None:
    wire = Wire()
    backup = history(*[VIEW] * many)
    for name in names:
        restore(wire, name, backup)
    wire.start()
    wire.until(wire.writable, within=60_000)
    wire.run(200)
    assert len(wire.ends()) == 1
    for node in wire.nodes.values():
        assert node.store.position(many) == backup[-1].position
        assert node.promise.standing is Standing.VOTER
        assert node.promise.promised > VIEW


@pytest.mark.parametrize("first", ["n1", "n2", "n3"])
@pytest.mark.parametrize("entries", [(0, 5, 0), (0, 0, 5), (5, 9, 5), (9, 5, 0), (300, 0, 1000)])
def test_the_node_with_the_longest_copy_leads_whoever_asks_first(
    entries: tuple[int, ...], first: str
) -> None:
    wire = Wire()
    for name, many in zip(wire.names, entries, strict=True):
        if many:
            restore(wire, name, history(*[VIEW] * many))
    wire.start(*(name for name in wire.names if name != first))
    wire.run(500)
    wire.start(first)
    for _ in range(40):
        wire.tick(first)
        wire.deliver()
    wire.until(wire.writable, within=60_000)
    wire.run(200)
    for node in wire.nodes.values():
        assert node.store.position(max(entries)) == history(*[VIEW] * max(entries))[-1].position
        assert node.promise.standing is Standing.VOTER


def test_restored_nodes_found_nothing_while_one_is_away() -> None:
    wire = Wire()
    for name in ("n1", "n2"):
        restore(wire, name, SHORT)
    wire.start("n1", "n2")
    wire.run(20_000)
    assert [wire[name].promise.standing for name in ("n1", "n2")] == [Standing.BLANK] * 2


def test_restored_nodes_found_nothing_beside_a_voter_of_the_former_cluster() -> None:
    wire = Wire()
    for name in ("n1", "n2"):
        restore(wire, name, SHORT)
    wire["n3"].remembers(LONG, promised=6)
    wire.start()
    wire.run(20_000)
    assert [node.store.last().seq for node in wire.nodes.values()] == [5, 5, 9]
    assert not any(node.state.can_write for node in wire.nodes.values())


def test_a_node_that_is_restored_into_a_cluster_in_use_counts_for_nothing_until_it_has_caught_up() -> (
    None
):
    """n1 and n2 have acknowledged what n3 has not; n1 has forgotten it."""
    wire = Wire()
    restore(wire, "n1", SHORT)
    wire["n2"].remembers(LONG, VIEW, committed=9, marked=9)
    wire["n3"].remembers(SHORT, VIEW, committed=5, marked=5)
    wire.start("n1", "n3")
    wire.run(20_000)
    assert not any(wire[name].state.can_write for name in ("n1", "n3"))
    wire.start("n2")
    wire.until(wire.writable, within=20_000)
    assert all(node.store.position(9) == LONG[-1].position for node in wire.nodes.values())


@pytest.mark.parametrize("longer", ["n1", "n2", "n3"])
def test_of_two_backups_of_one_history_the_longer_one_holds(longer: str) -> None:
    wire = Wire()
    for name in wire.names:
        restore(wire, name, LONG if name == longer else SHORT)
    wire.start()
    wire.until(wire.writable, within=20_000)
    assert all(node.store.position(9) == LONG[-1].position for node in wire.nodes.values())


def test_backups_of_two_histories_stop_a_node_and_are_never_mixed() -> None:
    wire = Wire()
    other = history(3, *[VIEW] * 6)
    restore(wire, "n1", SHORT)
    restore(wire, "n2", SHORT)
    restore(wire, "n3", other)
    wire.start()
    with pytest.raises(ProtocolViolation, match="would undo committed entry 1"):
        wire.run(20_000)
    assert {wire[name].store.last() for name in ("n1", "n2")} == {SHORT[-1].position}
    assert wire["n3"].store.position(7) == other[-1].position
