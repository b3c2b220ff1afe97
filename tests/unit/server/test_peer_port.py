"""The peer port: for nodes of this cluster alone, and deaf to garbage."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import requests

from tests.unit.server.one_node import eventually
from tests.unit.server.serving import read_all
from tvault.errors import VaultError
from tvault.replication import codec
from tvault.replication.codec import FORMAT
from tvault.replication.messages import (
    Confirm,
    Envelope,
    Message,
)
from tvault.server.frames import FRAME_BYTES, read_frame
from tvault.server.framing import FramingError, Server, make_server
from tvault.server.hello import HEADER, Hello, decode_hello, digest_of_names, encode_hello
from tvault.server.links import LENGTH, Link, Peer
from tvault.server.peer_api import STRANGERS, PeerApi
from tvault.wire import PEER_HELLO, PEER_STATUS, PEER_STREAM

SECRET = "ab" * 32


def hello_of(node: str, **changes: Any) -> Hello:
    fields: dict[str, Any] = {
        "cluster": "c",
        "ensemble": ("n1", "n2"),
        "fields": digest_of_names(["ssn"]),
        "keys": "0123",
        "master": "m1",
        "masters": {"m1": "0" * 16},
        "node": node,
        "incarnation": f"life of {node}",
        "boot": 3,
        "life": "a",
        "owners": digest_of_names(["alice"]),
    }
    return Hello(**(fields | changes))


@dataclass
class Port:
    """Node n1's peer port on a real socket, and what it let in."""

    url: str = ""
    api: PeerApi = field(init=False)
    delivered: list[Envelope] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.url.rsplit(":", 1)[1])

    def deliver(self, envelope: Envelope) -> None:
        self.delivered.append(envelope)
        self.arrived.set()


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    api = PeerApi(
        hello_of("n1"),
        SECRET,
        deliver=port.deliver,
        lost=port.lost.append,
        status=lambda: {"node": "n1"},
        refused=port.refusals.append,
        differs=port.differing.append,
    )
    server: Server = make_server(api.app, "127.0.0.1", 0, 4)
    server.expiration_interval = 0.02
    server.prepare()
    port.url, port.api = f"http://127.0.0.1:{server.port}", api
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield port
    api.stop()
    server.stop()
    thread.join()


def headers(hello: Hello, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}", HEADER: encode_hello(hello)}


def stream(port: Port, body: bytes, hello: Hello | None = None) -> int:
    """Send one whole stream; its status."""
    answer = requests.post(
        port.url + PEER_STREAM, data=iter([body]), headers=headers(hello or hello_of("n2")), timeout=10
    )
    return answer.status_code


def from_n2(message: Message) -> Envelope:
    return Envelope("n2", "life of n2", 3, "a", 3, message)


def framed(payload: bytes) -> bytes:
    return LENGTH.pack(len(payload)) + payload


@pytest.mark.parametrize("path", [PEER_HELLO, PEER_STREAM, PEER_STATUS, "/", "/peer/none", "/tokenize"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE", "ODD"])
def test_without_the_clusters_secret_nothing_is_answered(port: Port, path: str, method: str) -> None:
    answers = set()
    for given in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": SECRET},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": f"Bearer {SECRET}00"},
        {"Authorization": f"Bearer {SECRET[:-1]}"},
        {"Authorization": "Bearer \xff"},
        {"Authorization": "Bearer wrong", HEADER: encode_hello(hello_of("n2"))},
    ):
        answer = requests.request(method, port.url + path, headers=given, timeout=10)
        assert answer.status_code == 401
        assert SECRET not in answer.text
        kept = {
            name: text for name, text in answer.headers.items() if name not in {"Date", "Request-Id"}
        }
        answers.add((answer.text, tuple(sorted(kept.items()))))
    assert len(answers) == 1, "one answer, whatever is wrong"
    assert not port.delivered
    assert not port.lost


def test_a_stranger_is_refused_before_anything_of_the_body_is_there(port: Port) -> None:
    head = f"POST {PEER_STREAM} HTTP/1.1\r\nHost: n1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(port.address, timeout=5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 401"


def test_of_strangers_people_are_told_a_few_each_once(port: Port) -> None:
    for number in range(3 * STRANGERS):
        hello = hello_of(f"n{number % (2 * STRANGERS)}")
        requests.get(port.url + PEER_HELLO, headers=headers(hello, "cd" * 32), timeout=10)
    assert len(port.refusals) == len(set(port.refusals)) == STRANGERS


