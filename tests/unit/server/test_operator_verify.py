"""The check of all that a node holds, as operators begin and follow it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cluster.cluster import eventually
from tests.unit.store.test_checking import ENTRIES, history
from tvault.errors import VaultError
from tvault.server.operator_verify import ABANDONED_SECONDS, VerifyApi
from tvault.store.failures import JournalDamaged, StoreBlocked
from tvault.store.memory import MemoryStore
from tvault.store.ports import Checked

COMMITTED = ENTRIES - 1


class Held(MemoryStore):
    """Its check waits until it may go on, and then raises what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()
        self.failure: Exception | None = None
        self.damaged_file: str | None = None
        self.write(None, history(ENTRIES), COMMITTED)

    def check_slice(self, done: Checked, upto: int, is_over: Callable[[], bool]) -> Checked:
        assert self.may_go_on.wait(10)
        if self.failure is not None:
            raise self.failure
        return super().check_slice(done, upto, is_over)

    def check_runs(self) -> Iterator[str | None]:
        yield self.damaged_file


@dataclass
class Desk:
    """The port of a node with such a store, and what it told."""

    store: Held = field(default_factory=Held)
    doubts: list[str] = field(default_factory=list)
    events: list[tuple[str, int]] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.api = VerifyApi(
            self.store,
            committed=lambda: COMMITTED,
            doubt=self.doubts.append,
            record=self._record,
            clock=lambda: self.now,
        )

    def _record(self, event: str, *, entries: int, seconds: float) -> None:
        assert seconds >= 0
        self.events.append((event, entries))

    def ask(self, query: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.api.tell({"QUERY_STRING": query}).body)
        return document

    def outcome(self) -> dict[str, Any]:
        """Of a check from its beginning to its end."""
        run = self.ask("begin=1")["run"]
        self.store.may_go_on.set()
        eventually(lambda: bool(self.ask(f"run={run}")["is_done"]))
        return self.ask(f"run={run}")


@contextmanager
def desk() -> Iterator[Desk]:
    opened = Desk()
    try:
        yield opened
    finally:
        opened.store.may_go_on.set()
        opened.api.stop()


def test_a_check_is_begun_followed_and_told_to_its_end() -> None:
    with desk() as port:
        begun = port.ask("begin=1")
        assert (begun["is_done"], begun["upto"], begun["failure"]) == (False, COMMITTED, None)
        outcome = port.outcome()
        assert (outcome["run"], outcome["failure"], outcome["findings"]) == (begun["run"], None, [])
        assert outcome["checked"] == outcome["rows"]["entries"] == COMMITTED
        assert outcome["digest"] == history(COMMITTED)[-1].digest.hex()
        assert (port.doubts, port.events) == ([], [("checked", COMMITTED)])


def test_who_begins_a_second_one_joins_the_first_and_a_later_one_is_new() -> None:
    with desk() as port:
        run = port.ask("begin=1")["run"]
        assert port.ask("begin=1")["run"] == run
        assert port.outcome()["run"] == run
        assert port.ask("begin=1")["run"] != run
        with pytest.raises(VaultError, match="not known here") as caught:
            port.ask(f"run={run}")
        assert caught.value.code == "not_found"


def test_damage_is_told_and_noted_as_any_other_once_the_check_is_done() -> None:
    with desk() as port:
        port.store.failure = JournalDamaged("the rows of entry 1 do not give its digest")
        (finding,) = port.outcome()["findings"]
        assert (finding["where"], finding["seq"]) == ("journal.sqlite", 1)
        eventually(lambda: bool(port.doubts))
        assert (port.doubts, port.events) == (["journal.sqlite: " + finding["what"]], [])


def test_a_file_of_the_index_that_the_node_mends_is_told_and_no_reason_to_doubt_the_rest() -> None:
    with desk() as port:
        port.store.damaged_file = "1.run"
        (finding,) = port.outcome()["findings"]
        assert (finding["where"], finding["is_mended"]) == ("index/1.run", True)
        eventually(lambda: bool(port.events))
        assert port.doubts == []


def test_a_failure_that_is_no_damage_breaks_a_check_off_and_is_told() -> None:
    with desk() as port:
        port.store.failure = StoreBlocked("out of memory")
        outcome = port.outcome()
        assert (outcome["failure"], outcome["findings"]) == ("out of memory", [])
        assert (port.doubts, port.events) == ([], [])


def test_a_check_that_nobody_asks_about_ends() -> None:
    with desk() as port:
        run = port.ask("begin=1")["run"]
        port.now += ABANDONED_SECONDS + 1
        port.store.may_go_on.set()
        assert port.api._thread is not None
        port.api._thread.join(10)
        assert port.ask(f"run={run}")["failure"] == "nobody asked about it any more"
        assert port.ask("begin=1")["run"] != run


def test_a_node_that_stops_ends_its_check_and_begins_none() -> None:
    with desk() as port:
        run = port.ask("begin=1")["run"]
        port.store.may_go_on.set()
        port.api.stop()
        assert port.ask(f"run={run}")["is_done"]
        with pytest.raises(VaultError, match="stopping"):
            port.ask("begin=1")


def test_the_digest_at_an_entry_is_told_as_far_as_it_is_committed() -> None:
    with desk() as port:
        entries = history(ENTRIES)
        for seq in (1, COMMITTED):
            assert port.ask(f"seq={seq}") == {"seq": seq, "digest": entries[seq - 1].digest.hex()}
        for seq in (ENTRIES, 10**18):
            with pytest.raises(VaultError) as caught:
                port.ask(f"seq={seq}")
            assert caught.value.code == "not_found"


@pytest.mark.parametrize("query", ["", "seq=-1", "seq=x", "begin=2", "begin=1&seq=1", "seq=" + "9" * 20])
def test_another_question_is_malformed(query: str) -> None:
    with desk() as port:
        with pytest.raises(VaultError) as caught:
            port.ask(query)
        assert caught.value.code == "malformed"
