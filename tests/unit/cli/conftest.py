from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.server.serving import KEYS, Node, serving


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty current folder, and nothing in the environment that commands read."""
    for name in ("TVAULT_URL", "TVAULT_API_KEY", "TVAULT_CONFIG", "TVAULT_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tvault(capfdbinary: pytest.CaptureFixture[bytes]) -> CommandLine:
    return CommandLine(capfdbinary)


@pytest.fixture(scope="module")
def shared_node() -> Iterator[Node]:
    with serving() as node:
        yield node


@pytest.fixture
def node(shared_node: Node, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node that commands find in the environment, with the key of alice."""
    monkeypatch.setenv("TVAULT_URL", shared_node.url)
    monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
    return shared_node
