"""Hostile clients of a real node: it stays up, its memory bounded, and an honest client is served.

`pytest -s` prints what the honest client saw meanwhile, and how large the node grew.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cluster.cluster import Cluster, eventually

HONEST_SECONDS = 2.5
"""Most that an honest call may take: far less than any deadline of the node, and kind to a machine that
is busy."""

GROWTH_MIB = 400
"""Most that the node may grow in all these tests."""

LONGEST = 16 * 2**20
CUT_OFF = 0


def tell(figures: str) -> None:
    """What `pytest -s` shows."""
    sys.stdout.write(f"\n{figures}")


class Site:
    """One node, alone, and those who would harm it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        address = urlsplit(cluster.url("n1"))
        self.address = (address.hostname or "", address.port or 0)
        self.first_mib = self.mib("VmRSS")

    def mib(self, which: str) -> float:
        """A figure of the node's memory."""
        status = Path(f"/proc/{self.cluster.processes['n1'].pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(which))
        return int(line.split()[1]) / 1024

    def cpu_seconds(self) -> float:
        """What the node has used of processors until now."""
        fields = Path(f"/proc/{self.cluster.processes['n1'].pid}/stat").read_text().split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=20)

    def head(self, length: int | str, path: str = "/tokenize", owner: str = "A") -> bytes:
        return (
            f"POST {path} HTTP/1.1\r\nHost: n\r\nAuthorization: Bearer {self.cluster.keys[owner]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        ).encode()

    def send(self, body: bytes, path: str = "/tokenize") -> tuple[int, dict[str, Any]]:
        """One request on a connection of its own: status and document."""
        with self.connect() as connection:
            connection.sendall(self.head(len(body), path) + body)
            return answer_on(connection)

    def honest_seconds(self) -> float:
        """How long a call of an honest client of the same key takes, on a connection of its own; told
        that the node is overloaded, it asks again."""
        began = time.monotonic()

        def is_served() -> bool:
            status, document = self.send(b'{"values":["honest"]}')
            assert status == 200 or document["code"] == "overloaded", document
            return status == 200

        eventually(is_served, 2 * HONEST_SECONDS)
        return time.monotonic() - began


def answer_on(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers = {}
        while (line := stream.readline()) != b"\r\n":
            name, _, value = line.partition(b": ")
            headers[name] = value
        return status, json.loads(stream.read(int(headers[b"Content-Length"])))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Cluster(tmp_path_factory.mktemp("hostile") / "vault", nodes=1) as cluster:
        cluster.start()
        cluster.wait_until_healthy()
        cluster.tokenize("n1", ["honest"])
        site = Site(cluster)
        yield site
        assert cluster.ended() == []
        said = cluster.said("n1")
        assert "Traceback" not in said
        assert len(said.splitlines()) < 100, "a crowd of clients filled the log"
        grown = site.mib("VmHWM") - site.first_mib
        tell(f"the node grew by {grown:.0f} MiB at most, from {site.first_mib:.0f} MiB")
        assert grown < GROWTH_MIB


@contextmanager
def honest_meanwhile(site: Site, what: str, calls: int = 5) -> Iterator[None]:
    """What goes on must not keep an honest client waiting."""
    yield
    seconds = [site.honest_seconds() for _ in range(calls)]
    most = max(seconds) * 1000
    tell(f"{what}: honest calls took {most:.0f} ms at most; {site.mib('VmRSS'):.0f} MiB")
    assert max(seconds) < HONEST_SECONDS


def test_slow_heads_keep_nobody_waiting(site: Site) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(site.connect()) for _ in range(150)]
        for connection in slow:
            connection.sendall(b"POST /tokenize HTTP/1.1\r\nX-Sl")
        for connection in slow:
            connection.sendall(b"o")
        with honest_meanwhile(site, "150 slow heads"):
            pass


@pytest.mark.parametrize("length", [1000, 100_000, LONGEST])
def test_slow_bodies_of_the_same_key_keep_nobody_waiting(site: Site, length: int) -> None:
    with ExitStack() as stack:
        for _ in range(150):
            connection = stack.enter_context(site.connect())
            connection.sendall(site.head(length) + b'{"val')
        with honest_meanwhile(site, f"150 slow bodies of {length} bytes"):
            pass
        body = json.dumps({"values": ["honest" * 100] * 1000}).encode()
        began = time.monotonic()

        def is_served() -> bool:
            return site.send(body)[0] == 200

        eventually(is_served)
        took = time.monotonic() - began
        tell(f"a body of {len(body)} bytes among them was served after {took:.2f} s")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b'{"values":' + b"[" * 100_000, (400, "malformed")),
        (b'{"values":[' + b"7" * 5_000_000 + b"]}", (422, "invalid_value")),
        (b'{"values":[1e999999]}', (422, "invalid_value")),
        (b'{"values":[' + b'"a",' * 1_000_000 + b'"a"]}', (413, "too_large")),
        (b'{"values":[' + b"[]," * (LONGEST // 3 - 10) + b"1]}", (413, "too_large")),
        (b'{"values":[' + b"[[]]," * 100_000 + b"1]}", (413, "too_large")),
        (b"\x00\xff" * 1000, (400, "malformed")),
    ],
    ids=["nested", "5 MB integer", "huge float", "duplicates", "brackets", "lists", "garbage"],
)
def test_a_body_made_to_hurt_is_refused(site: Site, body: bytes, refusal: tuple[int, str]) -> None:
    before = site.mib("VmRSS")
    status, document = site.send(body)
    after = site.mib("VmRSS")
    tell(f"{len(body)} bytes: {status} {document['code']}; {before:.0f} -> {after:.0f} MiB")
    assert (status, document["code"]) == refusal
    with honest_meanwhile(site, "after it", calls=1):
        pass


