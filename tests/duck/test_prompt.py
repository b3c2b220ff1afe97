"""`tvault duckdb-attach` at a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, eventually
from tests.duck.asking import Asked
from tests.duck.shell import UNKNOWN, Shell, Typed, make_database, silent

VALUES = [f"typed {number}" for number in range(300)]


@pytest.fixture(scope="module")
def tokens(cluster: Cluster) -> list[str]:
    return cluster.tokenize("n1", list(VALUES))


@pytest.fixture
def db(tmp_path: Path, tokens: list[str]) -> Path:
    ids: list[object] = list(range(len(tokens)))
    columns: dict[str, list[object]] = {"id": ids, "ssn": list(tokens), "note": ["n" * 300] * len(ids)}
    return make_database(tmp_path / "clinic.duckdb", visits=columns)


@pytest.fixture
def shell(cluster: Cluster, tmp_path: Path) -> Shell:
    (tmp_path / "home").mkdir()
    return Shell(cluster, tmp_path, {"HOME": str(tmp_path / "home"), "PYTHON_HISTORY": ""})


@pytest.fixture
def prompt(shell: Shell, db: Path) -> Iterator[Typed]:
    with shell.typed(db) as typed:
        typed.until(b"tvault> ")
        yield typed


def shown(said: str) -> list[str]:
    """The lines that stand between what was typed and the next prompt."""
    return re.sub(r"\x1b\[[0-9;?]*[a-z]", "", said).replace("\r", "").split("\n")[1:-1]


def test_statements_run_one_after_the_other_and_errors_end_nothing(prompt: Typed) -> None:
    assert shown(prompt.ask("SELECT 1 AS one; SELECT ';' AS two;")) == ["one", "  1", "two", ";"]
    assert "Catalog Error" in prompt.ask("FROM nowhere;")
    prompt.type("SELECT ssn -- not yet;\n")
    prompt.until(b"...> ")
    prompt.type("FROM vault.visits\n")
    prompt.until(b"...> ")
    assert shown(prompt.ask("WHERE id = 7;")) == ["ssn", "typed 7"]
    assert "1 text is no token" in prompt.ask(f"SELECT detokenize('{UNKNOWN}') AS v;")
    said = prompt.ask("CREATE TEMP TABLE t (a INT); INSERT INTO t VALUES (1), (2);")
    assert shown(said) == []
    prompt.type("\x04")
    assert prompt.ended() == 3


def test_commands_begin_with_a_dot(prompt: Typed) -> None:
    assert shown(prompt.ask(".tables")) == [
        "database  schema  name",
        "clinic    main    visits",
        "vault     main    visits",
    ]
    assert ".quit" in prompt.ask(".help")
    assert ".quit" in prompt.ask(".nothing")
    prompt.type(".quit\n")
    assert prompt.ended() == 0


def test_ctrl_c_drops_what_is_typed_and_not_the_shell(prompt: Typed) -> None:
    prompt.type("SELECT 'never ended\n")
    prompt.until(b"...> ")
    prompt.interrupt()
    assert shown(prompt.ask("SELECT 2 AS two;")) == ["two", "  2"]
    prompt.type("SELECT half")
    prompt.until(b"half")
    prompt.interrupt()
    assert shown(prompt.ask("SELECT 3 AS three;")) == ["three", "    3"]


def cpu_ticks(typed: Typed) -> int:
    """How long the shell has computed so far."""
    return sum(map(int, Path(f"/proc/{typed.process.pid}/stat").read_text().split()[13:15]))


def test_ctrl_c_stops_what_runs_also_while_a_node_does_not_answer(shell: Shell, db: Path) -> None:
    with silent() as (url, listening):
        waiting = Shell(shell.cluster, shell.folder, {**shell.changed, "TVAULT_URL": url})
        with waiting.typed(db) as typed:
            typed.until(b"tvault> ")
            typed.type("SELECT max(ssn) FROM vault.visits;\n")
            with listening.accept()[0]:
                typed.interrupt()
            assert shown(typed.ask("SELECT 4 AS four;")) == ["four", "   4"]
            before = cpu_ticks(typed)
            typed.type("SELECT count(*) FROM range(100000000000) r(i) WHERE i % 7 = 1;\n")
            eventually(lambda: cpu_ticks(typed) > before + 30)
            typed.interrupt()
            assert shown(typed.ask("SELECT 5 AS five;")) == ["five", "   5"]
            typed.type("\x04")
            assert typed.ended() == 0


def test_a_terminal_shows_what_fits_and_recovers_hardly_more(prompt: Typed, asked: Asked) -> None:
    lines = shown(prompt.ask("FROM vault.visits ORDER BY id;"))
    assert asked.told() == [41]
    assert lines[0] == "id  ssn       note"
    assert lines[1] == " 0  typed 0   " + "n" * 65 + "…"
    assert len(lines) == 42
    assert lines[-1] == "the first 40 rows; --csv, --json or --out give all"
    assert lines[-2].startswith("39  typed 39")


def test_tab_completes_names_of_tables_columns_and_words(prompt: Typed) -> None:
    prompt.type("SELECT count(*) AS n FROM vis\t WHER\t id < 3;\n")
    assert "WHERE" in prompt.until(b"tvault> ")
    assert prompt.seen.decode().splitlines()[-2] == "3"


def test_what_was_typed_comes_back_by_a_key_and_stands_in_no_file(prompt: Typed, tmp_path: Path) -> None:
    prompt.ask("SELECT 'SENTINEL' AS s;")
    prompt.type("\x1b[A\n")
    assert "SENTINEL" in shown(prompt.until(b"tvault> "))[-1]
    prompt.type(".quit\n")
    assert prompt.ended() == 0
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["clinic.duckdb", "home"]


def test_a_prompt_writes_no_file(shell: Shell, db: Path) -> None:
    with shell.typed(db, "--out", "o.csv", "--allow-plaintext") as typed:
        assert typed.ended() == 2
        assert b"-c, -f or stdin" in typed.seen


def test_json_at_the_prompt_is_an_array_for_each_statement(shell: Shell, db: Path) -> None:
    with shell.typed(db, "--json") as typed:
        typed.until(b"tvault> ")
        assert shown(typed.ask("SELECT 1 AS a;")) == ['[{"a":1}]']
        assert shown(typed.ask("SELECT 2 AS a;")) == ['[{"a":2}]']
