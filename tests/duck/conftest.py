from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.cluster.cluster import Cluster
from tests.duck.asking import Asked
from tests.duck.shell import VALUES, Inside, Shell, make_database
from tests.unit.cli.running import CommandLine
from tvault import Vault
from tvault.client.bulk import Bulk


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes in one chain, for all tests of a worker."""
    running = Cluster(tmp_path_factory.mktemp("cluster") / "vault", fields=("ssn", "patient.mrn"))
    try:
        running.start()
        running.wait_until_whole()
        yield running
    finally:
        running.stop()


@pytest.fixture
def vault(cluster: Cluster) -> Iterator[Vault]:
    """A client of that cluster, as the owner A."""
    with Vault([*cluster.nodes.values()], cluster.keys["A"]) as opened:
        yield opened


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory."""
    opened = duckdb.connect()
    yield opened
    opened.close()


@pytest.fixture
def asked(cluster: Cluster) -> Asked:
    """Counts what the nodes were asked, from now on."""
    return Asked(cluster)


@pytest.fixture(scope="session")
def many_tokens(cluster: Cluster) -> list[str]:
    """The tokens of `m0`, `m1` and so on: more than two requests hold."""
    values = [f"m{number}" for number in range(25_000)]
    with Vault([*cluster.nodes.values()], cluster.keys["A"]) as opened:
        return [str(token) for token in Bulk(opened).tokenize(values).found]


@pytest.fixture
def process(cluster: Cluster, tmp_path: Path) -> Shell:
    """The command as a process of its own."""
    return Shell(cluster, tmp_path, {})


@pytest.fixture
def shell(
    process: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Inside:
    """The command in this process."""
    for name in ("TVAULT_CONFIG", "TVAULT_API_KEY"):
        monkeypatch.setenv(name, process.environment[name])
    monkeypatch.chdir(tmp_path)
    return Inside(CommandLine(capfdbinary))


@pytest.fixture(scope="session")
def tokens(cluster: Cluster) -> list[str]:
    """Those of `VALUES`, in order."""
    return cluster.tokenize("n1", list(VALUES))


@pytest.fixture
def db(tmp_path: Path, tokens: list[str]) -> Path:
    """A file with a table of tokens."""
    ids: list[object] = list(range(len(tokens)))
    return make_database(tmp_path / "clinic.duckdb", visits={"id": ids, "ssn": list(tokens)})
