"""The ports of a node on this machine: free, its own, or somebody else's."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from tvault.cli.doctor.findings import Finding
from tvault.config import Address, NodeConfig

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"

State = Literal["free", "taken", "elsewhere", "denied", "unknown"]

_STATES: dict[int, State] = {
    errno.EADDRINUSE: "taken",
    errno.EADDRNOTAVAIL: "elsewhere",
    errno.EACCES: "denied",
}


class Holder(NamedTuple):
    """A process that listens."""

    process: int
    name: str

    def __str__(self) -> str:
        return f"process {self.process} ({self.name})"


def is_here(node: NodeConfig) -> bool:
    """Whether the node belongs on this machine: whether its peer port's address is one of it."""
    return state_of(Address(node.peer.host, 0)) == "free"


def elsewhere_found(node: NodeConfig) -> Finding:
    """What can be told of the ports of a node that is not here."""
    host = node.peer.host
    if state_of(Address(host, 0)) == "unknown":
        advice = "check the name, and the name service: the nodes must find each other"
        return Finding("ports", node.id, "warning", f"{host} cannot be resolved here", advice)
    found = f"{host} is no address of this machine: run tvault doctor where it is"
    return Finding("ports", node.id, "ok", found)


def ports_found(node: NodeConfig, *, is_running: bool, ephemeral: Path = EPHEMERAL) -> Iterator[Finding]:
    """Both ports; `is_running`: the node answers on its peer port, or has its folder in use."""
    for name, address in (("api", node.api), ("peer", node.peer)):
        yield _found(node.id, name, address, is_running=is_running, ephemeral=ephemeral)


def _found(about: str, name: str, address: Address, *, is_running: bool, ephemeral: Path) -> Finding:
    port = f"{name} {address}"
    match state_of(address):
        case "taken" if is_running:
            return Finding("ports", about, "ok", f"{port} is the running node's")
        case "taken":
            holder = holder_of(address.port)
            found = f"{port} is taken by {holder or 'another process'}"
            return Finding("ports", about, "failed", found, "end it, or give the node another port")
        case "denied":
            found = f"{port} is for privileged processes alone"
            return Finding("ports", about, "failed", found, "take a port from 1024 on")
        case "elsewhere":
            found = f"{port} is no address of this machine, as its other port is"
            return Finding("ports", about, "failed", found, "name an address at which others reach it")
        case "unknown":
            found = f"{port} cannot be resolved or bound"
            return Finding("ports", about, "failed", found, "check the name, and the name service")
    if is_running:
        found = f"the node runs, but not on {port}"
        return Finding("ports", about, "warning", found, "restart it: its configuration was another")
    if (bounds := _bounds_of(ephemeral)) and bounds[0] <= address.port <= bounds[1]:
        found = f"{port} is free, but one of those that connections are given ({bounds[0]}-{bounds[1]})"
        advice = "a connection may hold it when the node starts: take one outside"
        return Finding("ports", about, "warning", found, advice)
    return Finding("ports", about, "ok", f"{port} is free")


def state_of(address: Address) -> State:
    """What would become of a node that listens there now."""
    try:
        kind, _, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        return _STATES.get(error.errno or 0, "unknown")
    return "free"


def holder_of(port: int) -> Holder | None:
    """The process that listens at a port, if this user may know it."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for folder in Path("/proc").glob("[0-9]*") if sockets else ():
        with suppress(OSError):
            for handle in (folder / "fd").iterdir():
                with suppress(OSError):
                    if str(handle.readlink()) in sockets:
                        name = (folder / "comm").read_text(encoding="utf-8", errors="replace")
                        return Holder(int(folder.name), name.strip())
    return None


def _listening(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen at a port."""
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                    yield words[9]


def _bounds_of(ephemeral: Path) -> tuple[int, int] | None:
    with suppress(OSError, ValueError):
        low, high = ephemeral.read_text(encoding="ascii").split()
        return int(low), int(high)
    return None
