"""What a configuration is, once it has been read and judged."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import msgspec

from tvault.errors import VaultError
from tvault.model.fields import Fields


class Address(msgspec.Struct, frozen=True):
    """Where a server listens and where others reach it, over TLS if it is `secure`."""

    host: str
    port: int
    secure: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a base URL, without a slash at its end."""
        return f"{'https' if self.secure else 'http'}://{self}"

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent to it stays on the machine.  Of names only `localhost` is known to."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


class KeyReference(msgspec.Struct, frozen=True):
    """Where 32 or more bytes of key material come from: a file, or an environment variable.

    Exactly one of `file` (absolute) and `variable` is set.  `setting` is its name in the file.
    """

    setting: str
    file: Path | None = None
    variable: str | None = None


class KeyReferences(msgspec.Struct, frozen=True):
    """The references of section `[keys]`."""

    token: KeyReference
    cluster: KeyReference
    master: str
    """The id of the active master key."""


class MasterKeyConfig(msgspec.Struct, frozen=True):
    """A master key: its id, which sealed secrets keep, and where it comes from."""

    id: str
    key: KeyReference


class NodeConfig(msgspec.Struct, frozen=True):
    """One node: its name, its two addresses and the one folder (absolute) that holds its state."""

    id: str
    api: Address
    peer: Address
    data: Path


class OwnerConfig(msgspec.Struct, frozen=True):
    """An owner and the hashes (`sha256:` and 64 hex digits) of its API keys."""

    id: str
    api_keys: tuple[str, ...]


class Limits(msgspec.Struct, frozen=True):
    """What a node accepts."""

    values_per_request: int
    body_bytes: int
    value_bytes: int
    secret_bytes: int
    lookups_per_request: int
    requests_at_once: int


class Timing(msgspec.Struct, frozen=True):
    """Intervals in milliseconds."""

    heartbeat_ms: int
    suspect_ms: int
    request_timeout_ms: int


class StoreConfig(msgspec.Struct, frozen=True):
    """What a node's database may use."""

    cache_mib: int


class LogConfig(msgspec.Struct, frozen=True):
    """What may be kept of the event log, and how the other log is written."""

    events_mib: int
    events_files: int
    format: str
    level: str

    @property
    def events_bytes(self) -> int:
        """When a file of the event log is full."""
        return self.events_mib << 20


class Tls(msgspec.Struct, frozen=True):
    """What a node shows of itself, and what its peers and the command line verify it with.

    `certificate` and `key` are both set or both None; without a `ca` the system's store holds.
    `insecure` allows addresses that are not loopback without a certificate.
    """

    certificate: Path | None
    key: Path | None
    ca: Path | None
    insecure: bool

    @property
    def is_on(self) -> bool:
        """Whether ports speak TLS, and nothing else."""
        return self.certificate is not None


class Config(msgspec.Struct, frozen=True):
    """The whole of one `tvault.toml`.  Paths in it are absolute; no key material is in it."""

    path: Path
    cluster_id: str
    fields: Fields
    keys: KeyReferences
    master_keys: tuple[MasterKeyConfig, ...]
    tls: Tls
    nodes: tuple[NodeConfig, ...]
    owners: tuple[OwnerConfig, ...]
    limits: Limits
    timing: Timing
    store: StoreConfig
    log: LogConfig

    def node(self, node_id: str) -> NodeConfig:
        """The node of this name.  Raises `VaultError` (`configuration`) naming those that exist."""
        for node in self.nodes:
            if node.id == node_id:
                return node
        names = ", ".join(node.id for node in self.nodes)
        raise VaultError("configuration", f"{self.path} has no node {node_id!r}; its nodes are {names}")
