"""What a node's thread does when its disk fails, is full or stands still, and when it is to end."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.unit.server.one_node import eventually as comes_true
from tests.unit.server.one_node import one_node
from tvault.errors import VaultError
from tvault.replication.account import Condition
from tvault.server.node import INBOX_ITEMS
from tvault.server.outlook import STUCK_SECONDS
from tvault.store.failures import JournalDamaged, StoreBroken, StoreFull
from tvault.store.ports import StoreViolation


def refusal_of(call: object) -> str:
    with pytest.raises(VaultError) as caught:
        call()  # type: ignore[operator]
    return caught.value.code


def test_a_node_whose_disk_is_full_answers_what_it_has_says_so_and_writes_again_once_there_is_room(
    tmp_path: Path,
) -> None:
    with one_node(tmp_path) as one:
        one.mint("known")
        one.store.of_writes, one.store.is_roomy = StoreFull("the disk is full"), False
        one.is_refused_a_write()
        comes_true(lambda: one.node.state.condition is Condition.FULL)
        assert one.found("known", "refused") == [True, False]
        assert one.engine.health() == "unavailable"
        comes_true(lambda: one.store.probes >= 2)
        assert one.node.failure is None
        one.store.of_writes, one.store.is_roomy = None, True
        comes_true(lambda: one.node.can_write)
        one.mint("new")
        assert one.found("known", "new") == [True, True]
        assert [name for name in one.events if "disk" in name] == ["disk-full", "disk-room"]


@pytest.mark.parametrize("failure", [StoreBroken("a sync failed"), JournalDamaged("entry 1 is gone")])
def test_a_node_whose_disk_fails_notes_durably_that_its_files_are_doubtful_before_it_ends(
    tmp_path: Path, failure: Exception
) -> None:
    ended: list[bool] = []
    with one_node(tmp_path, doubt=lambda _: ended.append(not one.told.empty())) as one:
        one.mint("known")
        one.store.of_writes = failure
        assert refusal_of(lambda: one.mint("new")) == "unavailable"
        assert one.told.get(timeout=10) == "ended"
        assert ended == [False]
        assert (one.node.failure, one.node.is_doubtful) == (str(failure), True)
        assert one.events[-1] == "doubtful"


def test_a_lone_node_that_finds_a_damaged_row_says_so_and_goes_on_with_what_is_sound(
    tmp_path: Path,
) -> None:
    with one_node(tmp_path) as one:
        one.mint("known")
        one.store.of_looks = JournalDamaged("a committed block is gone")
        assert refusal_of(lambda: one.found("known")) == "unavailable"
        comes_true(lambda: one.node.damage.why == "a committed block is gone")
        one.store.of_looks = None
        one.mint("new")
        assert one.found("new") == [True]
        assert one.events.count("damaged") == 1
        assert one.doubts == []


def test_when_the_doubt_cannot_be_noted_the_node_stops_for_good(tmp_path: Path) -> None:
    def fail(_: str) -> None:
        raise OSError(5, "Input/output error")

    with one_node(tmp_path, doubt=fail) as one:
        one.store.of_writes = StoreBroken("a sync failed")
        one.is_refused_a_write()
        assert one.told.get(timeout=10) == "ended"
        assert not one.node.is_doubtful
        assert "cannot be noted" in str(one.node.failure)


def test_a_broken_rule_stops_the_node_and_its_files_stay_as_they_are(tmp_path: Path) -> None:
    with one_node(tmp_path) as one:
        one.store.of_writes = StoreViolation("a token would stand twice")
        one.is_refused_a_write()
        assert one.told.get(timeout=10) == "ended"
        assert (one.node.failure, one.node.is_doubtful) == ("a token would stand twice", False)
        assert one.doubts == []


def test_a_promise_that_finds_no_room_stops_the_node_and_its_files_stay_as_they_are(
    tmp_path: Path,
) -> None:
    with one_node(tmp_path) as one:
        one.promise_file.failure = StoreFull("the disk is full")
        one.is_refused_a_write()
        assert one.told.get(timeout=10) == "ended"
        assert not one.node.is_doubtful
        assert "the disk is full" in str(one.node.failure)


def test_once_a_node_has_ended_nobody_waits_for_it(tmp_path: Path) -> None:
    with one_node(tmp_path) as one:
        one.node.stop()
        assert one.told.get(timeout=10) == "ended"
        began = time.monotonic()
        assert refusal_of(lambda: one.mint("new")) == "unavailable"
        assert refusal_of(lambda: one.engine.confirm(1, began + 30)) == "unavailable"
        assert refusal_of(lambda: one.engine.read_epoch("alice", began + 30)) == "unavailable"
        assert time.monotonic() - began < 2
        assert one.engine.health() == "unavailable"


def test_a_sender_does_not_wait_for_room_with_a_node_that_has_ended(tmp_path: Path) -> None:
    with one_node(tmp_path) as one:
        one.store.may_write.clear()
        client = threading.Thread(target=one.is_refused_a_write)
        client.start()

        def send_much() -> None:
            for _ in range(2 * INBOX_ITEMS):
                one.node.link_lost("n2")

        flood = threading.Thread(target=send_much)
        flood.start()
        comes_true(lambda: one.node.inbox.is_full)
        one.store.of_writes = StoreBroken("a sync failed")
        one.store.may_write.set()
        flood.join(10)
        client.join(10)
        assert not flood.is_alive()


def test_requests_under_way_are_answered_when_the_node_ends(tmp_path: Path) -> None:
    with one_node(tmp_path) as one:
        one.store.may_write.clear()
        codes: list[str] = []
        client = threading.Thread(target=lambda: codes.append(refusal_of(lambda: one.mint("new"))))
        client.start()
        comes_true(lambda: bool(one.node._slots))
        one.store.of_writes = StoreBroken("a sync failed")
        one.store.may_write.set()
        client.join(5)
        assert codes == ["unavailable"]


def test_a_node_whose_disk_does_not_answer_says_within_a_second_that_it_cannot_write(
    tmp_path: Path,
) -> None:
    with one_node(tmp_path) as one:
        one.store.may_write.clear()
        client = threading.Thread(target=lambda: one.mint("slow"))
        client.start()
        began = time.monotonic()
        comes_true(lambda: one.engine.health() == "unavailable")
        assert time.monotonic() - began < STUCK_SECONDS + 0.5
        assert one.node.silent_s > STUCK_SECONDS / 2
        one.store.may_write.set()
        client.join()
        comes_true(lambda: one.engine.health() == "ok")


def test_how_far_the_journal_is_committed_is_stored_when_no_entry_comes_and_at_the_end(
    tmp_path: Path,
) -> None:
    with one_node(tmp_path) as one:
        last = one.mint("acknowledged")
        assert one.store.committed_hint() < last, "the entry itself cannot hold that it is committed"
        comes_true(lambda: one.store.committed_hint() == last)
        last = one.mint("the last one")
        one.node.stop()
        assert one.store.committed_hint() == last


def test_a_node_that_nobody_relies_on_may_leave_at_once(tmp_path: Path) -> None:
    with one_node(tmp_path) as one:
        one.mint("a")
        one.node.leave()
        assert one.told.get(timeout=10) == "left"
