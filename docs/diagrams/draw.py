"""Draws the pictures of the documentation: `python docs/diagrams/draw.py [FOLDER]`.

Writes `architecture.svg`, `chain.svg`, `coordination.svg` and, from `docs/measured.json`, `growth.svg`
into FOLDER, or beside this file.  The same source always gives the same bytes; a test compares them with
what is stored.
"""

from __future__ import annotations

import sys
from pathlib import Path

from growth import growth
from picture import CLIENT, DISK, DOWN, INK, NODE, PART, SOFT, UP, Picture


def chain() -> str:
    """The chain alone, for the README."""
    picture = Picture(
        760,
        230,
        "The chain of three nodes",
        "A request may go to any node. The head orders it and hands it to the middle, which hands it to "
        "the tail. Acknowledgements come back up the chain. The client is answered when all three hold "
        "the mapping on disk.",
    )
    picture.box((250, 14), (260, 44), CLIENT)
    picture.say((380, 41), "your program, tvault, curl")
    for x, name, role in ((40, "n1", "head"), (300, "n2", "middle"), (560, "n3", "tail")):
        picture.box((x, 104), (160, 68), NODE)
        picture.say((x + 80, 130), f"{name}: {role}", bold=True)
        picture.say((x + 80, 154), "a full copy on disk", colour=SOFT)
    picture.arrow((380, 58), (380, 102), "plain", both=True)
    picture.say((474, 84), "to any node, over HTTP", size=12, colour=SOFT)
    for x in (200, 460):
        picture.arrow((x + 4, 126), (x + 96, 126), "down")
        picture.say((x + 50, 119), "entries", size=12, colour=DOWN)
        picture.arrow((x + 96, 152), (x + 4, 152), "up")
        picture.say((x + 50, 168), "on disk", size=12, colour=UP)
    picture.say((380, 206), "A token is given out once every node of the chain has its mapping on disk.")
    return picture.svg()


ROLES = ((20, "n1", "head"), (360, "n2", "middle"), (700, "n3", "tail"))

PARTS = (
    (150, 76, PART, "client port", ("API key to owner, JSON, limits", "tokens computed, values sealed")),
    (
        250,
        100,
        PART,
        "one thread",
        ("ordering: the head judges", "replica: views, chain, reads", "pure: no clock, no disk"),
    ),
    (374, 58, DISK, "journal.sqlite", ("entries and rows, WAL, synced",)),
    (442, 40, DISK, "promise: votes and mark", ()),
    (492, 40, DISK, "events.jsonl: for people", ()),
)

STEPS = (
    "Any node takes the request. It computes the tokens, looks them up, seals values that are new.",
    "A node that is not the head passes the sealed rows to the head, which judges them by its journal.",
    "The head gathers what waits into one entry; it writes it to disk and sends it down the chain.",
    "Each node says up the chain what it and every node below it have on disk.",
    "What all have on disk is committed: the head tells the node that asked, and that one answers.",
)


def architecture() -> str:
    """The three nodes, their parts, and the way of a write."""
    picture = Picture(
        970,
        720,
        "The nodes of a vault, their parts, and the way of a write",
        "Each node has a client port, one thread with ordering and replica, a journal, a promise file "
        "and an event log. " + " ".join(f"{n}. {step}" for n, step in enumerate(STEPS, 1)),
    )
    picture.box((330, 12), (310, 44), CLIENT)
    picture.say((485, 39), "your program, tvault, curl")
    for x, name, role in ROLES:
        _node(picture, x, f"{name}: {role}")
    picture.arrow((485, 56), (485, 148), "plain", both=True)
    picture.badge((485, 82), 1)
    picture.tell((503, 86), "JSON over HTTP, API key", size=12, colour=SOFT)
    picture.arrow((371, 262), (259, 262), "plain")
    picture.arrow((259, 284), (371, 284), "plain")
    picture.badge((315, 262), 2)
    picture.badge((315, 284), 5)
    for left in (259, 599):
        picture.arrow((left, 314), (left + 112, 314), "down")
        picture.arrow((left + 112, 336), (left, 336), "up")
        picture.badge((left + 56, 314), 3)
        picture.badge((left + 56, 336), 4)
    picture.tell(
        (20, 576),
        "Between nodes: one HTTP stream each way, for holders of the cluster secret.",
        colour=SOFT,
    )
    for number, step in enumerate(STEPS, 1):
        picture.badge((32, 578 + 24 * number), number)
        picture.tell((50, 582 + 24 * number), step)
    return picture.svg()


def _node(picture: Picture, x: int, name: str) -> None:
    picture.box((x, 106), (250, 440), NODE)
    picture.tell((x + 13, 133), name, size=15, bold=True)
    for y, height, fill, title, lines in PARTS:
        picture.box((x + 13, y), (224, height), fill)
        picture.say((x + 125, y + 24), title, bold=True)
        for row, line in enumerate(lines):
            picture.say((x + 125, y + 44 + 18 * row), line, size=12, colour=SOFT)
    picture.arrow((x + 125, 228), (x + 125, 248), "plain", both=True)
    picture.arrow((x + 125, 352), (x + 125, 372), "plain", both=True)


WIDTH, GAP = 150, 76

PLACES = (
    ("n1: head", "orders and judges"),
    ("n2: middle", "forwards, acknowledges"),
    ("n3: tail", "acknowledges first"),
    ("n4: outside", "is back, catches up"),
    ("n5: gone", "crashed, or cut off"),
)

