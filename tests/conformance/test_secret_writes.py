"""What every store promises of writes of secrets: kept whole, cut whole, refused whole."""

from __future__ import annotations

import threading

import msgspec
import pytest

from tests.conformance.conftest import OpenStore
from tests.conformance.naive import NaiveJournal, block_of, digest_of
from tests.conformance.naive_secrets import (
    NAMES,
    NaiveSecrets,
    SecretDice,
    request_of,
    secrets_entry,
    version_of,
)
from tests.conformance.test_store import Shown
from tvault.model.commands import (
    Done,
    EpochStart,
    Rows,
    SecretEnd,
    SecretRequest,
    SecretVersion,
    encode_rows,
)
from tvault.model.records import NewestSecret
from tvault.model.secret_looks import FoundHistory, FoundNames, FoundSecrets, Wanted
from tvault.replication.entry import ORIGIN, Entry, Kind, Position, follow
from tvault.store.ports import Store, StoreViolation

BOTH = [Wanted("left"), Wanted("right")]


def test_an_entry_of_all_kinds_of_rows_comes_back_as_it_was_written(open_store: OpenStore) -> None:
    done = [Done("key", 1, True), Done("öther", 2**63 - 1, False)]
    rows = Rows(
        epochs=(EpochStart("anna", 2),),
        blocks=(block_of("anna", 1, [digest_of(1)]), block_of("anna", 2, [digest_of(2)])),
        versions=(
            version_of("key", 1, 2**63 - 2),
            version_of("", 1, 0),
            version_of("key", 2, 2**63 - 1),
        ),
        ends=(SecretEnd("anna", "key", 1, 2**63 - 1), SecretEnd("anna", "", 1, 3)),
        requests=(request_of(9, done), request_of(1), request_of(5, owner="bert")),
    )
    entry = follow(ORIGIN, 7, Kind.ROWS, encode_rows(rows))
    store = open_store()
    store.write(None, [entry], 0)
    assert list(store.entries(0, 1)) == [entry]
    assert list(open_store().entries(0, 1)) == [entry]


def test_secrets_are_there_after_a_start(open_store: OpenStore) -> None:
    row, end, request = version_of("key", 1, 5), SecretEnd("anna", "key", 1, 6), request_of(3)
    first = secrets_entry(ORIGIN, [row, version_of("other", 1, 5)])
    open_store().write(None, [first, secrets_entry(first.position, [], [end], [request])], 1)
    store = open_store()
    assert store.newest_secrets("anna", ["key"])[0] == NewestSecret(1, False, 2)
    assert store.newest_stamp("anna") == 6
    assert store.names("anna") == FoundNames(("other",), 2)
    assert store.secrets("anna", [], request.request).request == request


def test_a_cut_takes_back_all_that_its_entries_did_to_secrets(store: Store) -> None:
    first = secrets_entry(ORIGIN, [version_of("key", 1, 5)], requests=[request_of(1)])
    second = secrets_entry(
        first.position,
        [version_of("new", 1, 9), version_of("new", 2, 10)],
        [SecretEnd("anna", "key", 1, 9)],
        [request_of(2)],
    )
    store.write(None, [first], 1)
    asked = [Wanted("key"), Wanted("new")]
    before = (store.secrets("anna", asked, request_of(2).request), store.names("anna"))
    for _ in range(2):
        store.write(None, [second], 1)
        assert store.names("anna") == FoundNames(("new",), 2)
        store.write(1, [], 1)
        assert (store.secrets("anna", asked, request_of(2).request), store.names("anna")) == before
        assert store.newest_stamp("anna") == 5
        assert store.request_seq("anna", request_of(2).request) == 0
        assert store.newest_secrets("anna", ["key"])[0] == NewestSecret(1, True, 1)
        assert store.history("anna", "new") == FoundHistory((), 0)


def test_what_takes_the_place_of_cut_entries_may_bring_the_same_versions_and_requests(
    store: Store,
) -> None:
    first = secrets_entry(ORIGIN, [version_of("key", 1, 5)], requests=[request_of(1)])
    end = SecretEnd("anna", "key", 1, 6)
    dead = secrets_entry(first.position, [version_of("key", 2, 7)], [end], [request_of(2)])
    store.write(None, [first, dead], 1)
    row = version_of("key", 2, 8)
    instead = secrets_entry(first.position, [row], [end], [request_of(2)], view=9)
    store.write(1, [instead], 1)
    found = store.secrets("anna", [Wanted("key")], request_of(2).request)
    assert [version and version.sealed for version in found.versions] == [row.sealed]
    assert found.seq == 2
    assert store.newest_stamp("anna") == 8


