"""How nodes coordinate: the paths of writes and reads over five nodes, and what is assumed."""

from __future__ import annotations

from picture import CLIENT, DISK, INK, NODE, SOFT, Picture

LEFT, WIDTH, GAP = 20, 150, 51

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
            (6, "What may be out of date (not found, the active"),
            (0, "epoch, a newest version): a member looks, then"),
            (0, "hears from a majority that its view is the newest."),
            (7, "An outsider asks a member how far it must"),
            (0, "know the journal, copies up to there, looks."),
        ),
    ),
    (
        "A new view",
        (
            (0, "Who misses its chain asks the others. A majority"),
            (0, "must miss it, too, and then promises, on disk, to act"),
            (0, "for no older view. The winner heads a chain of a"),
            (0, "majority or more, in which neighbours hear each"),
            (0, "other. Nothing is committed in it before its barrier."),
            (7, "An outsider that lacks nothing is taken in by its"),
            (0, "head, with a new view; blank, it votes after that."),
        ),
    ),
)

ASSUMED = (
    "What is assumed: nodes crash, stall, lose and delay messages and damage disks, but do not lie.",
    "A disk keeps what it has synced. Most of the disks keep their memory: two of three, three of five.",
    "With fewer than a majority of nodes there is no view: nothing new is accepted, nothing is lost,",
    "and what a node knows to be committed is still answered. Only moments of secrets are by the clock.",
)


def coordination() -> str:
    """Five nodes in all the states there are: the chain, who catches up, who is gone."""
    told = " ".join(f"{title}: {' '.join(line for _, line in lines)}" for title, lines in TALES)
    picture = Picture(
        980,
        650,
        "How the nodes of a vault coordinate",
        "Five nodes: n1, n2 and n3 are the chain of a view, n4 is outside and copies what is committed, "
        f"n5 is gone. {told} {' '.join(ASSUMED)}",
    )
    picture.box((150, 12), (680, 40), CLIENT)
    picture.say((490, 37), "clients: any call to any node or gateway")
    picture.box((10, 104), (572, 186), "#ffffff", dashed=True)
    picture.tell((22, 124), "a view: its number, and its chain of three", size=12, colour=SOFT)
    picture.tell((714, 124), "the rest of the ensemble of five", size=12, colour=SOFT)
    for place, (name, line) in enumerate(PLACES):
        _place(picture, LEFT + place * (WIDTH + GAP), name, line, gone=place == len(PLACES) - 1)
    _paths(picture)
    picture.box((20, 306), (753, 26), NODE)
    picture.say(
        (396, 323),
        "presence: each tells every other, each heartbeat, what it is, holds, and hears",
        size=12,
        colour=SOFT,
    )
    for column, (title, lines) in enumerate(TALES):
        x = (20, 338, 660)[column]
        picture.tell((x, 366), title, size=15, bold=True)
        indent = 0
        for row, (number, line) in enumerate(lines):
            if number:
                picture.badge((x + 10, 386 + 22 * row), number)
                indent = 26
            picture.tell((x + indent, 390 + 22 * row), line)
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
    left = [LEFT + place * (WIDTH + GAP) for place in range(len(PLACES))]
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
