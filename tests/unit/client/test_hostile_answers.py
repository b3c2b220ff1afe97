"""What stands in a node's place and is none: an answer is right, or there is a clear error in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.unit.client.canned import Canned, canned, nobody
from tvault import Vault, VaultError
from tvault.client.exchanges import MOST_ANSWER_BYTES

EPOCH = Canned(200, b'{"epoch":3}')
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def talking(talk: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """A server that reads the head of a request, talks, and closes; each connection in its thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                talk(connection, connection.recv(65536))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def trickling(first: bytes) -> Callable[[socket.socket, bytes], None]:
    def talk(connection: socket.socket, request: bytes) -> None:  # noqa: ARG001
        connection.sendall(first)
        pause = threading.Event()
        while not pause.wait(0.05):
            connection.sendall(b"a")

    return talk


@pytest.mark.parametrize(
    "first",
    [b"HT", HEAD + b"X-", HEAD + b"Content-Length: 100000\r\n\r\n", HEAD + b"\r\n"],
    ids=["status", "headers", "body", "body without a length"],
)
def test_an_answer_that_trickles_in_keeps_no_call_beyond_its_deadline(first: bytes) -> None:
    with talking(trickling(first)) as url, Vault([url], "k", deadline_s=60) as vault:
        began = time.monotonic()
        with pytest.raises(VaultError, match="no answer in time") as caught:
            vault.epoch(deadline_s=0.6)
        assert 0.5 < time.monotonic() - began < 3
        assert caught.value.code == "unreachable"


def test_one_deadline_is_for_all_attempts_together() -> None:
    with talking(trickling(HEAD)) as one, talking(trickling(b"")) as two:
        began = time.monotonic()
        with Vault([one, two, nobody()], "k", deadline_s=1) as vault, pytest.raises(VaultError):
            vault.epoch()
        assert 0.9 < time.monotonic() - began < 4


STRANGE = {
    "redirect": Canned(302, b"", {"Location": "http://127.0.0.1:1/"}),
    "page": Canned(200, b"<html>", {"Content-Type": "text/html"}),
    "page of an error": Canned(403, b"<html>", {"Content-Type": "text/html"}),
    "other type": Canned(200, b'{"epoch":9}', {"Content-Type": "text/plain"}),
    "answer to another request": Canned(200, b'{"epoch":9}', {"Request-Id": "abc"}),
    "other document": Canned(200, b'{"era":9}'),
    "half": Canned(200, b'{"epoch":'),
    "packed": Canned(200, b"\x1f\x8b\x08\x00", {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_answer_of_a_node_is_passed_over_and_is_the_error_when_there_is_nothing_else(
    kind: str,
) -> None:
    with canned([STRANGE[kind]]) as strange, canned([EPOCH]) as node:
        with Vault([strange.url, node.url], "k") as vault:
            assert [vault.epoch() for _ in range(4)] == [3] * 4
        with Vault([strange.url], "k") as vault, pytest.raises(VaultError) as caught:
            vault.epoch()
        assert caught.value.code == "unreachable"
        assert "does not answer as a tvault node does" in caught.value.detail
        assert caught.value.__context__ is None


def test_an_answer_about_another_number_of_values_is_none() -> None:
    with (
        canned([Canned(200, b'{"epoch":1,"tokens":["tv1_1_a"]}')]) as node,
        Vault([node.url], "k") as vault,
    ):
        with pytest.raises(VaultError, match="another document"):
            vault.tokenize(["a", "b"])
        assert vault.tokenize(["a"]).tokens == ["tv1_1_a"]


def test_an_answer_that_breaks_off_is_asked_for_elsewhere() -> None:
    def half(connection: socket.socket, request: bytes) -> None:  # noqa: ARG001
        connection.sendall(HEAD + b'Content-Length: 20\r\n\r\n{"epoch":9}')

    with talking(half) as url, canned([EPOCH]) as node, Vault([url, node.url], "k") as vault:
        assert vault.epoch() == 3


def test_an_answer_without_end_is_not_read_to_the_end_of_memory() -> None:
    sent = [0]

    def endless(connection: socket.socket, request: bytes) -> None:  # noqa: ARG001
        piece = bytes(1 << 20)
        connection.sendall(HEAD + b"\r\n")
        while True:
            connection.sendall(piece)
            sent[0] += len(piece)

    with talking(endless) as url, canned([EPOCH]) as node, Vault([url, node.url], "k") as vault:
        assert vault.epoch() == 3
    assert sent[0] < MOST_ANSWER_BYTES * 1.2


def test_a_kept_connection_that_was_ended_is_replaced_at_once_and_is_no_failure() -> None:
    """It ends when it is asked for the second time, as when the node closes it at that moment."""
    asked = [0]

    def once(connection: socket.socket, request: bytes) -> None:
        asked[0] += 1
        name = request.lower().partition(b"request-id: ")[2].partition(b"\r\n")[0]
        body = b'{"epoch":3}'
        connection.sendall(
            HEAD + b"Request-Id: %b\r\nContent-Length: %d\r\n\r\n%b" % (name, len(body), body)
        )
        connection.recv(65536)

    with talking(once) as url, canned([Canned(200, b'{"epoch":4}')]) as other:
        with Vault([url], "k", deadline_s=20) as vault:
            assert [vault.epoch() for _ in range(5)] == [3] * 5
        assert asked[0] == 5
        with Vault([url, other.url], "k") as vault:
            assert [vault.epoch() for _ in range(6)] == [3, 4, 3, 4, 3, 4], "it is not asked last"


def test_all_attempts_of_a_call_and_its_error_bear_one_request_id() -> None:
    refused = Canned(409, b'{"code":"epoch_conflict","epoch":4}')
    with (
        canned([Canned(503, b""), Canned(503, b""), refused, EPOCH]) as node,
        Vault([node.url], "k") as vault,
    ):
        with pytest.raises(VaultError) as caught:
            vault.rotate_epoch(9)
        vault.epoch()
    names = [seen.headers["Request-Id"] for seen in node.seen]
    assert names[:3] == [caught.value.request_id] * 3
    assert names[3] != names[0]