def versions(*rows: SecretVersion) -> Rows:
    return Rows(versions=rows)


def ends(*rows: tuple[str, int, int]) -> Rows:
    return Rows(ends=tuple(SecretEnd("anna", *row) for row in rows))


def requests(*rows: SecretRequest) -> Rows:
    return Rows(requests=rows)


KEPT = Rows(
    versions=(version_of("key", 1, 5), version_of("key", 2, 6), version_of("gone", 1, 5)),
    ends=(SecretEnd("anna", "gone", 1, 7),),
    requests=(request_of(1),),
)
WRONG = {
    "a version again": [versions(version_of("key", 2, 9))],
    "an older version again": [versions(version_of("key", 1, 9))],
    "a version that is left out": [versions(version_of("key", 4, 9))],
    "a first version that is not 1": [versions(version_of("new", 2, 9))],
    "version 0": [versions(version_of("new", 0, 9))],
    "a version after an end that begins anew": [versions(version_of("gone", 1, 9))],
    "a version twice in one entry": [versions(version_of("key", 3, 9), version_of("key", 3, 9))],
    "a version in two entries": [versions(version_of("key", 3, 9)), versions(version_of("key", 3, 10))],
    "versions in the wrong order": [versions(version_of("key", 4, 9), version_of("key", 3, 9))],
    "a beginning before 1970": [
        versions(msgspec.structs.replace(version_of("key", 3, 9), valid_from=-1))
    ],
    "a beginning beyond 64 bits": [versions(version_of("key", 3, 2**63))],
    "an end of what never began": [ends(("new", 1, 9))],
    "an end of what is yet to begin": [ends(("key", 3, 9)), versions(version_of("key", 3, 9))],
    "an end of version 0": [ends(("key", 0, 9))],
    "an end again": [ends(("gone", 1, 9))],
    "an end twice in one entry": [ends(("key", 2, 9), ("key", 2, 9))],
    "an end in two entries": [ends(("key", 2, 9)), ends(("key", 2, 10))],
    "an end before 1970": [ends(("key", 2, -1))],
    "an end beyond 64 bits": [ends(("key", 2, 2**63))],
    "a request again": [requests(request_of(1))],
    "a request again that asks for something else": [
        requests(msgspec.structs.replace(request_of(2), request=request_of(1).request))
    ],
    "a request twice in one entry": [requests(request_of(2), request_of(2))],
    "a request in two entries": [requests(request_of(2)), requests(request_of(2))],
    "a request of 15 bytes": [requests(msgspec.structs.replace(request_of(2), request=bytes(15)))],
    "a fingerprint of 17 bytes": [
        requests(msgspec.structs.replace(request_of(2), fingerprint=bytes(17)))
    ],
    "a request that did something to version 0": [requests(request_of(2, [Done("key", 0, True)]))],
}


def following(last: Position, brought: list[Rows]) -> list[Entry]:
    entries: list[Entry] = []
    for rows in brought:
        previous = entries[-1].position if entries else last
        entries.append(follow(previous, 1, Kind.ROWS, encode_rows(rows)))
    return entries


def shown(store: Store) -> list[object]:
    """Everything a store shows of the secrets of anna, and the rest."""
    names = ("key", "gone", "new", "good")
    looks = [store.history("anna", name) for name in names]
    asked = [request_of(number).request for number in (1, 2, 8)]
    found = [store.secrets("anna", [Wanted(name) for name in names], request) for request in asked]
    return [Shown.by(store), looks, found, store.names("anna"), store.newest_stamp("anna")]


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_write_that_breaks_a_rule_of_secrets_is_refused_and_nothing_is_written(
    store: Store, wrong: list[Rows]
) -> None:
    (first,) = following(ORIGIN, [KEPT])
    store.write(None, [first], 1)
    before = shown(store)
    good = Rows(versions=(version_of("good", 1, 8),), requests=(request_of(8),))
    for brought in (wrong, [good, *wrong], [*wrong[:-1], Rows(), wrong[-1]]):
        with pytest.raises(StoreViolation):
            store.write(None, following(first.position, brought), 1)
        assert shown(store) == before
    (dead,) = following(first.position, [Rows(versions=(version_of("dead", 1, 8),))])
    store.write(None, [dead], 1)
    with pytest.raises(StoreViolation):
        store.write(1, following(first.position, [good, *wrong]), 1)
    assert store.names("anna").names == ("dead", "key")
    store.write(1, following(first.position, [good]), 1)
    assert store.names("anna").names == ("good", "key")


