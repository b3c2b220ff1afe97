"""Connections: an answer leaves at once, and a thread waits a moment, not longer, for what follows."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any

import pytest

from tests.unit.server.one_node import eventually
from tests.unit.server.ports import listening
from tests.unit.server.serving import answers_in
from tvault.server.connections import LINGER_MS
from tvault.server.framing import FREE_THREADS, Server, make_server
from tvault.server.streams import Reader, Writer

ASK = b"GET / HTTP/1.1\r\nHost: n\r\n\r\n"


def say_name(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    environ["wsgi.input"].read(100)
    name = threading.current_thread().name.encode()
    start_response("200 OK", [("Content-Length", str(len(name)))])
    return [name]


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(10)
        far.settimeout(10)
        yield near, far


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        yield connection


def ask(connection: socket.socket) -> bytes:
    """One request, and the body of its answer, which must come whole."""
    connection.sendall(ASK)
    [(status, _, body)] = answers_in(connection.recv(65536))
    assert status == 200
    return body


def test_a_reader_knows_without_waiting_whether_more_came_than_was_read() -> None:
    with pair() as (near, far):
        near.setblocking(False)
        reader = Reader(near)
        reader.fill()
        assert not reader.has_data()
        far.sendall(b"one\ntwo\n")
        assert not reader.has_data(), "it looks at what was taken off the wire, not at the wire"
        assert reader.readline(100) == b"one\n"
        assert reader.has_data()
        assert reader.readline(100) == b"two\n"
        assert not reader.has_data()
        far.shutdown(socket.SHUT_WR)
        assert reader.read(1) == b""


@pytest.mark.parametrize("size", [1, 16 * 1024, 3 * 2**20])
def test_what_is_written_leaves_with_the_flush_in_order_and_whole(size: int) -> None:
    with pair() as (near, far):
        near.setblocking(False)
        writer = Writer(near)
        writer.write(b"head")
        writer.write(b"b" * size)
        sender = threading.Thread(target=writer.flush, args=(10,))
        sender.start()
        assert Reader(far).read(4 + size) == b"head" + b"b" * size
        sender.join()
        writer.flush()
        far.settimeout(0)
        with pytest.raises(BlockingIOError):
            far.recv(1)


def test_a_request_that_follows_at_once_is_answered_by_the_same_thread() -> None:
    server = make_server(say_name, "127.0.0.1", 0, FREE_THREADS + 6)
    with listening(server), connected(server) as connection:
        names = [ask(connection) for _ in range(30)]
    same = sum(a == b for a, b in pairwise(names))
    assert same > len(names) // 2


def test_connections_that_are_idle_keep_no_thread_from_the_others() -> None:
    with (
        listening(make_server(say_name, "127.0.0.1", 0, FREE_THREADS + 1)) as server,
        ExitStack() as stack,
    ):
        idle = [stack.enter_context(connected(server)) for _ in range(10)]
        for connection in idle:
            ask(connection)
        began = time.monotonic()
        with connected(server) as other:
            ask(other)
        assert time.monotonic() - began < 2
        eventually(lambda: server.requests.idle == FREE_THREADS + 1)
        for connection in idle:
            ask(connection)


def test_a_connection_that_asks_on_and_on_does_not_hold_up_the_end_of_the_server() -> None:
    server = make_server(say_name, "127.0.0.1", 0, FREE_THREADS + 2)
    with listening(server), connected(server) as connection:
        for _ in range(5):
            ask(connection)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 2 + LINGER_MS / 1000


def test_more_clients_than_threads_are_all_answered_again_and_again() -> None:
    with listening(make_server(say_name, "127.0.0.1", 0, FREE_THREADS + 2)) as server:
        done: list[int] = []

        def go_on() -> None:
            with connected(server) as connection:
                for _ in range(40):
                    ask(connection)
            done.append(1)

        clients = [threading.Thread(target=go_on) for _ in range(16)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(60)
    assert len(done) == len(clients)


def test_a_client_that_may_go_on_is_told_before_it_sends_its_body() -> None:
    with listening(make_server(say_name, "127.0.0.1", 0, 4)) as server, connected(server) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ab")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
