"""Made-up patients and their visits: the same ones every time.

The area 000 of a social security number, and of a telephone number, was never given to anybody.
"""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import dataclass

SEED = 20_240_229
NUMBERS = 1_000_000
FEWEST, MOST = 500, 500_000
"""How many records there can be: enough to kill a node among them; as many as have numbers."""

NUMBERS_LIKE = rb"000-\d\d-\d{4}|MRN\d{7}|\+1-000-\d{3}-\d{6}"
"""What the numbers of these people look like."""

FIELDS = ("ssn", "patient.mrn", "contacts[*].phone")
"""What becomes tokens."""

_FIRST = ("Ada", "Amina", "Emil", "Ines", "Jonas", "Lucia", "Miko", "Noor", "Otto", "Zoe")
_WARDS = ("cardiology", "emergency", "oncology", "paediatrics")


@dataclass(frozen=True)
class Patient:
    """A person that does not exist."""

    ssn: str
    mrn: str
    name: str
    phones: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """What nobody but the vault may know."""
        return (self.ssn, self.mrn, *self.phones)


@dataclass(frozen=True)
class Visit:
    """What a patient paid for."""

    number: int
    ssn: str
    ward: str
    cost: int


def patients(count: int) -> list[Patient]:
    """So many of them, no two with a number in common."""
    dice = random.Random(SEED)  # noqa: S311 - made-up data
    numbers = dice.sample(range(NUMBERS), count)
    return [
        Patient(
            f"000-{number // 10_000:02}-{number % 10_000:04}",
            f"MRN{(number * 7 + 1) % NUMBERS:07}",
            f"{dice.choice(_FIRST)} Example",
            tuple(f"+1-000-{kind}-{number:06}" for kind in (555, 556)[: dice.randrange(3)]),
        )
        for number in numbers
    ]


def visits(people: list[Patient]) -> list[Visit]:
    """As many as there are patients; some come often, some never."""
    dice = random.Random(SEED + 1)  # noqa: S311 - made-up data
    return [
        Visit(number, dice.choice(people).ssn, dice.choice(_WARDS), dice.randrange(20, 2_000))
        for number in range(1, len(people) + 1)
    ]


def as_json_lines(people: list[Patient]) -> bytes:
    """A record a line."""
    return b"".join(
        json.dumps(
            {
                "id": number,
                "ssn": each.ssn,
                "patient": {"mrn": each.mrn, "name": each.name},
                "contacts": [{"phone": phone} for phone in each.phones],
            },
            separators=(",", ":"),
        ).encode()
        + b"\n"
        for number, each in enumerate(people, 1)
    )


def as_csv(all_visits: list[Visit]) -> bytes:
    """A visit a line, below a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("visit", "ssn", "ward", "cost"))
    writer.writerows((each.number, each.ssn, each.ward, each.cost) for each in all_visits)
    return text.getvalue().encode()
