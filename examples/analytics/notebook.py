"""The same ten patients in Python: `python notebook.py clinic.duckdb tokens/visits.parquet`.

The vault is the one that TVAULT_URL and TVAULT_API_KEY name.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from tvault import Vault, duck

DEAREST = """
    WITH dearest AS (
        SELECT ssn, count(*) AS visits, sum(cost) // 100 AS cost
        FROM visits
        WHERE ssn IS NOT NULL
        GROUP BY ssn
        ORDER BY sum(cost) DESC
        LIMIT 10
    )
    SELECT p.name, ssn, d.visits, d.cost
    FROM dearest d
    JOIN clinic.patients p USING (ssn)
    ORDER BY d.cost DESC
"""
OVER_60 = """
    SELECT v.ward, count(*) FILTER (p.born < DATE '1964-01-01') / count(*) AS share
    FROM visits v
    JOIN clinic.patients p USING (ssn)
    GROUP BY v.ward
    ORDER BY v.ward
"""


def main(database: Path, visits: Path) -> None:
    """Print what needs no values, and then the ten with theirs."""
    with duckdb.connect() as connection, Vault.from_env() as vault:
        connection.execute(f"ATTACH '{database}' AS clinic (READ_ONLY)")
        connection.read_parquet(str(visits)).create_view("visits")
        with duck.attach(connection, vault) as attached:
            for ward, share in connection.execute(OVER_60).fetchall():
                print(f"{ward:12} {share:.0%} of the visits by people over 60")
            for row in attached.reveal(DEAREST, "name", "ssn").to_pylist():
                print(f"{row['ssn']} {row['visits']:5} visits {row['cost']:8,}  {row['name']}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
