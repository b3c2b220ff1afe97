"""Commands on their way to the journal: each ticket gets one verdict, and the right one."""

from __future__ import annotations

import pytest

from tests.unit.replication.wire import Flying, Wire
from tvault import ordering as ordering_module
from tvault.engine import EpochRefused, StaleEpoch, TokensExist, Written
from tvault.model.commands import Block, Command, Mint, Rotate, encode_command
from tvault.model.rules import Judge
from tvault.ordering import Declined, Ordering, Verdict
from tvault.replication.messages import Envelope, Message, Outcome, Proposal, Superseded


def mint(*numbers: int, owner: str = "A", epoch: int = 1) -> Mint:
    digests = b"".join(number.to_bytes(16, "big") for number in numbers)
    return Mint(owner, epoch, (Block(owner, epoch, digests, b"sealed"),))


class Desk:
    """The ordering of one node of a wire, and the verdicts that it gave."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.verdicts: dict[int, list[Verdict]] = {}
        self.is_cut_off = False
        self._wire = wire
        self._node = wire[name]
        self._group_tickets = iter(range(1_000_000, 2_000_000))
        self.ordering = Ordering(
            name,
            self._node.replica,
            Judge(self._node.store, ("A", "B")),
            lambda: next(self._group_tickets),
            self._send,
            lambda ticket, verdict: self.verdicts.setdefault(ticket, []).append(verdict),
        )
        self._node.hears_command = self._hear
        self._node.hears_answer = self.ordering.on_answer

    def _send(self, to: str, message: Message) -> bool:
        if self.is_cut_off:
            return False
        self._wire.fly(self._node, [(to, self._node.replica.view_number(), message)])
        return True

    def _hear(self, envelope: Envelope) -> None:
        match envelope.message:
            case Proposal():
                self.ordering.on_proposal(envelope.sender, envelope.message)
            case Outcome():
                self.ordering.on_outcome(envelope.message)

    def submit(self, ticket: int, command: Command) -> None:
        self.ordering.submit(ticket, command)

    def gather(self) -> None:
        """Order all that waits, as far as there is room."""
        while not self._node.is_stopped and self.ordering.gather():
            self._node.settle()

    def verdict(self, ticket: int) -> Verdict | None:
        """The one verdict of the ticket, None as long as there is none."""
        given = self.verdicts.get(ticket, [])
        assert len(given) < 2, "a ticket got two verdicts"
        return given[0] if given else None

    def code(self, ticket: int) -> str | None:
        verdict = self.verdict(ticket)
        return verdict.code if isinstance(verdict, Declined) else None


class Office:
    """A founded wire with a desk at every node; n1 is the head."""

    def __init__(self) -> None:
        self.wire = Wire().founded()
        self.desks = {name: Desk(self.wire, name) for name in self.wire.names}

    def __getitem__(self, name: str) -> Desk:
        return self.desks[name]

    def restart(self, name: str) -> None:
        self.wire[name].crash()
        self.wire[name].start()
        self.desks[name] = Desk(self.wire, name)

    def flow(self) -> None:
        """Deliver and order until nothing moves."""
        for _ in range(20):
            self.gather()
            self.wire.deliver_all()

    def gather(self) -> None:
        for name, desk in self.desks.items():
            if self.wire[name].is_up:
                desk.gather()

    def run(self, duration: int) -> None:
        for _ in range(duration // 50):
            self.wire.run(50)
            self.gather()


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


def test_a_view_change_resolves_what_was_passed_on(office: Office) -> None:
    office["n2"].submit(1, mint(1))
    office.wire.say("n3", "n2", 3, Superseded(5))
    office["n2"].gather()
    assert office["n2"].code(1) == "unavailable"
    office.flow()
    assert office["n2"].code(1) == "unavailable"


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
    office.wire["n3"].crash()
    office.wire.run(1500)
    office["n1"].submit(1, mint(1))
    office["n1"].gather()
    assert office["n1"].code(1) == "unavailable"


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