def test_many_heavy_bodies_at_once_are_answered_or_refused_and_memory_is_bounded(site: Site) -> None:
    heavy = b'[],"aaaaaaaaaaaaaaaaaaaa",'  # as many marks as a body may have
    body = b'{"values":[' + heavy * (LONGEST // len(heavy) - 10) + b"1]}"
    statuses: list[int] = []

    def send() -> None:
        status = CUT_OFF
        with suppress(ConnectionError):  # a refused body is only taken off the wire for two seconds
            status = site.send(body)[0]
        statuses.append(status)

    threads = [threading.Thread(target=send) for _ in range(24)]
    for thread in threads:
        thread.start()
    with honest_meanwhile(site, "24 bodies of 16 MiB"):
        pass
    for thread in threads:
        thread.join()
    tell(f"their answers: { {status: statuses.count(status) for status in set(statuses)} }")
    assert set(statuses) <= {413, 503, CUT_OFF}


def vanish_in_head(_: Site, connection: socket.socket) -> None:
    connection.sendall(b"POST /tok")


def vanish_in_body(site: Site, connection: socket.socket) -> None:
    connection.sendall(site.head(100_000) + b"x")


def vanish_before_the_answer(site: Site, connection: socket.socket) -> None:
    body = b'{"values":["honest"]}'
    connection.sendall(site.head(len(body)) + body)


@pytest.mark.parametrize("begin", [vanish_in_head, vanish_in_body, vanish_before_the_answer])
def test_connections_that_vanish_leave_nothing(
    site: Site, begin: Callable[[Site, socket.socket], None]
) -> None:
    for _ in range(200):
        with site.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            begin(site, connection)
    with honest_meanwhile(site, f"200 connections that {begin.__name__}"):
        pass


def test_clients_that_never_read_their_answers_keep_nobody_waiting(site: Site) -> None:
    record = {"ssn": "honest", "note": "x" * 1000}
    body = json.dumps({"records": [record] * 8000}).encode()
    with ExitStack() as stack:
        for _ in range(12):
            connection = stack.enter_context(site.connect())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(site.head(len(body)) + body)
        with honest_meanwhile(site, "12 answers of 8 MB that nobody reads"):
            pass


def test_ten_requests_in_one_packet_are_answered_in_order(site: Site) -> None:
    bodies = [json.dumps({"values": ["honest"] * count}).encode() for count in range(10)]
    with site.connect() as connection:
        connection.sendall(b"".join(site.head(len(body)) + body for body in bodies))
        with connection.makefile("rb") as stream:
            for count in range(10):
                assert b" 200 " in stream.readline()
                length = 0
                while (line := stream.readline()) != b"\r\n":
                    if line.startswith(b"Content-Length: "):
                        length = int(line.split()[1])
                assert len(json.loads(stream.read(length))["tokens"]) == count


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"\x00" * 70_000, b"GET\n", b"x" * 70_000])
def test_garbage_is_refused_at_once(site: Site, garbage: bytes) -> None:
    with site.connect() as connection:
        connection.settimeout(HONEST_SECONDS)
        connection.sendall(garbage)
        assert answer_on(connection)[0] in {400, 413}


def test_thousands_of_connections_lock_nobody_out(site: Site) -> None:
    with ExitStack() as stack:
        for _ in range(2000):
            stack.enter_context(site.connect())
        with honest_meanwhile(site, "2,000 silent connections"):
            pass


def test_a_node_without_files_to_open_keeps_answering_and_does_not_spin(site: Site) -> None:
    process = site.cluster.processes["n1"].pid
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    open_now = sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
    resource.prlimit(process, resource.RLIMIT_NOFILE, (open_now + 20, before[1]))
    try:
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(site.connect())
            with honest_meanwhile(site, "200 silent connections and 20 files to open"):
                began = time.monotonic(), site.cpu_seconds()
                stack.enter_context(site.connect()).recv(1)  # until it is given up
            used = (site.cpu_seconds() - began[1]) / (time.monotonic() - began[0])
            tell(f"meanwhile the node used {used:.0%} of a processor")
            assert used < 0.5
    finally:
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)


def test_what_is_late_is_told_so_and_what_is_silent_is_closed(site: Site) -> None:
    with (
        site.connect() as head,
        site.connect() as small,
        site.connect() as large,
        site.connect() as idle,
    ):
        began = time.monotonic()
        head.sendall(b"POST /tokenize HTTP/1.1\r\n")
        small.sendall(site.head(100) + b"{")
        large.sendall(site.head(100_000) + b"{")
        for late in (head, small, large):
            status, document = answer_on(late)
            assert (status, document["code"]) == (400, "malformed")
            assert "did not arrive in time" in document["detail"]
        assert idle.recv(1) == b""
        assert 9 < time.monotonic() - began < 16
