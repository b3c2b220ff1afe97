"""Tables of tokens join as tables of values would."""

from __future__ import annotations

import csv
from collections import Counter
from importlib.util import find_spec

from tvault.cli.demo.show import Show

SQL = """SELECT detokenize(ssn) AS ssn, count(*) AS visits, sum(cost) AS paid
FROM moved JOIN billed USING (ssn) GROUP BY ssn
ORDER BY paid DESC, min(visit) LIMIT 5"""


def join(show: Show) -> None:
    """A table of visits, tokenized by itself, joined with the patients."""
    stage = show.stage
    stage.step("A join in DuckDB, over tokens, that ends with values")
    if find_spec("duckdb") is None:
        stage.tell("Left out: DuckDB is not installed. To see it: pip install 'tvault[duckdb]'")
        return
    show.run("tvault tokenize visits.csv -o billed.csv && head -n 3 billed.csv")
    printed = show.run(f'tvault duckdb-attach --read moved.jsonl --read billed.csv --csv -c \\\n"{SQL}"')
    found = [tuple(row) for row in csv.reader(printed.splitlines()[-5:])]
    stage.claim("the sums over tokens are those over the plain tables", found == _expected(show))


def _expected(show: Show) -> list[tuple[str, ...]]:
    """The same, of the plain visits."""
    paid: Counter[str] = Counter()
    count: Counter[str] = Counter()
    first: dict[str, int] = {}
    for visit in show.visits:
        paid[visit.ssn] += visit.cost
        count[visit.ssn] += 1
        first.setdefault(visit.ssn, visit.number)
    best = sorted(paid, key=lambda ssn: (-paid[ssn], first[ssn]))[:5]
    return [(ssn, str(count[ssn]), str(paid[ssn])) for ssn in best]
