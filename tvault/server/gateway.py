"""The API apart from the vault: a gateway keeps nothing, and has its writes ordered by the nodes.

It computes tokens and ciphertext itself, so it needs the token key and the master keys as a node does.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from tvault.config import Address, Config, exposure, read_keys
from tvault.errors import VaultError
from tvault.model.blocks import NONCE_BYTES
from tvault.model.keys import KeyRing, peer_credential, scraper_credential
from tvault.model.owners import OwnerTable
from tvault.model.secrets import MasterKeys
from tvault.server.client_api import ClientApi
from tvault.server.lifetime import Lifetime, Word
from tvault.server.lines import Broken, Lines, NotSent
from tvault.server.links import Peer
from tvault.server.logs import EventLine
from tvault.server.master_keys import warn_of_missing
from tvault.server.metrics import Metrics
from tvault.server.metrics_api import MetricsApi
from tvault.server.remote_engine import RemoteEngine
from tvault.server.wiring import (
    begin_process,
    expiry_of,
    limits_of,
    open_client_port,
    shown_by,
    terms_of,
    trusted_by,
    warn_of_exposure,
)

NAME = "gateway"
"""What a gateway calls itself where a node would give its name."""

STATUS_SECONDS = 2.0

_TOLD = ("view", "chain", "ensemble", "journal")

_log = logging.getLogger("tvault.gateway")


class Gateway:
    """The client API on one port, over the nodes of the configuration.  Fills `lifetime.Life`.

    Raises `VaultError` when it cannot start: a key or certificate that is missing, a port that is taken.
    """

    failure = None
    is_doubtful = False

    def __init__(self, config: Config, address: Address, tell: Callable[[Word], None]) -> None:
        why = exposure(config, address)
        if why is not None:
            raise VaultError("configuration", f"--listen: {why}")
        warn_of_exposure(config, address)
        keys = read_keys(config, os.environ)
        ring = KeyRing(keys.token)
        masters = MasterKeys(config.keys.master, keys.masters, os.urandom)
        self._metrics = Metrics(expires=expiry_of(config))
        warn_of_missing(keys.missing, self._record)
        self._tell = tell
        self._lines = Lines(
            [Peer(node.id, node.peer.url) for node in config.nodes],
            terms_of(config, ring, masters),
            peer_credential(keys.cluster),
            trusted_by(config),
        )
        app = MetricsApi(self._metrics).beside(
            self._api(config, ring, masters).app, scraper_credential(keys.cluster)
        )
        self._server = open_client_port(app, config, address, shown_by(config))
        self._address = address

    def start(self) -> None:
        """Answer clients."""
        threading.Thread(target=self._server.serve, name="client port", daemon=True).start()
        _log.info("the gateway answers on %s", self._address)

    def leave(self) -> None:
        """Nothing relies on a gateway."""
        self._tell("left")

    def note_end(self, why: str) -> None:
        """Tell people."""
        _log.info("the gateway ends: %s", why)

    def close(self) -> None:
        """End; requests in flight are still answered."""
        self._server.stop()
        self._lines.close()

    def _api(self, config: Config, ring: KeyRing, masters: MasterKeys) -> ClientApi:
        return ClientApi(
            engine=RemoteEngine(self._lines),
            keys=ring,
            masters=masters,
            fields=config.fields,
            owners=OwnerTable({owner.id: owner.api_keys for owner in config.owners}),
            limits=limits_of(config),
            status=self._status,
            nonce=partial(os.urandom, NONCE_BYTES),
            random=os.urandom,
            clock=time.monotonic,
            record=self._record,
            request_seconds=config.timing.request_timeout_ms / 1000,
            watch=self._metrics.served,
        )

    def _record(self, event: str, **details: str | float) -> None:
        """Events of a gateway go to its log."""
        _log.info(EventLine(event=event, **details))
        self._metrics.note(event, details)

    def _status(self) -> dict[str, Any]:
        """A gateway is outside the chain; the rest is what the first node that answers says of it.

        Raises `VaultError` `unavailable` when none does.
        """
        for node in self._lines.in_turn():
            try:
                status = self._lines.status(node, STATUS_SECONDS)
            except (NotSent, Broken, VaultError):
                continue
            told = msgspec.to_builtins(status)
            return {"node": NAME, "role": "outside", **{name: told[name] for name in _TOLD}}
        raise VaultError("unavailable", "No node can be reached now; try again.")


def run_gateway(config: Config, address: Address) -> int:
    """Run a gateway at `address` until SIGTERM or SIGINT ends it (0).

    Must be called by the main thread.  Raises `VaultError` when it cannot start.
    """
    begin_process(config.log, NAME)
    lifetime = Lifetime(partial(Gateway, config, address))
    lifetime.heed_signals()
    lifetime.run()
    return 0
