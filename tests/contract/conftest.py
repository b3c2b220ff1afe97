from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.contract.fronts import Front, serving

collect_ignore = [] if sys.version_info >= (3, 11) else ["test_schemathesis.py"]  # it needs 3.11

FRONTS = ["node", "gateway"]
"""What a client may be talking to."""


@pytest.fixture(scope="session", params=FRONTS)
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """With the limits that a vault has by default."""
    with serving(request.param, tmp_path_factory.mktemp("front") / "vault") as running:
        yield running


@pytest.fixture(scope="session", params=FRONTS)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """With limits that a short request is over."""
    with serving(
        request.param,
        tmp_path_factory.mktemp("small") / "vault",
        values_per_request=4,
        body_bytes=1024,
        value_bytes=300,
        secret_bytes=200,
        lookups_per_request=6,
    ) as running:
        yield running
