"""Where a backup is copied from: a running node, by its peer port, or the folder of a stopped one."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from tvault.cli.nodes import ANSWER_SECONDS, Nodes
from tvault.client.one_node import PeerPort
from tvault.config import Config, NodeConfig, read_keys
from tvault.errors import VaultError
from tvault.model.keys import KeyRing
from tvault.model.secrets import MasterKeys
from tvault.replication.entry import Entry
from tvault.server.hello import digest_of_names
from tvault.server.operator_journal import PIECE_BYTES
from tvault.server.stopped_folder import StoppedFolder
from tvault.store.backup import Manifest, Origin
from tvault.store.failures import StoreFailure
from tvault.store.ports import StoreViolation
from tvault.wire import PEER_JOURNAL, PEER_STATUS

PIECE_SECONDS = 10.0
"""How long a node may take for one piece."""

RETRY_SECONDS = 60.0
PAUSE_SECONDS = 0.5
"""A node that does not answer, or does not know yet that it has all, is asked again after a pause, for
so long."""

_PASSING = {"unreachable", "unavailable", "overloaded"}
_ROLES = ("outside", "tail", "middle", "head", "single")
"""The node with the least to do is asked."""

_entries = msgspec.msgpack.Decoder(tuple[Entry, ...])


class _Journal(msgspec.Struct):
    committed: int
    digest: str


class _Configuration(msgspec.Struct):
    fields: str
    keys: str
    masters: dict[str, str]


class Told(msgspec.Struct):
    """What is needed of a node's status."""

    role: Literal["outside", "tail", "middle", "head", "single"]
    ensemble: tuple[str, ...]
    journal: _Journal
    configuration: _Configuration


def chosen_node(nodes: Nodes, name: str | None) -> tuple[NodeConfig, Told]:
    """The node of this name, or the one that is there and has least to do; and what it says of itself,
    but with the journal of the node that knows most of it to be committed.  Raises `VaultError`."""
    found: dict[str, Told] = {}
    refusals: dict[str, VaultError] = {}
    for node, answer in nodes.ask_all(PEER_STATUS):
        if isinstance(answer, VaultError):
            refusals[node.id] = answer
            continue
        try:
            found[node.id] = msgspec.convert(answer, Told)
        except msgspec.ValidationError:
            raise VaultError("internal", f"node {node.id} says what this tvault does not know") from None
    if name is not None and nodes.config.node(name).id in refusals:
        raise refusals[name]
    if not found:
        raise VaultError("unreachable", "no node answered")
    newest = max(found.values(), key=lambda told: told.journal.committed)
    chosen = name or least_busy(found)
    return nodes.config.node(chosen), msgspec.structs.replace(found[chosen], journal=newest.journal)


def least_busy(found: Mapping[str, Told]) -> str:
    """The node that a copy disturbs least.  One outside that lacks anything comes last: it may copy the
    journal for hours itself, or have nobody to copy it from."""
    newest = max(told.journal.committed for told in found.values())

    def cost(name: str) -> tuple[bool, int]:
        told = found[name]
        lags = told.role == "outside" and told.journal.committed < newest
        return lags, _ROLES.index(told.role)

    return min(found, key=cost)


class NodeSource:
    """The journal of a running node, as far as any node knew it to be committed when this was made: so
    nothing is missing that was acknowledged before."""

    def __init__(self, nodes: Nodes, node: NodeConfig, told: Told) -> None:
        has = told.configuration
        self.name = node.id
        self.upto = told.journal.committed
        self._digest = told.journal.digest
        self.origin = Origin(
            cluster=nodes.config.cluster_id,
            node=node.id,
            ensemble=told.ensemble,
            fields=has.fields,
            token_key=has.keys,
            master_keys=has.masters,
        )
        self._nodes = nodes
        self._url = node.peer.url

    def pieces(self) -> Iterator[Sequence[Entry]]:
        """All entries up to there.  Raises `VaultError`."""
        after = 0
        with PeerPort(self._url, self._nodes.credential, PIECE_SECONDS, self._nodes.ca) as port:
            while after < self.upto:
                entries = self._piece(port, after)
                if not entries:
                    raise VaultError("internal", f"node {self.name} gave no entry after {after}")
                after = entries[-1].seq
                if after == self.upto and entries[-1].digest.hex() != self._digest:
                    raise VaultError("internal", f"node {self.name} has another journal than the others")
                yield entries

    def _piece(self, port: PeerPort, after: int) -> tuple[Entry, ...]:
        path = f"{PEER_JOURNAL}?after={after}&upto={self.upto}"
        end = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                return _entries.decode(port.get(path))
            except msgspec.DecodeError:
                raise VaultError("internal", f"node {self.name} answers what is no journal") from None
            except VaultError as error:
                if error.code not in _PASSING or time.monotonic() > end:
                    raise
            time.sleep(PAUSE_SECONDS)


class FolderSource:
    """The journal in the folder of a stopped node.  What the manifest says of keys and fields is that of
    the configuration.  Raises `VaultError`."""

    def __init__(self, config: Config, folder: Path) -> None:
        keys = read_keys(config, os.environ)
        self._opened = StoppedFolder(folder)
        try:
            self._store = self._opened.open_store()
        except (StoreFailure, StoreViolation) as failure:
            self._opened.close()
            raise VaultError("internal", f"{folder} cannot be copied: {failure}") from None
        self.name = self._opened.node or str(folder)
        self.upto = self._store.committed_hint()
        self.origin = Origin(
            cluster=config.cluster_id,
            node=self.name,
            ensemble=tuple(node.id for node in config.nodes),
            fields=digest_of_names(str(path) for path in config.fields.paths),
            token_key=KeyRing(keys.token).fingerprint(),
            master_keys=MasterKeys(config.keys.master, keys.masters, os.urandom).fingerprints(),
        )

    def pieces(self) -> Iterator[Sequence[Entry]]:
        """All entries up to there.  Raises `VaultError`."""
        after = 0
        while after < self.upto:
            try:
                entries = self._store.entries(after, PIECE_BYTES)
            except (StoreFailure, StoreViolation) as failure:
                raise VaultError("internal", f"{self.name} cannot be copied: {failure}") from None
            if not entries:
                raise VaultError("internal", f"{self.name} holds no entry after {after}")
            after = entries[-1].seq
            yield [entry for entry in entries if entry.seq <= self.upto]

    def close(self) -> None:
        """Let a node use the folder."""
        self._store.close()
        self._opened.close()


def summary(manifest: Manifest) -> str:
    """What a backup holds, in words."""
    rows = manifest.rows
    versions = f"versions of secrets {rows['versions']:,}"
    return f"entries {rows['entries']:,}, tokens {rows['tokens']:,}, {versions}"


def taken_ports(config: Config) -> list[str]:
    """The nodes on whose peer ports somebody takes connections."""

    def is_taken(node: NodeConfig) -> bool:
        with suppress(OSError):
            address = node.peer.host, node.peer.port
            socket.create_connection(address, timeout=ANSWER_SECONDS).close()
            return True
        return False

    return [node.id for node in config.nodes if is_taken(node)]
