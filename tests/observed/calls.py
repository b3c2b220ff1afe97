"""Parts of the page in which no node fails: issuance, isolation, epochs, secrets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.cluster.cluster import Cluster, eventually
from tests.cluster.recovery import at
from tests.observed.part import Part, called

VALUES = ("078-05-1120", "219-09-9999", "457-55-5462")
TWIN = "721-07-4426"
SECRETS = ("s3cret one", "s3cret two")
SECRET_NAME = "DB_PASSWORD"  # noqa: S105
NOBODYS = "tv1_1_" + "0" * 32


def whole(part: Part) -> None:
    """The cluster as it is before anything is done."""
    part.show_command("inspect")


def issuance(part: Part) -> None:
    """New values get tokens: ordered by the head, stored by all, answered by the node that was asked."""
    node = at(part.cluster, "tail")
    assert part.post(node, "/tokenize", {"values": list(VALUES)}, "first").status_code == 200
    ordered, *rest = part.show(5, "ordered", "stored", "tokenize")
    assert ordered["event"] == "ordered"
    assert ordered["requests"] == ["first"]
    assert {event["node"] for event in rest if event["event"] == "stored"} == set(part.cluster.nodes)
    (answer,) = [event for event in rest if event["event"] == "tokenize"]
    assert (answer["node"], answer["new"], answer["known"]) == (node, 3, 0)
    assert answer["seq"] == ordered["seq"]


def followed(part: Part) -> None:
    """The way of that request over the nodes."""
    part.show_command("inspect", "events", "--request", "first")


def again(part: Part) -> None:
    """The same values at another node: no entry is made."""
    cluster = part.cluster
    before = cluster.status("n1")["journal"]["last"]
    tokens = [cluster.tokenize(node, list(VALUES)) for node in cluster.nodes]
    assert tokens[0] == tokens[1] == tokens[2]
    part.tell("`POST /tokenize` with the same 3 values at each node: the same tokens")
    part.post(at(cluster, "middle"), "/tokenize", {"values": [*VALUES, VALUES[0]]}, "again")
    part.show(1, "ordered", "stored", "tokenize", where=lambda event: event.get("request_id") == "again")
    assert part.noted("ordered", "stored") == []
    assert cluster.status("n1")["journal"]["last"] == before
    part.tell(f"the journal ends with entry {before}, as before")


def twins(part: Part) -> None:
    """Two clients ask for one new value at once, at two nodes."""
    cluster = part.cluster
    nodes = [at(cluster, "head"), at(cluster, "tail")]
    body = {"values": [TWIN]}

    def ask(number: int) -> str:
        node = nodes[number]
        answer = Part(cluster).post(node, "/tokenize", body, f"twin-{number + 1}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["tokens"][0])

    with ThreadPoolExecutor(2) as pool:
        tokens = set(pool.map(ask, range(2)))
    assert len(tokens) == 1
    for number, node in enumerate(nodes):
        part.tell(f"{called('/tokenize', body, node, f'twin-{number + 1}')}: 200, the same token")
    shown = part.show(3, "ordered", "tokenize")
    assert sum(event["new"] for event in shown if event["event"] == "tokenize") == 1


def foreign(part: Part) -> None:
    """A token of another owner, and one that nobody has."""
    cluster = part.cluster
    token = cluster.tokenize("n1", [VALUES[0]])[0]
    node = at(cluster, "middle")
    answers = [
        part.post(node, "/detokenize", {"token": each}, as_, "B")
        for each, as_ in ((token, "of-another-owner"), (NOBODYS, "of-nobody"))
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    part.tell("both answers have the same body, byte for byte")
    part.post(node, "/detokenize", {"token": token}, "of-its-owner")
    part.show(3, "detokenize")


def rotation(part: Part) -> None:
    """The epoch is rotated, once more, and used."""
    cluster = part.cluster
    old = cluster.tokenize("n1", list(VALUES))
    head, middle, tail = (at(cluster, place) for place in ("head", "middle", "tail"))
    part.post(tail, "/rotate-epoch", {"to": 2}, "rotate")
    part.post(head, "/rotate-epoch", {"to": 2}, "rotate-again")
    part.post(middle, "/tokenize", {"values": list(VALUES)}, "under-epoch-2")
    part.post(tail, "/detokenize", {"tokens": old}, "old-tokens")
    asked = {"rotate", "rotate-again", "under-epoch-2", "old-tokens"}
    shown = part.show(
        6,
        "ordered",
        "rotate",
        "tokenize",
        "detokenize",
        where=lambda event: bool(asked & {event.get("request_id"), *event.get("requests", ())}),
    )
    assert [event["rotated"] for event in shown if event["event"] == "rotate"] == [1, 0]
    assert len([event for event in shown if event["event"] == "ordered"]) == 2


def secrets(part: Part) -> None:
    """A secret is written, written again, read, and ended."""
    cluster = part.cluster
    head, tail = at(cluster, "head"), at(cluster, "tail")
    named, shown = f"/secrets/{SECRET_NAME}", "/secrets/<name>"
    first, same, second = (
        part.ask(node, "PUT", named, shown, as_, {"value": value})["version"]
        for node, as_, value in (
            (tail, "secret", SECRETS[0]),
            (head, "same-secret", SECRETS[0]),
            (head, "next-secret", SECRETS[1]),
        )
    )
    assert (first, same, second) == (1, 1, 2)
    part.ask(tail, "GET", f"{named}/history", f"{shown}/history", "secret-history")
    part.ask(tail, "DELETE", named, shown, "secret-end")
    part.ask(head, "GET", named, shown, "ended-secret")
    names = ("ordered", "secret-put", "secret-history", "secret-delete", "refused")
    told = part.show(9, *names)
    assert [event["created"] for event in told if event["event"] == "secret-put"] == [1, 0, 1]


def settled(cluster: Cluster) -> None:
    """Until all nodes are in one chain, and have one journal."""
    cluster.wait_until_whole(60.0)
    eventually(cluster.agree)
