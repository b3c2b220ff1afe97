"""One node from inside: its threads, what they hand to each other, and its files."""

from __future__ import annotations

from picture import CLIENT, DISK, NODE, PART, SOFT, STOP, Picture

AT_THE_CLIENT_PORT = (
    "finds the owner by the API key; JSON, limits",
    "computes tokens, seals and opens values",
    "secrets: each version under a data key of its own",
    "requests_at_once of them at work, others wait",
)

AT_THE_PEER_PORT = (
    "streams of the other nodes: each message checked",
    "questions of gateways, for the engine",
    "operators and Prometheus",
)

BOXES: tuple[tuple[int, int, int, int, str, str, tuple[str, ...]], ...] = (
    (20, 12, 440, 38, CLIENT, "programs with an owner's API key", ()),
    (540, 12, 420, 38, NODE, "other nodes, gateways, operators, Prometheus", ()),
    (30, 98, 430, 118, CLIENT, "client port: a thread for each request", AT_THE_CLIENT_PORT),
    (
        30,
        254,
        430,
        58,
        PART,
        "engine, in the same threads",
        ("looks up, has written, waits, has confirmed",),
    ),
    (540, 254, 360, 98, PART, "peer port: a thread for each stream or question", AT_THE_PEER_PORT),
    (350, 392, 350, 148, PART, "the node's thread", ("takes what waits in its inbox",)),
    (750, 422, 200, 58, PART, "links: a thread for each", ("a stream to every other node",)),
    (30, 584, 200, 58, DISK, "index/", ("from tokens to their blocks",)),
    (250, 584, 200, 58, DISK, "journal.sqlite", ("all entries and their rows",)),
    (470, 584, 200, 58, DISK, "promise", ("vote, lives, the mark",)),
    (690, 584, 260, 58, DISK, "events.jsonl", ("of all threads, for people",)),
    (30, 674, 200, 58, PART, "index thread", ("makes runs, merges them",)),
    (250, 674, 200, 58, PART, "journal check", ("reads both again, at times",)),
)
"""Left, top, width, height, fill, title and lines."""

ARROWS = (
    ((240, 52), (240, 96), True),
    ((240, 218), (240, 252), True),
    ((720, 52), (720, 252), True),
    ((538, 283), (462, 283), True),
    ((400, 314), (400, 390), True),
    ((620, 354), (620, 390), True),
    ((702, 451), (748, 451), False),
    ((130, 582), (130, 314), False),
    ((300, 582), (300, 314), False),
    ((400, 542), (400, 582), False),
    ((570, 542), (570, 582), False),
    ((130, 672), (130, 644), True),
    ((350, 644), (350, 672), False),
)
"""Where each begins and ends, and whether it goes both ways."""


def node() -> str:
    """The threads and files of one node."""
    picture = Picture(
        980,
        804,
        "Inside a node: threads and files",
        "Each request has a thread of the client port, where values are in the clear. It asks the "
        "engine, which reads index and journal itself and hands writes and confirmations to the "
        "node's thread. That one alone decides, by the pure parts ordering and replica, and alone "
        "writes journal and promise; then it sends, by one link to each other node, and answers. "
        "Streams of other nodes, questions of gateways, and operators come in by the peer port. One "
        "thread merges the index, one reads the journal again.",
    )
    picture.box((10, 84), (960, 664), NODE)
    picture.tell((484, 112), "one process, one folder", size=15, bold=True)
    for x, y, width, height, fill, title, lines in BOXES:
        picture.box((x, y), (width, height), fill)
        picture.say((x + width // 2, y + 24), title, bold=True)
        for row, line in enumerate(lines):
            picture.say((x + width // 2, y + 44 + 20 * row), line, size=12, colour=SOFT)
    _deciding(picture)
    for start, end, both in ARROWS:
        picture.arrow(start, end, "plain", both=both)
    picture.arrow((930, 420), (930, 52), "plain")
    picture.tell((140, 440), "reads", size=12)
    picture.tell((310, 440), "reads", size=12)
    picture.path([(10, 234), (970, 234)], colour=STOP, dashes="10 5")
    picture.path([(20, 772), (62, 772)], colour=STOP, dashes="10 5")
    picture.tell(
        (72, 776),
        "Values are in the clear only above this line, in memory. Below it: tokens, digests, "
        "ciphertext, names of owners and secrets.",
    )
    return picture.svg()


def _deciding(picture: Picture) -> None:
    for x, title, line in (
        (364, "ordering", "the head judges"),
        (530, "replica", "views, chain, reads"),
    ):
        picture.box((x, 446), (156, 46), "#ffffff")
        picture.say((x + 78, 464), title, bold=True)
        picture.say((x + 78, 482), line, size=12, colour=SOFT)
    picture.say((525, 510), "both pure: no clock, no disk, no network", size=12, colour=SOFT)
    picture.say((525, 530), "then: send, promise, journal, mark, send, answer", size=12)