def test_what_a_stranger_says_to_be_is_in_no_log_unless_it_is_a_name(port: Port) -> None:
    hello = hello_of("n2\nERROR all is lost")
    requests.get(port.url + PEER_HELLO, headers=headers(hello, "cd" * 32), timeout=10)
    assert port.refusals == []


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [(PEER_HELLO, "POST", 405), (PEER_STREAM, "GET", 405), ("/peer", "GET", 404), ("/%ff", "GET", 404)],
)
def test_who_knows_the_secret_is_told_what_there_is(
    port: Port, path: str, method: str, status: int
) -> None:
    answer = requests.request(method, port.url + path, headers=headers(hello_of("n2")), timeout=10)
    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request(port: Port) -> None:
    given = "".join(f"{name}: {text}\r\n" for name, text in headers(hello_of("n2")).items())
    inner = f"GET {PEER_STATUS} HTTP/1.1\r\nHost: n1\r\n{given}\r\n"
    outer = f"GET {PEER_HELLO} HTTP/1.1\r\nHost: n1\r\n{given}Content-Length: {len(inner)}\r\n\r\n"
    with socket.create_connection(port.address, timeout=5) as connection:
        connection.sendall((outer + inner).encode())
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cluster": "other"}, "another cluster"),
        ({"ensemble": ("n2", "n1")}, "another ensemble"),
        ({"fields": digest_of_names(["mrn"])}, "another field list"),
        ({"keys": "4567"}, "another token key"),
        ({"master": "m2"}, "another active master key"),
        ({"masters": {"m1": "1" * 16}}, "another key under the master key id 'm1'"),
        ({"format": 99}, "another message format"),
        ({"node": "n9"}, "not another node of the ensemble"),
        ({"node": "n1"}, "not another node of the ensemble"),
    ],
)
def test_a_peer_with_another_configuration_is_refused_by_name(
    port: Port, changes: dict[str, Any], named: str
) -> None:
    peer = msgspec.structs.replace(hello_of("n2"), **changes)
    for _ in range(2):
        answer = requests.get(port.url + PEER_HELLO, headers=headers(peer), timeout=10)
        assert answer.status_code == 400
        assert named in answer.json()["detail"]
    assert stream(port, framed(b""), peer) == 400
    assert len(port.refusals) == 1, "a refusal is told once, not at every try"


def test_a_node_of_another_version_is_refused_by_name_whatever_else_its_hello_holds(port: Port) -> None:
    document = json.dumps({"node": "n2", "format": 99, "something": {"new": [1]}})
    for _ in range(2):
        given = {"Authorization": f"Bearer {SECRET}", HEADER: document}
        answer = requests.get(port.url + PEER_HELLO, headers=given, timeout=10)
        assert answer.status_code == 400
        assert f"node n2 has another message format (99, here {FORMAT})" in answer.json()["detail"]
    assert len(port.refusals) == 1


def test_a_hello_with_more_master_keys_than_a_configuration_may_have_is_none() -> None:
    def told(count: int) -> str:
        return encode_hello(hello_of("n2", masters={f"m{number}": "0" * 16 for number in range(count)}))

    assert len(decode_hello(told(64)).masters) == 64
    with pytest.raises(VaultError, match="no hello"):
        decode_hello(told(65))


def test_the_order_of_field_paths_does_not_matter() -> None:
    assert digest_of_names(["a", "b"]) == digest_of_names(["b", "a"])
    assert digest_of_names(["a", "b"]) != digest_of_names(["a,b"])


def test_garbage_ends_the_stream_and_harms_nothing(port: Port) -> None:
    good = Envelope("n2", "life of n2", 3, "a", 0, Confirm(1))
    foreign = Envelope("n1", "life of n2", 3, "a", 0, Confirm(1))
    past = Envelope("n2", "life of n2", 2, "a", 0, Confirm(1))
    bodies = [
        framed(b"garbage"),
        framed(b"\xc1"),
        framed(b"\x95\xa1\xff"),
        framed(codec.encode(good)[:-1]),
        framed(codec.encode(foreign)),
        framed(codec.encode(past)),
        LENGTH.pack(2**31) + b"x",
        b"\x00\x00",
        LENGTH.pack(100) + b"cut short",
    ]
    for body in bodies:
        stream(port, body)
    assert port.delivered == []
    assert len(port.refusals) == 1, "told once of each node"
    assert "node n2 sends what no node of this version says" in port.refusals[0]
    status = requests.get(port.url + PEER_STATUS, headers=headers(hello_of("n2")), timeout=10).json()
    assert status == {"node": "n1", "refused_messages": {"n2": len(bodies) - 2}}, "two were cut short"
    assert port.lost == ["n2", "n2"] * len(bodies), "told at the beginning and at the end of each"
    assert stream(port, framed(b"") + framed(codec.encode(good)) * 2) == 200
    assert port.delivered == [good, good]


