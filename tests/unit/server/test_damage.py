"""When a node that has found damage begins anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.unit.server.test_chain_engine import MEMBER
from tests.unit.server.test_health import ALONE, OUTSIDER, WHOLE
from tvault.events import EventLog
from tvault.replication.state import State
from tvault.server.damage import WHOLE_SECONDS, Damage
from tvault.store.failures import JournalDamaged


@pytest.fixture
def damage(tmp_path: Path) -> Damage:
    return Damage(EventLog(tmp_path, "n1"))


def test_a_sound_node_does_not_begin_anew(damage: Damage) -> None:
    assert not any(damage.is_due(WHOLE, now) for now in (1, 100))


@pytest.mark.parametrize(
    ("state", "is_due"),
    [(WHOLE, True), (MEMBER, False), (OUTSIDER, False), (ALONE, False)],
)
def test_a_damaged_node_waits_until_all_nodes_are_in_its_chain(
    damage: Damage, state: State, *, is_due: bool
) -> None:
    state = replace(state, node="n2")
    assert not damage.is_due(WHOLE, 50)
    damage.note("entry 3 is gone")
    later = (0, WHOLE_SECONDS / 2, WHOLE_SECONDS)
    assert [damage.is_due(state, 50 + seconds) for seconds in later] == [False, False, is_due]


def test_of_several_damaged_nodes_no_two_begin_anew_together(damage: Damage) -> None:
    assert not damage.is_due(WHOLE, 50)
    damage.note("entry 3 is gone")
    due = {}
    for name in WHOLE.chain:
        state = replace(WHOLE, node=name)
        due[name] = next(second for second in range(50, 100) if damage.is_due(state, second))
    assert due == {"n2": 53, "n1": 56, "n3": 59}


def test_a_node_that_is_away_for_a_moment_makes_a_damaged_one_wait_longer(damage: Damage) -> None:
    assert not damage.is_due(WHOLE, 49)
    damage.note("entry 3 is gone")
    head, short = replace(WHOLE, node="n2"), replace(MEMBER, node="n2")
    seen = [(head, 50), (short, 52), (head, 53), (head, 54), (head, 55)]
    assert [damage.is_due(state, now) for state, now in seen] == [False, False, False, False, True]


def test_the_only_node_of_a_cluster_never_begins_anew(damage: Damage) -> None:
    damage.note("entry 3 is gone")
    alone = replace(WHOLE, chain=("n1",))
    assert not any(damage.is_due(alone, now) for now in (50, 500))


def test_the_first_word_of_damage_is_kept_and_other_failures_are_not_taken_for_damage(
    damage: Damage,
) -> None:
    for number in (3, 4):
        with damage.noting():
            raise JournalDamaged(f"entry {number} is gone")
    assert damage.why == "entry 3 is gone"
    with pytest.raises(OSError, match="other"), damage.noting():
        raise OSError("other")
