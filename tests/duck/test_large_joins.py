"""Tables of several row groups, which DuckDB works on with several threads at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from tests.cluster.cluster import Cluster
from tests.duck.asking import Asked
from tests.duck.sql import Rows, rows
from tvault import Vault, duck
from tvault.client.bulk import MOST_VALUES, Bulk

ROWS, PATIENTS = 260_000, 23_000
"""More than two row groups of 122,880 rows, and more than two requests."""

NUMBER = "SELECT range AS visit, hash(range) % {0} AS number FROM range({1})"
VISITS = f"""
    CREATE TABLE visits AS
    SELECT visit,
        CASE WHEN visit % 11 = 0 THEN NULL
            WHEN visit % 1000 = 1 THEN 'tv1_1_' || md5(number::VARCHAR)
            ELSE token END AS ssn
    FROM ({NUMBER.format(PATIENTS, ROWS)}) JOIN plain USING (number)
    ORDER BY hash(visit, 1)
"""
DIGEST = "SELECT count(*), count(value), bit_xor(hash(visit, value)) FROM "
LOCAL = "visits LEFT JOIN plain ON plain.token = ssn"


@dataclass(frozen=True)
class Clinic:
    """A DuckDB file with `visits`, whose column ssn has tokens, nulls and tokens that were never made,
    and `plain`, all tokens beside their values.  The digest of a join of both, and how many different
    tokens there are, and how many that were never made."""

    database: Path
    digest: tuple[int, ...]
    tokens: int
    unknown: int


@pytest.fixture(scope="module")
def clinic(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    values = [f"{number:09}" for number in range(PATIENTS)]
    with Vault([*cluster.nodes.values()], cluster.keys["A"]) as vault:
        tokens = Bulk(vault).tokenize(values).found
    folder = tmp_path_factory.mktemp("clinic")
    lines = (f"{number},{token},{values[number]}" for number, token in enumerate(tokens))
    (folder / "plain.csv").write_text("\n".join(["number,token,value", *lines]))
    with duckdb.connect(str(folder / "clinic.duckdb")) as con:
        con.execute(
            f"CREATE TABLE plain AS FROM read_csv('{folder}/plain.csv', types={{'value': 'VARCHAR'}})"
        )
        con.execute(VISITS)
        (digest,) = rows(con, DIGEST + LOCAL)
        ((distinct, known),) = rows(
            con, f"SELECT count(DISTINCT ssn), count(DISTINCT token) FROM {LOCAL}"
        )
    assert 0 < distinct - known < 300
    return Clinic(folder / "clinic.duckdb", digest, distinct, distinct - known)


@pytest.fixture
def opened(con: duckdb.DuckDBPyConnection, clinic: Clinic) -> duckdb.DuckDBPyConnection:
    """A connection with that file, read-only, and more threads than it has row groups."""
    con.execute("SET threads = 4")
    con.execute(f"ATTACH '{clinic.database}' AS clinic (READ_ONLY)")
    con.execute("USE clinic")
    return con


@pytest.fixture
def attached(opened: duckdb.DuckDBPyConnection, vault: Vault) -> Iterator[duck.Attached]:
    with duck.attach(opened, vault, columns=["visits.ssn"]) as attached:
        yield attached


WAYS = {
    "revealed": "visits LEFT JOIN vault.revealed('SELECT ssn FROM visits') ON token = ssn",
    "view": "(SELECT visit, ssn AS value FROM vault.visits)",
    "function": "(SELECT visit, detokenize(ssn) AS value FROM visits)",
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_what_a_join_with_the_values_gives(
    opened: duckdb.DuckDBPyConnection, attached: duck.Attached, clinic: Clinic, way: str
) -> None:
    assert rows(opened, DIGEST + WAYS[way]) == [clinic.digest]
    assert attached.not_found == clinic.unknown


def test_an_arrow_table_has_the_same_values_in_the_order_of_its_rows(
    opened: duckdb.DuckDBPyConnection, attached: duck.Attached, clinic: Clinic
) -> None:
    table = attached.reveal("SELECT visit, ssn AS value FROM visits", "value")
    visits = [visit for (visit,) in rows(opened, "SELECT visit FROM visits")]
    assert table.column("visit").to_pylist() == visits
    opened.register("given", table)
    assert rows(opened, DIGEST + "given") == [clinic.digest]


@pytest.mark.usefixtures("attached")
def test_each_different_token_is_sent_once_in_full_requests(
    opened: duckdb.DuckDBPyConnection, clinic: Clinic, asked: Asked
) -> None:
    rows(opened, DIGEST + WAYS["revealed"])
    most, rest = MOST_VALUES, clinic.tokens - 2 * MOST_VALUES
    assert sorted(asked.told()) == [rest, most, most]
    rows(opened, DIGEST + WAYS["function"])
    assert sum(asked.told()) <= 2 * clinic.unknown, "what was just recovered is asked for again"


@pytest.mark.usefixtures("attached")
def test_the_tokens_of_a_request_come_in_the_order_in_which_the_query_has_them(
    opened: duckdb.DuckDBPyConnection,
) -> None:
    """Which mostly is the order in which they were made: nodes then open each block of values once.
    Seen by one thread: several give out the rows of a request in pieces, in any order."""
    opened.execute("SET threads = 1")
    in_table = [token for (token,) in rows(opened, "SELECT ssn FROM visits WHERE ssn IS NOT NULL")]
    first = {token: place for place, token in enumerate(dict.fromkeys(in_table))}
    got = [
        token for (token,) in rows(opened, "SELECT token FROM vault.revealed('SELECT ssn FROM visits')")
    ]
    places = [first[token] for token in got]
    assert sorted(places) == list(range(len(first)))
    ends = [place for place, after in pairwise(places) if after != place + 1]
    assert all((place + 1) % MOST_VALUES == 0 or place + 1 == len(first) for place in ends)


@pytest.mark.usefixtures("attached")
def test_cursors_in_several_threads_get_their_own_answers(opened: duckdb.DuckDBPyConnection) -> None:
    wanted = [rows(opened, f"{DIGEST}{LOCAL} WHERE visit % 5 = {part}") for part in range(5)]

    def ask(part: int) -> Rows:
        way = (*WAYS.values(),)[part % len(WAYS)]
        with opened.cursor() as cursor:
            cursor.execute("USE clinic")
            return rows(cursor, f"{DIGEST}{way} WHERE visit % 5 = {part}")

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(ask, range(5))) == wanted
