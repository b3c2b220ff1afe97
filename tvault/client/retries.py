"""One call, asked of node after node until one answers or the time is up.

Every call is safe to ask again: tokens are the same whenever they are made, and a rotation names the
epoch it leads to.  So a call moves on when a node cannot be reached, breaks off, or answers 503.  Any
other refusal is the same on every node and is raised at once.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import requests

from tvault.client.routing import Nodes
from tvault.errors import VaultError
from tvault.wire import JSON_TYPE, error_from_problem

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 8.0
"""How long one node may take to answer before another one is asked.  A node that works answers sooner,
with 503 at the latest: what is silent for longer stands still."""

READ_BYTES = 1024 * 1024
"""How much of an answer is read at a time."""

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0

HASTY_ROUNDS = 8
HASTY_PAUSE_SECONDS = 0.3
"""For so many rounds over all nodes, *unavailable* is waited out no longer than that, whatever the nodes
ask for: while a chain forms anew all of them refuse, and it is there again a moment later."""

_MOVE_ON = {502, 503, 504}

Unreached = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
)
"""What `requests` raises when a node is not there, or breaks off its answer."""


@dataclass
class Patience:
    """How long a call may take and how it waits; clock, dice and waiting can be given by a test.

    `wait(seconds)` returns true when the wait was ended early because the caller gave up.
    """

    deadline_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random
    given_up: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> bool:
        """Wait, but no longer than until the caller gives up."""
        return self.given_up.wait(seconds)


@dataclass(frozen=True)
class Call:
    """A call as it goes over the wire."""

    method: str
    path: str
    body: bytes | None = None


class Caller:
    """Asks the nodes.  Safe for many threads."""

    def __init__(self, nodes: Nodes, session: requests.Session, patience: Patience) -> None:
        self._nodes = nodes
        self._session = session
        self._patience = patience
        self._known: dict[tuple[str, str], requests.PreparedRequest] = {}

    def ask(self, call: Call) -> bytes:
        """The body of the first answer 200.

        Raises `VaultError` with the server's refusal; when the time is up, the last 503, or
        `unreachable` if no node was even reached.
        """
        patience = self._patience
        end = patience.clock() + patience.deadline_s
        failures: dict[str, str] = {}
        refusal: VaultError | None = None
        pause = FIRST_PAUSE_SECONDS
        hasty_rounds = HASTY_ROUNDS
        while True:
            asked_to_wait = 0.0
            is_overloaded = False
            for url in self._nodes.in_turn():
                left = end - patience.clock()
                if left <= 0 or patience.given_up.is_set():
                    break
                try:
                    answer, body = self._send(url, call, left)
                except Unreached as error:
                    self._nodes.failed(url, is_silent=isinstance(error, requests.exceptions.Timeout))
                    failures[url] = _why(error)
                    continue
                if answer.status_code == 200:
                    self._nodes.answered(url)
                    return body
                refusal = error_from_problem(answer.status_code, body)
                if answer.status_code not in _MOVE_ON:
                    raise refusal
                self._nodes.failed(url)
                asked_to_wait = max(asked_to_wait, _retry_after(answer))
                is_overloaded |= refusal.code == "overloaded"
            left = end - patience.clock()
            if left <= 0 or patience.given_up.is_set():
                raise refusal or _unreachable(failures, patience)
            # Jitter, so that clients that were refused together do not come back together.
            jittered = pause * (0.5 + patience.dice() / 2)
            is_hasty = hasty_rounds > 0 and not is_overloaded
            longest = HASTY_PAUSE_SECONDS if is_hasty else LONGEST_PAUSE_SECONDS
            patience.wait(min(left, longest, max(jittered, asked_to_wait)))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            hasty_rounds -= 1

    def _send(self, url: str, call: Call, left: float) -> tuple[requests.Response, bytes]:
        request = self._prepared(call, url).copy()
        if call.body is not None:
            request.body = call.body
            request.headers["Content-Length"] = str(len(call.body))
        answer = self._session.send(
            request,
            timeout=(min(CONNECT_SECONDS, left), min(ANSWER_SECONDS, left)),
            allow_redirects=False,
            proxies={},
            stream=True,
        )
        # As `answer.content`, which reads a long answer in small pieces.
        return answer, b"".join(answer.iter_content(READ_BYTES))

    def _prepared(self, call: Call, url: str) -> requests.PreparedRequest:
        """The call without its body, ready to be sent: to prepare it costs as much as to send it."""
        known = self._known.get((url, call.path))
        if known is None:
            headers = {} if call.body is None else {"Content-Type": JSON_TYPE}
            request = requests.Request(call.method, url + call.path, headers)
            known = self._known[url, call.path] = self._session.prepare_request(request)
        return known


def _retry_after(answer: requests.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def _why(error: requests.exceptions.RequestException) -> str:
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    reason = str(error)
    if "refused" in reason:
        return "connection refused"
    if "resolve" in reason or "Name or service" in reason:
        return "unknown host"
    return "the connection broke off"


def _unreachable(failures: dict[str, str], patience: Patience) -> VaultError:
    if patience.given_up.is_set():
        return VaultError("unreachable", "the call was given up")
    told = ", ".join(f"{url} ({why})" for url, why in failures.items())
    return VaultError("unreachable", f"no node answered within {patience.deadline_s:g} s: {told}")
