"""The judge admits a write of secrets once, on what they are, at a moment later than all before."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.model.rowbook import Rowbook
from tvault.model.commands import (
    Change,
    Done,
    End,
    Keep,
    Put,
    Rotate,
    Rows,
    Sealed,
    SecretEnd,
    SecretRequest,
    SecretVersion,
    WriteSecrets,
    encode_rows,
)
from tvault.model.rules import STANDARD_LIMITS, Judge, Limits
from tvault.model.verdicts import Admitted, Overtaken, Unacceptable, Verdict

NOW = 1_700_000_000_000_000
SEALED = Sealed(b"ciphertext", b"n" * 12, b"w" * 40, "m1")
PRINT = b"f" * 16


def name_of(request: int) -> bytes:
    return request.to_bytes(16, "big")


def write(request: int, *changes: Change, owner: str = "A") -> WriteSecrets:
    return WriteSecrets(owner, name_of(request), PRINT, changes)


def put(name: str, newest: int = 0, *, is_live: bool | None = None) -> Put:
    return Put(name, newest, newest > 0 if is_live is None else is_live, SEALED)


class Court:
    """A judge whose entries are written as they are taken, under a clock that is set by hand."""

    def __init__(self, limits: Limits = STANDARD_LIMITS) -> None:
        self.now = NOW
        self.records = Rowbook()
        self.judge = Judge(self.records, ("A", "B"), limits, clock=lambda: self.now)

    def admit(self, *commands: WriteSecrets) -> list[Verdict]:
        """The verdicts; of those that are admitted without their moments."""
        verdicts = [self.judge.admit(command) for command in commands]
        return [Admitted() if isinstance(verdict, Admitted) else verdict for verdict in verdicts]

    def write(self, *commands: WriteSecrets) -> Rows:
        """One entry of all these commands, which must be admitted."""
        assert self.admit(*commands) == [Admitted()] * len(commands)
        return self.take()

    def take(self) -> Rows:
        rows = self.judge.take()
        self.records.write(rows)
        return rows


def test_a_write_becomes_rows_of_one_moment_in_its_order() -> None:
    court = Court()
    court.write(write(1, put("b"), put("old")))
    court.now += 5
    assert court.judge.admit(write(2, put("a"), End("old", 1), Keep("b", 1))) == Admitted(NOW + 5)
    rows = court.take()
    assert rows == Rows(
        versions=(SecretVersion("A", "a", 1, NOW + 5, SEALED),),
        ends=(SecretEnd("A", "old", 1, NOW + 5),),
        requests=(
            SecretRequest(
                "A",
                name_of(2),
                PRINT,
                (
                    Done("a", 1, is_changed=True),
                    Done("old", 1, is_changed=True),
                    Done("b", 1, is_changed=False),
                ),
            ),
        ),
    )


@pytest.mark.parametrize("where", ["in one entry", "in two"])
def test_of_two_writers_who_know_the_same_version_the_second_is_refused(where: str) -> None:
    court = Court()
    court.write(write(1, put("s")))
    assert court.admit(write(2, put("s", 1))) == [Admitted()]
    if where == "in two":
        court.take()
    expected = Overtaken(0, in_group=True) if where == "in one entry" else Overtaken(2)
    assert court.admit(write(3, put("s", 1)), write(4, Keep("s", 1))) == [expected] * 2
    assert court.admit(write(5, put("s", 2))) == [Admitted()]


@pytest.mark.parametrize("where", ["in one entry", "in two"])
def test_a_request_is_carried_out_once_however_secrets_are_by_then(where: str) -> None:
    court = Court()
    assert court.admit(write(1, put("s"))) == [Admitted()]
    if where == "in two":
        court.take()
    expected = Overtaken(0, in_group=True) if where == "in one entry" else Overtaken(1)
    assert court.admit(write(1, put("s")), write(1, put("s", 1)), write(1, put("t"))) == [expected] * 3


def test_a_request_of_one_owner_is_another_one_of_the_next() -> None:
    court = Court()
    court.write(write(1, put("s")), write(1, put("s"), owner="B"))
    assert court.records.newest_secret("B", "s").version == 1


def test_what_has_ended_is_neither_kept_nor_ended_again_and_counting_goes_on() -> None:
    court = Court()
    court.write(write(1, put("s")))
    court.write(write(2, End("s", 1)))
    refused = [write(3, End("s", 1)), write(4, Keep("s", 1)), write(5, put("s", 1, is_live=True))]
    assert court.admit(*refused) == [Overtaken(2)] * 3
    (version,) = court.write(write(6, put("s", 1, is_live=False))).versions
    assert version.version == 2


def test_one_change_that_does_not_hold_refuses_them_all() -> None:
    court = Court()
    court.write(write(1, put("s")))
    size = court.judge.size_bytes
    assert court.admit(write(2, put("t"), put("s"))) == [Overtaken(1)]
    assert court.judge.is_empty
    assert court.judge.size_bytes == size
    court.write(write(2, put("t"), put("s", 1)))


@pytest.mark.parametrize("step", [-3_600_000_000, 0, 1, 3_600_000_000])
def test_moments_rise_strictly_whatever_the_clock_does(step: int) -> None:
    court = Court()
    stamps = []
    for number in range(1, 7):
        court.admit(write(number, put("s", number - 1)))
        if number % 2:
            court.now += step
        else:
            stamps += [row.valid_from for row in court.take().versions]
    assert stamps == sorted(set(stamps))
    court.now = 0
    (end,) = court.write(write(7, End("s", 6))).ends
    assert end.valid_to > stamps[-1]


def test_moments_of_one_owner_do_not_tell_of_another() -> None:
    court = Court()
    court.write(write(1, put("s"), owner="B"))
    court.now -= 1000
    (version,) = court.write(write(2, put("s"))).versions
    assert version.valid_from == NOW - 1000


def test_a_write_that_changes_nothing_takes_no_moment() -> None:
    court = Court()
    court.write(write(1, put("s")))
    for number in range(2, 5):
        court.write(write(number, Keep("s", 1)))
    (version,) = court.write(write(5, put("s", 1))).versions
    assert version.valid_from == NOW + 1


@pytest.mark.parametrize(
    ("command", "flaw"),
    [
        (WriteSecrets("C", name_of(1), PRINT, (put("s"),)), "unknown_owner"),
        (WriteSecrets("A", b"short", PRINT, (put("s"),)), "bad_request"),
        (WriteSecrets("A", name_of(1), b"", (put("s"),)), "bad_request"),
        (write(1), "no_changes"),
        (write(1, put("s"), put("t"), Keep("s", 1)), "secret_twice"),
        (write(1, put("")), "bad_change"),
        (write(1, put("n" * 129)), "bad_change"),
        (write(1, put("é")), "bad_change"),
        (write(1, put("s", -1, is_live=False)), "bad_change"),
        (write(1, put("s", 0, is_live=True)), "bad_change"),
        (write(1, Keep("s", 0)), "bad_change"),
        (write(1, End("s", 0)), "bad_change"),
        (write(1, Put("s", 0, False, Sealed(b"", b"n", b"w" * 40, "m1"))), "bad_change"),
        (write(1, Put("s", 0, False, Sealed(b"", b"n" * 12, b"w", "m1"))), "bad_change"),
        (write(1, Put("s", 0, False, Sealed(b"", b"n" * 12, b"w" * 40, ""))), "bad_change"),
        (write(1, Put("s", 0, False, Sealed(b"", b"n" * 12, b"w" * 40, "k" * 65))), "bad_change"),
    ],
)
def test_what_no_correct_node_proposes_is_refused(command: WriteSecrets, flaw: str) -> None:
    verdict = Court().judge.admit(command)
    assert isinstance(verdict, Unacceptable)
    assert verdict.reason == flaw


def test_a_write_beyond_the_bounds_of_a_command_is_refused() -> None:
    court = Court(Limits(sealed_bytes=10, values=4, command_bytes=500))
    large = Put("s", 0, False, Sealed(b"c" * 300, b"n" * 12, b"w" * 40, "m1"))
    assert court.admit(write(1, large)) == [Unacceptable("too_large")]
    assert court.admit(write(1, put("s"))) == [Admitted()]


def test_every_write_of_a_request_within_its_limits_is_within_the_bounds() -> None:
    limits = Limits.for_requests(values=3, body_bytes=3 * 70_000, value_bytes=10)
    sealed = Sealed(bytes(70_000 + 16), b"n" * 12, b"w" * 40, "k" * 64)
    names = ["a" * 128, "b" * 128, "c" * 128]
    judge = Judge(Rowbook(), ("O" * 128,), limits, clock=lambda: NOW)
    command = write(1, *(Put(name, 0, False, sealed) for name in names), owner="O" * 128)
    assert isinstance(judge.admit(command), Admitted)


class Held(NamedTuple):
    """A secret as the naive judge has it."""

    version: int
    is_live: bool


CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(
        lambda name, newest, live: put(name, newest, is_live=live and newest > 0),
        st.sampled_from("st"),
        st.integers(0, 3),
        st.booleans(),
    ),
    st.builds(Keep, st.sampled_from("st"), st.integers(1, 3)),
    st.builds(End, st.sampled_from("st"), st.integers(1, 3)),
)
WRITES = st.builds(
    lambda owner, request, changes: write(request, *changes, owner=owner),
    st.sampled_from("AB"),
    st.integers(0, 30),
    st.lists(CHANGES, min_size=1, max_size=2, unique_by=lambda change: change.name),
)
STEPS = st.lists(WRITES | st.none() | st.integers(-100, 100), max_size=50)


@given(STEPS)
def test_the_judge_agrees_with_a_naive_one(steps: list[WriteSecrets | int | None]) -> None:
    court = Court()
    secrets: dict[tuple[str, str], Held] = {}
    known: set[tuple[str, bytes]] = set()
    stamps: list[tuple[str, int]] = []
    changing = 0
    for step in [*steps, None]:
        if step is None:
            rows = court.take()
            stamps += [(row.owner, row.valid_from) for row in rows.versions]
            stamps += [(row.owner, row.valid_to) for row in rows.ends]
        elif isinstance(step, int):
            court.now += step
        else:
            is_admitted = court.admit(step) == [Admitted()]
            assert is_admitted == _is_admissible(step, secrets, known)
            if is_admitted:
                known.add((step.owner, step.request))
                changing += any(not isinstance(change, Keep) for change in step.changes)
                for change in step.changes:
                    secrets[step.owner, change.name] = _after(change)
    for (owner, name), held in secrets.items():
        assert court.records.newest_secret(owner, name)[:2] == held
    assert len(set(stamps)) == changing, "each changing write has a moment of its own"


def _is_admissible(
    command: WriteSecrets, secrets: dict[tuple[str, str], Held], known: set[tuple[str, bytes]]
) -> bool:
    if (command.owner, command.request) in known:
        return False
    for change in command.changes:
        held = secrets.get((command.owner, change.name), Held(0, is_live=False))
        is_live = change.is_live if isinstance(change, Put) else True
        if held != (change.newest, is_live):
            return False
    return True


def _after(change: Change) -> Held:
    match change:
        case Put(_, newest):
            return Held(newest + 1, is_live=True)
        case Keep(_, newest):
            return Held(newest, is_live=True)
        case End(_, newest):
            return Held(newest, is_live=False)


@given(st.lists(WRITES | st.just(Rotate("A", 2)), max_size=15), st.binary(max_size=100))
def test_the_size_told_is_close_above_the_encoded_size(
    commands: list[WriteSecrets | Rotate], ciphertext: bytes
) -> None:
    court = Court()
    sealed = Sealed(ciphertext, b"n" * 12, b"w" * 40, "k" * 64)

    def resealed(change: Change) -> Change:
        if isinstance(change, Put):
            return Put(change.name, change.newest, change.is_live, sealed)
        return change

    for command in commands:
        if isinstance(command, WriteSecrets):
            court.judge.admit(
                write(int.from_bytes(command.request, "big"), *map(resealed, command.changes))
            )
        else:
            court.judge.admit(command)
    size = court.judge.size_bytes
    rows = court.judge.take()
    encoded = len(encode_rows(rows))
    assert encoded <= size <= encoded + 80 * (1 + len(rows) + sum(len(r.done) for r in rows.requests))
