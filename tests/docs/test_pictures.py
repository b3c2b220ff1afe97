"""Pictures can be read, those of earlier times stay as they were, and sequences are what is played."""

from __future__ import annotations

import hashlib
import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.docs.pages import DOCS, ROOT, name_of, pages, read
from tests.docs.svg import SVG, Box, Shapes, Words, contrast, shapes
from tvault import wire
from tvault.replication import messages

DIAGRAMS = DOCS / "diagrams"
PICTURES = sorted(DIAGRAMS.rglob("*.svg"))
SEQUENCES = sorted(DIAGRAMS.glob("sequence-*.svg"))
SCENARIOS = ROOT / "tests" / "scenarios"
BACKGROUND = "#ffffff"
README_WIDTH = 1000
LEAST_CONTRAST = 4.5
DISC = "#1f2933"

THEN = {
    "2026-11-22-architecture.svg": "7cfd598578d8ef6f86e10f8c068654af0f0bc9560f35f512c4018298bbd5b4ba",
    "2026-11-25-coordination.svg": "04e2b6a77d6158e5354801066ea8ce9a32dcc2500bde5beb65a351a813fe63df",
}
"""Pictures of what ran on that day, by the digests of their bytes."""

PLAYED = {
    r"writes entr(?:y|ies) (\d+)": r"{at} (?:cuts after \d+, )?writes .*\b{0}/",
    r"promises view (\d+)": r"{at} syncs: .*\bview {0}\b",
    r"votes again": r"{at} syncs: voter",
}
"""What a node does in a sequence, and the line of a transcript that tells of it."""


FIRST_SCOPE = "eb9c6d791a73298a43aa8a537f948a1d569043b0141e072600a0ae1f2c2d879e"
"""The digest of the scope of 2026-11-22 from its first sentence on."""


def test_the_first_scope_is_kept_word_for_word() -> None:
    kept = read(DOCS / "history" / "scope-2026-11-22.md").partition("\n---\n\n")[2]
    assert hashlib.sha256(kept.encode()).hexdigest() == FIRST_SCOPE


def test_pictures_of_earlier_times_stay_as_they_were() -> None:
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in DIAGRAMS.glob("then/*")
    }
    assert found == THEN


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_a_picture_fits_a_page_and_has_a_background_of_its_own(path: Path) -> None:
    """Also where pages are dark."""
    drawn = shapes(path)
    assert drawn.boxes[0] == Box(drawn.frame, BACKGROUND)
    assert drawn.frame.right <= README_WIDTH or path.parent.name == "then"


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_no_text_leaves_its_picture_or_the_box_that_it_is_in(path: Path) -> None:
    drawn = shapes(path)
    assert [words.said for words in drawn.words if not drawn.frame.holds(words.area, 4)] == []
    assert [words.said for words in drawn.words for box in drawn.boxes if crosses(words, box)] == []


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_no_text_covers_another_or_a_disc(path: Path) -> None:
    drawn = shapes(path)
    pairs = combinations(drawn.words, 2)
    assert [(one.said, other.said) for one, other in pairs if one.area.meets(other.area)] == []
    beside = [words for words in drawn.words if not any(disc.holds(words.area) for disc in drawn.discs)]
    assert [words.said for words in beside if any(words.area.meets(disc) for disc in drawn.discs)] == []


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_every_text_stands_out_from_what_it_is_on(path: Path) -> None:
    drawn = shapes(path)
    faint = [
        words.said
        for words in drawn.words
        if contrast(words.colour, behind(drawn, words)) < LEAST_CONTRAST
    ]
    assert faint == []


def crosses(words: Words, box: Box) -> bool:
    """Whether the text lies over the box's edge; bars on lifelines are narrower than any text."""
    is_bar = box.area.right - box.area.left < 10
    return not is_bar and words.area.meets(box.area) and not box.area.holds(words.area, 1)


def behind(drawn: Shapes, words: Words) -> str:
    if any(disc.holds(words.area) for disc in drawn.discs):
        return DISC
    return next(box.fill for box in reversed(drawn.boxes) if box.area.holds(words.area))


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_every_picture_is_shown_on_a_page(path: Path) -> None:
    targets = [
        (page.parent / target).resolve()
        for page in pages()
        for target in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", read(page))
    ]
    assert path in targets


# Sequences.


def messages_of(path: Path) -> list[tuple[str, str, str]]:
    """Sender, receiver and name of each message, in order."""
    told = ET.parse(path).getroot().iter(f"{SVG}text")  # noqa: S314 - a file of this repository
    found = [each.attrib for each in told if "data-message" in each.attrib]
    return [(each["data-from"], each["data-to"], each["data-message"]) for each in found]


def exists(name: str) -> bool:
    """Whether it is a message between nodes, a call of the HTTP API, or a status of its answers."""
    if name.isdigit():
        return int(name) == 200 or int(name) in wire.STATUS.values()
    method, _, path = name.partition(" ")
    if path:
        return method in ("GET", "POST", "PUT", "DELETE") and path in vars(wire).values()
    return name in {kind.__name__ for kind in messages.Message.__args__}


@pytest.mark.parametrize("path", SEQUENCES, ids=name_of)
def test_every_message_of_a_sequence_exists_in_the_code(path: Path) -> None:
    names = [name for _, _, name in messages_of(path)]
    assert len(names) > 10, "the messages are no longer found"
    assert [name for name in names if not exists(name)] == []


def happenings(path: Path) -> list[str]:
    """Patterns of the lines of a transcript that tell of the messages between nodes, and of deeds."""
    found = []
    for each in ET.parse(path).getroot().iter():  # noqa: S314 - a file of this repository
        told = each.attrib
        if "data-message" in told and "client" not in (told["data-from"], told["data-to"]):
            link = f"{told['data-from']} [-=]> {told['data-to']}"
            found.append(
                rf"{link}  (?:v\d+ )?{told['data-message']}\b{entry_of(''.join(each.itertext()))}"
            )
        elif "data-at" in told:
            lines = [text for words in each.iter(f"{SVG}text") for text in words.itertext()]
            found += [
                outcome.format(*match.groups(), at=told["data-at"])
                for line in lines
                for deed, outcome in PLAYED.items()
                if (match := re.search(deed, line))
            ]
    return found


def entry_of(said: str) -> str:
    """The first entry that a message carries, as a transcript has it."""
    match = re.search(r"entr(?:y|ies) (\d+)", said)
    return rf".*\b{match[1]}/v" if match and said.startswith(("Append", "Learned")) else ""


@pytest.mark.parametrize("path", SEQUENCES, ids=name_of)
def test_a_sequence_goes_in_the_order_of_the_scenarios_that_play_it(path: Path) -> None:
    named = re.findall(r"tests/scenarios/(\w+)\.txt", read(path))
    assert named, "it names no scenario"
    transcript = [line for name in named for line in read(SCENARIOS / f"{name}.txt").splitlines()]
    assert path.name in "".join(transcript), "no scenario says that it plays it"
    at = 0
    for pattern in happenings(path):
        places = [place for place in range(at, len(transcript)) if re.match(pattern, transcript[place])]
        assert places, f"{pattern!r} does not follow {transcript[at - 1]!r}"
        at = places[0] + 1
