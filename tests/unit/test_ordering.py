"""Commands on their way to the journal: each ticket gets one verdict, and the right one."""

from __future__ import annotations

import pytest

from tests.unit.office import Desk, Office, mint, put
from tests.unit.replication.wire import Flying, Wire
from tvault import ordering as ordering_module
from tvault.engine import EpochRefused, Overtaken, StaleEpoch, TokensExist, Written
from tvault.model.commands import Keep, Rotate, WriteSecrets, encode_command
from tvault.ordering import Declined
from tvault.replication.messages import Outcome, Proposal, Superseded
from tvault.replication.replica import WINDOW_ENTRIES


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_any_node_takes_a_command_and_says_written_when_all_hold_it(office: Office, name: str) -> None:
    office[name].submit(1, mint(1, 2))
    assert office[name].verdict(1) is None
    office.flow()
    assert office[name].verdict(1) == Written(2)
    assert all(node.store.exists("A", 1, (1).to_bytes(16, "big")) for node in office.wire.nodes.values())


def test_commands_that_wait_together_share_one_entry(office: Office) -> None:
    for ticket in range(5):
        office["n1"].submit(ticket, mint(ticket))
    office.flow()
    assert {office["n1"].verdict(ticket) for ticket in range(5)} == {Written(2)}


def test_who_repeats_a_token_of_the_entry_in_the_making_learns_the_seq_of_that_entry(
    office: Office,
) -> None:
    office["n1"].submit(1, mint(7, 8))
    office["n2"].submit(2, mint(8, 9))
    office.wire.deliver(Proposal)
    office.flow()
    assert office["n1"].verdict(1) == Written(2)
    assert office["n2"].verdict(2) == TokensExist(2)
    assert office.wire["n1"].store.exists("A", 1, (9).to_bytes(16, "big")) == 0


def test_who_repeats_a_token_of_the_journal_learns_its_seq_even_before_it_is_committed(
    office: Office,
) -> None:
    office.wire["n3"].stop_before = "journal"
    office["n1"].submit(1, mint(7))
    office.flow()
    office["n1"].submit(2, mint(7))
    office.flow()
    assert office["n1"].verdict(1) is None
    assert office["n1"].verdict(2) == TokensExist(2)


def test_a_rotation_and_what_it_makes_stale_are_judged_in_one_order(office: Office) -> None:
    office["n1"].submit(1, Rotate("A", 2))
    office["n1"].submit(2, mint(1, epoch=1))
    office["n1"].submit(3, mint(1, epoch=2))
    office["n1"].submit(4, Rotate("A", 2))
    office.flow()
    assert office["n1"].verdict(1) == Written(2)
    assert office["n1"].verdict(2) == StaleEpoch(2)
    assert office["n1"].verdict(3) == Written(2)
    assert office["n1"].verdict(4) == EpochRefused(2, 2)


def test_of_two_writes_of_a_secret_in_one_entry_the_second_learns_the_seq_of_that_entry(
    office: Office,
) -> None:
    office["n1"].submit(1, put("s", request=1))
    office["n2"].submit(2, put("s", request=2))
    office.wire.deliver(Proposal)
    office.flow()
    verdict = office["n1"].verdict(1)
    assert isinstance(verdict, Written)
    assert verdict.seq == 2
    [mark] = office.wire["n3"].store.history("A", "s").versions
    assert verdict.stamp == mark.valid_from, "who wrote learns the moment of the version"
    assert office["n2"].verdict(2) == Overtaken(2)


def test_a_request_about_secrets_is_carried_out_once_even_before_it_is_committed(
    office: Office,
) -> None:
    office.wire["n3"].stop_before = "journal"
    office["n1"].submit(1, put("s", request=1))
    office.flow()
    office["n2"].submit(2, put("s", request=1))
    office.flow()
    assert office["n1"].verdict(1) is None
    assert office["n2"].verdict(2) == Overtaken(2)


