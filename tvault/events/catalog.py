"""Every event that a node records, and every field, in one table: the reference page says the same.

No field holds a value, a token, a key or the name of a secret.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Event(NamedTuple):
    """When a node records it, and its fields beside those that every event has."""

    when: str
    fields: tuple[str, ...] = ()


class Field(NamedTuple):
    """What it is in JSON, and what it says."""

    form: str
    meaning: str


COMMON: Final = ("time", "node", "event")
"""Fields of every event."""

_OF_CALLS: Final = ("owner", "request_id", "duration_ms", "view", "seq")
"""Fields of every call that was carried out."""


def _call(when: str, *fields: str) -> Event:
    return Event(when, (*_OF_CALLS, *fields))


_LIFE: Final = {
    "start": Event("the node answers on its ports", ("api", "peer")),
    "stop": Event("it ends", ("why",)),
    "failure": Event(
        "it must stop by itself: its disk failed, or a rule was broken that must hold", ("why",)
    ),
    "recovery": Event(
        "it has read its folder, before `start`: what it found there",
        ("last", "committed", "promised", "standing", "incarnation", "boot"),
    ),
    "key-missing": Event(
        "at the start, a master key that is not the active one cannot be read, is not the one that "
        "sealed what is stored here, or is not configured though something is sealed with it: those "
        "secrets are answered 503 `key_unavailable`",
        ("key_id",),
    ),
    "events-lost": Event("the log could not be written for a while, and can be again", ("count",)),
    "events-dropped": Event(
        "full files of the log were removed, as `[log] events_files` says", ("files",)
    ),
}

_DISK: Final = {
    "set-aside": Event(
        "files were damaged; they are moved to a folder beside, and the node starts blank", ("why",)
    ),
    "doubtful": Event(
        "its files have turned out not to be trustworthy while it ran: a write or a sync failed, a "
        "peer knows a later life of it, or damage that was noted before is acted upon now; it begins "
        "anew, with `set-aside`",
        ("why",),
    ),
    "damaged": Event(
        "something read from its disk is not what was written there, or cannot be read; it begins "
        "anew, with `doubtful`, once all nodes have been in its chain for a few seconds (the only node "
        "of a vault never does), and gives out nothing of it meanwhile",
        ("why",),
    ),
    "checked": Event(
        "it has read its whole journal again, as far as it was committed, and found no damage: soon "
        "after the start, once a day, and by `inspect verify`",
        ("entries", "seconds"),
    ),
    "disk-full": Event(
        "an entry found no room: the node leaves the chain, and answers what it has", ("last",)
    ),
    "disk-room": Event("there is room again: it catches up"),
}

_VIEWS: Final = {
    "suspect": Event(
        "it no longer counts on its chain, and asks for another view; once for each reason",
        ("peer", "why", "view"),
    ),
    "no-majority": Event("too few of the nodes that it hears may vote for a view", ("heard", "blank")),
    "view": Event("it takes part in a view", ("view", "chain", "role", "why", "voted", "before")),
    "left-view": Event(
        "it takes part no more; whoever waits for that view is told that the outcome is unknown, "
        "unless its head forms it anew",
        ("view", "why"),
    ),
    "join": Event("as head, it forms the chain anew with a node that has caught up", ("peer", "view")),
    "restored": Event(
        "`tvault restore` has filled its folder from a backup",
        ("last", "digest", "source", "made_at"),
    ),
    "loss-accepted": Event(
        "`tvault recover --accept-loss` has let it vote again, with what is in its journal",
        ("last", "promised"),
    ),
    "peer-refused": Event(
        "it refuses another node or a gateway, or is refused: another cluster, ensemble, field list, "
        "token key, master keys, message format or secret, a certificate that is not trusted, or "
        "messages that no correct node sends",
        ("why",),
    ),
    "owners-differ": Event(
        "another node has other owners, as during a rolling restart that adds one; once for each node "
        "and list",
        ("peer",),
    ),
}

_JOURNAL: Final = {
    "ordered": Event(
        "as head, it has made an entry of commands, and sends it down the chain",
        ("seq", "view", "commands", "requests"),
    ),
    "stored": Event(
        "entries are durable on its disk: one event for each transaction",
        ("first", "last", "bytes", "view", "duration_ms"),
    ),
    "catch-up": Event(
        "it is outside the chain, and begins to copy the entries that it lacks",
        ("peer", "after", "upto"),
    ),
    "caught-up": Event(
        "it lacks nothing any more, and may be taken in",
        ("after", "upto", "entries", "seconds", "rate"),
    ),
    "truncate": Event(
        "it drops uncommitted entries that its new head does not have", ("after", "end", "view", "why")
    ),
}

_REQUESTS: Final = {
    "tokenize": _call("a tokenization was answered", "epoch", "values", "new", "known"),
    "detokenize": _call("a detokenization was answered", "values", "found", "not_found"),
    "lookup": _call("a lookup was answered", "epoch", "values", "found", "not_found"),
    "retokenize": _call(
        "a retokenization was answered", "epoch", "values", "found", "not_found", "new", "known"
    ),
    "epoch": _call("the owner's epoch was asked for", "epoch"),
    "rotate": _call("a rotation was answered", "epoch", "rotated"),
    "secret-put": _call("a value of a secret was taken", "created"),
    "secret-get": _call("a secret was given out"),
    "secret-history": _call("the versions of a secret were given out, without values", "versions"),
    "secret-names": _call("the names of the owner's secrets were given out", "names"),
    "secret-delete": _call("a secret was ended"),
    "env-encrypt": _call("a `.env` content was encrypted", "names", "stored"),
    "env-expand": _call("a `.env` content was expanded", "names"),
    "collision": _call("two values had one token; nothing was stored, and the answer is 500", "epoch"),
    "refused": Event(
        "a request with a valid API key was refused, or failed",
        ("owner", "request_id", "call", "status", "code", "duration_ms"),
    ),
    "asked": Event(
        "a question of a gateway was answered, for a request that it had taken",
        ("owner", "request_id", "question", "duration_ms", "view", "seq"),
    ),
    "key-refused": Event(
        "requests came without a valid API key; told once in ten seconds at most", ("count",)
    ),
}

GROUPS: Final = {
    "Life": _LIFE,
    "Disk": _DISK,
    "Views": _VIEWS,
    "Journal": _JOURNAL,
    "Requests": _REQUESTS,
}
"""The events by subject, as the page shows them."""

EVENTS: Final[dict[str, Event]] = {
    name: event for group in GROUPS.values() for name, event in group.items()
}

FIELDS: Final = {
    "time": Field(
        "text", "when it happened by this machine's clock, RFC 3339 in UTC, with microseconds"
    ),
    "node": Field("text", "who recorded it"),
    "event": Field("text", "its name"),
    "owner": Field("text", "the owner whose API key came with the request"),
    "request_id": Field("text", "the `Request-Id` of the request's answer"),
    "requests": Field(
        "list of texts", "the `Request-Id` of each request that has a command in the entry"
    ),
    "question": Field(
        "text", "what the gateway asked: `mint`, `rotate`, `look-up`, `find` and the like"
    ),
    "duration_ms": Field("number", "how long it took, in milliseconds"),
    "view": Field(
        "number",
        "the view in which it happened, of a call that of its answer; 0 outside of all views",
    ),
    "seq": Field(
        "number",
        "an entry of the journal: the one that was made, or of a call the last one that its answer "
        "rests on, written for it or before; 0 when there was none",
    ),
    "epoch": Field("number", "the owner's epoch: the active one, or the one of the tokens"),
    "values": Field("number", "values or tokens in the request, each place counted"),
    "new": Field("number", "different values that got tokens"),
    "known": Field("number", "different values that had tokens"),
    "found": Field("number", "places for which something was found; for a lookup, a token in any epoch"),
    "not_found": Field("number", "places for which nothing was found"),
    "rotated": Field("number", "1 when the epoch has become another one, else 0"),
    "created": Field("number", "1 when the value is a new version, 0 when the secret had it already"),
    "versions": Field("number", "how many versions were named"),
    "names": Field("number", "how many secrets were named, or the content refers to"),
    "stored": Field("number", "how many of them got values from the request"),
    "call": Field("text", "method and path of the request, `<name>` for that of a secret"),
    "status": Field("number", "the HTTP status of the answer"),
    "code": Field("text", "the code of the refusal"),
    "count": Field("number", "how many since the last time"),
    "commands": Field(
        "number", "commands in the entry, of as many requests or of nodes on their behalf"
    ),
    "first": Field("number", "the first of these entries"),
    "last": Field("number", "the last of these entries, or of the whole journal"),
    "bytes": Field("number", "size of these entries"),
    "after": Field("number", "the last entry that it has, or keeps"),
    "upto": Field("number", "the last entry that is known to be committed, which it lacks or now has"),
    "end": Field("number", "the last entry that is dropped"),
    "entries": Field("number", "how many entries were read, or copied"),
    "seconds": Field("number", "how long that took, rests included"),
    "rate": Field("number", "entries a second"),
    "committed": Field("number", "the last entry that is committed, as far as its disk knows"),
    "digest": Field("text", "the digest of the last entry of the backup"),
    "source": Field("text", "the node whose journal was backed up"),
    "made_at": Field("text", "when the backup was begun, RFC 3339 in UTC"),
    "promised": Field("number", "the latest view that it has promised to take part in"),
    "standing": Field("text", "`voter`, `founder` or `blank`: whether it may vote"),
    "incarnation": Field("text", "which life of its data folder this is"),
    "boot": Field("number", "which start of that life"),
    "chain": Field("list of texts", "the nodes of the view, the head first"),
    "role": Field("text", "its place there: `head`, `middle`, `tail`, or `single` when it is alone"),
    "voted": Field("list of texts", "the nodes that voted for the view"),
    "before": Field("list of texts", "the chain that this node knew before"),
    "heard": Field("list of texts", "the nodes that it hears, itself included"),
    "blank": Field("list of texts", "those of them that may not vote"),
    "peer": Field("text", "another node; in `start`, the address of its own peer port"),
    "api": Field("text", "the address of its client port"),
    "key_id": Field("text", "the id of the master key"),
    "files": Field("list of texts", "their names"),
    "why": Field("text", "the reason, in words"),
}
"""Every field, by name."""
