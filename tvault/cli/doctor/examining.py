"""All checks of a vault, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from tvault.cli.doctor.asking import Heard, ask_nodes
from tvault.cli.doctor.certificates import certificate_found, shown_found
from tvault.cli.doctor.clocks import clocks_found
from tvault.cli.doctor.disks import disk_found
from tvault.cli.doctor.findings import Finding, guarded
from tvault.cli.doctor.folders import existing, folder_found, is_in_use, was_used
from tvault.cli.doctor.keys import keys_found
from tvault.cli.doctor.machine import machine_found
from tvault.cli.doctor.ports import elsewhere_found, holder_of, is_here, ports_found
from tvault.cli.doctor.service import (
    agreement_found,
    chain_found,
    nodes_found,
    releases_found,
    service_found,
)
from tvault.cli.doctor.settings import exposure_found, settings_found
from tvault.cli.nodes import Nodes
from tvault.config import Config, NodeConfig, read_keys
from tvault.errors import VaultError
from tvault.model.keys import KeyRing
from tvault.model.secrets import MasterKeys
from tvault.replication.recovery import Identity
from tvault.server.engine_wire import Terms
from tvault.server.hello import digest_of_names
from tvault.server.wiring import terms_of


def examine(
    config: Config, chosen: Sequence[NodeConfig], environ: Mapping[str, str]
) -> Iterator[Finding]:
    """What is found, as it is found: first what needs no running node."""
    yield from settings_found(config)
    yield from keys_found(config, environ, os.geteuid())
    yield exposure_found(config)
    here = [node for node in chosen if is_here(node)]
    yield from certificate_found(config, here)
    terms = _terms(config, environ)
    nodes = Nodes(config) if terms is not None else None
    heard = ask_nodes(nodes, chosen) if nodes is not None else []
    running = [each.node for each in heard if each.is_itself]
    for node in running:
        yield from shown_found(config, node, is_here=node in here)
    for node in chosen:
        if node in here:
            yield from _here(config, node, terms, is_running=node in running)
        else:
            yield elsewhere_found(node)
    holders = [(node.id, holder_of(node.peer.port)) for node in running if node in here]
    yield from machine_found([(name, holder.process) for name, holder in holders if holder is not None])
    if nodes is None or terms is None:
        advice = "nodes are asked with the cluster's key: make the keys good first"
        yield Finding("service", "", "warning", "no node was asked, for lack of keys", advice)
        return
    yield from _service(config, heard, terms)


def _here(
    config: Config, node: NodeConfig, terms: Terms | None, *, is_running: bool
) -> Iterator[Finding]:
    ensemble = tuple(each.id for each in config.nodes)
    identity = Identity(config.cluster_id, ensemble, node.id, terms.keys) if terms is not None else None
    yield from ports_found(node, is_running=is_running or is_in_use(node.data))
    yield from guarded("folder", node.id, folder_found(node, identity, os.geteuid()))
    yield from guarded("disk", node.id, _disk(node))


def _disk(node: NodeConfig) -> Iterator[Finding]:
    place = existing(node.data)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        yield from disk_found(node.id, place)


def _service(config: Config, heard: Sequence[Heard], terms: Terms) -> Iterator[Finding]:
    is_used = any(was_used(node.data) for node in config.nodes)
    yield from service_found(heard, was_used=is_used)
    if not any(each.told for each in heard):
        return
    owners = digest_of_names(owner.id for owner in config.owners)
    yield from releases_found(heard)
    yield from agreement_found(heard, terms, owners, [node.id for node in config.nodes])
    yield from clocks_found([each.clock for each in heard if each.clock is not None])
    if len(heard) == len(config.nodes):  # of some nodes nobody can tell how all are
        yield from chain_found(config.cluster_id, heard)
    yield from nodes_found(heard)


def _terms(config: Config, environ: Mapping[str, str]) -> Terms | None:
    try:
        keys = read_keys(config, environ)
    except VaultError:
        return None
    masters = MasterKeys(config.keys.master, keys.masters, os.urandom)
    return terms_of(config, KeyRing(keys.token), masters)
