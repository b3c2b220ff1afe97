"""How copies of the journal are compared."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tvault.cli.copies import Account, Copy, Difference, Tell, differences, first_difference


@dataclass(eq=False)
class Told:
    """A copy whose entries are its digests; from `own` on they are its own."""

    name: str
    length: int
    own: int = 10**9
    gone: frozenset[int] = frozenset()
    asked: list[int] = field(default_factory=list)

    def check(self, tell: Tell) -> Account:
        tell(1.0)
        return Account(self.length, self.length, {"entries": self.length})

    def digest_at(self, seq: int) -> str | None:
        self.asked.append(seq)
        if seq in self.gone or seq > self.length:
            return None
        return f"{self.name} {seq}" if seq >= self.own else str(seq)


def compared(*copies: Told) -> list[Difference]:
    return differences([(copy, copy.check(lambda _: None)) for copy in copies])


def test_copies_of_one_history_do_not_differ_however_long_each_is() -> None:
    assert compared(Told("n1", 50), Told("n2", 100), Told("n3", 0)) == []
    assert compared(Told("n1", 50)) == []
    assert compared() == []


@pytest.mark.parametrize("seq", [1, 2, 37, 99, 100])
def test_the_first_entry_that_differs_is_found_in_few_questions(seq: int) -> None:
    one, other = Told("n1", 100), Told("n2", 100, own=seq)
    assert first_difference(one, other, 100) == seq
    assert len(other.asked) <= 8


def test_a_copy_is_compared_with_the_longest_as_far_as_it_goes_itself() -> None:
    short = Told("n1", 60, own=61)
    assert compared(short, Told("n2", 100), Told("n3", 80, own=70)) == [Difference("n2", "n3", 70)]
    assert max(short.asked) == 60


def test_an_entry_that_is_gone_is_a_difference() -> None:
    assert compared(Told("n1", 9, gone=frozenset({9})), Told("n2", 9)) == [Difference("n1", "n2", 9)]
    assert compared(Told("n1", 9), Told("n2", 9, gone=frozenset({9}))) == [Difference("n1", "n2", 9)]


def test_other_numbers_of_rows_under_one_digest_are_a_difference() -> None:
    copies: list[Copy] = [Told("n1", 5), Told("n2", 5)]
    accounts = [Account(5, 5, {"blocks": 1}), Account(5, 5, {"blocks": 2})]
    (found,) = differences(list(zip(copies, accounts, strict=True)))
    # What is not known to be committed may be another history, in as many entries.
    accounts = [Account(4, 5, {"blocks": 1}), Account(4, 5, {"blocks": 2})]
    assert differences(list(zip(copies, accounts, strict=True))) == []
    assert str(found) == "n2 has other numbers of rows than n1"
    assert str(Difference("n1", "n2", 7)) == "n2 differs from n1 from entry 7 on"
