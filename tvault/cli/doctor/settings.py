"""What `tvault.toml` says, beyond what refuses to be loaded."""

from __future__ import annotations

from collections.abc import Iterator

from tvault.cli.doctor.findings import Finding
from tvault.config import Config

SOUND_TIMES = 5
"""A chain that is suspected after fewer heartbeats than these is formed anew for nothing."""

FAILOVERS = 2
"""A request that meets the end of a node waits for the suspicion and for the next view."""


def settings_found(config: Config) -> Iterator[Finding]:
    """The configuration as a whole, its timing and its owners."""
    sizes = (
        _count(len(config.nodes), "node"),
        _count(len(config.owners), "owner"),
        _count(len(config.fields.paths), "field"),
    )
    yield Finding("configuration", "", "ok", f"{config.path}: {', '.join(sizes)}")
    yield _timing(config)
    yield _owners(config)


def exposure_found(config: Config) -> Finding:
    """Who can read what is sent to the ports.  (Unless it is allowed, the configuration is refused.)"""
    addresses = [each for node in config.nodes for each in (node.api, node.peer)]
    exposed = [str(each) for each in addresses if not each.is_loopback]
    if config.tls.is_on:
        return Finding("exposure", "", "ok", "both ports of each node speak TLS alone")
    if not exposed:
        return Finding("exposure", "", "ok", "no TLS, and all ports are on loopback")
    found = f"no TLS on {', '.join(exposed)}: values and API keys can be read on the way"
    return Finding("exposure", "", "warning", found, "set 'certificate' and 'key' in [tls]")


def _timing(config: Config) -> Finding:
    timing = config.timing
    beats = timing.suspect_ms / timing.heartbeat_ms
    told = f"suspect_ms is {timing.suspect_ms}, {beats:.0f} times heartbeat_ms"
    if beats < SOUND_TIMES:
        advice = f"a busy machine is suspected for nothing: at least {SOUND_TIMES} times is better"
        return Finding("timing", "", "warning", told, advice)
    if timing.request_timeout_ms < FAILOVERS * timing.suspect_ms:
        found = f"request_timeout_ms is {timing.request_timeout_ms}, suspect_ms {timing.suspect_ms}"
        advice = f"requests fail when a node does: at least {FAILOVERS} times suspect_ms is better"
        return Finding("timing", "", "warning", found, advice)
    return Finding("timing", "", "ok", told)


def _owners(config: Config) -> Finding:
    without = [owner.id for owner in config.owners if not owner.api_keys]
    if without:
        found = f"no API key acts for {', '.join(without)}"
        return Finding("owners", "", "warning", found, "make one with tvault key new --owner NAME")
    keys = sum(len(owner.api_keys) for owner in config.owners)
    found = f"{_count(keys, 'API key')} of {_count(len(config.owners), 'owner')}"
    return Finding("owners", "", "ok", found)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
