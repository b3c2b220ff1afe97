"""How a node ends, and when it begins anew."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from tvault.errors import VaultError
from tvault.server.lifetime import (
    BEGINNINGS_SECONDS,
    HASTY_EXIT,
    LEAVE_SECONDS,
    MOST_BEGINNINGS,
    Lifetime,
    Word,
)

LATE_SECONDS = LEAVE_SECONDS / 2


@dataclass
class ShortLife:
    """A life that ends at once if it has a `failure`; asked to leave, it does as `leaves` says."""

    said: list[str]
    tell: Callable[[Word], None]
    failure: str | None = None
    is_doubtful: bool = False
    leaves: bool = True

    def start(self) -> None:
        self.said.append("start")
        if self.failure is not None:
            self.tell("ended")

    def leave(self) -> None:
        self.said.append("leave")
        if self.leaves:
            self.tell("left")

    def note_end(self, why: str) -> None:
        self.said.append(why)

    def close(self) -> None:
        self.said.append("close")


@dataclass
class Lives:
    """Lives that fail one after the other, each for one of these reasons, then one that does not.

    The clock moves by `step_s` with each of them.
    """

    doubts: Sequence[str] = ()
    leaves: bool = True
    step_s: float = 1.0
    said: list[str] = field(default_factory=list)
    begun: int = 0
    started: threading.Event = field(default_factory=threading.Event)

    def begin(self, tell: Callable[[Word], None]) -> ShortLife:
        self.begun += 1
        if self.begun > len(self.doubts):
            self.started.set()
            return ShortLife(self.said, tell, leaves=self.leaves)
        return ShortLife(self.said, tell, failure=self.doubts[self.begun - 1], is_doubtful=True)

    def clock(self) -> float:
        return self.begun * self.step_s


def run_and_end(lives: Lives, clock: Callable[[], float] | None = None) -> None:
    """Run them, and ask the last one to end."""
    lifetime = Lifetime(lives.begin, clock or lives.clock)

    def ask() -> None:
        if lives.started.wait(10):
            lifetime.ask_to_end()

    asker = threading.Thread(target=ask)
    asker.start()
    lifetime.run()
    asker.join()


def test_a_node_that_is_asked_to_end_hands_over_first() -> None:
    lives = Lives()
    run_and_end(lives)
    assert lives.said == ["start", "leave", "asked to stop", "close"]


def test_a_node_that_nobody_relieves_goes_all_the_same_after_a_while() -> None:
    lives = Lives(leaves=False)
    began = time.monotonic()
    run_and_end(lives, time.monotonic)
    assert LATE_SECONDS < time.monotonic() - began < LEAVE_SECONDS + 3
    assert lives.said == ["start", "leave", "asked to stop", "close"]


def test_a_node_with_doubtful_files_begins_anew_after_it_has_closed_everything() -> None:
    lives = Lives(doubts=["a sync failed", "entry 3 is damaged"])
    run_and_end(lives)
    assert lives.said == [
        *("start", "a sync failed", "close"),
        *("start", "entry 3 is damaged", "close"),
        *("start", "leave", "asked to stop", "close"),
    ]


def test_a_disk_that_fails_again_and_again_ends_the_node() -> None:
    lives = Lives(doubts=["a sync failed"] * (MOST_BEGINNINGS + 1))
    with pytest.raises(VaultError, match="a sync failed") as caught:
        run_and_end(lives)
    assert caught.value.code == "internal"
    assert lives.begun == MOST_BEGINNINGS + 1


def test_a_disk_that_fails_now_and_then_does_not_end_the_node() -> None:
    lives = Lives(doubts=["a sync failed"] * 20, step_s=BEGINNINGS_SECONDS / MOST_BEGINNINGS + 1)
    run_and_end(lives)
    assert lives.begun == 21


def test_a_node_that_has_broken_a_rule_does_not_begin_anew() -> None:
    said: list[str] = []
    lifetime = Lifetime(lambda tell: ShortLife(said, tell, failure="two tokens for one value"))
    with pytest.raises(VaultError, match="two tokens for one value"):
        lifetime.run()
    assert said == ["start", "two tokens for one value", "close"]


def test_who_asks_while_a_node_begins_is_heard() -> None:
    said: list[str] = []
    lifetimes: list[Lifetime] = []

    def begin(tell: Callable[[Word], None]) -> ShortLife:
        lifetimes[0].ask_to_end()
        return ShortLife(said, tell, failure="a sync failed", is_doubtful=True)

    lifetimes.append(Lifetime(begin))
    lifetimes[0].run()
    assert said == ["start", "a sync failed", "close"], "no other life has begun"


def test_a_second_signal_ends_the_process_where_it_stands() -> None:
    """In a process of its own, since it is that which ends."""
    child = subprocess.Popen([sys.executable, "-c", ASKED_TWICE], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for told in (b"wait", b"leave"):
        assert child.stdout.readline().strip() == told
        child.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert child.wait(30) == HASTY_EXIT == 143
    assert time.monotonic() - began < LATE_SECONDS
    child.stdout.close()


ASKED_TWICE = """
from tvault.server.lifetime import Lifetime


class Life:
    failure = None
    is_doubtful = False

    def __init__(self, tell):
        pass

    def start(self):
        pass

    def leave(self):
        print("leave", flush=True)

    def note_end(self, why):
        pass

    def close(self):
        pass


class Telling(Lifetime):
    def _wait(self, life, words):
        print("wait", flush=True)
        super()._wait(life, words)


lifetime = Telling(Life)
lifetime.heed_signals()
lifetime.run()
"""
"""A life whose hand-over nobody confirms."""
