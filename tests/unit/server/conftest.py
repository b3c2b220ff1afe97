from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.server.serving import Node, serving


@pytest.fixture(scope="session")
def shared() -> Iterator[Node]:
    """One node for all tests that do not mind what others have stored."""
    with serving() as node:
        yield node


@pytest.fixture
def node() -> Iterator[Node]:
    """A node of the test's own: nothing stored, no calls, no events."""
    with serving() as node:
        yield node
