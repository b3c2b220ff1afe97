"""What runs: clients, gateways, nodes, operators, their ports, and where values are in the clear."""

from __future__ import annotations

from picture import CLIENT, DISK, DOWN, INK, NODE, PART, SOFT, STOP, UP, Picture

CLIENTS = (
    ("tvault", "files, secrets, .env"),
    ("Python library", "from tvault import Vault"),
    ("DuckDB", "joins on tokens"),
    ("Arrow batches", "Spark, Ray, Polars, pandas"),
    ("curl, any language", "JSON over HTTP"),
)

NODES = ((220, "n1: head"), (480, "n2: middle"), (740, "n3: tail"))
WIDE = 220

LEVELS = (
    (186, 60, CLIENT, "client port", "computes tokens, seals, opens"),
    (290, 60, PART, "the node's thread", "decides: ordering, replica"),
    (360, 78, DISK, "a folder without keys", "journal.sqlite, index/"),
    (448, 42, PART, "peer port", ""),
)

BOUNDARY = 268

OPERATORS = (
    (240, "tvault inspect, backup, doctor", "with the cluster's secret"),
    (620, "Prometheus", "a credential for GET /metrics alone"),
)


def architecture() -> str:
    """Clients, a gateway, three nodes, and who speaks to which port with what."""
    picture = Picture(
        980,
        740,
        "What runs: clients, gateways, nodes and operators",
        "Programs with an API key call any node or gateway. Each node has a client port, one "
        "deciding thread, a folder and a peer port. Values are in the clear in programs, in "
        "gateways and in what answers a node's client port, in memory; below that there are tokens, "
        "digests and ciphertext. Nodes stream entries down the chain and acknowledgements up, from "
        "peer port to peer port; gateways, operators and Prometheus ask the peer ports, too. Key "
        "files are read at start, and lie in no node's folder.",
    )
    _programs(picture)
    _gateway(picture)
    for x, name in NODES:
        _node(picture, x, name)
    for x in (110, *(left + WIDE // 2 for left, _ in NODES)):
        picture.arrow((x, 106), (x, 146 if x == 110 else 184), "call", both=True)
    picture.say((460, 128), "HTTP, any call to any of them", size=12, colour=SOFT)
    for x in (220 + WIDE, 480 + WIDE):
        picture.arrow((x - 10, 460), (x + 50, 460), "down")
        picture.arrow((x + 50, 478), (x - 10, 478), "up")
    _peers(picture)
    picture.path([(10, BOUNDARY), (970, BOUNDARY)], colour=STOP, dashes="10 5")
    _legend(picture)
    return picture.svg()


def _programs(picture: Picture) -> None:
    picture.box((20, 12), (940, 92), CLIENT)
    picture.tell((34, 34), "Programs with an owner's API key", size=14, bold=True)
    for place, (name, line) in enumerate(CLIENTS):
        x = 34 + 184 * place
        picture.box((x, 44), (176, 50), "#ffffff")
        picture.say((x + 88, 65), name, bold=True)
        picture.say((x + 88, 84), line, size=12, colour=SOFT)


def _gateway(picture: Picture) -> None:
    picture.box((20, 148), (180, 98), CLIENT)
    picture.say((110, 172), "gateway", size=15, bold=True)
    for row, line in enumerate(
        ("a client port alone:", "any number of them, or none;", "each keeps nothing")
    ):
        picture.say((110, 192 + 18 * row), line, size=12, colour=SOFT)
    picture.box((60, 290), (140, 148), "#ffffff", dashed=True)
    picture.say((130, 314), "key files", bold=True)
    for row, line in enumerate(("token key", "master keys", "cluster's secret")):
        picture.say((130, 336 + 18 * row), line, size=12, colour=SOFT)
    for row, line in enumerate(("read at start by", "nodes and gateways")):
        picture.say((130, 404 + 18 * row), line, size=12)


def _node(picture: Picture, x: int, name: str) -> None:
    middle = x + WIDE // 2
    picture.box((x, 148), (WIDE, 352), NODE)
    picture.tell((x + 12, 172), name, size=15, bold=True)
    for y, height, fill, title, line in LEVELS:
        picture.box((x + 12, y), (WIDE - 24, height), fill)
        picture.say((middle, y + 26), title, bold=True)
        if line:
            picture.say((middle, y + 46), line, size=12, colour=SOFT)
    picture.say((middle, LEVELS[2][0] + 64), "promise, events.jsonl", size=12, colour=SOFT)
    picture.arrow((middle, 248), (middle, 288), "plain", both=True)


def _peers(picture: Picture) -> None:
    picture.box((20, 534), (940, 32), NODE)
    picture.say(
        (490, 555),
        "to the peer ports: HTTP with the cluster's secret; TLS beyond loopback, as on the client ports",
        size=12,
    )
    picture.arrow((40, 248), (40, 532), "plain", both=True)
    for x, _ in NODES:
        picture.arrow((x + WIDE // 2, 492), (x + WIDE // 2, 532), "plain", both=True)
    for x, title, line in OPERATORS:
        picture.box((x, 602), (300, 48), "#ffffff")
        picture.say((x + 150, 622), title, bold=True)
        picture.say((x + 150, 640), line, size=12, colour=SOFT)
        picture.arrow((x + 150, 600), (x + 150, 568), "plain")


def _legend(picture: Picture) -> None:
    picture.path([(20, 676), (62, 676)], colour=STOP, dashes="10 5")
    picture.tell(
        (72, 680),
        "Values are in the clear only above this line, in memory. Below it: tokens, digests, "
        "ciphertext, names of owners and secrets.",
    )
    picture.arrow((20, 700), (62, 700), "down")
    picture.tell((72, 704), "entries down the chain,", colour=DOWN)
    picture.arrow((260, 700), (218, 700), "up")
    picture.tell(
        (270, 704), "what is on disk, up the chain: streams between all nodes, one each way", colour=UP
    )
    picture.tell(
        (20, 728),
        "What is yellow holds values while it works; what is green is on disk: without the key files no "
        "value comes of it.",
        colour=INK,
    )
