"""Writes `patients.jsonl`: made-up patients, the same ones every time.

Some come more than once, as they do in a hospital's files; some fields are null or missing.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

RECORDS = 2_000
PATIENTS = 1_400
SEED = 20_240_229

FIRST = (
    "Ada",
    "Émile",
    "Łucja",
    "Søren",
    "Zoë",
    "Jürgen",
    "Nikos",
    "Νίκη",
    "Юлия",
    "美咲",
    "Amina",
    "José",
)
LAST = (
    "Núñez",
    "Okafor",
    "Müller",
    "Þórsdóttir",
    "Nguyễn",
    "Ιωάννου",
    "Петрова",
    "佐藤",
    "O'Neill",
    "d'Arc",
)
WARDS = ("cardiology", "oncology", "paediatrics", "emergency")


def patient(dice: random.Random) -> dict[str, object]:
    """Who comes to the hospital: what stays the same from visit to visit."""
    phones = [
        {"kind": kind, "phone": f"+1-202-555-{dice.randrange(10_000):04}"}
        for kind in ("home", "work")[: dice.randrange(3)]
    ]
    if phones and dice.random() < 0.1:
        phones[0]["phone"] = ""
    return {
        "ssn": f"{dice.randrange(900, 1000)}-{dice.randrange(1, 100):02}-{dice.randrange(1, 10_000):04}"
        if dice.random() < 0.95
        else None,
        "patient": {
            "mrn": dice.randrange(10**7, 10**8)
            if dice.random() < 0.5
            else f"M{dice.randrange(10**7):07}",
            "name": f"{dice.choice(FIRST)} {dice.choice(LAST)}",
        },
        "contacts": phones,
    }


def visits(seed: int = SEED) -> list[dict[str, object]]:
    """The records in the order of the file."""
    dice = random.Random(seed)  # noqa: S311 - sample data
    people = [patient(dice) for _ in range(PATIENTS)]
    records = []
    for number in range(1, RECORDS + 1):
        record: dict[str, object] = {"visit": number, **dice.choice(people)}
        record["ward"] = dice.choice(WARDS)
        record["temperature"] = round(dice.uniform(35.5, 41.0), 1)
        record["insured"] = dice.random() < 0.9
        if dice.random() < 0.02:
            del record["ssn"]
        records.append(record)
    return records


def main() -> None:
    """Write the file beside this one."""
    lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in visits()]
    target = Path(__file__).with_name("patients.jsonl")
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
