"""One node, wired: configuration, folder, replica, ports.  The only place that knows all parts."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from tvault.config import Config, read_keys
from tvault.events import EVENTS, EventLog, Room
from tvault.model.blocks import NONCE_BYTES
from tvault.model.commands import SecretVersion
from tvault.model.keys import KeyRing, peer_credential, scraper_credential
from tvault.model.owners import OwnerTable
from tvault.model.rules import Judge
from tvault.model.rules import Limits as MintLimits
from tvault.model.secrets import MasterKeys
from tvault.replication.ready import Timing
from tvault.replication.recovery import Identity
from tvault.server.chain_engine import ChainEngine
from tvault.server.client_api import ClientApi
from tvault.server.engine_api import EngineApi
from tvault.server.folder import DataFolder, Opened
from tvault.server.framing import Server, make_server
from tvault.server.gauges import Gauges, Sources
from tvault.server.hello import Hello, digest_of_names
from tvault.server.lifetime import Lifetime
from tvault.server.links import Link, Peer, PeerLinks
from tvault.server.master_keys import tried, warn_of_missing
from tvault.server.metrics import NodeMetrics
from tvault.server.metrics_api import MetricsApi
from tvault.server.node import Node, Told
from tvault.server.operator_events import EventsApi
from tvault.server.operator_journal import JournalApi
from tvault.server.operator_state import StateApi
from tvault.server.operator_verify import VerifyApi
from tvault.server.peer_api import STREAMS_A_PEER, Handler, PeerApi
from tvault.server.status import Status
from tvault.server.turns import Turns
from tvault.server.web import Web
from tvault.server.wiring import (
    SPARE_THREADS,
    begin_process,
    expiry_of,
    limits_of,
    open_client_port,
    shown_by,
    terms_of,
    trusted_by,
    warn_of_exposure,
)
from tvault.store.checking import JournalCheck
from tvault.store.failures import JournalDamaged
from tvault.wire import METRICS

WAITING_QUESTIONS = 16
"""Questions of gateways that wait for their turn on a node, at most."""

_log = logging.getLogger("tvault.serve")


class RunningNode:
    """All parts of one node.  Raises `VaultError` when it cannot start; then nothing is left open.

    Fills `lifetime.Life`; `tell` is called by the node's thread, and `answering` once clients are
    answered.
    """

    def __init__(
        self, config: Config, node_id: str, answering: Callable[[], None], tell: Callable[[Told], None]
    ) -> None:
        self._config = config
        self._me = config.node(node_id)
        self._answering = answering
        self._tell = tell
        keys = read_keys(config, os.environ)
        self._ring = KeyRing(keys.token)
        self._masters = MasterKeys(config.keys.master, keys.masters, os.urandom)
        self._missing = keys.missing
        self._credential = peer_credential(keys.cluster)
        self._scraper = scraper_credential(keys.cluster)
        self._shown, self._trusted = shown_by(config), trusted_by(config)
        self._metrics = NodeMetrics(EVENTS, expiry_of(config))
        self._folder = DataFolder(self._me.data)
        self._why: str | None = None
        self._undo: list[Callable[[], None]] = [self._folder.close]
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def failure(self) -> str | None:
        """Why it has stopped by itself."""
        return self._node.failure

    @property
    def is_doubtful(self) -> bool:
        """Whether that is because its files are not to be trusted."""
        return self._node.is_doubtful

    def start(self) -> None:
        """Take part in the cluster and answer clients."""
        self._serve(self._peer_server, "peer port")
        self._links.start()
        self._undo.append(self._links.stop)
        self._node.start(self._links)
        self._undo.append(self._node.stop)
        check = JournalCheck(self._store, self._events.record, self._node.note_damage)
        check.start()
        self._undo.append(check.stop)
        self._serve(self._api_server, "client port")
        self._undo.append(self._api_server.stop)
        self._events.record("start", api=str(self._me.api), peer=str(self._me.peer))
        _log.info("node %s answers on %s", self._me.id, self._me.api)
        self._answering()

    def leave(self) -> None:
        """Hand over what relies on this node; `left` is told once nothing does."""
        self._node.leave()

    def note_end(self, why: str) -> None:
        """Tell people why it ends, once it has."""
        self._why = why

    def _end_events(self) -> None:
        if self._why is not None:
            self._events.record("stop", why=self._why)
        self._events.close()

    def close(self) -> None:
        """End in the reverse order of the start: the client port first, the peer port last."""
        while self._undo:
            self._undo.pop()()

    def _open(self) -> None:
        config, me = self._config, self._me
        room = Room(config.log.events_bytes, config.log.events_files)
        self._events = EventLog(me.data, me.id, room, tap=self._metrics.note)
        self._undo.append(self._end_events)
        ensemble = tuple(node.id for node in config.nodes)
        identity = Identity(config.cluster_id, ensemble, me.id, self._ring.fingerprint())
        opened = self._folder.open(identity, config.store.cache_mib)
        self._undo += (opened.promise_file.close, opened.store.close)
        self._note_recovery(opened)
        self._try_masters(opened)
        owners = {owner.id: owner.api_keys for owner in config.owners}
        timing = Timing(config.timing.heartbeat_ms, config.timing.suspect_ms)
        limits = config.limits
        mint_limits = MintLimits.for_requests(
            values=limits.values_per_request,
            body_bytes=limits.body_bytes,
            value_bytes=limits.value_bytes,
        )
        judge = Judge(opened.store, owners, mint_limits, clock=_wall_clock)
        self._store = opened.store
        self._node = Node(opened, timing, judge, self._events, self._tell)
        self._engine = ChainEngine(self._node, self._store)
        hello = self._hello(opened)
        self._status = Status(
            node=self._node,
            store=self._store,
            hello=hello,
            folder=me.data,
            set_aside=opened.last_set_aside,
            missing=tuple(self._missing),
            lost=lambda: self._events.lost,
            clock=_wall_clock,
        )
        peers = self._open_peer_port(hello)
        web = self._open_client_port(OwnerTable(owners))
        self._metrics.add(Gauges(self._sources(peers, web)))

    def _open_client_port(self, owners: OwnerTable) -> Web:
        config = self._config
        api = ClientApi(
            engine=self._engine,
            keys=self._ring,
            masters=self._masters,
            fields=config.fields,
            owners=owners,
            limits=limits_of(config),
            status=self._status.for_clients,
            nonce=partial(os.urandom, NONCE_BYTES),
            random=os.urandom,
            clock=time.monotonic,
            record=self._events.record,
            request_seconds=config.timing.request_timeout_ms / 1000,
            watch=self._metrics.served,
        )
        self._api_server = open_client_port(api.app, config, self._me.api, self._shown)
        self._undo += (api.refusals.flush, self._api_server.stop)
        return api.app

    def _hello(self, opened: Opened) -> Hello:
        config = self._config
        return Hello(
            cluster=config.cluster_id,
            ensemble=opened.promise.ensemble,
            fields=digest_of_names(str(path) for path in config.fields.paths),
            owners=digest_of_names(owner.id for owner in config.owners),
            keys=self._ring.fingerprint(),
            master=self._masters.active,
            masters=self._masters.fingerprints(),
            node=self._me.id,
            incarnation=opened.promise.incarnation,
            boot=opened.promise.boot,
            life=opened.promise.life,
        )

    def _open_peer_port(self, hello: Hello) -> PeerApi:
        config = self._config
        api = PeerApi(
            hello,
            self._credential,
            deliver=self._node.deliver,
            lost=self._note_lost_stream,
            status=self._status.for_operators,
            refused=self._note_refusal,
            differs=self._note_other_owners,
            more=EngineApi(
                self._engine,
                terms_of(config, self._ring, self._masters),
                Turns(config.limits.requests_at_once, WAITING_QUESTIONS),
                status=self._status.for_operators,
                request_seconds=config.timing.request_timeout_ms / 1000,
                refused=self._note_refusal,
                record=self._events.record,
            ).routes()
            | MetricsApi(self._metrics).routes()
            | EventsApi(self._me.data).routes()
            | self._inspections(),
            weaker={METRICS: self._scraper},
        )
        others = [node for node in config.nodes if node.id != self._me.id]
        address = self._me.peer
        questions = config.limits.requests_at_once + WAITING_QUESTIONS
        threads = STREAMS_A_PEER * len(others) + questions + SPARE_THREADS
        self._peer_server = make_server(api.app, address.host, address.port, threads, self._shown)
        self._peer_server.prepare()
        self._undo += (self._peer_server.stop, api.stop)
        self._links = PeerLinks(
            {
                node.id: Link(
                    Peer(node.id, node.peer.url),
                    hello,
                    self._credential,
                    lost=partial(self._node.link_lost, node.id),
                    gone=partial(self._node.unreachable, node.id),
                    refused=self._note_refusal,
                    trusted=self._trusted,
                )
                for node in others
            }
        )
        return api

    def _inspections(self) -> dict[str, tuple[str, Handler]]:
        """What operators may have counted, checked and copied."""
        node, owners = self._node, [owner.id for owner in self._config.owners]
        state = StateApi(
            self._store,
            owners,
            self._me.data,
            committed=lambda: node.committed,
            doubt=node.note_damage,
        )
        verify = VerifyApi(
            self._store,
            committed=lambda: node.committed,
            doubt=node.note_damage,
            record=self._events.record,
        )
        self._undo.append(verify.stop)
        journal = JournalApi(self._store, committed=lambda: node.committed, doubt=node.note_damage)
        return state.routes() | verify.routes() | journal.routes()

    def _sources(self, peers: PeerApi, web: Web) -> Sources:
        return Sources(
            cluster=self._config.cluster_id,
            ensemble=len(self._config.nodes),
            folder=self._me.data,
            node=self._node,
            store=self._store,
            crowd=lambda: web.crowd,
            peers=lambda: peers.account,
            lost=lambda: self._events.lost,
        )

    def _serve(self, server: Server, name: str) -> None:
        threading.Thread(target=server.serve, name=name, daemon=True).start()

    def _note_lost_stream(self, node: str) -> None:
        """The stream from a node has ended: what it was to answer is lost, perhaps so is the node."""
        self._node.link_lost(node)
        self._links.doubt(node)

    def _note_other_owners(self, node: str) -> None:
        _log.warning("node %s has other owners than node %s", node, self._me.id)
        self._events.record("owners-differ", peer=node)

    def _note_recovery(self, opened: Opened) -> None:
        promise, last = opened.promise, opened.store.last()
        if opened.set_aside is not None:
            _log.warning("files of %s are set aside: %s", self._me.id, opened.set_aside)
            self._events.record("set-aside", why=opened.set_aside)
        self._events.record(
            "recovery",
            last=last.seq,
            committed=opened.store.committed_hint(),
            promised=promise.promised,
            standing=promise.standing.name.lower(),
            incarnation=promise.incarnation,
            boot=promise.boot,
        )

    def _try_masters(self, opened: Opened) -> None:
        """Leave out, and tell of, the master keys that do not open what this node holds."""
        samples: Sequence[SecretVersion] = ()
        with suppress(JournalDamaged):  # that is found again, and repaired, once the node runs
            samples = opened.store.sample_secrets()
        self._masters, wrong = tried(self._masters, samples)
        self._missing = {**wrong, **self._missing}
        warn_of_missing(self._missing, self._events.record)

    def _note_refusal(self, why: str) -> None:
        _log.warning("%s", why)
        self._events.record("peer-refused", why=why)


def _wall_clock() -> int:
    """The time in microseconds since 1970 (UTC), as this machine has it."""
    return time.time_ns() // 1000


def run_node(config: Config, node_id: str, answering: Callable[[], None]) -> int:
    """Run one node until SIGTERM or SIGINT ends it (0), or it must stop by itself (1).  `answering` is
    called once it answers clients, and again when it has begun anew.

    Asked to end, it hands over what relies on it first; asked twice, it goes at once.  When its files
    turn out not to be trustworthy it sets them aside and begins anew, by itself.

    Must be called by the main thread.  Raises `VaultError` when it cannot start: an unknown node, a
    folder or a port that cannot be used, a key that is missing.
    """
    begin_process(config.log, node_id)
    me = config.node(node_id)
    warn_of_exposure(config, me.api, me.peer)
    lifetime = Lifetime(partial(RunningNode, config, node_id, answering))
    lifetime.heed_signals()
    lifetime.run()
    return 0
