"""A gateway's connections to the nodes."""

from __future__ import annotations

import itertools
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tvault.model.records import LOOK_BYTES
from tvault.server.engine_wire import (
    MSGPACK_TYPE,
    TERMS_HEADER,
    Ask,
    NodeStatus,
    Question,
    Reply,
    Terms,
    decode_reply,
    decode_status,
    encode_ask,
    encode_terms,
    misfit,
)
from tvault.server.links import Peer
from tvault.server.trace import current
from tvault.trust import distrust
from tvault.wire import PEER_ENGINE, PEER_GATEWAY, error_from_problem

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 3.0
"""How long a node may take to answer, once there is another one to ask.  A node that works says sooner
that it cannot answer; what is silent for longer stands still."""

MARGIN_SECONDS: Final = 0.25
"""How long after its patience a node's answer may arrive."""

REST_SECONDS: Final = 2.0
"""How long a node that failed is asked last."""

_log = logging.getLogger("tvault.gateway")


PIECE_BYTES: Final = 1024 * 1024
MOST_BYTES: Final = 2 * LOOK_BYTES
"""No answer of a node is longer."""


class NotSent(Exception):
    """The question did not reach a node: it did nothing."""


class Broken(Exception):
    """The question was sent, and no answer came: what it did is unknown."""


class Lines:
    """Asks the nodes, over their peer ports.  Safe for many threads; each goes on with the node that
    answered it last, so that what it has written it finds again at once.
    """

    def __init__(
        self,
        nodes: Sequence[Peer],
        terms: Terms,
        credential: str,
        trust: ssl.SSLContext | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes = tuple(nodes)
        self._headers = {
            "Authorization": f"Bearer {credential}",
            TERMS_HEADER: encode_terms(terms),
            "Content-Type": MSGPACK_TYPE,
        }
        self._trust = trust
        self._clock = clock
        self._first = itertools.count()
        self._rests_until = [0.0] * len(nodes)
        self._own = threading.local()
        self._idle: list[list[HTTPConnection]] = [[] for _ in nodes]
        self._is_closed = False
        self._lock = threading.Lock()
        self._complaints: dict[int, str] = {}

    def close(self) -> None:
        """End all connections that nothing waits on, and each other one once its answer is there."""
        self._is_closed = True
        for node in range(len(self._nodes)):
            while (idle := self._pop(node)) is not None:
                idle.close()

    def in_turn(self) -> Iterator[int]:
        """The nodes, by number: the one that answered this thread last first, those that failed a moment
        ago last.
        """
        count = len(self._nodes)
        start = self._number()
        now = self._clock()
        order = [(start + step) % count for step in range(count)]
        return iter(sorted(order, key=lambda number: now < self._rests_until[number]))

    def ask(self, node: int, question: Question, deadline: float, *, is_last: bool) -> Reply:
        """A node's reply.  `is_last`: there is no other to ask, so it is waited for until the deadline.

        Raises `NotSent`, `Broken`; `VaultError` with the node's refusal.
        """
        left = deadline - self._clock()
        if left <= 0:
            raise NotSent
        patience = left if is_last else min(left, ANSWER_SECONDS)
        body = encode_ask(Ask(int(patience * 1000), question, current().request_id))
        status, answer = self._exchange(node, "POST", PEER_ENGINE, body, patience + MARGIN_SECONDS)
        self._note_answer(node, status, answer)
        if status != 200:
            raise error_from_problem(status, answer)
        with suppress(msgspec.DecodeError):
            reply = decode_reply(answer)
            if not misfit(question, reply):
                return reply
        self._failed(node, "answers what no node answers")
        raise Broken

    def status(self, node: int, seconds: float) -> NodeStatus:
        """What a node says of itself to gateways.  Raises `NotSent`, `Broken`, `VaultError`."""
        status, answer = self._exchange(node, "GET", PEER_GATEWAY, None, seconds)
        self._note_answer(node, status, answer)
        if status != 200:
            raise error_from_problem(status, answer)
        try:
            return decode_status(answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._failed(node, "answers what no node answers")
            raise Broken from None

    def _number(self) -> int:
        number: int | None = getattr(self._own, "number", None)
        if number is None:
            number = self._own.number = next(self._first) % len(self._nodes)
        return number

    def _exchange(
        self, node: int, method: str, path: str, body: bytes | None, seconds: float
    ) -> tuple[int, bytes]:
        try:
            connection = self._take(node)
        except OSError as error:
            why = distrust(error) or f"cannot be reached: {error.strerror or error}"
            self._failed(node, why)
            raise NotSent from None
        try:
            until = self._clock() + seconds
            wire = connection.sock
            wire.settimeout(seconds)
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            content = self._read(answer, wire, until)
        except (OSError, HTTPException):
            connection.close()
            self._failed(node, "does not answer")
            raise Broken from None
        self._give_back(node, connection)
        return answer.status, content

    def _read(self, answer: HTTPResponse, wire: socket.socket, until: float) -> bytes:
        """The body of an answer, whole by `until`.  Raises `OSError`, `HTTPException`."""
        pieces: list[bytes] = []
        size = 0
        while answer.length != 0:
            left = until - self._clock()
            if left <= 0 or answer.length is None or answer.length + size > MOST_BYTES:
                raise TimeoutError
            wire.settimeout(left)
            pieces.append(answer.read1(min(PIECE_BYTES, answer.length)))
            if not pieces[-1]:
                raise IncompleteRead(b"", answer.length)
            size += len(pieces[-1])
        answer.close()
        return b"".join(pieces)

    def _take(self, node: int) -> HTTPConnection:
        """A connection to the node that is not in use, or a new one."""
        while (idle := self._pop(node)) is not None:
            if idle.sock is not None and not _has_ended(idle.sock):
                return idle
            idle.close()
        return self._connect(node)

    def _pop(self, node: int) -> HTTPConnection | None:
        with self._lock:
            idle = self._idle[node]
            return idle.pop() if idle else None

    def _give_back(self, node: int, connection: HTTPConnection) -> None:
        self._idle[node].append(connection)
        if self._is_closed:
            self.close()

    def _connect(self, node: int) -> HTTPConnection:
        parts = urlsplit(self._nodes[node].url)
        host, port = parts.hostname or "", parts.port or 0
        if self._trust is None:
            connection = HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        else:
            connection = HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=self._trust)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _note_answer(self, node: int, status: int, content: bytes) -> None:
        """Go on with a node that answers; tell of one that turns this gateway away."""
        if status in {400, 401, 404, 405}:  # not of this cluster, or of another version
            self._failed(node, f"turns this gateway away: {error_from_problem(status, content)}")
            return
        self._own.number = node
        if self._complaints.pop(node, None) is not None:
            _log.info("%s answers", self._nodes[node])

    def _failed(self, node: int, why: str) -> None:
        """Ask it last for a while; tell people once."""
        self._rests_until[node] = self._clock() + REST_SECONDS
        if self._complaints.get(node) != why:
            self._complaints[node] = why
            _log.warning("%s %s", self._nodes[node], why)


def _has_ended(connection: socket.socket) -> bool:
    """Whether the other side has closed it: nothing else comes before a question is sent."""
    wire = select.poll()
    wire.register(connection, select.POLLIN)
    return bool(wire.poll(0))
