"""Streams between nodes: who is gone is noticed at once, and both sides say why they do not talk."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.certificates import Files
from tests.unit.server.one_node import eventually
from tests.unit.server.test_peer_port import SECRET, hello_of
from tvault.replication import codec
from tvault.replication.messages import Envelope, Proposal
from tvault.server.framing import make_server
from tvault.server.hello import HEADER, Hello, digest_of_names, encode_hello
from tvault.server.links import LENGTH, PAUSE_SECONDS, QUEUE_BYTES, Link, Peer
from tvault.server.peer_api import PeerApi
from tvault.server.tls import accepting
from tvault.trust import verifying
from tvault.wire import PEER_STREAM

NOTICED_SECONDS = 0.5
"""Far less than what a node would have to be silent."""


@dataclass
class Side:
    """One of two nodes: its port, its link to the other, and what it tells; over TLS with `files`."""

    hello: Hello
    secret: str = SECRET
    files: Files | None = None
    url: str = ""
    delivered: list[Envelope] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    gone_at: list[float] = field(default_factory=list)
    may_deliver: threading.Event = field(default_factory=threading.Event)

    def deliver(self, envelope: Envelope) -> None:
        self.may_deliver.wait(10)
        self.delivered.append(envelope)

    def link(self, to: Side) -> Link:
        """A link that reports here."""
        return Link(
            Peer(to.hello.node, to.url),
            self.hello,
            self.secret,
            lost=lambda: self.lost.append(to.hello.node),
            gone=lambda: self.gone_at.append(time.monotonic()),
            refused=self.refusals.append,
            trusted=verifying(self.files.ca) if self.files else None,
        )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Answer at the port that `url` names, or at any."""
        api = PeerApi(
            self.hello,
            self.secret,
            deliver=self.deliver,
            lost=self.lost.append,
            status=dict,
            refused=self.refusals.append,
            differs=self.differing.append,
        )
        port = int(self.url.rsplit(":", 1)[1]) if self.url else 0
        tls = accepting(self.files.certificate, self.files.key) if self.files else None
        server = make_server(api.app, "127.0.0.1", port, 4, tls)
        server.expiration_interval = 0.02
        server.prepare()
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.port}"
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield
        finally:
            self.may_deliver.set()
            api.stop()
            server.stop()
            thread.join()


def proposed_by(me: Hello, number: int, size: int) -> Envelope:
    """A message of a node, with a body of `size` bytes of which any four neighbours differ."""
    command = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    return Envelope(me.node, me.incarnation, me.boot, me.life, 1, Proposal(number, command, "a life"))


def say(link: Link, frame: bytes = b"") -> bool:
    """Send a frame, as the node's thread does."""
    is_sent = link.send(frame)
    link.flush()
    return is_sent


@contextmanager
def linked(link: Link) -> Iterator[Link]:
    link.start()
    try:
        yield link
    finally:
        link.stop()


OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"keys": "4567"}, "token key"),
    ({"master": "m2"}, "active master key"),
    ({"masters": {"m0": "2" * 16, "m1": "1" * 16}}, "another key under the master key id 'm1'"),
    ({"ensemble": ("n1", "n2", "n3")}, "ensemble"),
    ({"fields": digest_of_names(["mrn"])}, "field list"),
    ({"cluster": "other"}, "cluster"),
]


@pytest.mark.parametrize(("changes", "named"), OTHERS, ids=[named for _, named in OTHERS])
def test_a_node_with_another_configuration_is_refused_by_name_on_both_sides(
    changes: dict[str, Any], named: str
) -> None:
    first, second = Side(hello_of("n1")), Side(hello_of("n2", **changes))
    with first.listening(), second.listening():
        with linked(first.link(second)), linked(second.link(first)):
            eventually(lambda: len(first.refusals) >= 2 and len(second.refusals) >= 2)
            told = len(first.refusals) + len(second.refusals)
            threading.Event().wait(2 * PAUSE_SECONDS[1])
        assert len(first.refusals) + len(second.refusals) == told, "told once, not at each try"
    for refusals in (first.refusals, second.refusals):
        assert all(named in why and "n1" in why and "n2" in why for why in refusals)
    assert first.delivered == second.delivered == []


def test_a_node_with_another_cluster_secret_is_refused_on_both_sides_by_the_name_that_it_claims() -> (
    None
):
    first, second = Side(hello_of("n1")), Side(hello_of("n2"), secret="cd" * 32)
    with ExitStack() as stack:
        stack.enter_context(first.listening())
        stack.enter_context(second.listening())
        stack.enter_context(linked(first.link(second)))
        stack.enter_context(linked(second.link(first)))
        eventually(lambda: len(first.refusals) >= 2 and len(second.refusals) >= 2)
    for refusals in (first.refusals, second.refusals):
        assert all("another cluster secret" in why and "n1" in why and "n2" in why for why in refusals)
        assert any("who says to be node" in why for why in refusals)
        assert not any(SECRET in why or "cd" * 32 in why for why in refusals)