def test_a_new_stream_of_a_node_ends_the_one_before(port: Port) -> None:
    older = begun_stream(port)
    older.sendall(chunked(framed(codec.encode(from_n2(Confirm(1))))))
    eventually(lambda: len(port.delivered) == 1)
    newer = begun_stream(port)
    newer.sendall(chunked(framed(codec.encode(from_n2(Confirm(2))))))
    eventually(lambda: len(port.delivered) == 2)
    with older:
        assert b"HTTP/1.1 200" in read_all(older), "it was ended, though its sender stands still"
    assert port.lost == ["n2", "n2"], "at the beginning of each; the end of the replaced one is no news"
    newer.sendall(chunked(framed(codec.encode(from_n2(Confirm(3))))))
    eventually(lambda: len(port.delivered) == 3)
    newer.close()


def test_memory_is_taken_for_what_has_come_of_a_frame_not_for_what_it_announces() -> None:
    class Trickle:
        """Announces a frame of the largest size, and sends a little of it."""

        def __init__(self) -> None:
            self.asked = 0
            self.pieces = [LENGTH.pack(FRAME_BYTES), bytes(1000), b""]

        def read(self, size: int) -> bytes:
            self.asked = max(self.asked, size)
            return self.pieces.pop(0)

    trickle = Trickle()
    with pytest.raises(FramingError):
        read_frame(trickle)
    assert trickle.asked <= 256 * 1024


def begun_stream(port: Port) -> socket.socket:
    """A connection on which node n2's stream has begun."""
    connection = socket.create_connection(port.address, timeout=5)
    given = "".join(f"{name}: {text}\r\n" for name, text in headers(hello_of("n2")).items())
    head = f"POST {PEER_STREAM} HTTP/1.1\r\nHost: n1\r\n{given}Transfer-Encoding: chunked\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def chunked(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def test_what_a_peer_sent_before_its_new_stream_is_lost_before_anything_arrives(port: Port) -> None:
    lost_by_then: list[str] = []

    def body() -> Iterator[bytes]:
        yield framed(codec.encode(Envelope("n2", "life of n2", 3, "a", 0, Confirm(1))))
        assert port.arrived.wait(10)
        lost_by_then.extend(port.lost)

    requests.post(port.url + PEER_STREAM, data=body(), headers=headers(hello_of("n2")), timeout=10)
    assert lost_by_then == ["n2"]


def test_a_hello_that_is_none_is_malformed(port: Port) -> None:
    for text in ("", "{}", "[1]", json.dumps({"node": "n2", "extra": 1})):
        given = {"Authorization": f"Bearer {SECRET}", HEADER: text}
        assert requests.get(port.url + PEER_HELLO, headers=given, timeout=10).status_code == 400


def test_a_link_delivers_in_order_and_tells_when_it_breaks(port: Port) -> None:
    lost = threading.Event()
    link = Link(
        Peer("n1", port.url),
        hello_of("n2"),
        SECRET,
        lost=lost.set,
        gone=lambda: None,
        refused=port.refusals.append,
    )
    link.start()
    frames = [codec.encode(Envelope("n2", "life of n2", 3, "a", view, Confirm(1))) for view in range(50)]
    while not port.arrived.wait(0.02):
        link.send(frames[0])
    port.delivered.clear()
    for frame in frames[1:]:
        link.send(frame)
    port.api.stop()
    while not lost.wait(0.02):
        link.send(frames[0])
    views = [envelope.view for envelope in port.delivered if envelope.view]
    assert views == list(range(1, len(views) + 1))
    link.stop()
    assert port.refusals == []


def test_a_link_tells_once_why_it_is_refused(port: Port) -> None:
    told: list[str] = []
    known = threading.Event()

    def refused(why: str) -> None:
        told.append(why)
        known.set()

    link = Link(
        Peer("n1", port.url),
        hello_of("n2"),
        "cd" * 32,
        lost=lambda: None,
        gone=lambda: None,
        refused=refused,
    )
    link.start()
    assert known.wait(10)
    link.stop()
    assert len(told) == 1
    assert "another cluster secret" in told[0]