def test_one_gathering_judges_no_more_changes_of_secrets_than_it_may(office: Office) -> None:
    """Those that are refused, too: meanwhile the node hears nobody."""
    changes = tuple(Keep(f"s{number}", 1) for number in range(ordering_module.JUDGED_CHANGES // 2))
    for ticket in (1, 2, 3):
        office["n1"].submit(ticket, WriteSecrets("A", ticket.to_bytes(16, "big"), bytes(16), changes))
    office["n1"].ordering.gather()
    assert [office["n1"].verdict(ticket) for ticket in (1, 2, 3)] == [Overtaken(0), Overtaken(0), None]
    office.flow()
    assert office["n1"].verdict(3) == Overtaken(0)


def test_a_command_that_is_none_is_declined_and_harms_no_other(office: Office) -> None:
    life = office.wire["n2"].replica.life
    office["n2"].submit(1, mint(1))
    for ticket, garbage in ((50, b""), (51, b"\xff\x00"), (52, encode_command(mint(3))[:-3])):
        office.wire.say("n2", "n1", 3, Proposal(ticket, garbage, life))
    office.flow()
    assert office["n2"].verdict(1) == Written(2)


def test_garbage_is_answered_as_the_fault_that_it_is(office: Office) -> None:
    office.wire.say("n2", "n1", 3, Proposal(50, b"\xff", office.wire["n2"].replica.life))
    office["n1"].gather()
    (outcome,) = office.wire.sent(Outcome, to="n2")
    assert isinstance(outcome, Outcome)
    assert outcome.ticket == 50
    assert b"internal" in outcome.verdict


def test_an_owner_that_the_head_does_not_know_is_declined(office: Office) -> None:
    office["n1"].submit(1, mint(1, owner="C"))
    office.flow()
    assert office["n1"].code(1) == "unavailable"


def test_a_verdict_that_cannot_be_read_leaves_the_outcome_unknown(office: Office) -> None:
    office["n2"].submit(1, mint(1))
    life = office.wire["n2"].replica.life
    office.wire.say("n1", "n2", 3, Outcome(1, b"\xc1", life))
    assert office["n2"].code(1) == "unavailable"


def test_a_node_without_a_chain_declines_at_once() -> None:
    wire = Wire()
    wire.start()
    desk = Desk(wire, "n1")
    desk.submit(1, mint(1))
    assert desk.code(1) == "unavailable"


def test_a_proposal_to_a_node_that_heads_nothing_is_declined(office: Office) -> None:
    office.wire.say("n3", "n2", 3, Proposal(9, encode_command(mint(1)), "life"))
    (outcome,) = office.wire.sent(Outcome, to="n3")
    assert isinstance(outcome, Outcome)
    assert (outcome.ticket, outcome.life) == (9, "life")


def test_commands_beyond_the_queue_are_refused_at_once(office: Office) -> None:
    size = len(encode_command(mint(1)))
    office["n1"].ordering._queued_bytes = ordering_module.QUEUE_BYTES - size
    office["n1"].submit(1, mint(1))
    assert office["n1"].verdict(1) is None
    office["n1"].submit(2, mint(2))
    assert office["n1"].code(2) == "overloaded"


def test_room_comes_back_when_what_waited_is_ordered(office: Office) -> None:
    for ticket in range(20):
        office["n1"].submit(ticket, mint(ticket))
    office.flow()
    assert office["n1"].ordering._queued_bytes == 0


def test_what_was_passed_on_is_of_unknown_outcome_once_another_node_orders(office: Office) -> None:
    office["n2"].submit(1, mint(1))
    office.wire["n1"].crash()
    office.wire.keep()
    office.run(200)
    assert office["n2"].verdict(1) is None, "its head may come back"
    office.run(3000)
    assert office.wire["n2"].replica.head() in {"n2", "n3"}
    verdict = office["n2"].verdict(1)
    assert isinstance(verdict, Declined)
    assert (verdict.code, verdict.nothing_ordered) == ("unavailable", False)


def test_a_view_change_resolves_what_was_ordered_and_not_committed(office: Office) -> None:
    office.wire["n3"].stop_before = "journal"
    office["n1"].submit(1, mint(1))
    office["n2"].submit(2, mint(2))
    office.flow()
    office.wire.say("n2", "n1", 3, Superseded(4))
    office.wire.deliver(Outcome)
    assert office["n1"].code(1) == "unavailable"
    assert office["n2"].code(2) == "unavailable"


def test_a_head_whose_chain_is_silent_declines_what_waits(office: Office) -> None:
    """Behind as many entries as may be on their way."""
    office.wire["n3"].stop_before = "journal"
    for ticket in range(WINDOW_ENTRIES + 2):
        office["n1"].submit(ticket, mint(ticket))
        office.flow()
    office.wire["n2"].crash()
    office.wire["n3"].crash()
    office.run(4000)
    verdicts = [office["n1"].verdict(ticket) for ticket in range(WINDOW_ENTRIES + 2)]
    ordered = [getattr(verdict, "nothing_ordered", None) for verdict in verdicts]
    assert ordered == [False] * WINDOW_ENTRIES + [True] * 2
    office["n1"].submit(50, mint(50))
    office["n1"].gather()
    assert office["n1"].code(50) == "unavailable"


# Outside of the chain.


def test_an_outsider_passes_commands_on_to_the_head_that_it_hears_of(office: Office) -> None:
    wire = office.wire
    wire["n3"].leave()
    office.run(300)
    assert not wire["n3"].is_member
    office["n3"].submit(1, mint(1))
    office.flow()
    assert isinstance(office["n3"].verdict(1), Written)


# Twice.


def test_a_proposal_that_arrives_twice_is_taken_once(office: Office) -> None:
    """The second verdict would contradict the first."""
    office["n2"].submit(1, Rotate("A", 2))
    (proposal,) = office.wire.keep(Proposal)
    office.wire.release([proposal])
    office.flow()
    office.wire.release([proposal])
    office["n1"].gather()
    assert office.wire.sent(Outcome) == []
    assert office["n2"].verdict(1) == Written(2)


def test_the_same_command_under_another_ticket_is_another_one(office: Office) -> None:
    office["n2"].submit(1, Rotate("A", 2))
    office["n2"].submit(2, Rotate("A", 2))
    office.flow()
    assert office["n2"].verdict(1) == Written(2)
    assert office["n2"].verdict(2) == EpochRefused(2, 2)


def test_an_outcome_that_arrives_twice_is_taken_once(office: Office) -> None:
    office["n2"].submit(1, mint(1))
    office.wire.deliver(Proposal)
    office["n1"].gather()
    while not (outcomes := office.wire.keep(Outcome)):
        office.wire.deliver()
    office.wire.release([*outcomes, *outcomes])
    assert office["n2"].verdict(1) == Written(2)


def test_a_lost_link_resolves_what_was_passed_on_over_it_and_nothing_else(office: Office) -> None:
    office["n2"].submit(1, mint(1))
    office["n2"].ordering.on_link_lost("n3")
    assert office["n2"].verdict(1) is None
    office["n2"].ordering.on_link_lost("n1")
    assert office["n2"].code(1) == "unavailable"
    office.flow()
    assert office["n2"].code(1) == "unavailable"


def test_a_command_that_cannot_be_passed_on_is_declined_at_once(office: Office) -> None:
    office["n2"].is_cut_off = True
    office["n2"].submit(1, mint(1))
    assert office["n2"].code(1) == "unavailable"


def test_a_ticket_that_nobody_waits_for_gets_no_verdict(office: Office) -> None:
    office["n2"].submit(1, mint(1))
    office["n2"].ordering.forget(1)
    office.flow()
    assert office["n2"].verdict(1) is None


def test_an_outcome_for_an_earlier_life_says_nothing_about_the_command_of_this_one(
    office: Office,
) -> None:
    """Tickets are numbered from the start again; the head still has the old command when the node
    is back."""
    office["n3"].submit(1, mint(1))
    office.wire.deliver(Proposal)
    office["n1"].gather()
    office.restart("n3")
    held: list[Flying] = []

    def holds_outcomes(item: Flying) -> bool:
        if isinstance(item.envelope.message, Outcome):
            held.append(item)
        return isinstance(item.envelope.message, Outcome)

    office.wire.loses = holds_outcomes
    office.wire.run(500)
    assert len(held) == 1
    office["n3"].submit(1, mint(2))
    office.wire.keep(Proposal)
    office.wire.release(held)
    office.flow()
    assert office["n3"].verdict(1) is None
    assert office.wire["n1"].store.exists("A", 1, (2).to_bytes(16, "big")) == 0


def test_a_command_submitted_right_after_a_view_change_is_not_taken_for_an_old_one(
    office: Office,
) -> None:
    office.restart("n1")
    office.wire.run(5000)
    assert office.wire.writable()
    name = next(name for name in ("n2", "n3") if office.wire[name].replica.head() != name)
    office[name].submit(1, mint(1))
    office[name].gather()
    assert office[name].verdict(1) is None
    office.flow()
    assert isinstance(office[name].verdict(1), Written)


def test_commands_wait_while_the_window_is_full_and_none_is_lost(office: Office) -> None:
    office.wire["n3"].stop_before = "journal"
    for ticket in range(40):
        office["n1"].submit(ticket, mint(ticket))
        office["n1"].gather()
        office.wire.deliver_all()
    assert all(office["n1"].verdict(ticket) is None for ticket in range(40))
    office.wire["n3"].go_on()
    office.flow()
    assert all(isinstance(office["n1"].verdict(ticket), Written) for ticket in range(40))


def test_the_head_tells_which_requests_an_entry_holds_whoever_took_them(office: Office) -> None:
    office["n1"].submit(1, mint(1), "here")
    office["n3"].submit(2, mint(2), "there")
    office["n1"].submit(3, mint(3))
    office.wire.deliver(Proposal)
    office.flow()
    told = {"event": "ordered", "seq": 2, "view": 3, "commands": 3, "requests": ["here", "there"]}
    assert office["n1"].recorded == [told]
    assert office["n3"].recorded == []
