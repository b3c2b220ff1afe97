"""The way of one request over the nodes, put together from the events of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice

from tvault.cli.event_logs import Event, Logs
from tvault.cli.event_text import text_of_value
from tvault.cli.moments import moment_of, text_of
from tvault.cli.output import say
from tvault.events import Filter

MOST_EVENTS = 1000
"""Events of one request that are told: an id that a client gives to all its requests has more."""

CLOCKS_DIFFER = timedelta(minutes=5)
"""By so much the clock of a node may be behind that of another, and what it did is still found."""

MOST_MS = 24 * 60 * 60 * 1000
"""No call takes longer: an event that says so is not to be trusted."""

NEEDED = {
    "ordered": ("seq", "view", "commands"),
    "stored": ("first", "last", "view"),
    "truncate": ("after", "view"),
}
"""Numbers without which an event tells nothing of a way."""

OF_CALLS = ("time", "node", "event", "owner", "request_id", "duration_ms", "view", "seq", "call")


def way_of(logs: Logs, wanted: Filter) -> list[Event]:
    """All events of the request `wanted.request_id`, and those of the entries that were ordered for it,
    in the order of time."""
    own = list(islice(filter(_is_sound, logs.events(wanted)), MOST_EVENTS + 1))
    if len(own) > MOST_EVENTS:
        del own[MOST_EVENTS:]
        say(f"tvault: of this request there are more than {MOST_EVENTS:,} events: its way ends there")
    made = {(event["seq"], event["view"]) for event in own if event["event"] == "ordered"}
    if not made:
        return own
    begin = (moment_of(str(own[0]["time"])) - CLOCKS_DIFFER).timestamp()
    cuts = [
        event
        for event in logs.events(Filter(frozenset({"truncate"}), since=begin))
        if _is_sound(event) and any(_drops(event, seq, view) for seq, view in made)
    ]
    seqs = frozenset(seq for seq, _ in made)
    stored = [
        event
        for event in logs.events(Filter(frozenset({"stored"}), seqs=seqs, since=begin))
        if _is_sound(event) and any(_is_of(event, seq, view, cuts) for seq, view in made)
    ]
    return sorted([*own, *stored, *cuts], key=lambda event: str(event["time"]))


def in_words(way: Sequence[Event]) -> Iterator[tuple[str, str, str]]:
    """Time, node and what happened there, one after the other; how it stands at the end has no time."""
    told = [line for event in way for line in _told(event)]
    yield from sorted(told, key=lambda line: line[0])
    made = [(event["seq"], event["view"]) for event in way if event["event"] == "ordered"]
    for seq, view in dict.fromkeys(made):
        is_alone = len({other for each, other in made if each == seq}) == 1
        name = f"entry {seq}" if is_alone else f"entry {seq} of view {view}"
        yield "", "", f"{name} is {_outcome(seq, view, way)}"


def _told(event: Event) -> Iterable[tuple[str, str, str]]:
    time, node, name = str(event["time"]), str(event["node"]), str(event["event"])
    match name:
        case "ordered":
            others = event["commands"] - 1
            rest = f", together with {others} more" if others else ""
            yield time, node, f"ordered as entry {event['seq']} in view {event['view']}{rest}"
        case "stored":
            yield time, node, f"{_entries(event)} on disk, written in {event.get('duration_ms', '-')} ms"
        case "truncate":
            yield time, node, f"dropped what was behind entry {event['after']}: {event.get('why', '-')}"
        case _ if _lasted(event):
            yield from _call(event)
        case _:
            yield time, node, name


def _lasted(event: Event) -> bool:
    """Whether it says how long it took, and that can be."""
    took = event.get("duration_ms")
    return isinstance(took, (int, float)) and 0 <= took <= MOST_MS


def _call(event: Event) -> Iterable[tuple[str, str, str]]:
    """A call is noted when it is answered: when it was asked follows from that."""
    time, node = str(event["time"]), str(event["node"])
    asked = text_of(moment_of(time) - timedelta(milliseconds=event["duration_ms"]))
    spent = f"after {event['duration_ms']} ms"
    counts = " ".join(
        f"{name}={text_of_value(value)}" for name, value in event.items() if name not in OF_CALLS
    )
    if event["event"] == "refused":
        yield asked, node, f"asked by {event.get('owner')}: {event.get('call')}"
        yield time, node, f"refused {spent}: {counts}"
        return
    rests = f", as of entry {event['seq']}" if event.get("seq") else ""
    if event["event"] == "asked":
        yield asked, node, f"asked by a gateway for {event.get('owner') or '-'}: {event.get('question')}"
        yield time, node, f"answered the gateway {spent}{rests}"
    else:
        yield asked, node, f"asked by {event.get('owner')}: {event['event']}"
        yield time, node, f"answered {spent}{rests}{': ' if counts else ''}{counts}"


def _outcome(seq: int, view: int, way: Sequence[Event]) -> str:
    """Where the entry is that was ordered in that view, as far as the events tell."""
    cuts = [event for event in way if event["event"] == "truncate"]
    holding: dict[str, None] = {}
    for event in way:
        if event["event"] == "stored" and _is_of(event, seq, view, cuts):
            holding[str(event["node"])] = None
        elif event["event"] == "truncate" and _drops(event, seq, view):
            holding.pop(str(event["node"]), None)
    return f"on disk at {', '.join(sorted(holding))}" if holding else "on no disk that is known here"


def _entries(event: Event) -> str:
    first, last = event["first"], event["last"]
    return f"entry {first}" if first == last else f"entries {first} to {last}"


def _is_sound(event: Event) -> bool:
    """Whether it says what such an event has to say: a log is a file that somebody may have changed."""
    return all(isinstance(event.get(name), int) for name in NEEDED.get(event["event"], ()))


def _drops(cut: Event, seq: int, view: int) -> bool:
    """Whether the entry `seq` that was ordered in `view` is dropped, and none that was there before."""
    return bool(cut["after"] < seq and cut["view"] > view)


def _is_of(stored: Event, seq: int, view: int, cuts: Sequence[Event]) -> bool:
    """Whether this is about that entry, and no other that has had its place.  What one node drops was
    never committed, and is kept by none; a node outside of the chain, whose view is 0, copies only what
    is committed."""
    dropped_in = min((cut["view"] for cut in cuts if _drops(cut, seq, view)), default=None)
    if not stored["first"] <= seq <= stored["last"]:
        return False
    if stored["view"] == 0:
        return dropped_in is None
    return bool(view <= stored["view"] and (dropped_in is None or stored["view"] < dropped_in))
