"""What the engine does about the verdicts of a chain: what it tries again, and what it must not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from tvault.engine import EpochRefused, Overtaken, StaleEpoch, TokensExist, Written
from tvault.errors import VaultError
from tvault.model.commands import (
    Command,
    EpochStart,
    Keep,
    Mint,
    Rotate,
    Rows,
    Sealed,
    SecretEnd,
    SecretVersion,
    WriteSecrets,
    encode_rows,
)
from tvault.model.secret_looks import Wanted
from tvault.ordering import Declined, Verdict
from tvault.replication.account import Condition
from tvault.replication.entry import Kind, follow
from tvault.replication.promise import Standing
from tvault.replication.state import State
from tvault.server.chain_engine import BEHIND_SECONDS, CONFIRMED, ChainEngine
from tvault.server.trace import traced
from tvault.store.memory import MemoryStore

NO_CHAIN = Declined("unavailable", "no chain")
LOST = Declined("unavailable", "the chain changed", nothing_ordered=False)
BUSY = Declined("overloaded", "too many")
NOT_PASSING = Declined("unavailable", "unknown owner", is_passing=False)
MINT = Mint("alice", 1, ())
MEMBER = State(
    node="n1",
    incarnation="a",
    standing=Standing.VOTER,
    condition=Condition.READY,
    promised=4,
    role="tail",
    view=4,
    chain=("n2", "n1"),
    last=9,
    committed=9,
    can_write=True,
    degraded=True,
    caught_up=False,
    readable=4,
)
OUTSIDER = replace(MEMBER, role="outside", readable=0)


@dataclass
class Desk:
    """A node that answers as it is told to, and notes what it is asked."""

    verdicts: list[Verdict | None] = field(default_factory=list)
    states: list[State] = field(default_factory=lambda: [MEMBER])
    confirmations: list[bool] = field(default_factory=list)
    indexes: list[int | None] = field(default_factory=list)
    reaches: int = 1 << 60
    is_cut_off: bool = False
    asked: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.states[0]

    @property
    def committed(self) -> int:
        return self.state.committed

    @property
    def can_write(self) -> bool:
        return self.state.can_write

    def submit(self, command: Command, deadline: float, request: str) -> Verdict | None:  # noqa: ARG002
        self.requests.append(request)
        self.asked.append(type(command).__name__.lower())
        return self.verdicts.pop(0)

    def confirm(self, looked_in: int, deadline: float) -> bool:  # noqa: ARG002
        self.asked.append(f"confirm {looked_in}")
        return self.confirmations.pop(0)

    def ask_index(self, deadline: float) -> int | None:  # noqa: ARG002
        self.asked.append("index")
        return self.indexes.pop(0)

    def wait_for(self, seq: int, deadline: float) -> bool:
        self.asked.append(f"wait {seq}")
        if seq > self.reaches:
            threading.Event().wait(deadline - time.monotonic())
        return seq <= self.reaches

    def wait_for_chain(self, deadline: float) -> bool:
        self._move()
        return self.state.can_write and time.monotonic() < deadline

    def wait_for_vantage(self, deadline: float) -> bool:
        return self.wait_for_chain(deadline)

    def note_damage(self, why: str) -> None:
        self.asked.append(why)

    def _move(self) -> None:
        self.asked.append("chain")
        if len(self.states) > 1:
            self.states.pop(0)


def engine(desk: Desk, epochs: Iterable[int] = ()) -> ChainEngine:
    store = MemoryStore()
    for epoch in epochs:
        rows = encode_rows(Rows(epochs=(EpochStart("alice", epoch),)))
        store.write(None, [follow(store.last(), 1, Kind.ROWS, rows)], 0)
    return ChainEngine(desk, store)


def soon() -> float:
    return time.monotonic() + 5


def refused(call: object, *arguments: object) -> VaultError:
    with pytest.raises(VaultError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value


def test_a_write_is_sent_again_whenever_the_chain_changed() -> None:
    desk = Desk(verdicts=[NO_CHAIN, LOST, NO_CHAIN, Written(7)])
    assert engine(desk).mint(MINT, soon()) == Written(7)
    assert desk.asked == ["mint", "chain"] * 3 + ["mint"]


def test_a_request_goes_by_its_id_and_comes_back_with_its_entry_and_view() -> None:
    desk = Desk(verdicts=[NO_CHAIN, Written(7), Written(3)])
    with traced("r1") as trace:
        engine(desk).mint(MINT, soon())
        assert (trace.seq, trace.view) == (7, 4)
        engine(desk).mint(MINT, soon())
        assert trace.seq == 7, "the latest of all that the answer rests on"
    assert desk.requests == ["r1"] * 3
    with traced("r2") as trace:
        engine(desk, epochs=[2]).hint_epoch("alice")
        engine(desk, epochs=[2]).look_up("alice", 2, bytes(16), soon())
        assert (trace.seq, trace.view) == (0, 4), "what is not there has no entry"


def test_a_rotation_is_sent_again_only_while_it_is_certain_that_nothing_was_ordered() -> None:
    desk = Desk(verdicts=[NO_CHAIN, NO_CHAIN, EpochRefused(3, 9)])
    assert engine(desk).rotate(Rotate("alice", 2), soon()) == EpochRefused(3, 9)
    desk = Desk(verdicts=[NO_CHAIN, LOST, Written(7)])
    assert refused(engine(desk).rotate, Rotate("alice", 2), soon()).code == "unavailable"
    assert desk.verdicts == [Written(7)], "else it could be told that another one had rotated"


@pytest.mark.parametrize("verdict", [BUSY, NOT_PASSING])
def test_what_another_try_does_not_help_is_told_at_once(verdict: Declined) -> None:
    desk = Desk(verdicts=[verdict, Written(7)])
    assert refused(engine(desk).mint, MINT, soon()).code == verdict.code
    assert desk.asked == ["mint"]


def test_after_an_unknown_outcome_nobody_is_told_that_nothing_was_written() -> None:
    desk = Desk(verdicts=[LOST, BUSY])
    refusal = refused(engine(desk).mint, MINT, soon())
    assert refusal.code == "unavailable"
    assert "unknown" in refusal.detail


def test_after_an_unknown_outcome_a_write_does_not_go_on_in_another_epoch() -> None:
    """The first try may have been ordered: then one request would have tokens in two epochs."""
    assert refused(engine(Desk(verdicts=[LOST, StaleEpoch(2)])).mint, MINT, soon()).code == "unavailable"
    own = engine(Desk(verdicts=[LOST, TokensExist(5)])).mint(MINT, soon())
    assert own == TokensExist(5, is_perhaps_own=True)
    assert engine(Desk(verdicts=[NO_CHAIN, StaleEpoch(2)])).mint(MINT, soon()) == StaleEpoch(2)
    assert engine(Desk(verdicts=[NO_CHAIN, TokensExist(5)])).mint(MINT, soon()) == TokensExist(5)


def test_with_no_chain_for_long_a_write_is_refused() -> None:
    desk = Desk(verdicts=[NO_CHAIN], states=[replace(OUTSIDER, can_write=False, chain=())])
    assert refused(engine(desk).mint, MINT, soon()).detail == "no chain"


def test_a_member_has_its_own_view_confirmed() -> None:
    desk = Desk(confirmations=[True])
    assert engine(desk).confirm(4, soon()) is None
    assert desk.asked == ["confirm 4"]


def test_after_a_view_change_the_look_is_made_again_in_the_new_view() -> None:
    desk = Desk(confirmations=[False, True], states=[MEMBER, replace(MEMBER, view=8, readable=8)])
    vault = engine(desk)
    assert vault.confirm(4, soon()) == 8
    assert vault.confirm(8, soon()) is None


UNKNOWN = bytes(16)


def test_what_is_not_found_is_confirmed_in_the_view_in_which_the_look_was_made() -> None:
    desk = Desk(confirmations=[False, True], states=[MEMBER, replace(MEMBER, view=8, readable=8)])
    [places] = engine(desk).find("alice", [(1, UNKNOWN)], soon())
    assert not places.is_whole
    assert desk.asked == ["confirm 4", "chain", "confirm 8"]


def test_a_look_at_very_many_epochs_takes_no_longer_than_a_request_may() -> None:
    times = iter(range(1000))
    vault = ChainEngine(Desk(), MemoryStore(), lambda: float(next(times)))
    asked = [(epoch, UNKNOWN) for epoch in range(1, 99)]
    assert refused(vault.find, "alice", asked, 100.0).code == "unavailable"
    assert next(times) < 110


def test_an_outsider_looks_once_it_knows_all_that_a_member_has_confirmed() -> None:
    desk = Desk(states=[OUTSIDER], indexes=[12])
    vault = engine(desk)
    again = vault.confirm(vault.vantage(), soon())
    assert again == CONFIRMED
    assert desk.asked[-2:] == ["index", "wait 12"]
    desk.asked.clear()
    assert vault.confirm(CONFIRMED, soon()) is None
    assert desk.asked == []


def test_an_outsider_that_is_behind_sends_its_reader_to_another_node() -> None:
    desk = Desk(states=[OUTSIDER], indexes=[12], reaches=11)
    assert "another one" in refused(engine(desk).confirm, 0, soon()).detail
    full = Desk(states=[replace(OUTSIDER, condition=Condition.FULL)])
    assert "another one" in refused(engine(full).confirm, 0, soon()).detail
    assert "index" not in full.asked


def test_an_outsider_that_is_behind_does_not_keep_a_writer_whose_tokens_exist() -> None:
    began = time.monotonic()
    slow = Desk(states=[OUTSIDER], reaches=0)
    assert "another one" in refused(engine(slow).wait_for, 12, soon()).detail
    assert BEHIND_SECONDS <= time.monotonic() - began < BEHIND_SECONDS + 1
    full = Desk(states=[replace(OUTSIDER, condition=Condition.FULL)], reaches=0)
    assert "another one" in refused(engine(full).wait_for, 12, soon()).detail
    assert full.asked == ["wait 12"]


def test_a_member_that_was_cut_off_does_not_try_to_confirm_for_ever() -> None:
    desk = Desk(confirmations=[False], is_cut_off=True)
    assert refused(engine(desk).confirm, 4, soon()).code == "unavailable"
    assert desk.asked == ["confirm 4"]


def test_an_epoch_is_told_once_its_entry_is_committed_and_the_look_confirmed() -> None:
    before = replace(MEMBER, committed=0)
    desk = Desk(states=[before], confirmations=[False, True], reaches=0)
    vault = engine(desk, epochs=[2])
    assert refused(vault.read_epoch, "alice", time.monotonic() + 0.1).code == "unavailable"
    assert desk.asked == ["wait 1"] * len(desk.asked)
    desk = Desk(states=[MEMBER, replace(MEMBER, view=5, readable=5)], confirmations=[False, True])
    assert engine(desk, epochs=[2]).read_epoch("alice", soon()) == 2
    assert desk.asked == ["confirm 4", "chain", "confirm 5"]


WRITE = WriteSecrets("alice", bytes(16), bytes(16), (Keep("s", 1),))
NEWEST = [Wanted("s")]
SEALED = Sealed(b"c", b"n" * 12, b"w" * 40, "m1")
REQUEST = b"r" * 16


def keeper(desk: Desk, *entries: Rows) -> ChainEngine:
    """An engine over a journal of these rows, whose secrets have the owner alice."""
    store = MemoryStore()
    for rows in entries:
        store.write(None, [follow(store.last(), 1, Kind.ROWS, encode_rows(rows))], 0)
    return ChainEngine(desk, store)


def begun(version: int) -> Rows:
    return Rows(versions=(SecretVersion("alice", "s", version, version, SEALED),))


def test_a_write_of_secrets_is_sent_again_whatever_became_of_it_before() -> None:
    desk = Desk(verdicts=[NO_CHAIN, LOST, Overtaken(7)])
    assert engine(desk).write_secrets(WRITE, soon()) == Overtaken(7)
    assert desk.asked == ["writesecrets", "chain"] * 2 + ["writesecrets"]


def test_after_an_unknown_outcome_a_refused_write_of_secrets_says_so() -> None:
    refusal = refused(engine(Desk(verdicts=[LOST, BUSY])).write_secrets, WRITE, soon())
    assert "unknown" in refusal.detail


def test_the_newest_version_is_told_once_it_is_committed_and_the_look_confirmed() -> None:
    desk = Desk(states=[replace(MEMBER, committed=0)], confirmations=[True], reaches=0)
    deadline = time.monotonic() + 0.1
    refusal = refused(keeper(desk, begun(1)).read_secrets, "alice", NEWEST, None, deadline)
    assert refusal.code == "unavailable"
    assert desk.confirmations == [True], "nothing is confirmed that may still be cut"
    desk = Desk(states=[MEMBER, replace(MEMBER, view=5, readable=5)], confirmations=[False, True])
    found = keeper(desk, begun(1)).read_secrets("alice", NEWEST, None, soon())
    assert found.versions[0] is not None
    assert desk.asked == ["confirm 4", "chain", "confirm 5"]


@pytest.mark.parametrize("wanted", [Wanted("s", version=1), Wanted("s", at=1)])
def test_a_version_that_has_ended_needs_no_confirmation(wanted: Wanted) -> None:
    desk = Desk()
    found = keeper(desk, begun(1), begun(2)).read_secrets("alice", [wanted], None, soon())
    assert found.versions[0] is not None
    assert desk.asked == []


@pytest.mark.parametrize(
    ("wanted", "request_name"),
    [
        (Wanted("s", version=2), None),
        (Wanted("s", at=9), None),
        (Wanted("s", version=3), None),
        (Wanted("t", version=1), None),
        (Wanted("s", version=1), REQUEST),
    ],
)
def test_what_a_later_entry_may_change_is_confirmed(wanted: Wanted, request_name: bytes | None) -> None:
    desk = Desk(confirmations=[True])
    keeper(desk, begun(1), begun(2)).read_secrets("alice", [wanted], request_name, soon())
    assert desk.asked == ["confirm 4"]


def test_that_the_newest_version_has_ended_is_confirmed() -> None:
    """Another one may have begun since, which this node has not heard of."""
    desk = Desk(confirmations=[True])
    vault = keeper(desk, begun(1), Rows(ends=(SecretEnd("alice", "s", 1, 5),)))
    vault.read_secrets("alice", NEWEST, None, soon())
    assert desk.asked == ["confirm 4"]


def test_the_end_of_a_version_is_told_once_it_is_committed() -> None:
    desk = Desk(states=[replace(MEMBER, committed=1)], reaches=1)
    vault = keeper(desk, begun(1), Rows(ends=(SecretEnd("alice", "s", 1, 5),)))
    deadline = time.monotonic() + 0.1
    wanted = [Wanted("s", version=1)]
    assert refused(vault.read_secrets, "alice", wanted, None, deadline).code == "unavailable"


@pytest.mark.parametrize("call", ["read_history", "read_names"])
def test_a_list_is_told_once_it_is_committed_and_confirmed(call: str) -> None:
    arguments = ("alice", "s") if call == "read_history" else ("alice",)
    desk = Desk(states=[replace(MEMBER, committed=1)], reaches=1)
    vault = keeper(desk, begun(1), begun(2))
    refusal = refused(getattr(vault, call), *arguments, time.monotonic() + 0.1)
    assert refusal.code == "unavailable"
    desk = Desk(confirmations=[True])
    getattr(keeper(desk, begun(1), begun(2)), call)(*arguments, soon())
    assert desk.asked == ["confirm 4"]


def test_a_glance_neither_waits_nor_confirms() -> None:
    desk = Desk(states=[replace(MEMBER, committed=0)], reaches=0)
    found = keeper(desk, begun(1)).peek_secrets("alice", NEWEST, REQUEST, soon())
    assert found.versions[0] is not None
    assert desk.asked == []
