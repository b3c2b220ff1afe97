"""Calls by bare sockets: every byte that a node answers, but for the date."""

from __future__ import annotations

import json
import re
import socket
from types import TracebackType
from urllib.parse import urlsplit

REQUEST_ID = "the-same-for-all"
ANSWER_SECONDS = 30.0

_DATE = re.compile(rb"\r\nDate: [^\r]*")
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)


class Line:
    """A connection to one node that stays open."""

    def __init__(self, url: str, key: str | None) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port or 80), ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: {address.netloc}\r\nRequest-Id: {REQUEST_ID}\r\n"
        if key is not None:
            self._head += f"Authorization: Bearer {key}\r\n"

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """A request, to be sent as often as one likes."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        return head.encode() + b"\r\n" + content

    def send(self, request: bytes) -> None:
        """A request whose answer is not read."""
        self._socket.sendall(request)

    def answer(self, request: bytes) -> bytes:
        """Every byte of the answer to a request.  Raises `OSError` when the connection breaks."""
        self.send(request)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        length = _LENGTH.search(received, 0, end + 2)
        whole = end + 4 + (int(length[1]) if length else 0)
        while len(received) < whole:
            received += self._more()
        assert len(received) == whole, "there is more than one answer"
        return received

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        """The answer to one call, without its date."""
        return _DATE.sub(b"", self.answer(self.request(method, path, body)))

    def _more(self) -> bytes:
        part = self._socket.recv(1 << 18)
        if not part:
            raise ConnectionResetError("the node closed the connection")
        return part


def status_of(answer: bytes) -> int:
    """The status of an answer."""
    return int(answer[9:12])


def document_of(answer: bytes) -> object:
    """The document of an answer."""
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])
