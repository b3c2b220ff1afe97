"""What operators are told of a node that is not as it should be."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.unit.server.test_chain_engine import MEMBER
from tvault.replication.account import Condition
from tvault.replication.promise import Standing
from tvault.replication.ready import Notice
from tvault.replication.state import State
from tvault.server.health import complaint_of, health_of, trouble_of

WHOLE = replace(MEMBER, chain=("n2", "n1", "n3"), degraded=False)
OUTSIDER = replace(MEMBER, role="outside", chain=("n2", "n3"))
ALONE = replace(OUTSIDER, chain=(), can_write=False)
BLANK = replace(OUTSIDER, standing=Standing.BLANK)


def told(
    state: State,
    set_aside: str | None = None,
    complaint: str | None = None,
    damage: str | None = None,
    silent_s: float = 0.0,
) -> str | None:
    nodes = ["n1", "n2", "n3"]
    return trouble_of(
        state, nodes, set_aside=set_aside, complaint=complaint, damage=damage, silent_s=silent_s
    )


def test_a_node_in_a_whole_chain_has_no_trouble() -> None:
    assert told(WHOLE) is None


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (MEMBER, "the chain lacks n3"),
        (OUTSIDER, "catching up"),
        (replace(OUTSIDER, condition=Condition.FULL), "disk full"),
        (replace(WHOLE, condition=Condition.LEAVING), "leaving"),
        (BLANK, "blank: copying from a chain"),
        (ALONE, "no chain"),
        (replace(ALONE, condition=Condition.FULL), "disk full; no chain"),
    ],
)
def test_trouble_is_told_in_words(state: State, words: str) -> None:
    assert told(state) == words


def test_a_node_that_is_rebuilt_tells_when_and_why_its_files_were_set_aside() -> None:
    why = "2026-11-25T12:00:00Z: a sync failed"
    assert told(BLANK, set_aside=why) == f"rebuilding: files set aside {why}"
    assert told(WHOLE, set_aside=why) is None, "once it votes again that is past"


def test_damage_that_is_waiting_for_the_others_is_told() -> None:
    words = "damaged files, with which it begins anew once all nodes are in the chain: entry 3 is gone"
    assert told(WHOLE, damage="entry 3 is gone") == words
    assert told(MEMBER, damage="entry 3 is gone") == f"the chain lacks n3; {words}"


def test_why_there_is_no_view_is_told_with_those_that_may_not_vote() -> None:
    notice = Notice("no-majority", {"heard": ["n1", "n2"], "blank": ["n2"]})
    words = complaint_of(notice)
    assert words == "no majority of nodes that may vote: only n1, n2 are heard, of which n2 is blank"
    assert told(ALONE, complaint=words) == words
    lone = complaint_of(Notice("no-majority", {"heard": ["n1"], "blank": []}))
    assert lone == "no majority of nodes that may vote: only n1 is heard"


def test_a_node_that_is_busy_with_one_step_says_for_how_long() -> None:
    assert told(WHOLE, silent_s=0.5) is None
    assert told(WHOLE, silent_s=3.25) == "busy with one step for 3.2 s"


def test_health_is_one_word() -> None:
    assert health_of(WHOLE, can_write=True) == "ok"
    assert health_of(MEMBER, can_write=True) == "degraded"
    assert health_of(WHOLE, can_write=False) == "unavailable"
