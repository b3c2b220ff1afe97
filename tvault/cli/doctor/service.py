"""The nodes that run: whether they answer, agree, and are well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tvault.cli.doctor.asking import Heard, Told
from tvault.cli.doctor.findings import Finding, Result, size_text
from tvault.cli.moments import duration_text
from tvault.cli.overview import Overview
from tvault.errors import VaultError
from tvault.replication.codec import FORMAT
from tvault.server.engine_wire import Terms
from tvault.server.status import VERSION
from tvault.store.folders import SPARED_BYTES

MUCH_LAG = 1000
"""Entries: what is on its way under load is far less."""

LITTLE_ROOM_BYTES = 2**30


def service_found(heard: Sequence[Heard], *, was_used: bool) -> Iterator[Finding]:
    """Who answers.  When nobody does, that is a fault only of a vault that has been in use."""
    if not any(each.told for each in heard) and all(_is_silent(each) for each in heard):
        result: Result = "warning" if was_used else "ok"
        found = "no node answers: what can be checked during service alone is left out"
        yield Finding("service", "", result, found, "start the nodes: tvault up, or tvault serve")
        return
    for each in heard:
        yield _answer(each)
    yield Finding("service", "gateways", "ok", "stand in no tvault.toml: ask each for its /health")


def _is_silent(heard: Heard) -> bool:
    return isinstance(heard.answer, VaultError) and heard.answer.detail.startswith("no answer from")


def _answer(heard: Heard) -> Finding:
    about, told = heard.node.id, heard.told
    if told is None:
        advice = "start it, or look into its log" if _is_silent(heard) else ""
        return Finding("service", about, "failed", str(heard.answer), advice)
    if not heard.is_itself:
        found = f"node {told.node} answers at {heard.node.peer}"
        return Finding("service", about, "failed", found, "correct 'peer' of the two nodes")
    role = f"{told.role}, view {told.view}"
    up = f", up for {duration_text(told.uptime_s)}" if told.uptime_s is not None else ""
    since = f", last change {told.changed_at} ({told.changed_why})" if told.changed_at else ""
    return Finding("service", about, "ok", f"{role}{up}{since}")


def releases_found(heard: Sequence[Heard]) -> Iterator[Finding]:
    """Versions of the nodes, and of this command."""
    by_version: dict[str, list[str]] = {}
    for each in heard:
        if each.told is not None:
            by_version.setdefault(each.told.version or "unknown", []).append(each.node.id)
    if not by_version:
        return
    named = "; ".join(f"{', '.join(nodes)}: {version}" for version, nodes in by_version.items())
    if set(by_version) == {VERSION}:
        yield Finding("releases", "", "ok", f"all that answer run tvault {VERSION}")
    else:
        found = f"{named}; this command: {VERSION}"
        yield Finding("releases", "", "warning", found, "end the update: one version everywhere")


def agreement_found(
    heard: Sequence[Heard], terms: Terms, owners: str, ensemble: Sequence[str]
) -> Iterator[Finding]:
    """Whether each node has what this configuration and its keys say: `terms`, the digest of the
    `owners`, and the `ensemble` in its order."""
    for each in heard:
        if each.told is None or each.told.configuration is None:
            continue
        about, said = each.node.id, each.told.configuration
        if said.get("format") != FORMAT:
            found = "has another message format than this release"
            advice = "they refuse each other: stop all nodes, then start all with one release of tvault"
            yield Finding("agreement", about, "failed", found, advice)
            continue
        try:
            why = terms.refusal(msgspec.convert({**said, "format": terms.format}, Terms))
        except msgspec.ValidationError:
            why = "tells a configuration of another form"
        if each.told.ensemble != list(ensemble):
            why = f"has another ensemble ({', '.join(each.told.ensemble)})"
        if why is not None:
            advice = "one tvault.toml and one set of keys for all: correct the file, restart the node"
            yield Finding("agreement", about, "failed", f"{why} than this configuration", advice)
        elif said.get("owners") != owners:
            found = "has other owners than this configuration"
            advice = "give all the same tvault.toml and restart them one by one"
            yield Finding("agreement", about, "warning", found, advice)
        else:
            yield Finding("agreement", about, "ok", "the same configuration and keys as here")


def chain_found(cluster: str, heard: Sequence[Heard]) -> Iterator[Finding]:
    """The cluster as `tvault inspect` shows it."""
    overview = Overview.from_answers(cluster, [(each.node, each.answer) for each in heard])
    results: dict[str, Result] = {"whole": "ok", "degraded": "warning", "down": "failed"}
    result = results[overview.state]
    advice = "" if result == "ok" else "see the nodes below, and tvault inspect"
    yield Finding("chain", "", result, overview.sentence(), advice)
    for seq, names in overview.differing().items():
        found = f"{', '.join(names)} differ up to entry {seq}"
        yield Finding("chain", "", "failed", found, "look with tvault inspect verify")


def nodes_found(heard: Sequence[Heard]) -> Iterator[Finding]:
    """The trouble of each node."""
    told = [each.told for each in heard if each.told is not None]
    longest = max((each.journal.last for each in told), default=0)
    for each in told:
        yield _node(each, longest - each.journal.last)
        yield _disk(each)
        if each.events_lost:
            found = f"{each.events_lost} events are not in its log"
            advice = "make room, or let it write to its data folder"
            yield Finding("events", each.node, "warning", found, advice)
        if each.missing_keys:
            found = f"it has no master key {', '.join(each.missing_keys)}"
            advice = "secrets sealed with it are answered 503: restore the key, restart the node"
            yield Finding("master-keys", each.node, "warning", found, advice)
    if told and not any(each.events_lost for each in told):
        yield Finding("events", "", "ok", "no node has lost an event since its start")
    if told and not any(each.missing_keys for each in told):
        yield Finding("master-keys", "", "ok", "no node lacks one that it has looked for")


def _node(told: Told, lag: int) -> Finding:
    behind = f"{lag} entries behind the longest journal"
    if told.damage is not None:
        advice = "it is rebuilt from the others by itself; look after its disk"
        return Finding("nodes", told.node, "failed", f"damaged files: {told.damage}", advice)
    if told.health == "unavailable":
        return Finding("nodes", told.node, "failed", told.trouble or "it takes no writes")
    if told.trouble is not None:
        return Finding("nodes", told.node, "warning", f"{told.trouble}; {behind}")
    if lag > MUCH_LAG:
        return Finding("nodes", told.node, "warning", behind, "it should catch up: look again")
    return Finding("nodes", told.node, "ok", f"no trouble, {behind}")


def _disk(told: Told) -> Finding:
    if told.condition == "full":
        advice = "make room: the node comes back by itself"
        return Finding("room", told.node, "failed", "its disk is full", advice)
    if told.disk_free_bytes is None:
        return Finding("room", told.node, "warning", "its disk does not say how much is free")
    found = f"{size_text(told.disk_free_bytes)} free"
    if told.disk_free_bytes < SPARED_BYTES:
        return Finding("room", told.node, "failed", found, "make room: it is about to leave the chain")
    if told.disk_free_bytes < LITTLE_ROOM_BYTES:
        return Finding("room", told.node, "warning", found, "make room before the disk is full")
    return Finding("room", told.node, "ok", found)
