"""Parts of the page in which nodes end, stand still, lose their disks, and come back."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.cluster.cluster import eventually
from tests.cluster.recovery import PLACES, at
from tests.cluster.writers import Writers
from tests.observed.calls import TWIN, VALUES
from tests.observed.part import Event, Part, called

VIEWS = ("suspect", "left-view", "view")
LOST = ("563-21-9087", "601-44-3310")
MISSED = ("388-10-2214",)
LATE = ("144-09-7716",)


def is_view_of(count: int, part: Part) -> bool:
    """Whether so many nodes are in a view of so many since the part began."""
    return len({event["node"] for event in part.noted("view") if len(event["chain"]) == count}) >= count


def head_killed(part: Part) -> None:
    """The head ends in the middle of writes, with a request under way whose outcome nobody knows."""
    cluster = part.cluster
    head, middle, tail = (at(cluster, place) for place in PLACES)
    body = {"values": list(LOST)}
    with Writers(cluster, "through", clients=2, values=5, through_library=True) as writers:
        part.tell("two clients write new values by the client library, call after call")
        eventually(lambda: writers.count() > 20)
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            cluster.signal(tail, signal.SIGSTOP)
            asked = pool.submit(Part(cluster).post, head, "/tokenize", body, "lost")
            eventually(lambda: is_on_disk("lost", head, middle, part))
            cluster.kill(head)
            cluster.signal(tail, signal.SIGCONT)
            error = asked.exception()
        assert isinstance(error, requests.RequestException)
        part.tell(f"`kill -STOP` of {tail}, the tail, for a moment: an entry has to wait for its disk")
        part.tell(f"{called('/tokenize', body, head, 'lost')}")
        part.tell(
            f"`kill -9` of {head}, the head, once {head} and {middle} have the entry on their disks: "
            "the connection of `lost` breaks off"
        )
        part.tell(f"`kill -CONT` of {tail}")
        assert part.post(middle, "/tokenize", body, "lost").status_code == 200
        seen = writers.count()
        eventually(lambda: writers.count() > seen + 20)
        gap = writers.gap(began, time.monotonic())
    part.tell(f"the two clients had no answer for {gap:.2f} s at most; none of their calls failed")
    shown = part.show(4, *VIEWS)
    views = [event for event in shown if event["event"] == "view"]
    assert views[0]["before"] == [head, middle, tail]
    assert all(head not in event["chain"] and len(event["voted"]) == 2 for event in views)
    (answer,) = part.noted("tokenize", where=lambda event: event["request_id"] == "lost")
    assert (answer["new"], answer["known"]) == (0, 2), "the retry finds what the first attempt wrote"
    part.show_command("inspect", "events", "--request", "lost")


def is_on_disk(request: str, head: str, middle: str, part: Part) -> bool:
    """Whether head and middle have the entry of a request on their disks."""
    made = part.noted("ordered", where=lambda event: request in event["requests"])

    def holds(node: str) -> bool:
        return any(
            event["first"] <= made[0]["seq"] <= event["last"]
            for event in part.noted("stored", where=lambda event: event["node"] == node)
        )

    return bool(made) and holds(head) and holds(middle)


def back(part: Part, node: str) -> None:
    """A node that was killed comes back."""
    part.start(node)
    eventually(lambda: is_view_of(3, part))
    shown = part.show(8, "recovery", "start", "catch-up", "caught-up", "join", "left-view", "view")
    assert {event["event"] for event in shown if event["node"] == node} >= {
        "recovery",
        "caught-up",
        "view",
    }
    part.show_command("inspect")


def killed_and_back(part: Part) -> None:
    """The node that `head_killed` has ended comes back."""
    (gone,) = [name for name in part.cluster.nodes if name not in part.cluster.processes]
    back(part, gone)


def paused(part: Part) -> None:
    """The tail stands still for longer than `suspect_ms`, and goes on."""
    cluster = part.cluster
    head, tail = at(cluster, "head"), at(cluster, "tail")
    cluster.signal(tail, signal.SIGSTOP)
    part.tell(f"`kill -STOP` of {tail}, the tail")
    began = time.monotonic()
    assert part.post(head, "/tokenize", {"values": list(MISSED)}, "meanwhile").status_code == 200
    part.tell(f"that answer took {time.monotonic() - began:.1f} s")
    cluster.signal(tail, signal.SIGCONT)
    part.tell(f"`kill -CONT` of {tail}")
    cluster.wait_until_whole(60.0)
    eventually(lambda: is_view_of(3, part))
    part.show(9, *VIEWS, "catch-up", "caught-up", "join", "tokenize")


def majority_gone(part: Part) -> None:
    """Two of three end: what the last one knows is answered, and nothing new is acknowledged."""
    cluster = part.cluster
    tokens = cluster.tokenize("n1", [*VALUES, TWIN])
    eventually(cluster.agree)
    asked = {"known-tokens", "new-value"}
    head, middle, tail = (at(cluster, place) for place in PLACES)
    for node, role in ((head, "head"), (middle, "middle")):
        part.kill(node, role)
    eventually(lambda: bool(part.noted("no-majority")))
    assert part.post(tail, "/detokenize", {"tokens": tokens}, "known-tokens").status_code == 200
    assert part.post(tail, "/tokenize", {"values": list(LATE)}, "new-value").status_code == 503
    part.tell(f"`GET /health` at {tail}: 503 `{cluster.health(tail)}`")
    part.start(head, middle)
    assert part.post(tail, "/tokenize", {"values": list(LATE)}, "new-value").status_code == 200

    def is_told(event: Event) -> bool:
        request = event.get("request_id")
        return event["node"] == tail and (request is None or request in asked)

    part.show(4, "no-majority", "detokenize", "refused", "tokenize", where=is_told)


def wiped(part: Part) -> None:
    """A node's folder is emptied, and filled again by the others."""
    cluster = part.cluster
    node = at(cluster, "middle")
    part.kill(node, "middle")
    part.wipe(node)
    part.start(node)
    eventually(cluster.agree)
    part.show(
        5,
        "recovery",
        "catch-up",
        "caught-up",
        "join",
        "view",
        where=lambda event: of_return(event, node),
    )
    part.show_command("inspect", "verify")


def of_return(event: Event, node: str) -> bool:
    """Whether the event is of a node's return, and not of its end."""
    return node in (event["node"], event.get("peer"))


def rolled(part: Part) -> None:
    """All nodes are restarted in turn while clients write; shown is how the head goes."""
    cluster = part.cluster
    with Writers(cluster, "roll", clients=2, values=5, through_library=True) as writers:
        part.tell("two clients write new values by the client library, call after call")
        for node, place in [(at(cluster, place), place) for place in reversed(PLACES)]:
            seen = writers.count()
            eventually(lambda seen=seen: writers.count() > seen + 10)  # type: ignore[misc]
            assert at(cluster, place) == node or place == "middle"
            going = Part(cluster)
            part.terminate(node, place)
            eventually(lambda going=going: is_view_of(2, going))  # type: ignore[misc]
            left = going.noted("left-view", "stop", "view")
            part.start(node)
    part.tell("no call of the two clients failed")
    part.show_these(left)