TALES: tuple[tuple[str, tuple[tuple[int, str], ...]], ...] = (
    (
        "A write",
        (
            (1, "Any node takes it, an outsider too, and passes"),
            (0, "what is new to the head."),
            (2, "The head judges it, makes one entry of what"),
            (0, "waits, writes it and sends it down the chain."),
            (3, "Each says up the chain what it and all below it"),
            (0, "have on disk. What all have is committed."),
            (4, "The client is answered: three disks hold it."),
        ),
    ),
    (
        "A read",
        (
            (5, "A mapping known to be committed never"),
            (0, "changes: every node answers it at once."),
            (6, "What may be out of date (not found, the"),
            (0, "active epoch): a member looks, and then hears"),
            (0, "from a majority that its view is the newest."),
            (7, "An outsider asks a member how far it must"),
            (0, "know the journal, copies up to there, looks."),
        ),
    ),
    (
        "A new view",
        (
            (0, "Who misses its chain asks the others. A majority must"),
            (0, "miss it, too, and then promises, on disk, to act for no"),
            (0, "older view. The winner heads a chain of a majority or"),
            (0, "more of the nodes, in which neighbours hear each other."),
            (0, "It begins with a barrier; nothing is committed before"),
            (0, "that is."),
            (7, "An outsider that lacks nothing is taken in by the head."),
        ),
    ),
)

ASSUMED = (
    "What is assumed: nodes crash, stall, lose and delay messages and damage disks, but do not lie.",
    "A disk keeps what it has synced. Most of the disks keep their memory: two of three, three of five.",
    "With fewer than a majority of nodes there is no view: nothing new is accepted, nothing is lost,",
    "and what a node knows to be committed is still answered. The time of day decides nothing.",
)


def coordination() -> str:
    """Five nodes in all the states there are: the chain, who catches up, who is gone."""
    told = " ".join(f"{title}: {' '.join(line for _, line in lines)}" for title, lines in TALES)
    picture = Picture(
        1094,
        650,
        "How the nodes of a vault coordinate",
        "Five nodes: n1, n2 and n3 are the chain of a view, n4 is outside and copies what is committed, "
        f"n5 is gone. {told} {' '.join(ASSUMED)}",
    )
    picture.box((170, 12), (760, 40), CLIENT)
    picture.say((550, 37), "clients: any call to any node")
    picture.box((10, 104), (642, 186), "#ffffff", dashed=True)
    picture.tell((22, 124), "a view: its number, and its chain of three", size=12, colour=SOFT)
    picture.tell((890, 124), "the rest of the ensemble of five", size=12, colour=SOFT)
    for place, (name, line) in enumerate(PLACES):
        _place(picture, 20 + place * (WIDTH + GAP), name, line, gone=place == len(PLACES) - 1)
    _paths(picture)
    picture.box((20, 306), (828, 26), NODE)
    picture.say(
        (434, 323),
        "presence: each tells every other, each heartbeat, what it is, holds, and hears",
        size=12,
        colour=SOFT,
    )
    for column, (title, lines) in enumerate(TALES):
        x = (20, 356, 690)[column]
        picture.tell((x, 366), title, size=15, bold=True)
        for row, (number, line) in enumerate(lines):
            if number:
                picture.badge((x + 10, 386 + 22 * row), number)
            picture.tell((x + (26 if column < 2 or number else 0), 390 + 22 * row), line)
    for row, line in enumerate(ASSUMED):
        picture.tell((20, 570 + 22 * row), line, colour=SOFT)
    return picture.svg()


def _place(picture: Picture, x: int, name: str, line: str, *, gone: bool) -> None:
    colour = SOFT if gone else INK
    picture.box((x, 136), (WIDTH, 144), "#ffffff" if gone else NODE, dashed=gone)
    picture.say((x + WIDTH // 2, 158), name, colour=colour, bold=True)
    picture.say((x + WIDTH // 2, 178), line, size=12, colour=SOFT)
    for y, file in ((192, "journal"), (236, "promise")):
        picture.box((x + 12, y), (WIDTH - 24, 36), "#ffffff" if gone else DISK, dashed=gone)
        picture.say((x + WIDTH // 2, y + 23), file, size=12, colour=colour)


def _paths(picture: Picture) -> None:
    left = [20 + place * (WIDTH + GAP) for place in range(len(PLACES))]
    for x in left[:2]:
        begin, end = x + WIDTH + 2, x + WIDTH + GAP - 2
        picture.arrow((begin, 204), (end, 204), "down")
        picture.arrow((end, 226), (begin, 226), "up")
    middle = [x + WIDTH + GAP // 2 for x in left]
    picture.arrow((left[1] - 2, 170), (left[0] + WIDTH + 2, 170), "plain")
    picture.badge((middle[0], 170), 1)
    picture.badge((middle[0], 204), 2)
    picture.badge((middle[0], 226), 3)
    picture.badge((middle[1], 204), 2)
    picture.badge((middle[1], 226), 3)
    picture.arrow((left[1] + WIDTH + 2, 170), (left[2] - 2, 170), "plain", both=True)
    picture.badge((middle[1], 170), 6)
    picture.arrow((left[2] + WIDTH + 2, 204), (left[3] - 2, 204), "down")
    picture.badge((middle[2], 204), 7)
    for place, numbers in ((1, (1, 4)), (2, (6,)), (3, (5, 7))):
        x = left[place] + WIDTH // 2
        picture.arrow((x, 54), (x, 134), "plain", both=True)
        for row, number in enumerate(numbers):
            picture.badge((x + 22 * row, 78), number)


def main() -> None:
    """Write all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    drawn = {
        "architecture.svg": architecture(),
        "chain.svg": chain(),
        "coordination.svg": coordination(),
        "growth.svg": growth(),
    }
    for name, svg in drawn.items():
        (folder / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
