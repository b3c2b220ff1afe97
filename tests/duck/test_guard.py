"""Recovered values reach no file: not the user's, not one that is read, and none that is new."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.cluster.cluster import Cluster
from tests.duck.shell import Shell, Typed, make_database
from tests.duck.ways_out import HARMLESS, REFUSED
from tvault.duck.guard import LOCKS, Guarded, no_file_grows, open_guarded

SENTINEL = "SENTINELofavalue"
TYPED = "SENTINELthatistyped"
BIG = f"(SELECT '{TYPED}' || i AS s FROM range(9000000) r(i)) big"
VALUES = "SELECT * FROM vault.visits"
MEMORY = "120MB"


class Surroundings:
    """Folders of a user's own, with a file to query and one to read, and a shell on them."""

    def __init__(self, base: Path, cluster: Cluster) -> None:
        self.base = base
        for name in ("home", "tmp", "cwd", "data"):
            (base / name).mkdir()
        tokens = cluster.tokenize("n1", [f"{SENTINEL}{number}" for number in range(300)])
        columns: dict[str, list[object]] = {"id": list(range(300)), "ssn": list(tokens)}
        self.db = make_database(base / "data" / "u.duckdb", visits=columns)
        self.csv = base / "data" / "more.csv"
        self.csv.write_text("a,b\n1,2\n")
        changed = {"HOME": str(base / "home"), "TMPDIR": str(base / "tmp")}
        self.shell = Shell(cluster, base / "cwd", changed)
        self.before = self.files()

    def files(self) -> dict[Path, bytes]:
        """Every file there is, with its bytes."""
        return {file: file.read_bytes() for file in self.base.rglob("*") if file.is_file()}

    def sql(self, way: str) -> str:
        files = {"base": self.base, "db": self.db, "csv": self.csv}
        return way.format(**files, values=VALUES, value=TYPED, big=BIG)


@pytest.fixture
def around(cluster: Cluster, tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path, cluster)


@pytest.fixture
def prompt(around: Surroundings) -> Iterator[Typed]:
    """A shell whose results go nowhere."""
    with (
        Path(os.devnull).open("wb") as nowhere,
        around.shell.typed(
            around.db, "--read", around.csv, "--memory-limit", MEMORY, stdout=nowhere
        ) as typed,
    ):
        typed.until(b"tvault> ")
        yield typed


def test_every_way_to_a_file_ends_with_an_error_and_none_changes_a_file(
    around: Surroundings, prompt: Typed
) -> None:
    for way in HARMLESS:
        said = prompt.ask(around.sql(way) + "\n;")
        assert "Error" not in said, said
        assert "shell" not in said, said
    prompt.ask(f"{VALUES};")
    for way, why in REFUSED:
        said = prompt.ask(around.sql(way) + "\n;")
        assert re.search(why, said), (way, said)
        assert around.files() == around.before, way
    assert "disabled" in prompt.ask("SELECT 1; FROM read_text('/etc/passwd');")
    prompt.type(".quit\n")
    assert prompt.ended() == 0
    assert around.files() == around.before


PROFILED = "enable_' || 'profiling(format = ''json'', save_location = ''{base}/p.json'')"
COPIED = "WITH x AS (CO' || 'PY ({values}) TO ''{csv}'' (USE_TMP_FILE false)) FROM x"
LOGGED = "enable_' || 'logging(storage = ''file'', storage_path = ''{base}/log'')"


@pytest.mark.parametrize(
    "statements",
    [
        f"FROM query('FROM {PROFILED}'); SELECT '{{value}}', * FROM vault.visits",
        f"FROM query('{COPIED}')",
        f"FROM vault.revealed('{COPIED}')",
        f"FROM query('FROM {LOGGED}'); SELECT write_log('{{value}}')",
    ],
)
def test_what_gets_past_duckdb_and_the_shell_can_write_nothing(
    around: Surroundings, statements: str
) -> None:
    """SQL that is put together where nobody looks at it."""
    with around.shell.start(around.db, "--read", around.csv) as process:
        process.communicate(around.sql(statements).encode(), timeout=60)
    assert [file for file, content in around.files().items() if b"SENTINEL" in content] == []
    assert around.db.read_bytes() == around.before[around.db]


def test_what_is_read_may_be_written_by_nobody(tmp_path: Path) -> None:
    """The four fences, each by itself."""
    with no_file_grows():
        with pytest.raises(OSError, match="File too large"):
            os.write(os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT), b"x")
        reading, writing = os.pipe()
        assert os.write(writing, b"x") == 1
    os.close(reading)
    os.close(writing)
    (tmp_path / "f").write_bytes(b"x")


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    opened = open_guarded(None)
    yield opened
    opened.connection.close()


def test_the_settings_are_those_that_keep_values_in_memory(guarded: Guarded) -> None:
    guarded.lock()
    found = dict(guarded.connection.execute("SELECT name, value FROM duckdb_settings()").fetchall())
    assert {
        "temp_directory": "",
        "allow_persistent_secrets": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "enable_external_access": "false",
        "lock_configuration": "true",
        "log_query_path": "",
        "allowed_paths": "[]",
        "allowed_directories": "[]",
    }.items() <= {name: value or "" for name, value in found.items()}.items()
    assert LOCKS[-1] == "SET lock_configuration = true"


def test_no_variable_of_python_is_taken_for_a_table(guarded: Guarded) -> None:
    secret = pa.table({"x": [1]})
    assert secret.num_rows == 1
    with pytest.raises(duckdb.CatalogException):
        guarded.connection.execute("FROM secret")


def test_duckdb_takes_less_memory_than_it_would_by_itself(guarded: Guarded) -> None:
    usual = duckdb.connect().execute("SELECT current_setting('memory_limit')").fetchall()
    ours = guarded.connection.execute("SELECT current_setting('memory_limit')").fetchall()
    sizes = [float(rows[0][0].split()[0]) for rows in (usual, ours)]
    assert 0.7 < sizes[1] / sizes[0] < 0.8


def test_a_crash_leaves_no_core(around: Surroundings, prompt: Typed) -> None:
    (limits,) = Path("/proc").glob(f"{prompt.process.pid}/limits")
    (told,) = [line.split() for line in limits.read_text().splitlines() if "core file size" in line]
    assert told[4:6] == ["0", "0"]
    prompt.process.send_signal(signal.SIGSEGV)
    assert prompt.ended() == -signal.SIGSEGV
    assert around.files() == around.before
