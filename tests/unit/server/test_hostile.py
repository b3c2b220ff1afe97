"""What a crowd of clients may take: a door that is never shut, owners in turn, bodies that must come."""

from __future__ import annotations

import io
import logging
import os
import socket
import ssl
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.certificates import issued
from tests.unit.server.one_node import eventually
from tests.unit.server.ports import listening
from tests.unit.server.serving import KEYS, answers_in, read_all, serving
from tvault.errors import VaultError
from tvault.server.door import MOST_CONNECTIONS
from tvault.server.framing import ChunkedBody, make_server
from tvault.server.intake import READING_REQUESTS, Intake, places_of
from tvault.server.seldom import Seldom
from tvault.server.streams import SMALL_BODY, Reader
from tvault.server.tls import accepting
from tvault.server.turns import Turns
from tvault.wire import Limits

ASK = b"GET /health HTTP/1.1\r\nHost: n\r\n\r\n"


def say_scheme(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.url_scheme"].encode() + environ["wsgi.input"].read(10**9)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def test_owners_are_let_in_in_turn_however_many_of_one_wait() -> None:
    turns = Turns(1)
    order: list[str] = []

    def come(owner: str) -> None:
        with turns.one(owner, seconds=20):
            order.append(owner)

    threads = [threading.Thread(target=come, args=(owner,)) for owner in "aaaab"]
    with turns.one("a"):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            eventually(lambda number=number: turns._count == number)  # type: ignore[misc]
    for thread in threads:
        thread.join()
    assert order == ["a", "b", "a", "a", "a"]


def test_when_too_many_wait_the_owner_with_the_most_gives_way() -> None:
    turns = Turns(1, waiting=4)
    refused: list[str] = []

    def come(owner: str) -> None:
        try:
            with turns.one(owner, seconds=20):
                pass
        except VaultError:
            refused.append(owner)

    threads = [threading.Thread(target=come, args=(owner,)) for owner in "aaaabb"]
    with turns.one("a"):
        for number, thread in enumerate(threads[:4], start=1):
            thread.start()
            eventually(lambda number=number: turns._count == number)  # type: ignore[misc]
        for number, thread in enumerate(threads[4:], start=1):
            thread.start()
            eventually(lambda number=number: len(turns._waiting["b"]) == number)  # type: ignore[misc]
        come("a")
    for thread in threads:
        thread.join()
    assert refused == ["a", "a", "a"]


def test_no_owner_holds_all_places_when_some_are_spared() -> None:
    turns = Turns(4, spare=1)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(turns.one("a"))
        with pytest.raises(VaultError, match="as many requests"):
            stack.enter_context(turns.one("a", seconds=0))
        stack.enter_context(turns.one("b", seconds=0))


def test_what_weighs_more_than_one_owner_may_hold_is_let_in_alone() -> None:
    turns = Turns(4, spare=1)
    with turns.one("a", 100, seconds=0), pytest.raises(VaultError), turns.one("a", seconds=0):
        pass
    with turns.one("a", 3, seconds=0) as hold:
        hold.shrink(1)
        with turns.one("a", 2, seconds=0):
            pass


def test_the_slowest_body_gives_way_to_those_that_come_later() -> None:
    """As many as may come at once do not; one that comes takes the place of one of them."""
    with serving(threads=READING_REQUESTS + 20) as node, ExitStack() as stack:
        head = (
            f"POST /tokenize HTTP/1.1\r\nHost: n\r\nAuthorization: Bearer {KEYS['alice']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {SMALL_BODY + 1}\r\n\r\n"
        ).encode()
        slow = []
        for _ in range(READING_REQUESTS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", node.port), 10))
            connection.sendall(head)
            slow.append(connection)
        eventually(lambda: len(node.api.app._intake._coming) > READING_REQUESTS // 2)
        values = ["x" * 1000] * 100
        began = time.monotonic()
        assert node.post("/tokenize", {"values": values}).status_code == 200
        assert time.monotonic() - began < 3


def test_a_body_given_up_for_another_is_told_to_come_again() -> None:
    intake = Intake(SMALL_BODY)
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        stream = Reader(near)
        told: list[str] = []

        def read() -> bytes:
            if len(stream.read(100)) < 100:
                raise VaultError("malformed", "The body ends.")
            return b""

        def take() -> None:
            try:
                with intake.body("a", 100, stream, read, lambda: near.shutdown(socket.SHUT_RD)):
                    pass
            except VaultError as error:
                told.append(error.code)

        thread = threading.Thread(target=take)
        thread.start()
        eventually(lambda: bool(intake._coming))

        def is_told() -> bool:
            intake._make_room("a")
            return bool(told)

        eventually(is_told)
        thread.join()
        assert told == ["overloaded"]


class Coming:
    """Bodies that come at their own pace into one `Intake`; `told` is what became of each."""

    def __init__(self, longest: int) -> None:
        self.intake = Intake(longest)
        self.told: dict[str, str] = {}
        self.threads: list[threading.Thread] = []
        self.ends: list[socket.socket] = []
        self.stack = ExitStack()

    def __enter__(self) -> Coming:
        return self

    def __exit__(self, *_: object) -> None:
        """Break off what still comes, and wait for its end."""
        for near in self.ends:
            with suppress(OSError):
                near.shutdown(socket.SHUT_RD)
        for thread in self.threads:
            thread.join()
        self.stack.close()

    def begin(self, name: str, owner: str, size: int) -> socket.socket:
        """One body of an owner begins to come; the other end of its connection."""
        near, far = map(self.stack.enter_context, socket.socketpair())
        near.setblocking(False)
        stream = Reader(near)

        def read() -> bytes:
            if len(body := stream.read(size)) < size:
                raise VaultError("malformed", "The body ends.")
            return body

        def take() -> None:
            try:
                hang_up = partial(near.shutdown, socket.SHUT_RD)
                with self.intake.body(owner, size, stream, read, hang_up) as body:
                    self.told[name] = f"{len(body)} bytes"
            except VaultError as error:
                self.told[name] = error.code

        self.threads.append(threading.Thread(target=take))
        self.threads[-1].start()
        self.ends.append(near)
        return far


def test_a_body_that_comes_at_a_fair_rate_keeps_its_place_and_a_slow_one_does_not() -> None:
    longest = 4 * 1024 * 1024
    with Coming(longest) as coming:
        fair = coming.begin("fair", "a", longest)
        fair.sendall(bytes(longest - 1))
        for name in ("slow", "slower"):
            coming.begin(name, "a", longest).sendall(b"x")
        eventually(lambda: len(coming.intake._coming) == 3)
        coming.begin("next", "a", longest).sendall(bytes(longest))
        eventually(lambda: "next" in coming.told)
        fair.sendall(b"x")
        eventually(lambda: "fair" in coming.told)
        assert coming.told["next"] == coming.told["fair"] == f"{longest} bytes"
        assert "overloaded" in {coming.told.get("slow"), coming.told.get("slower")}


def test_bodies_that_come_at_a_fair_rate_do_not_push_each_other_out() -> None:
    longest = 4 * 1024 * 1024
    with Coming(longest) as coming:
        fair = [coming.begin(f"{number}", "a", longest) for number in range(3)]
        for far in fair:
            far.sendall(bytes(longest - 1))
        eventually(lambda: len(coming.intake._coming) == 3)
        coming.begin("one more", "a", longest)
        eventually(lambda: "one more" in coming.told)
        for far in fair:
            far.sendall(b"x")
        eventually(lambda: len(coming.told) == 4)
    assert coming.told.pop("one more") == "overloaded"
    assert set(coming.told.values()) == {f"{longest} bytes"}


def test_an_owner_that_holds_less_loses_nothing_to_one_that_holds_more() -> None:
    longest = 4 * 1024 * 1024
    with Coming(longest) as coming:
        small = coming.begin("small", "b", 1000)
        for number in range(3):
            coming.begin(f"{number}", "a", longest).sendall(b"x")
        eventually(lambda: len(coming.intake._coming) == 4)
        coming.begin("one more", "a", longest)
        eventually(lambda: any(code == "overloaded" for code in coming.told.values()))
        assert "small" not in coming.told
        small.sendall(bytes(1000))
        eventually(lambda: coming.told.get("small") == "1000 bytes")


def test_a_body_in_very_many_chunks_takes_no_more_memory_than_its_bytes() -> None:
    count = 200_000
    body = ChunkedBody(io.BufferedReader(io.BytesIO(b"1\r\nx\r\n" * count + b"0\r\n\r\n")))
    tracemalloc.start()
    try:
        assert len(body.read(2 * count)) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * count


@pytest.mark.parametrize(
    ("item", "least"),
    [(b'"' + b"x" * 40 + b'",', 3), (b'[[]],"' + b"x" * 30 + b'",', 8)],
)
def test_a_request_takes_places_by_what_it_becomes_when_decoded(item: bytes, least: int) -> None:
    longest = Limits().body_bytes
    body = item * (longest // len(item))
    assert places_of(body[: 400 * 1024], longest) == 1
    assert least <= places_of(body, longest) < 16


def test_a_body_of_brackets_is_too_large() -> None:
    longest = Limits().body_bytes
    with pytest.raises(VaultError, match="brackets") as caught:
        places_of(b"[]," * (longest // 3), longest)
    assert caught.value.code == "too_large"
    assert caught.value.members == {"limit": longest // 8, "limit_name": "marks"}


def test_silent_connections_make_room_for_new_ones_before_those_that_asked() -> None:
    with listening(make_server(say_scheme, "127.0.0.1", 0, 4)) as server, ExitStack() as stack:
        known = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
        known.sendall(ASK)
        assert known.recv(1000).startswith(b"HTTP/1.1 200")
        first = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
        for _ in range(MOST_CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
        assert first.recv(1) == b""
        known.sendall(ASK)
        assert known.recv(1000).startswith(b"HTTP/1.1 200")


def test_silent_tls_clients_keep_nobody_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = issued(tmp_path, "127.0.0.1")
    server = make_server(say_scheme, "127.0.0.1", 0, 2, accepting(files.certificate, files.key))
    with listening(server), ExitStack() as stack:
        for number in range(20):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            if number % 2:
                silent.sendall(b"\x16\x03\x01")
        began = time.monotonic()
        with requests.Session() as session:
            session.trust_env = False
            url = f"https://127.0.0.1:{server.port}/"
            for size in (0, 10, 100_000, 3_000_000):
                answer = session.post(url, data=b"x" * size, verify=str(files.ca), timeout=10)
                assert answer.content == b"https" + b"x" * size
        assert time.monotonic() - began < 5
        with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
            plain.sendall(ASK.replace(b"health", b"SECRET"))
            with suppress(ConnectionResetError):
                assert b"HTTP" not in read_all(plain)
    assert "SECRET" not in caplog.text


def test_requests_in_one_tls_record_are_all_answered(tmp_path: Path) -> None:
    files = issued(tmp_path, "127.0.0.1")
    server = make_server(say_scheme, "127.0.0.1", 0, 4, accepting(files.certificate, files.key))
    context = ssl.create_default_context(cafile=files.ca)
    with (
        listening(server),
        socket.create_connection(("127.0.0.1", server.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        last = ASK.replace(b"Host: n", b"Host: n\r\nConnection: close")
        connection.sendall(ASK * 9 + last)
        assert [status for status, _, _ in answers_in(read_all(connection))] == [200] * 10


def test_a_text_that_a_crowd_causes_is_logged_seldom(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        tell = Seldom(logging.getLogger("crowd"), seconds=1000)
        for _ in range(50):
            tell.info("again")
            tell.info("and again")
    assert [record.getMessage() for record in caplog.records] == ["again", "and again"]


def test_a_body_that_an_application_leaves_unread_is_not_the_next_request() -> None:
    def ignore(_: Any, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "0")])
        return []

    post = b"POST / HTTP/1.1\r\nHost: n\r\nContent-Length: %d\r\n\r\n" % len(ASK)
    with (
        listening(make_server(ignore, "127.0.0.1", 0, 4)) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as connection,
    ):
        connection.sendall(post + ASK + ASK)
        connection.shutdown(socket.SHUT_WR)
        assert [status for status, _, _ in answers_in(read_all(connection))] == [200]


def test_a_large_body_reaches_no_file() -> None:
    """Bottle would put a body over 100 kB into a file, in plaintext."""
    opened: list[Any] = []
    is_watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if is_watching and (event.startswith("tempfile.") or event == "open"):
            opened.append((event, arguments))

    with serving() as node:
        sys.addaudithook(watch)  # never to be removed: it is told to look away
        values = ["x" * 60_000] * 20
        assert node.detokenize(node.post("/tokenize", {"values": values}).json()["tokens"]) == values
        is_watching = False
    writable = os.O_WRONLY | os.O_RDWR
    files = [found for found in opened if found[0] != "open" or found[1][2] & writable]
    assert files == []
