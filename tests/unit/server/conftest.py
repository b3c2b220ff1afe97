from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.unit.server.behind import MOST, Behind
from tests.unit.server.serving import KEYS, MASTERS, RING, Node, serving
from tvault.server.secret_vault import SecretVault


@pytest.fixture(scope="session", params=[False, True], ids=["node", "gateway"])
def shared(request: pytest.FixtureRequest) -> Iterator[Node]:
    """One node, or gateway, for all tests that do not mind what others have stored."""
    with serving(by_gateway=request.param) as node:
        yield node


@pytest.fixture(params=[False, True], ids=["node", "gateway"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    """A node of the test's own: nothing stored, no calls, no events.  The same tests hold for a
    gateway in front of it."""
    with serving(by_gateway=request.param) as node:
        yield node


@pytest.fixture
def engine() -> Behind:
    return Behind(KEYS)


@pytest.fixture
def secrets(engine: Behind) -> SecretVault:
    return SecretVault(engine, RING, MASTERS, os.urandom, MOST)
