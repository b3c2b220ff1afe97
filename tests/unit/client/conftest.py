from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.server.serving import KEYS, Node, serving
from tvault.client.vault import Vault


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """A node of the module's tests."""
    with serving() as node:
        yield node


@pytest.fixture(scope="module")
def vault(node: Node) -> Iterator[Vault]:
    """The library in front of it."""
    with Vault([node.url], KEYS["alice"]) as vault:
        yield vault