def test_a_refusal_shows_nothing_of_a_secret(store: Store) -> None:
    row = version_of("my-secret-name", 2, 9)
    for rows in (Rows(versions=(row,)), Rows(ends=(SecretEnd("anna", row.name, 2, 9),))):
        with pytest.raises(StoreViolation, match="entry 1") as refusal:
            store.write(None, following(ORIGIN, [rows]), 0)
        assert row.name not in repr(refusal.value)
        assert "ciphertext" not in repr(refusal.value)


def test_the_same_names_and_requests_of_two_owners_do_not_meet(store: Store) -> None:
    both = [version_of("key", 1, 5, owner=owner) for owner in ("anna", "bert")]
    asked = [request_of(1, owner=owner) for owner in ("anna", "bert")]
    store.write(None, [secrets_entry(ORIGIN, both, requests=asked)], 0)
    for row, request in zip(both, asked, strict=True):
        found = store.secrets(row.owner, [Wanted("key")], request.request)
        assert [version and version.sealed for version in found.versions] == [row.sealed]
        assert found.request == request


@pytest.mark.parametrize("seed", range(12))
def test_a_store_answers_about_secrets_as_a_naive_journal_does(open_store: OpenStore, seed: int) -> None:
    dice, journal, store = SecretDice(seed), NaiveJournal(), open_store()
    for _ in range(25):
        last = journal.last().seq
        step = dice.random.random()
        keep = dice.random.randint(journal.hint, last) if step < 0.3 else last
        fresh = dice.entries(journal, keep, dice.random.randrange(4))
        committed = dice.random.randint(0, keep + len(fresh))
        store.write(keep if keep < last else None, [entry for entry, _ in fresh], committed)
        journal.write(keep, fresh, committed)
        if step > 0.7:
            store.settle(committed)
        if step > 0.8:
            store = open_store()
            journal.hint = store.committed_hint()
        assert list(store.entries(0, 10**9)) == [entry for entry, _ in journal.held]
        for owner in SecretDice.OWNERS:
            assert_same_answers(store, NaiveSecrets(journal, owner), owner, dice, journal)


def assert_same_answers(
    store: Store, naive: NaiveSecrets, owner: str, dice: SecretDice, journal: NaiveJournal
) -> None:
    wanted = [dice.wanted(journal) for _ in range(12)]
    request = dice.request()
    assert store.secrets(owner, wanted, request) == naive.secrets(wanted, request)
    assert store.request_seq(owner, request) == naive.request_seq(request)
    assert store.names(owner) == naive.names()
    assert store.newest_stamp(owner) == naive.newest_stamp()
    for name in NAMES:
        assert store.history(owner, name) == naive.history(name)
        assert store.newest_secrets(owner, [name])[0] == naive.newest(name)
    stored = [row for _, rows in journal.held for row in rows.versions]
    samples = store.sample_secrets()
    assert all(row in stored for row in samples)
    key_ids = sorted({row.sealed.key_id for row in stored})
    assert sorted(row.sealed.key_id for row in samples) == key_ids


@pytest.mark.usefixtures("hasty_threads")
def test_a_look_sees_a_write_of_several_secrets_whole_or_not_at_all(store: Store) -> None:
    """Every entry brings the next version of both; every third is cut and comes again."""
    torn: list[FoundSecrets] = []
    written = threading.Event()
    ready = threading.Barrier(3)

    def read() -> None:
        ready.wait()
        while not written.is_set():
            found = store.secrets("anna", BOTH, None)
            left, right = [version.version if version else 0 for version in found.versions]
            if left != right or left != found.seq:
                torn.append(found)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    ready.wait()
    try:
        for number in range(1, 90):
            previous = store.last()
            rows = [version_of("left", number, number), version_of("right", number, number)]
            for view in (1, 2) if number % 3 == 0 else (1,):
                entry = secrets_entry(previous, rows, requests=[request_of(number)], view=view)
                store.write(previous.seq, [entry], previous.seq)
    finally:
        written.set()
        for thread in readers:
            thread.join()
    assert torn == []
