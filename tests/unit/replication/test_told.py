"""What people are told of views: why they came about, who voted, who was suspected, what was copied."""

from __future__ import annotations

from typing import Any

from tests.unit.replication.wire import Wire
from tvault.replication.election import FOUNDING
from tvault.replication.ready import Notice


def last_view(wire: Wire, name: str) -> dict[str, Any]:
    """What a node was told of its latest view."""
    return wire[name].told("view")[-1].details


def is_in_chain_of_two(wire: Wire, name: str) -> bool:
    state = wire[name].state
    return state.can_write and len(state.chain) == 2


def details(notices: list[Notice]) -> list[dict[str, Any]]:
    return [notice.details for notice in notices]


def test_the_first_view_is_told_with_all_who_founded_it() -> None:
    wire = Wire().founded()
    for name in ("n1", "n2", "n3"):
        told = last_view(wire, name)
        assert told["why"] == FOUNDING
        assert sorted(told["voted"]) == ["n1", "n2", "n3"]
        assert told["before"] == []


def test_every_member_is_told_who_was_suspected_why_and_what_the_chain_was_before() -> None:
    wire = Wire().founded()
    before = last_view(wire, "n1")
    chain, number = before["chain"], before["view"]
    wire.isolate(chain[2])
    wire.until(lambda: all(is_in_chain_of_two(wire, name) for name in chain[:2]))

    (suspicion, *_) = details(wire[chain[0]].told("suspect"))
    assert suspicion["peer"] in chain[1:]
    assert suspicion["view"] == number
    for name in chain[:2]:
        told = last_view(wire, name)
        assert told["chain"] == chain[:2]
        assert told["before"] == chain
        assert "was silent for" in told["why"]
        assert sorted(told["voted"]) == sorted(chain[:2])


def test_a_process_that_is_gone_is_told_by_name_once() -> None:
    wire = Wire().founded()
    head, middle, tail = last_view(wire, "n1")["chain"]
    wire.isolate(head)
    for name in (middle, tail):
        wire[name].replica.unreachable(head)
    wire.until(lambda: all(is_in_chain_of_two(wire, name) for name in (middle, tail)))
    wire.run(3000)

    assert [told["why"] for told in details(wire[middle].told("suspect"))] == [f"{head} is gone"]
    assert last_view(wire, middle)["why"] == last_view(wire, tail)["why"] == f"{head} is gone"


def test_who_comes_back_is_told_with_what_it_copied_and_who_took_it_in() -> None:
    wire = Wire().founded()
    head, _, tail = last_view(wire, "n1")["chain"]
    wire.isolate(tail)
    wire.until(lambda: is_in_chain_of_two(wire, head))
    wire[head].propose(1)
    wire.run(500)
    last = wire[head].store.last().seq
    wire.heal()
    wire.until(wire.is_whole, within=20_000)

    (begun,) = details(wire[tail].told("catch-up"))
    (done,) = details(wire[tail].told("caught-up"))
    assert begun["peer"] in {"n1", "n2", "n3"} - {tail}
    assert begun["after"] == done["after"] < last
    assert begun["upto"] == done["upto"] == last
    assert done["entries"] == done["upto"] - done["after"]
    assert done["seconds"] > 0
    (join,) = [
        told
        for node in wire.nodes.values()
        for told in details(node.told("join"))
        if told["peer"] == tail
    ]
    told = last_view(wire, tail)
    assert told["why"] == f"{tail} has caught up"
    assert told["view"] > join["view"]


def test_an_outsider_with_nothing_to_copy_says_nothing_of_it() -> None:
    wire = Wire().founded()
    wire.run(3000)
    for node in wire.nodes.values():
        assert node.told("catch-up") == node.told("caught-up") == []
