"""What every store promises of looks at secrets, checked on each of them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.conformance.naive_secrets import request_of, secrets_entry, version_of
from tvault.model.commands import Done, SecretEnd
from tvault.model.records import LOOK_BYTES, LookTooLong, NewestSecret
from tvault.model.secret_looks import (
    FoundHistory,
    FoundNames,
    FoundSecrets,
    FoundVersion,
    VersionMark,
    Wanted,
)
from tvault.replication.entry import ORIGIN, Entry
from tvault.store.ports import Store

BEGUN, REPLACED, ENDED, BACK = 10, 20, 30, 40
"""When the secret of `lived` began, got its second version, ended, and began again."""

FIRST = version_of("key", 1, BEGUN)
SECOND = version_of("key", 2, REPLACED)
THIRD = version_of("key", 3, BACK)
FIRST_FOUND = FoundVersion(1, BEGUN, REPLACED, FIRST.sealed)
SECOND_FOUND = FoundVersion(2, REPLACED, ENDED, SECOND.sealed)
THIRD_FOUND = FoundVersion(3, BACK, None, THIRD.sealed)


def lived(store: Store) -> list[Entry]:
    """Four entries about the secret `key` of anna, the last two not committed."""
    first = secrets_entry(ORIGIN, [FIRST], requests=[request_of(1, [Done("key", 1, True)])])
    second = secrets_entry(first.position, [SECOND], requests=[request_of(2)])
    third = secrets_entry(second.position, ends=[SecretEnd("anna", "key", 2, ENDED)])
    fourth = secrets_entry(third.position, [THIRD], requests=[request_of(4)])
    entries = [first, second, third, fourth]
    store.write(None, entries, 2)
    return entries


def one(store: Store, wanted: Wanted, owner: str = "anna") -> tuple[FoundVersion | None, int]:
    found = store.secrets(owner, [wanted], None)
    return found.versions[0], found.seq


def test_an_empty_store_knows_no_secret(store: Store) -> None:
    asked = [Wanted("key"), Wanted("key", 1), Wanted("key", at=5)]
    assert store.secrets("anna", asked, bytes(16)) == FoundSecrets((None, None, None), None, 0)
    assert store.secrets("anna", [], None) == FoundSecrets((), None, 0)
    assert store.history("anna", "key") == FoundHistory((), 0)
    assert store.names("anna") == FoundNames((), 0)
    assert store.newest_secrets("anna", ["key"])[0] == NewestSecret(0, False, 0)
    assert store.newest_stamp("anna") == 0
    assert store.request_seq("anna", bytes(16)) == 0
    assert list(store.sample_secrets()) == []


def test_a_version_is_found_by_its_number_with_when_it_was_valid(store: Store) -> None:
    lived(store)
    assert one(store, Wanted("key", 1)) == (FIRST_FOUND, 2)
    assert one(store, Wanted("key", 2)) == (SECOND_FOUND, 3)
    assert one(store, Wanted("key", 3)) == (THIRD_FOUND, 4)
    for never in (0, 4, -1, 2**63, 2**200):
        assert one(store, Wanted("key", never)) == (None, 0)


@pytest.mark.parametrize(
    ("at", "found", "seq"),
    [
        (-(2**200), None, 0),
        (BEGUN - 1, None, 0),
        (BEGUN, FIRST_FOUND, 2),
        (REPLACED - 1, FIRST_FOUND, 2),
        (REPLACED, SECOND_FOUND, 3),
        (ENDED - 1, SECOND_FOUND, 3),
        (ENDED, None, 3),
        (BACK - 1, None, 3),
        (BACK, THIRD_FOUND, 4),
        (2**63, THIRD_FOUND, 4),
        (2**200, THIRD_FOUND, 4),
    ],
)
def test_a_moment_finds_the_version_valid_from_its_beginning_up_to_but_without_its_end(
    store: Store, at: int, found: FoundVersion | None, seq: int
) -> None:
    lived(store)
    assert one(store, Wanted("key", at=at)) == (found, seq)


def test_without_number_and_moment_the_newest_version_is_found_though_it_has_ended(
    store: Store,
) -> None:
    entries = lived(store)
    assert one(store, Wanted("key")) == (THIRD_FOUND, 4)
    store.write(3, [], 2)
    assert one(store, Wanted("key")) == (SECOND_FOUND, 3)
    store.write(2, [], 2)
    assert one(store, Wanted("key")) == (FoundVersion(2, REPLACED, None, SECOND.sealed), 2)
    store.write(None, entries[2:], 2)
    assert one(store, Wanted("key")) == (THIRD_FOUND, 4)


def test_one_look_finds_many_in_the_order_asked_for_and_the_request_with_them(store: Store) -> None:
    lived(store)
    asked = [Wanted("key", 2), Wanted("other"), Wanted("key", 1), Wanted("key", 2)]
    found = store.secrets("anna", asked, request_of(4).request)
    assert found.versions == (SECOND_FOUND, None, FIRST_FOUND, SECOND_FOUND)
    assert found.request == request_of(4)
    assert found.seq == 4


def test_a_ciphertext_of_another_size_than_the_one_wanted_is_left_out(store: Store) -> None:
    lived(store)
    size = len(SECOND.sealed.ciphertext)
    bare = replace(SECOND_FOUND, sealed=replace(SECOND.sealed, ciphertext=b""))
    for wanted in (Wanted("key", 2), Wanted("key", at=REPLACED)):
        for asked, found in ((size, SECOND_FOUND), (size + 1, bare), (0, bare)):
            assert one(store, replace(wanted, size=asked))[0] == found
    newest = one(store, Wanted("key", size=0))[0]
    assert newest == replace(THIRD_FOUND, sealed=replace(THIRD.sealed, ciphertext=b""))


def test_a_request_is_found_with_all_that_it_came_to(store: Store) -> None:
    lived(store)
    row = request_of(1, [Done("key", 1, True)])
    assert store.secrets("anna", [], row.request) == FoundSecrets((), row, 1)
    assert store.request_seq("anna", row.request) == 1
    assert store.request_seq("anna", request_of(4).request) == 4
    assert store.secrets("anna", [], request_of(3).request) == FoundSecrets((), None, 0)
    assert store.request_seq("bert", row.request) == 0


def test_a_history_is_all_versions_oldest_first_without_values(store: Store) -> None:
    lived(store)
    marks = (
        VersionMark(1, BEGUN, REPLACED, "m1"),
        VersionMark(2, REPLACED, ENDED, "m1"),
        VersionMark(3, BACK, None, "m1"),
    )
    assert store.history("anna", "key") == FoundHistory(marks, 4)
    assert store.history("anna", "Key") == FoundHistory((), 0)


def test_names_are_sorted_and_those_that_have_ended_are_left_out(store: Store) -> None:
    first = secrets_entry(ORIGIN, [version_of(name, 1, 5) for name in ("b", "_", "B", "a1", "a")])
    second = secrets_entry(first.position, ends=[SecretEnd("anna", "a", 1, 6)])
    third = secrets_entry(second.position, [version_of("b", 2, 7)])
    store.write(None, [first, second], 0)
    assert store.names("anna") == FoundNames(("B", "_", "a1", "b"), 2)
    store.write(None, [third], 0)
    assert store.names("anna") == FoundNames(("B", "_", "a1", "b"), 3)
    fourth = secrets_entry(third.position, [version_of("a", 2, 8)])
    store.write(None, [fourth], 0)
    assert store.names("anna") == FoundNames(("B", "_", "a", "a1", "b"), 4)


def test_owners_see_nothing_of_each_other(store: Store) -> None:
    lived(store)
    theirs = version_of("key", 1, 3, owner="bert")
    request = request_of(1, owner="bert")
    store.write(None, [secrets_entry(store.last(), [theirs], requests=[request])], 0)
    assert one(store, Wanted("key"), "bert") == (FoundVersion(1, 3, None, theirs.sealed), 5)
    assert one(store, Wanted("key", 2), "bert") == (None, 0)
    assert store.secrets("bert", [], request.request).request == request
    assert len(store.history("bert", "key").versions) == 1
    assert one(store, Wanted("key")) == (THIRD_FOUND, 4)
    assert (store.newest_stamp("anna"), store.newest_stamp("bert")) == (BACK, 3)
    for owner in ("carl", "", "ann", "annak", "ANNA"):
        assert one(store, Wanted("key"), owner) == (None, 0)
        assert store.names(owner) == FoundNames((), 0)


def test_the_judge_is_told_the_state_at_the_end_of_the_journal_entry_by_entry(store: Store) -> None:
    entries = lived(store)
    for keep, state, stamp in (
        (4, NewestSecret(3, True, 4), BACK),
        (3, NewestSecret(2, False, 3), ENDED),
        (2, NewestSecret(2, True, 2), REPLACED),
    ):
        store.write(keep, [], 2)
        assert store.newest_secrets("anna", ["key"])[0] == state
        assert store.newest_stamp("anna") == stamp
    assert store.newest_secrets("anna", ["other"])[0] == NewestSecret()
    store.write(None, entries[2:], 4)
    assert store.newest_stamp("anna") == BACK


def test_there_is_a_sample_of_each_master_key_that_any_version_is_under(store: Store) -> None:
    rows = [
        version_of(name, 1, 5, owner=owner, key_id=key_id)
        for name, owner, key_id in (
            *(("a", "anna", "m1"), ("b", "anna", "m2"), ("c", "bert", "m1"), ("d", "bert", "m10")),
            *(("e", "anna", "m2"), ("f", "bert", "m2")),
        )
    ]
    store.write(None, [secrets_entry(ORIGIN, rows)], 0)
    samples = store.sample_secrets()
    assert sorted(row.sealed.key_id for row in samples) == ["m1", "m10", "m2"]
    assert all(row in rows for row in samples)


def test_a_look_that_would_find_too_much_is_refused_but_one_version_never_is(store: Store) -> None:
    half, whole = LOOK_BYTES // 2, LOOK_BYTES + 1
    rows = [version_of("a", 1, 5, size=half), version_of("b", 1, 5, size=half + 1)]
    store.write(None, [secrets_entry(ORIGIN, rows)], 0)
    with pytest.raises(LookTooLong):
        store.secrets("anna", [Wanted("a"), Wanted("b")], None)
    assert store.secrets("anna", [Wanted("a"), Wanted("c"), Wanted("a")], None).seq == 1
    assert one(store, Wanted("b")) != (None, 0)
    sized = [replace(Wanted(row.name), size=len(row.sealed.ciphertext)) for row in rows]
    assert all(store.secrets("anna", sized, None).versions), "who names sizes holds as much already"
    store.write(None, [secrets_entry(store.last(), [version_of("c", 1, 5, size=whole)])], 0)
    found, _ = one(store, Wanted("c"))
    assert found is not None
    assert len(found.sealed.ciphertext) == whole
