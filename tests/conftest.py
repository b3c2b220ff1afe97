"""What tests of all kinds use, and what is said at the end of a run."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator

import pytest

NOT_TRIED = "not tried here"


def pytest_configure() -> None:
    """Programs that tests start can be interrupted, however the tests were started: a shell lets what it
    runs in the background ignore SIGINT, which children inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Let threads take turns as often as Python can, so that races show."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def not_tried(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Says at the end of the run what this machine did not let a test try."""
    return lambda what: record_property(NOT_TRIED, what)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, what in report.user_properties:
            if name == NOT_TRIED:
                terminalreporter.write_line(f"{NOT_TRIED}: {what} ({report.nodeid})")
