"""Where a request ends is never in doubt: what could be read two ways is refused and the line closed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.server.ports import listening
from tests.unit.server.serving import KEYS, Node, answers_in, exchange, read_all, serving
from tvault.errors import VaultError
from tvault.server.framing import ChunkedBody, FramingError, make_server
from tvault.server.streams import HEADER_BYTES
from tvault.wire import Limits, decode_json

BODY = b'{"values":["a"]}'
NEXT = b"GET /health HTTP/1.1\r\nHost: n\r\n\r\n"
HEAD = (
    f"POST /tokenize HTTP/1.1\r\nHost: n\r\nAuthorization: Bearer {KEYS['alice']}\r\n"
    "Content-Type: application/json\r\n"
).encode()


def with_length(body: bytes, head: bytes = HEAD) -> bytes:
    return head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(*chunks: bytes, tail: bytes = b"0\r\n\r\n", head: bytes = HEAD) -> bytes:
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(parts) + tail


def say_nothing(_: Any, start_response: Callable[..., Any]) -> list[bytes]:
    start_response("204 No Content", [])
    return []


def fail_aloud(*_: Any) -> list[bytes]:
    raise ValueError("123-45-6789")


def only_refusal(stream: bytes) -> tuple[int, str]:
    """The status and code of the one answer, after which the connection was closed."""
    answers = answers_in(stream)
    assert len(answers) == 1, "the bytes after a refused request were taken for another one"
    status, headers, body = answers[0]
    assert headers["Connection"] == "close"
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Request-Id"]
    document = decode_json(body)
    assert isinstance(document, dict)
    assert document["status"] == status
    return status, document["code"]


def statuses(stream: bytes) -> list[int]:
    return [status for status, _, _ in answers_in(stream)]


def test_requests_that_are_sent_together_are_answered_in_order(shared: Node) -> None:
    stream = exchange(shared.port, with_length(BODY) + NEXT + chunked(BODY) + NEXT)

    assert statuses(stream) == [200, 200, 200, 200]


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 16\r\nContent-Length: 16\r\n",
        b"Content-Length: 16\r\nContent-Length: 3\r\n",
        b"Content-Length: 16, 16\r\n",
        b"Content-Length: 16\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Content-Length: -16\r\n",
        b"Content-Length: +16\r\n",
        b"Content-Length: 1_6\r\n",
        b"Content-Length: 0x10\r\n",
        b"Content-Length:\r\n",
        b"Content-Length : 16\r\n",
        b"Content-Length: 16\r\n Folded: yes\r\n",
        b"Content-Length: 16\nX: y\r\n",
        b"X-Odd: a\x00b\r\nContent-Length: 16\r\n",
        b"no header at all\r\nContent-Length: 16\r\n",
        b"Host: other\r\nContent-Length: 16\r\n",
        b"Authorization: Bearer other\r\nContent-Length: 16\r\n",
    ],
)
@pytest.mark.parametrize("body", [BODY, chunked(BODY, head=b"").partition(b"\r\n\r\n")[2]])
def test_doubtful_headers_are_refused_and_nothing_after_them_is_read(
    shared: Node, framing: bytes, body: bytes
) -> None:
    stream = exchange(shared.port, HEAD + framing + b"\r\n" + body + NEXT)

    assert only_refusal(stream) == (400, "malformed")


@pytest.mark.parametrize(
    "lengths",
    [b"Content-Length: 16\r\nContent_Length: 3\r\n", b"Content_Length: 3\r\nContent-Length: 16\r\n"],
)
def test_a_header_with_an_underscore_is_no_other_header(shared: Node, lengths: bytes) -> None:
    stream = exchange(shared.port, HEAD + lengths + b"\r\n" + BODY + NEXT)

    assert statuses(stream) == [200, 200]


@pytest.mark.parametrize(
    "chunks",
    [
        b"-5\r\n",
        b"0x5\r\n",
        b"\r\n",
        b"zz\r\n",
        b"+5\r\n",
        b"5\n",
        b"fffffffff\r\n",
        b"5\r\n[1,2]0\r\n\r\n",
        b"5\r\n[1",
        b"2\r\n[1,2]\r\n0\r\n\r\n",
        b"",
        b"2\r\n[]\r\n",
        b"2\r\n[]\r\n0\r\n",
        b"2\r\n[]\r\n0\r\nTrailer: x\r\n",
        b"2\r\n[]\r\n0\r\n" + b"T: x\r\n" * 100 + b"\r\n",
    ],
)
def test_a_body_in_bad_chunks_is_refused_and_the_connection_closed(shared: Node, chunks: bytes) -> None:
    stream = exchange(shared.port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)

    assert only_refusal(stream) == (400, "malformed")


def test_chunks_extensions_and_trailers_are_all_taken_off_the_line(shared: Node) -> None:
    tail = b"0;last\r\nChecksum: x\r\nMore: y\r\n\r\n"
    request = HEAD + b"Transfer-Encoding: Chunked\r\n\r\n" + b"A;note=1\r\n" + BODY[:10] + b"\r\n"
    request += b"6 ;x\r\n" + BODY[10:] + b"\r\n" + tail

    assert statuses(exchange(shared.port, request + NEXT)) == [200, 200]


def test_a_body_that_arrives_byte_by_byte_is_taken_whole(shared: Node) -> None:
    request = chunked(*(bytes([byte]) for byte in BODY))

    stream = exchange(shared.port, *(bytes([byte]) for byte in request))

    assert statuses(stream) == [200]


def test_a_body_that_ends_before_its_length_is_refused(shared: Node) -> None:
    stream = exchange(shared.port, HEAD + b"Content-Length: 50\r\n\r\n" + BODY)

    assert only_refusal(stream) == (400, "malformed")


@pytest.mark.parametrize(
    "line",
    [
        b"GET\r\n",
        b"GET /health\r\n",
        b"GET /health HTTP/1.1\n",
        b"get /health HTTP/1.1\r\n",
        b"GET health HTTP/1.1\r\n",
        b"GET //[ HTTP/1.1\r\n",
        b"GET http://n/health HTTP/1.1\r\n",
        b"GET /health#x HTTP/1.1\r\n",
        b"GET /hea\rlth HTTP/1.1\r\n",
        b"GET /he\talth HTTP/1.1\r\n",
        b" GET /health HTTP/1.1\r\n",
        b"GET  /health HTTP/1.1\r\n",
        b"GET /health HTTP/ 1.1\r\n",
        b"GET /health HTTP/1.01\r\n",
        b"GET /health HTTP/1.1\x0b\r\n",
        b"GET /health HTTP/2.0\r\n",
        b"GET /health JUNK/1.1\r\n",
        b"CONNECT n:1 HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\r\n",
    ],
)
def test_what_is_no_request_is_refused_with_a_problem_document(shared: Node, line: bytes) -> None:
    assert only_refusal(exchange(shared.port, line + b"Host: n\r\n\r\n" + NEXT)) == (400, "malformed")


def test_a_request_of_http_1_1_names_its_host(shared: Node) -> None:
    asked = b"GET /health HTTP/1.1\r\nX: n\r\n\r\n"
    assert only_refusal(exchange(shared.port, asked + NEXT)) == (400, "malformed")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"x" * HEADER_BYTES + b" HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nX-Long: " + b" " * HEADER_BYTES + b"x\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * HEADER_BYTES + b"\r\n",
    ],
)
def test_headers_over_their_limit_are_refused_with_the_limit(shared: Node, request_bytes: bytes) -> None:
    stream = exchange(shared.port, request_bytes + NEXT)

    assert only_refusal(stream) == (413, "too_large")
    assert f'"limit":{HEADER_BYTES}'.encode() in stream


def test_http_1_0_has_no_chunks(shared: Node) -> None:
    request = chunked(BODY).replace(b"HTTP/1.1", b"HTTP/1.0", 1)

    assert only_refusal(exchange(shared.port, request + NEXT)) == (400, "malformed")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD.replace(b"Bearer tvk_", b"Bearer tvk-"), 401),
        (HEAD.replace(b"application/json", b"text/plain"), 415),
        (HEAD.replace(b"/tokenize", b"/nowhere"), 404),
        (HEAD.replace(b"POST", b"PUT"), 405),
        (HEAD.replace(b"POST /tokenize", b"GET /health"), 200),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_that_nobody_read_is_not_taken_for_the_next_request(
    shared: Node, head: bytes, status: int, *, is_chunked: bool
) -> None:
    request = chunked(NEXT, head=head) if is_chunked else with_length(NEXT, head)

    answers = answers_in(exchange(shared.port, request + NEXT))

    assert [answer[0] for answer in answers] == [status]
    assert answers[0][1]["Connection"] == "close"


def test_a_refusal_after_the_whole_body_was_read_keeps_the_connection(shared: Node) -> None:
    stream = exchange(shared.port, with_length(b"{}") + with_length(b"nonsense") + NEXT)

    assert statuses(stream) == [400, 400, 200]


def test_a_body_that_is_announced_too_long_is_refused_before_it_is_sent() -> None:
    with serving(limits=Limits(body_bytes=100_000)) as node:
        with socket.create_connection(("127.0.0.1", node.port), timeout=5) as connection:
            connection.sendall(HEAD + b"Content-Length: 100001\r\n\r\n")
            stream = read_all(connection)

        assert only_refusal(stream) == (413, "too_large")
        assert b'"limit":100000,"limit_name":"body_bytes"' in stream


@pytest.mark.parametrize("size", [100, 101])
def test_a_chunked_body_is_refused_when_it_grows_past_the_limit(size: int) -> None:
    body = BODY.ljust(size)

    with serving(limits=Limits(body_bytes=100)) as node:
        answers = answers_in(exchange(node.port, chunked(body[:60], body[60:]) + NEXT))

    assert [status for status, _, _ in answers] == ([200, 200] if size == 100 else [413])


def test_a_client_that_sends_all_of_a_refused_body_before_it_listens_gets_the_answer(
    shared: Node,
) -> None:
    stream = exchange(shared.port, with_length(b" " * 20_000_000))

    assert only_refusal(stream) == (413, "too_large")
    assert f'"limit":{Limits().body_bytes},'.encode() in stream


def test_a_stop_ends_idle_connections() -> None:
    with (
        listening(make_server(say_nothing, "127.0.0.1", 0, 2)) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as idle,
    ):
        idle.sendall(NEXT)
        answered = idle.recv(65536)
        server.stop()

        assert answered.startswith(b"HTTP/1.1 204 ")
        assert read_all(idle) == b""


def test_an_application_that_fails_is_answered_without_what_it_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with listening(make_server(fail_aloud, "127.0.0.1", 0, 2)) as server:
        stream = exchange(server.port, NEXT)

    assert only_refusal(stream) == (500, "internal")
    assert "123-45-6789" not in stream.decode() + caplog.text
    assert "ValueError in fail_aloud (test_framing.py:" in caplog.text


def test_a_port_in_use_is_a_configuration_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(VaultError, match=f"127.0.0.1:{port}: address already in use") as caught:
            make_server(say_nothing, "127.0.0.1", port, 2).prepare()

    assert caught.value.code == "configuration"


def test_an_address_of_another_machine_is_a_configuration_error_that_names_it() -> None:
    with pytest.raises(VaultError, match=r"192\.0\.2\.1:7101") as caught:
        make_server(say_nothing, "192.0.2.1", 7101, 2).prepare()

    assert caught.value.code == "configuration"


class Bytes:
    """A connection that has already delivered everything."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int) -> bytes:
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def readline(self, size: int) -> bytes:
        end = self.data.find(b"\n") + 1
        return self.read(min(end or len(self.data), size))


@pytest.mark.parametrize("size", [1, 3, 5, 100])
def test_a_chunked_body_can_be_read_in_pieces_of_any_size(size: int) -> None:
    stream = Bytes(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\nrest")
    body = ChunkedBody(stream)

    pieces = []
    while piece := body.read(size):
        pieces.append(piece)

    assert b"".join(pieces) == b"abcdefg"
    assert all(len(piece) == size for piece in pieces[:-1])
    assert body.ended
    assert stream.data == b"rest"


def test_a_chunked_body_that_stops_is_never_taken_as_ended() -> None:
    whole = b"3\r\nabc\r\n0\r\n\r\n"

    for length in range(len(whole)):
        with pytest.raises(FramingError):
            ChunkedBody(Bytes(whole[:length])).read(100)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"XX", b"\n\r", b"0\r\n\r\n"])
def test_a_chunk_ends_where_its_size_says(end: bytes) -> None:
    with pytest.raises(FramingError):
        ChunkedBody(Bytes(b"3\r\nabc" + end + b"3\r\ndef\r\n0\r\n\r\n")).read(3)
