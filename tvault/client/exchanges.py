"""One request to one node and its whole answer, or one of a few failures: what a call is made of.

There are two ways over the wire.  `pooled` keeps its connections for the calls to come; `direct` makes
one for each, and takes a third of the time to load.  `retries` knows neither.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Protocol

import msgspec

from tvault.trust import causes, distrust

MOST_ANSWER_BYTES = 256 * 1024 * 1024
"""The longest answer that is read: sixteen times the longest body that a node takes by default."""

READ_BYTES = 1024 * 1024
"""How much of an answer is read at a time."""

BROKE_OFF = "the connection broke off"


class Request(msgspec.Struct, frozen=True):
    """What goes to a node: `path` begins with a slash."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path})"


class Headers(Protocol):
    """The headers of an answer, by names in any case."""

    def get(self, name: str, /) -> str | None: ...


class Answer(msgspec.Struct, frozen=True):
    """What a node said.  The body is None when it is longer than any answer is."""

    status: int
    headers: Headers
    body: bytes | None

    def __repr__(self) -> str:
        return f"Answer({self.status})"


class Failure(msgspec.Struct, frozen=True):
    """Why a node gave no answer.  A silent one would cost as long a wait again; a lasting one would be
    the same the next time."""

    why: str
    is_silent: bool = False
    is_lasting: bool = False


class Exchanger(Protocol):
    """Carries requests to nodes.  Safe for many threads."""

    def exchange(self, url: str, request: Request, seconds: float) -> Answer | Failure:
        """The answer of the node at `url`, whole within so many seconds.  Never raises."""

    def close(self) -> None:
        """End all connections."""


def failure_of(error: Exception, *, is_timeout: bool) -> Failure:
    """What went wrong, by the error and what it was made of."""
    distrusted = distrust(error)
    if distrusted is not None:
        return Failure(distrusted, is_lasting=True)
    chain = list(causes(error))
    if any(isinstance(each, ConnectionRefusedError) for each in chain):
        return Failure("connection refused")
    if any(isinstance(each, socket.gaierror) for each in chain):
        return Failure("unknown host")
    if is_timeout:
        return Failure("no answer in time", is_silent=True)
    return Failure(BROKE_OFF)
