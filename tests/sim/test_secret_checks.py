"""The ledger of secrets notices what it is there for: wrong entries and wrong answers are planted."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.sim.secret_calls import (
    EndSecret,
    GetSecret,
    GetSecrets,
    PutSecret,
    PutSecrets,
    ReadHistory,
    ReadNames,
    Refusal,
    SecretCall,
    SecretWrite,
)
from tests.sim.secret_ledger import SecretLedger
from tvault.model.commands import (
    Done,
    Rows,
    SecretEnd,
    SecretRequest,
    SecretVersion,
    encode_rows,
)
from tvault.model.secret_looks import VersionMark, Wanted
from tvault.server.preconditions import condition_in
from tvault.server.secret_vault import DeleteDone, PutDone, Request, Secret
from tvault.store.memory import MemoryStore

NOW = 1000
ALWAYS = condition_in(None, None)
FIRST = condition_in(None, "*")
SECOND = condition_in('"1"', None)
NOT_FOUND = Refusal("not_found")


@dataclass
class Book:
    """A ledger into which one entry after another is written, all of alice."""

    ledger: SecretLedger = field(default_factory=lambda: SecretLedger(bytes, lambda: NOW))
    requests: int = 0

    def asked(self, asked: SecretWrite, *, is_kept: bool = True) -> Request:
        """A request that a node is about to carry out."""
        self.requests += 1
        request = Request(self.requests.to_bytes(16, "big"), repr(asked).encode(), is_kept)
        self.ledger.expect(asked, request)
        return request

    def version(self, name: str, version: int, value: str, stamp: int) -> SecretVersion:
        sealed = self.ledger.masters.seal("alice", name, version, value.encode())
        return SecretVersion("alice", name, version, stamp, sealed)

    def enter(
        self,
        request: Request | None,
        *rows: SecretVersion | SecretEnd,
        kept: tuple[Done, ...] = (),
        done: tuple[Done, ...] | None = None,
    ) -> None:
        """One entry: these rows, as what the request comes to unless that is `done`."""
        versions = tuple(row for row in rows if isinstance(row, SecretVersion))
        ends = tuple(row for row in rows if isinstance(row, SecretEnd))
        changed = tuple(Done(row.name, row.version, is_changed=True) for row in rows)
        requests: tuple[SecretRequest, ...] = ()
        if request is not None:
            told = (*changed, *kept) if done is None else done
            requests = (SecretRequest("alice", request.name, request.fingerprint, told),)
        self.ledger.commit(self.ledger.last + 1, encode_rows(Rows((), (), versions, ends, requests)))

    def put(self, name: str, version: int, value: str, stamp: int) -> Request:
        request = self.asked(PutSecret("alice", name, value, ALWAYS, "key"))
        self.enter(request, self.version(name, version, value, stamp))
        return request

    def end(self, name: str, version: int, stamp: int) -> Request:
        request = self.asked(EndSecret("alice", name, ALWAYS, "key"))
        self.enter(request, SecretEnd("alice", name, version, stamp))
        return request

    def told(self, answered: SecretCall, since: int = 0, request: Request | None = None) -> None:
        self.ledger.judge(answered, request, since)


@pytest.fixture
def book() -> Book:
    """A is red at 10, then blue at 20, and ends at 30 (entries 1 to 3); B is red at 40 (entry 4)."""
    book = Book()
    book.put("A", 1, "red", 10)
    book.put("A", 2, "blue", 20)
    book.end("A", 2, 30)
    book.put("B", 1, "red", 40)
    return book


SOUND: list[tuple[SecretCall, int]] = [
    (GetSecret("alice", Wanted("A"), NOT_FOUND), 3),
    (GetSecret("alice", Wanted("A"), Secret("A", "blue", 2, 20, None)), 1),
    (GetSecret("alice", Wanted("A", version=1), Secret("A", "red", 1, 10, 20)), 4),
    (GetSecret("alice", Wanted("A", at=20), Secret("A", "blue", 2, 20, 30)), 4),
    (GetSecret("alice", Wanted("A", at=30), NOT_FOUND), 4),
    (GetSecrets("alice", ("A", "B"), Refusal("unresolved", names=("A",))), 4),
    (ReadHistory("alice", "A", (VersionMark(1, 10, 20, "m1"), VersionMark(2, 20, 30, "m1"))), 4),
    (ReadNames("alice", ("B",)), 4),
    (ReadNames("bob", ()), 4),
]

FALSE: list[tuple[str, SecretCall, int]] = [
    ("a lost write", GetSecret("alice", Wanted("B"), NOT_FOUND), 4),
    ("a stale read", GetSecret("alice", Wanted("A"), Secret("A", "blue", 2, 20, None)), 3),
    ("a version never made", GetSecret("alice", Wanted("B"), Secret("B", "blue", 2, 50, None)), 0),
    ("another value", GetSecret("alice", Wanted("B"), Secret("B", "blue", 1, 40, None)), 0),
    ("an end forgotten", GetSecret("alice", Wanted("A", version=1), Secret("A", "red", 1, 10, None)), 4),
    ("another moment", GetSecret("alice", Wanted("A", at=19), Secret("A", "blue", 2, 20, 30)), 0),
    ("a value after its end", GetSecret("alice", Wanted("A", at=30), Secret("A", "blue", 2, 20, 30)), 4),
    ("a history that shrinks", ReadHistory("alice", "A", (VersionMark(1, 10, 20, "m1"),)), 4),
    ("a name too few", ReadNames("alice", ()), 4),
    ("a name too many", ReadNames("alice", ("A", "B")), 0),
    ("another owner's name", ReadNames("bob", ("B",)), 0),
    ("another owner's secret", GetSecret("bob", Wanted("B"), Secret("B", "red", 1, 40, None)), 0),
]


@pytest.mark.parametrize(("answered", "since"), SOUND)
def test_an_answer_that_was_true_since_the_request_came_is_taken(
    book: Book, answered: SecretCall, since: int
) -> None:
    book.told(answered, since)


@pytest.mark.parametrize(("answered", "since"), [case[1:] for case in FALSE], ids=[c[0] for c in FALSE])
def test_an_answer_that_was_true_at_no_moment_since_the_request_came_is_noticed(
    book: Book, answered: SecretCall, since: int
) -> None:
    with pytest.raises(AssertionError, match="no moment"):
        book.told(answered, since)


def test_a_write_of_several_that_is_seen_in_halves_is_noticed() -> None:
    book = Book()
    for value, version, stamp in (("red", 1, 10), ("blue", 2, 20)):
        both = PutSecrets("alice", (("A", value), ("B", value)), (), "key")
        rows = [book.version(name, version, value, stamp) for name in ("A", "B")]
        book.enter(book.asked(both), *rows)
    book.told(GetSecrets("alice", ("A", "B"), (("A", "red"), ("B", "red"))), 1)
    book.told(GetSecrets("alice", ("A", "B"), (("A", "blue"), ("B", "blue"))), 1)
    with pytest.raises(AssertionError, match="no moment"):
        book.told(GetSecrets("alice", ("A", "B"), (("A", "red"), ("B", "blue"))))


def test_versions_that_do_not_rise_by_one_are_noticed(book: Book) -> None:
    for version in (1, 3):
        with pytest.raises(AssertionError, match="follows 1"):
            book.put("B", version, "blue", 50)


def test_the_end_of_what_is_not_valid_is_noticed(book: Book) -> None:
    for name, version in (("A", 2), ("A", 1), ("C", 1)):
        with pytest.raises(AssertionError, match="ends after"):
            book.end(name, version, 50)


def test_moments_that_do_not_rise_or_that_no_clock_has_shown_are_noticed(book: Book) -> None:
    for stamp, why in ((40, "not after"), (39, "not after"), (NOW + 1, "no clock")):
        with pytest.raises(AssertionError, match=why):
            after_first().put("B", 2, "blue", stamp)
    both = book.asked(PutSecrets("alice", (("C", "red"), ("D", "red")), (), "key"))
    with pytest.raises(AssertionError, match="several moments"):
        book.enter(both, book.version("C", 1, "red", 50), book.version("D", 1, "red", 51))


def after_first() -> Book:
    """B is red at 40."""
    book = Book()
    book.put("B", 1, "red", 40)
    return book


def test_a_moment_after_one_that_a_wrong_clock_gave_is_taken() -> None:
    book = Book(SecretLedger(bytes, lambda: 5))
    book.put("A", 1, "red", 5)
    book.put("A", 2, "blue", 6)


def test_a_request_that_is_carried_out_twice_or_that_nobody_made_is_noticed(book: Book) -> None:
    twice = book.put("C", 1, "red", 50)
    with pytest.raises(AssertionError, match="twice"):
        book.enter(twice, book.version("C", 2, "red", 60))
    unknown = Request(bytes(16), b"", is_kept=True)
    with pytest.raises(AssertionError, match="nobody made"):
        book.enter(unknown, book.version("D", 1, "red", 60))


def test_changes_that_no_request_explains_are_noticed(book: Book) -> None:
    with pytest.raises(AssertionError, match="nobody asked for"):
        book.enter(book.asked(PutSecret("alice", "C", "red", ALWAYS, "key")), *_two(book), done=_one())
    with pytest.raises(AssertionError, match="nobody asked for"):
        book.enter(None, book.version("D", 1, "red", 70))


def _two(book: Book) -> tuple[SecretVersion, SecretVersion]:
    return book.version("C", 1, "red", 50), book.version("D", 1, "red", 50)


def _one() -> tuple[Done, ...]:
    return (Done("C", 1, is_changed=True),)


def test_a_write_of_several_that_is_done_in_part_is_noticed(book: Book) -> None:
    both = book.asked(PutSecrets("alice", (("C", "red"), ("D", "red")), (), "key"))
    with pytest.raises(AssertionError, match="in part"):
        book.enter(both, book.version("C", 1, "red", 50))


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        (PutSecret("alice", "B", "blue", ALWAYS, "key"), "green"),
        (PutSecret("alice", "B", "red", ALWAYS, "key"), "red"),
        (PutSecret("alice", "B", "blue", FIRST, "key"), "blue"),
        (PutSecret("alice", "B", "blue", condition_in('"2"', None), "key"), "blue"),
        (EndSecret("alice", "B", ALWAYS, "key"), "blue"),
    ],
    ids=["another value", "the same value anew", "not the first", "another version", "no end"],
)
def test_a_write_that_does_something_else_than_was_asked_is_noticed(
    book: Book, asked: SecretWrite, value: str
) -> None:
    with pytest.raises(AssertionError, match="comes to"):
        book.enter(book.asked(asked), book.version("B", 2, value, 50))


def test_two_writers_that_both_win_under_one_condition_are_noticed(book: Book) -> None:
    first, second = (book.asked(PutSecret("alice", "B", v, SECOND, "key")) for v in ("blue", "green"))
    book.enter(first, book.version("B", 2, "blue", 50))
    with pytest.raises(AssertionError, match="comes to"):
        book.enter(second, book.version("B", 3, "green", 60))


def test_keeping_what_has_another_value_or_none_is_noticed(book: Book) -> None:
    for name, version in (("B", 1), ("A", 2)):
        asked = book.asked(PutSecret("alice", name, "green", ALWAYS, "key"))
        with pytest.raises(AssertionError, match="comes to"):
            book.enter(asked, kept=(Done(name, version, is_changed=False),))


def test_an_acknowledgement_that_is_not_what_the_journal_holds_is_noticed(book: Book) -> None:
    asked = PutSecret("alice", "C", "red", ALWAYS, "key")
    request = book.asked(asked)
    answer = PutSecret("alice", "C", "red", ALWAYS, "key", PutDone(1, 50, is_new=True))
    with pytest.raises(AssertionError, match="not in the journal"):
        book.told(answer, 4, request)
    book.enter(request, book.version("C", 1, "red", 50))
    book.told(answer, 4, request)
    for false in (
        PutDone(2, 50, is_new=True),
        PutDone(1, 51, is_new=True),
        PutDone(1, 50, is_new=False),
    ):
        told = PutSecret("alice", "C", "red", ALWAYS, "key", false)
        with pytest.raises(AssertionError, match="carried out at 5"):
            book.told(told, 4, request)


def test_another_end_than_the_journal_holds_is_noticed(book: Book) -> None:
    request = book.end("B", 1, 50)
    book.told(EndSecret("alice", "B", ALWAYS, "key", DeleteDone(1, 50)), 4, request)
    with pytest.raises(AssertionError, match="carried out at 5"):
        book.told(EndSecret("alice", "B", ALWAYS, "key", DeleteDone(1, 51)), 4, request)


def test_a_write_that_had_nothing_to_write_is_held_against_what_was_so(book: Book) -> None:
    for value, version, is_true in (("red", 1, True), ("blue", 1, False), ("red", 2, False)):
        done = PutDone(version, 40, is_new=False)
        answered = PutSecret("alice", "B", value, ALWAYS, None, done)
        request = book.asked(answered, is_kept=False)
        if is_true:
            book.told(answered, 4, request)
        else:
            with pytest.raises(AssertionError, match="not so since"):
                book.told(answered, 4, request)


@pytest.mark.parametrize(
    ("answered", "is_true"),
    [
        (PutSecret("alice", "B", "blue", FIRST, "key", Refusal("precondition_failed", 1)), True),
        (PutSecret("alice", "B", "blue", SECOND, "key", Refusal("precondition_failed", 1)), False),
        (PutSecret("alice", "B", "blue", FIRST, "key", Refusal("precondition_failed", 2)), False),
        (PutSecret("alice", "A", "blue", SECOND, "key", Refusal("precondition_failed")), True),
        (EndSecret("alice", "A", ALWAYS, "key", NOT_FOUND), True),
        (EndSecret("alice", "B", ALWAYS, "key", NOT_FOUND), False),
        (PutSecrets("alice", (("C", ""),), ("A",), "key", Refusal("unresolved", None, ("A",))), True),
        (PutSecrets("alice", (("C", ""),), ("B",), "key", Refusal("unresolved", None, ("B",))), False),
        (PutSecret("alice", "B", "blue", ALWAYS, "key", Refusal("invalid_value")), False),
    ],
)
def test_a_refusal_without_a_reason_is_noticed(book: Book, answered: SecretWrite, is_true: bool) -> None:  # noqa: FBT001
    request = book.asked(answered)
    if is_true:
        book.told(answered, 4, request)
    else:
        with pytest.raises(AssertionError, match=r"was a reason|another request"):
            book.told(answered, 4, request)


def test_the_refusal_of_a_request_that_was_carried_out_is_noticed(book: Book) -> None:
    asked = PutSecret("alice", "C", "red", FIRST, "key")
    request = book.asked(asked)
    refused = PutSecret("alice", "C", "red", FIRST, "key", Refusal("precondition_failed", 1))
    book.enter(request, book.version("C", 1, "red", 50))
    with pytest.raises(AssertionError, match="was a reason"):
        book.told(refused, 5, request)


def test_a_node_that_lacks_secrets_at_the_end_is_noticed(book: Book) -> None:
    with pytest.raises(AssertionError, match="n1"):
        book.ledger.compare("n1", MemoryStore())
