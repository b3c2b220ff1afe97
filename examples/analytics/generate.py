"""Writes `visits.parquet` and `patients.csv`, made up and the same every time, into a folder.

A patient has one line in `patients.csv`; the visits name patients by their social security numbers, some
patients far more often than others, and a few by none.
"""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PATIENTS = 3_000
VISITS = 40_000
SEED = 20_240_229

FIRST = ("Ada", "Émile", "Łucja", "Søren", "Zoë", "Jürgen", "Νίκη", "Юлия", "美咲", "Amina", "José")
LAST = ("Núñez", "Okafor", "Müller", "Þórsdóttir", "Nguyễn", "Петрова", "佐藤", "O'Neill", "d'Arc")
PROVIDERS = ("mail.example", "post.example", "letters.example")
WARDS = ("cardiology", "oncology", "paediatrics", "emergency")
FIRST_DAY = dt.date(2024, 1, 1)
COLUMNS = ("ssn", "name", "email", "born", "city")
CITIES = ("Springfield", "Shelbyville", "Ogdenville")

Patient = tuple[str, str, str, str, str]


def patients(dice: random.Random) -> list[Patient]:
    """Everyone who may come; no two have the same number or address."""
    numbers = dice.sample(range(10_000_000), PATIENTS)
    return [
        (
            f"{900 + number // 100_000}-{number // 1_000 % 100:02}-{number % 1_000:04}",
            f"{dice.choice(FIRST)} {dice.choice(LAST)}",
            f"p{number}@{dice.choice(PROVIDERS)}",
            (FIRST_DAY - dt.timedelta(days=dice.randrange(365, 90 * 365))).isoformat(),
            dice.choice(CITIES),
        )
        for number in numbers
    ]


def visits(dice: random.Random, people: list[Patient]) -> pa.Table:
    """Visits in the order of their days; the costs are in cents."""
    often = list(itertools.accumulate(1 / (100 + place) for place in range(len(people))))
    came = dice.choices([person[0] for person in people], cum_weights=often, k=VISITS)
    days = sorted(dice.randrange(366) for _ in range(VISITS))
    return pa.table(
        {
            "visit": pa.array(range(1, VISITS + 1), pa.int32()),
            "day": pa.array([FIRST_DAY + dt.timedelta(days=day) for day in days], pa.date32()),
            "ward": pa.array(dice.choices(WARDS, k=VISITS)).dictionary_encode(),
            "ssn": pa.array([ssn if dice.random() < 0.99 else None for ssn in came]),
            "cost": pa.array([dice.randrange(2_000, 500_000) for _ in came], pa.int64()),
        }
    )


def main(folder: Path) -> None:
    """Write both files into `folder`."""
    dice = random.Random(SEED)  # noqa: S311 - sample data
    people = patients(dice)
    with (folder / "patients.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([COLUMNS, *people])
    pq.write_table(visits(dice, people), folder / "visits.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
