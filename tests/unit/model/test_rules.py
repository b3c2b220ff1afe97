"""The judge admits each token once, each epoch in turn, and leaves no trace of what it refuses."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.model.rowbook import Rowbook, split
from tvault.model.blocks import sealed_bound
from tvault.model.commands import (
    BLOCK_VALUES,
    Block,
    Command,
    EpochStart,
    Mint,
    Rotate,
    Rows,
    encode_rows,
)
from tvault.model.rules import STANDARD_LIMITS, Judge, Limits
from tvault.model.verdicts import (
    Admitted,
    EpochRefused,
    StaleEpoch,
    TokensExist,
    Unacceptable,
    Verdict,
)
from tvault.ordering import GROUP_BYTES
from tvault.server.frames import FRAME_BYTES

OWNERS = ("A", "B")


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def block(*numbers: int, owner: str = "A", epoch: int = 1, sealed: bytes = b"sealed") -> Block:
    return Block(owner=owner, epoch=epoch, digests=b"".join(map(digest, numbers)), sealed=sealed)


def mint(*numbers: int, owner: str = "A", epoch: int = 1) -> Mint:
    """A mint of these tokens, two to a block."""
    pairs = [numbers[at : at + 2] for at in range(0, len(numbers), 2)]
    return Mint(
        owner=owner, epoch=epoch, blocks=tuple(block(*pair, owner=owner, epoch=epoch) for pair in pairs)
    )


def judge(records: Rowbook | None = None, limits: Limits = STANDARD_LIMITS) -> Judge:
    return Judge(records or Rowbook(), OWNERS, limits, clock=lambda: 0)


def test_admitted_rows_are_given_in_the_order_of_judging() -> None:
    court = judge()
    commands: list[Command] = [
        mint(1, 2, 3),
        Rotate("A", 2),
        mint(1, owner="B"),
        mint(1, epoch=2),
        Rotate("A", 3),
    ]
    assert [court.admit(command) for command in commands] == [Admitted()] * 5
    assert court.take() == Rows(
        epochs=(EpochStart("A", 2), EpochStart("A", 3)),
        blocks=(block(1, 2), block(3), block(1, owner="B"), block(1, epoch=2)),
    )


def test_taking_begins_a_new_entry() -> None:
    court = judge()
    assert court.is_empty
    empty = court.size_bytes
    court.admit(mint(1))
    assert not court.is_empty
    court.take()
    assert court.is_empty
    assert court.size_bytes == empty
    assert court.take() == Rows()


def test_a_rotation_alone_makes_an_entry() -> None:
    court = judge()
    court.admit(Rotate("A", 2))
    assert not court.is_empty


def test_a_token_of_the_journal_is_not_minted_again() -> None:
    records = Rowbook()
    court = judge(records)
    for numbers in ((1, 2), (3, 4), (5, 6)):
        court.admit(mint(*numbers))
        records.write(court.take())
    assert court.admit(mint(9, 4, 1)) == TokensExist(seq=2)
    assert court.admit(mint(9, 6, 1)) == TokensExist(seq=3)
    assert court.admit(mint(9)) == Admitted()


def test_a_token_of_the_entry_in_the_making_is_not_minted_again() -> None:
    records = Rowbook()
    records.write(Rows(blocks=(block(7),)))
    court = judge(records)
    court.admit(mint(1, 2, 3))
    court.admit(mint(5, owner="B"))
    assert court.admit(mint(5, owner="B")) == TokensExist(seq=0, in_group=True)
    assert court.admit(mint(4, 3)) == TokensExist(seq=0, in_group=True)
    assert court.admit(mint(3, 7)) == TokensExist(seq=0, in_group=True)
    assert court.admit(mint(4, 7)) == TokensExist(seq=1)


def test_the_same_digest_is_another_token_for_another_owner_or_epoch() -> None:
    records = Rowbook()
    court = judge(records)
    assert court.admit(mint(1)) == Admitted()
    assert court.admit(mint(1, owner="B")) == Admitted()
    records.write(court.take())
    assert court.admit(Rotate("A", 2)) == Admitted()
    assert court.admit(mint(1, epoch=2)) == Admitted()
    assert court.admit(mint(1, owner="B")) == TokensExist(seq=1)


def test_a_mint_names_the_newest_epoch() -> None:
    records = Rowbook()
    court = judge(records)
    assert court.admit(mint(1, epoch=2)) == StaleEpoch(newest=1)
    assert court.admit(mint(1, epoch=0)) == StaleEpoch(newest=1)
    court.admit(Rotate("A", 2))
    assert court.admit(mint(1, epoch=1)) == StaleEpoch(newest=2)
    records.write(court.take())
    assert court.admit(mint(1, epoch=1)) == StaleEpoch(newest=2)
    assert court.admit(mint(1, owner="B", epoch=1)) == Admitted()


def test_a_stale_epoch_is_named_before_the_tokens_that_exist() -> None:
    court = judge()
    court.admit(mint(1))
    court.admit(Rotate("A", 2))
    assert court.admit(mint(1)) == StaleEpoch(newest=2)


@pytest.mark.parametrize("to", [-1, 0, 1, 3, 2**70])
def test_a_rotation_leads_to_the_successor_alone(to: int) -> None:
    court = judge()
    assert court.admit(Rotate("A", to)) == EpochRefused(newest=1, seq=0)
    assert court.is_empty
    assert court.admit(Rotate("A", 2)) == Admitted()


def test_a_refused_rotation_names_the_entry_that_began_the_newest_epoch() -> None:
    records = Rowbook()
    court = judge(records)
    court.admit(mint(1))
    records.write(court.take())
    court.admit(Rotate("A", 2))
    assert court.admit(Rotate("A", 2)) == EpochRefused(newest=2, seq=0, in_group=True)
    records.write(court.take())
    assert court.admit(Rotate("A", 2)) == EpochRefused(newest=2, seq=2)
    assert court.admit(Rotate("A", 4)) == EpochRefused(newest=2, seq=2)
    assert court.admit(Rotate("B", 1)) == EpochRefused(newest=1, seq=0)


BAD_MINTS: list[tuple[str, Command]] = [
    ("unknown_owner", mint(1, owner="C")),
    ("unknown_owner", Rotate("C", 2)),
    ("unknown_owner", Rotate("", 2)),
    ("no_blocks", mint()),
    ("foreign_block", Mint("A", 1, (block(1), block(2, owner="B")))),
    ("foreign_block", Mint("A", 1, (block(1), block(2, epoch=2)))),
    ("bad_digests", Mint("A", 1, (block(1), block()))),
    ("bad_digests", Mint("A", 1, (block(*range(65)),))),
    ("bad_digests", Mint("A", 1, (Block("A", 1, bytes(15), b""),))),
    ("bad_digests", Mint("A", 1, (Block("A", 1, bytes(33), b""),))),
    ("token_twice", mint(1, 1)),
    ("token_twice", mint(1, 2, 3, 1)),
]


@pytest.mark.parametrize(("reason", "command"), BAD_MINTS)
def test_what_no_node_should_propose_is_unacceptable(reason: str, command: Command) -> None:
    court = judge()
    verdict = court.admit(command)
    assert isinstance(verdict, Unacceptable)
    assert verdict.reason == reason
    assert court.is_empty


def test_a_full_block_is_admitted() -> None:
    assert judge().admit(Mint("A", 1, (block(*range(BLOCK_VALUES)),))) == Admitted()


def test_the_sizes_of_a_mint_are_bounded() -> None:
    limits = Limits(sealed_bytes=10, values=4, command_bytes=400)
    sealed = [Mint("A", 1, (block(1, sealed=bytes(size)),)) for size in (10, 11)]
    assert [judge(limits=limits).admit(command) for command in sealed] == [
        Admitted(),
        Unacceptable("too_large"),
    ]
    counts = [mint(*range(count)) for count in (4, 5)]
    assert [judge(limits=limits).admit(command) for command in counts] == [
        Admitted(),
        Unacceptable("too_many_values"),
    ]
    small = Limits(sealed_bytes=10, values=4, command_bytes=100)
    assert judge(limits=small).admit(mint(1, 2, 3, 4)) == Unacceptable("too_large")
    assert judge(limits=small).admit(mint(1)) == Admitted()


def test_every_mint_of_a_request_within_its_limits_is_within_the_bounds() -> None:
    limits = Limits.for_requests(values=2, body_bytes=2 * 70_000, value_bytes=70_000)
    largest = bytes(sealed_bound(70_000))
    command = Mint("A", 1, (block(1, sealed=largest), block(2, sealed=largest)))
    assert judge(limits=limits).admit(command) == Admitted()


def test_no_command_is_longer_than_what_nodes_send_each_other_at_once_whatever_the_limits() -> None:
    limits = Limits.for_requests(values=1_000_000, body_bytes=1 << 20, value_bytes=1000)
    assert limits.command_bytes + GROUP_BYTES < FRAME_BYTES


NUMBERS = st.lists(st.integers(0, 8), min_size=1, max_size=3, unique=True) | st.lists(
    st.integers(0, 1), max_size=3
)
OWNER = st.sampled_from(["A", "A", "B", "B", "C"])
EPOCH = st.sampled_from([1, 1, 1, 1, 2, 2, 2, 3, 3, 0, 4])
COMMANDS = st.builds(
    lambda owner, epoch, numbers: mint(*numbers, owner=owner, epoch=epoch), OWNER, EPOCH, NUMBERS
) | st.builds(Rotate, owner=OWNER, to=EPOCH)


class NaiveJudge:
    """The rules written over one flat list of what was ever admitted, entry by entry."""

    def __init__(self) -> None:
        self.entries: list[Rows] = []
        self.group = Rows()

    def admit(self, command: Mint | Rotate) -> Verdict:
        if command.owner not in OWNERS:
            return Unacceptable("unknown_owner")
        begun = [
            (start.epoch, seq)
            for seq, rows in self.numbered()
            for start in rows.epochs
            if start.owner == command.owner
        ]
        newest, seq = max(begun, default=(1, 0))
        here = seq > len(self.entries)
        if isinstance(command, Rotate):
            if command.to != newest + 1:
                return EpochRefused(newest, 0 if here else seq, in_group=here)
            self.group = Rows(
                (*self.group.epochs, EpochStart(command.owner, command.to)), self.group.blocks
            )
            return Admitted()
        verdict = self.judge_mint(command, newest)
        if verdict == Admitted():
            self.group = Rows(self.group.epochs, (*self.group.blocks, *command.blocks))
        return verdict

    def numbered(self) -> list[tuple[int, Rows]]:
        return list(enumerate([*self.entries, self.group], start=1))

    def judge_mint(self, command: Mint, newest: int) -> Verdict:
        wanted = [part for each in command.blocks for part in split(each.digests)]
        if not wanted:
            return Unacceptable("no_blocks")
        if len(set(wanted)) < len(wanted):
            return Unacceptable("token_twice")
        if command.epoch != newest:
            return StaleEpoch(newest)
        hits = [
            seq
            for seq, rows in self.numbered()
            for each in rows.blocks
            for part in split(each.digests)
            if (each.owner, each.epoch) == (command.owner, command.epoch) and part in wanted
        ]
        if not hits:
            return Admitted()
        here = max(hits) > len(self.entries)
        return TokensExist(0 if here else max(hits), in_group=here)

    def take(self) -> Rows:
        taken, self.group = self.group, Rows()
        self.entries.append(taken)
        return taken


@given(st.lists(COMMANDS | st.none(), max_size=40))
def test_the_judge_agrees_with_a_naive_one(steps: list[Mint | Rotate | None]) -> None:
    records, naive = Rowbook(), NaiveJudge()
    court = judge(records)
    for command in [*steps, None]:
        if command is None:
            rows = court.take()
            assert rows == naive.take()
            records.write(rows)
        else:
            assert court.admit(command) == naive.admit(command)
            assert court.is_empty == (naive.group == Rows())


@given(st.lists(COMMANDS, max_size=15))
def test_a_refused_command_leaves_the_entry_as_it_was(commands: list[Command]) -> None:
    all_of_them, only_admitted = judge(), judge()
    for command in commands:
        size = all_of_them.size_bytes
        if all_of_them.admit(command) == Admitted():
            assert only_admitted.admit(command) == Admitted()
        else:
            assert all_of_them.size_bytes == size
    assert all_of_them.size_bytes == only_admitted.size_bytes
    assert all_of_them.take() == only_admitted.take()


@given(st.lists(COMMANDS, max_size=15), st.binary(max_size=100))
def test_the_size_told_is_close_above_the_encoded_size(
    commands: list[Mint | Rotate], sealed: bytes
) -> None:
    court = Judge(Rowbook(), ["A", "B" * 128, "\U0001f600" * 128], clock=lambda: 0)
    names = {"B": "B" * 128, "C": "\U0001f600" * 128}
    for command in commands:
        owner = names.get(command.owner, "A")
        if isinstance(command, Mint):
            blocks = tuple(
                msgspec.structs.replace(each, owner=owner, sealed=sealed) for each in command.blocks
            )
            court.admit(Mint(owner, command.epoch, blocks))
        else:
            court.admit(Rotate(owner, command.to))
    size = court.size_bytes
    rows = court.take()
    slack = 32 * (1 + len(rows.epochs) + len(rows.blocks))
    assert len(encode_rows(rows)) <= size <= len(encode_rows(rows)) + slack
