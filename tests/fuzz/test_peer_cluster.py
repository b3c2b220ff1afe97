"""A real cluster to whose nodes somebody with the secret, in the name of one of them, says nonsense."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.cluster.cluster import Cluster
from tests.fuzz.messages import Shapes, in_name_of, packed
from tvault.config import load, read_keys
from tvault.model.keys import KeyRing, derive
from tvault.model.secrets import MasterKeys
from tvault.replication.messages import Confirm, Envelope
from tvault.server.hello import HEADER, Hello, decode_hello, digest_of_names, encode_hello
from tvault.server.links import LENGTH
from tvault.wire import PEER_HELLO, PEER_STATUS, PEER_STREAM

STREAMS = 30


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "vault") as running:
        running.start()
        running.wait_until_whole()
        yield running


def credentials(cluster: Cluster) -> tuple[Hello, str]:
    """A greeting that passes, in the name of n2, and the cluster's credential."""
    config = load(cluster.config, {})
    keys = read_keys(config, {})
    mine = Hello(
        cluster=config.cluster_id,
        ensemble=tuple(node.id for node in config.nodes),
        fields=digest_of_names(str(path) for path in config.fields.paths),
        keys=KeyRing(keys.token).fingerprint(),
        master=config.keys.master,
        masters=MasterKeys(config.keys.master, keys.masters, bytes).fingerprints(),
        owners=digest_of_names(owner.id for owner in config.owners),
        node="n3",
        incarnation="none",
        boot=0,
        life="none",
    )
    credential = derive(keys.cluster, "peer").hex()
    answer = requests.get(cluster.peers["n2"] + PEER_HELLO, headers=given(mine, credential), timeout=10)
    return decode_hello(answer.headers[HEADER]), credential


def given(hello: Hello, credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}", HEADER: encode_hello(hello)}


def test_a_node_goes_on_whatever_comes_over_a_stream_in_the_name_of_another(cluster: Cluster) -> None:
    tokens = cluster.tokenize("n1", ["a", "b"])
    hello, credential = credentials(cluster)
    life = Envelope(hello.node, hello.incarnation, hello.boot, hello.life, 0, Confirm(1))
    dice = random.Random(7)
    shapes = Shapes(dice, [2**48 + 1, -1, 2**64 - 1], ["n9", hello.life], [bytes(32)], wild=True)
    for number in range(STREAMS):
        frame = packed(in_name_of(shapes.envelope(), life)) if number % 3 else dice.randbytes(50)
        frame = frame[:-1] + b"\xc1"  # whatever it was, it is a message no more
        say(cluster.peers["n1"], given(hello, credential), LENGTH.pack(len(frame)) + frame)
    assert cluster.tokenize("n1", ["a", "b"]) == tokens
    assert cluster.detokenize("n3", cluster.tokenize("n1", ["new"])) == ["new"]
    cluster.wait_until_whole()
    assert cluster.ended() == []
    status = requests.get(
        cluster.peers["n1"] + PEER_STATUS, headers=given(hello, credential), timeout=10
    ).json()
    assert status["refused_messages"]["n2"] > STREAMS // 2, "n2 itself came between now and then"
    told = [event for event in cluster.events("n1") if event["event"] == "peer-refused"]
    assert len(told) == 1
    assert "node n2 sends what no node of this version says" in json.dumps(told)


def say(url: str, headers: dict[str, str], payload: bytes) -> None:
    """A stream of one frame, until the node ends it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    head = f"POST {PEER_STREAM} HTTP/1.1\r\nHost: n1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=10) as connection:
        connection.sendall(head.encode() + b"%x\r\n%b\r\n" % (len(payload), payload))
        while connection.recv(4096):
            pass
