"""An engine as a gateway sees it: behind the peer port of a node, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.unit.server.ports import listening
from tvault.engine import Engine
from tvault.model.keys import KeyRing
from tvault.server.engine_api import EngineApi
from tvault.server.engine_wire import Terms
from tvault.server.framing import make_server
from tvault.server.hello import Hello
from tvault.server.lines import Lines
from tvault.server.links import Peer
from tvault.server.peer_api import PeerApi
from tvault.server.remote_engine import RemoteEngine
from tvault.server.turns import Turns

CREDENTIAL = "5ec7e7" * 8
SECONDS = 10.0
PLACES = 4
STATUS = {
    "view": 1,
    "chain": ["n1"],
    "ensemble": ["n1"],
    "journal": {"last": 1, "committed": 1, "digest": ""},
}


def terms_of(ring: KeyRing) -> Terms:
    return Terms(
        cluster="c", fields="f", keys=ring.fingerprint(), master="m1", masters={"m1": "0123456789abcdef"}
    )


@contextmanager
def peer_port(engine: Engine, terms: Terms, refusals: list[str] | None = None) -> Iterator[Peer]:
    """A node's peer port, with nothing behind it but the engine."""
    hello = Hello(
        cluster=terms.cluster,
        ensemble=("n1",),
        fields=terms.fields,
        owners="o",
        keys=terms.keys,
        master=terms.master,
        masters=terms.masters,
        node="n1",
        incarnation="i",
        boot=1,
        life="l",
    )
    told: list[str] = [] if refusals is None else refusals
    api = PeerApi(
        hello,
        CREDENTIAL,
        deliver=lambda _: None,
        lost=lambda _: None,
        status=dict,
        refused=told.append,
        differs=lambda _: None,
        more=EngineApi(
            engine,
            terms,
            Turns(PLACES),
            status=lambda: STATUS | {"health": engine.health()},
            request_seconds=SECONDS,
            refused=told.append,
            record=lambda *_, **__: None,
        ).routes(),
    )
    with listening(make_server(api.app, "127.0.0.1", 0, PLACES + 2)) as server:
        yield Peer("n1", f"http://127.0.0.1:{server.port}")


@contextmanager
def seen_remotely(engine: Engine, ring: KeyRing) -> Iterator[RemoteEngine]:
    """The engine over one node's peer port."""
    terms = terms_of(ring)
    with peer_port(engine, terms) as peer:
        yield RemoteEngine(Lines([peer], terms, CREDENTIAL, None))
