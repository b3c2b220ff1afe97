"""What a node and a gateway make of the configuration in the same way."""

from __future__ import annotations

import faulthandler
import logging
import ssl
import sys
from collections.abc import Callable
from typing import Any

from tvault.config import Address, Config, LogConfig, judge_private
from tvault.model.keys import KeyRing
from tvault.model.secrets import MasterKeys
from tvault.server.allocator import keep_memory_small
from tvault.server.engine_wire import Terms
from tvault.server.framing import Server, make_server
from tvault.server.hello import digest_of_names
from tvault.server.intake import READING_REQUESTS, WAITING_BODIES
from tvault.server.logs import begin_logs
from tvault.server.tls import KEY, accepting, expires_at
from tvault.server.turns import WAITING_REQUESTS
from tvault.trust import verifying
from tvault.wire import Limits

SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter while others wait: the node's thread must not wait long
behind requests that are being decoded."""

SPARE_THREADS = 8

_log = logging.getLogger("tvault.serve")


def begin_process(log: LogConfig, name: str) -> None:
    """What a process that serves does first: how threads take turns, memory is kept, logs written."""
    sys.setswitchinterval(SWITCH_SECONDS)
    keep_memory_small()
    # A mapped file that cannot be read ends the process: where, at least, of more threads than it shows.
    faulthandler.enable(all_threads=False)
    begin_logs(log.format, log.level, name)


def limits_of(config: Config) -> Limits:
    """The limits that refusals name."""
    limits = config.limits
    return Limits(
        values_per_request=limits.values_per_request,
        body_bytes=limits.body_bytes,
        value_bytes=limits.value_bytes,
        secret_bytes=limits.secret_bytes,
        lookups_per_request=limits.lookups_per_request,
        requests_at_once=limits.requests_at_once,
    )


def shown_by(config: Config) -> ssl.SSLContext | None:
    """What ports show of themselves over TLS, or None when they speak plain HTTP.

    Raises `VaultError` that names the setting and the file which does not do.
    """
    certificate, key = config.tls.certificate, config.tls.key
    if certificate is None or key is None:
        return None
    judge_private(key, KEY)
    return accepting(certificate, key)


def expiry_of(config: Config) -> float | None:
    """When what ports show of themselves expires, in seconds since 1970; None without TLS.  Raises
    `VaultError` as `shown_by` does."""
    certificate = config.tls.certificate
    return None if certificate is None else expires_at(certificate).timestamp()


def trusted_by(config: Config) -> ssl.SSLContext | None:
    """What peer ports are verified with, or None when they speak plain HTTP.  Raises `VaultError`."""
    return verifying(config.tls.ca, "[tls] ca") if config.tls.is_on else None


def warn_of_exposure(config: Config, *addresses: Address) -> None:
    """Say in the log which addresses others can listen in on, because the configuration allows it."""
    exposed = [str(address) for address in addresses if not address.is_loopback]
    if exposed and not config.tls.is_on:
        why = "by [tls] insecure = true: what is sent there can be read on the way"
        _log.warning("no TLS on %s, %s", " and ".join(exposed), why)


def terms_of(config: Config, ring: KeyRing, masters: MasterKeys) -> Terms:
    """What gateways and nodes must have in common."""
    return Terms(
        cluster=config.cluster_id,
        fields=digest_of_names(str(path) for path in config.fields.paths),
        keys=ring.fingerprint(),
        master=masters.active,
        masters=masters.fingerprints(),
    )


def open_client_port(
    app: Callable[..., Any], config: Config, address: Address, shown: ssl.SSLContext | None
) -> Server:
    """The port for clients, bound and listening; it serves once it is told to."""
    waiting = WAITING_REQUESTS + READING_REQUESTS + WAITING_BODIES
    threads = config.limits.requests_at_once + waiting + SPARE_THREADS
    server = make_server(app, address.host, address.port, threads, shown)
    server.prepare()
    return server