def test_other_owners_are_told_once_and_keep_nobody_out() -> None:
    first = Side(hello_of("n1"))
    second = Side(hello_of("n2", owners=digest_of_names(["A", "B", "C"])))
    with first.listening():
        for _ in range(2):
            link = second.link(first)
            with linked(link):
                eventually(lambda link=link: say(link))  # type: ignore[misc]
    assert (first.differing, first.refusals, second.refusals) == (["n2"], [], [])


def test_a_peer_whose_process_ends_is_noticed_at_once_and_again_until_it_is_back() -> None:
    first, second = Side(hello_of("n1")), Side(hello_of("n2"))
    with first.listening():
        link = second.link(first)
        link.start()
        eventually(lambda: say(link))
    ended = time.monotonic()

    def is_told_thrice() -> bool:
        say(link)  # as heartbeats are
        return len(second.gone_at) >= 3

    eventually(is_told_thrice)
    assert second.gone_at[0] - ended < NOTICED_SECONDS
    assert all(b - a < 1 for a, b in zip(second.gone_at, second.gone_at[1:], strict=False))
    with first.listening():
        eventually(lambda: say(link))
        link.stop()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)


def forward(listener: socket.socket, port: int, kept: list[socket.socket]) -> None:
    """Pass connections on to a port, and keep them open when nobody listens any more."""
    with suppress(OSError):
        while True:
            near, far = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
            kept += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pump, args=pair, daemon=True).start()


def test_a_doubted_peer_is_found_gone_though_its_connections_stand_and_nothing_is_to_be_sent() -> None:
    first, second = Side(hello_of("n1")), Side(hello_of("n2"))
    kept: list[socket.socket] = []
    with first.listening(), socket.create_server(("127.0.0.1", 0)) as front:
        port = int(first.url.rsplit(":", 1)[1])
        forwarder = threading.Thread(target=forward, args=(front, port, kept))
        forwarder.start()
        first.url = f"http://127.0.0.1:{front.getsockname()[1]}"
        with linked(second.link(first)) as link:
            eventually(lambda: say(link))
            front.shutdown(socket.SHUT_RDWR)
            front.close()
            forwarder.join()
            assert second.gone_at == []
            link.doubt()
            doubted = time.monotonic()
            eventually(lambda: bool(second.gone_at))
            assert second.gone_at[0] - doubted < NOTICED_SECONDS
        for connection in kept:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def test_a_peer_that_takes_nothing_ends_the_stream_before_the_memory_is_full() -> None:
    first, second = Side(hello_of("n1")), Side(hello_of("n2"))
    with first.listening():
        link = second.link(first)
        with linked(link):
            eventually(lambda: say(link))
            frame = bytes(4 * 1024 * 1024)
            sent = 0
            while say(link, frame):
                sent += len(frame)
                assert sent <= 4 * QUEUE_BYTES, "nothing stops the queue"
            assert not say(link), "what comes after a gap is not sent either"
            first.may_deliver.set()
            eventually(lambda: "n1" in second.lost)
            eventually(lambda: say(link))


def test_what_the_wire_does_not_take_at_once_arrives_whole_and_in_order() -> None:
    first, second = Side(hello_of("n1")), Side(hello_of("n2"))
    sizes = [10, 5 * 2**20, 0, 3 * 2**20, *([100] * 50), 2**20, 7]
    envelopes = [proposed_by(second.hello, number, size) for number, size in enumerate(sizes)]
    with first.listening(), linked(second.link(first)) as link:
        eventually(lambda: say(link))
        for envelope in envelopes:
            assert say(link, codec.encode(envelope))
        first.may_deliver.set()
        eventually(lambda: len(first.delivered) == len(envelopes))
    assert first.delivered == envelopes


def test_what_was_sent_before_a_link_ends_arrives() -> None:
    first, second = Side(hello_of("n1")), Side(hello_of("n2"))
    envelope = proposed_by(second.hello, 1, 8 * 2**20)
    with first.listening():
        first.may_deliver.set()
        with linked(second.link(first)) as link:
            eventually(lambda: say(link))
            assert link.send(codec.encode(envelope))
        eventually(lambda: bool(first.delivered))
    assert first.delivered == [envelope]


def test_a_port_closes_at_once_though_a_peer_stands_still_in_the_middle_of_a_frame() -> None:
    first = Side(hello_of("n1"))
    with socket.socket() as still:
        with first.listening():
            still.connect(("127.0.0.1", int(first.url.rsplit(":", 1)[1])))
            head = f"POST {PEER_STREAM} HTTP/1.1\r\nHost: n1\r\nAuthorization: Bearer {SECRET}\r\n"
            head += f"{HEADER}: {encode_hello(hello_of('n2'))}\r\nTransfer-Encoding: chunked\r\n\r\n"
            still.sendall(head.encode() + b"64\r\n" + LENGTH.pack(96))
            eventually(lambda: first.lost == ["n2"])
            began = time.monotonic()
        assert time.monotonic() - began < 5
