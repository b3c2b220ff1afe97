"""One call, asked of node after node until one answers or the time is up.

Every call is safe to ask again, even when an earlier asking was carried out and only its answer was
lost: tokens are the same whenever they are made, a rotation names the epoch it leads to, a write of
secrets bears a key under which it is carried out once, and the others change nothing.  So a call moves
on when a node cannot be reached, breaks off, answers 503, or sends what no node sends.  Any other
refusal is the same on every node and is raised at once.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import msgspec

from tvault.client.exchanges import Answer, Exchanger, Failure, Request
from tvault.client.routing import Nodes
from tvault.errors import Code, VaultError
from tvault.trust import EXPIRED, UNTRUSTED
from tvault.wire import JSON_TYPE, PROBLEM_TYPE, REQUEST_ID, error_from_problem

T = TypeVar("T")

ANSWER_SECONDS = 8.0
"""How long one node may take for all of an exchange before another one is asked.  A node that works
answers sooner, with 503 at the latest: what takes longer stands still."""

LEAST_SECONDS = 0.001
"""No node is asked when less than that is left."""

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0

HASTY_ROUNDS = 8
HASTY_PAUSE_SECONDS = 0.3
"""For so many rounds over all nodes, *unavailable* is waited out no longer than that, whatever the nodes
ask for: while a chain forms anew all of them refuse, and it is there again a moment later."""

NOTE_SECONDS = 3.0
"""A call that has no answer after so long is told of."""

_MOVE_ON = {502, 503, 504}

NO_NODE = "it does not answer as a tvault node does"
NAME_THE_CA = "name its CA with ca=, TVAULT_CA, or 'ca' in [tls] of tvault.toml"


def _tell_nobody(text: str) -> None:
    """A library is silent."""


@dataclass
class Patience:
    """How calls wait; clock, dice and waiting can be given by a test.

    `wait(seconds)` returns true when the wait was ended early because the caller gave up.  `note` is
    told, once for each call that has waited for `NOTE_SECONDS`, why it waits; by any thread.
    """

    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random
    given_up: threading.Event = field(default_factory=threading.Event)
    note: Callable[[str], None] = _tell_nobody

    def wait(self, seconds: float) -> bool:
        """Wait, but no longer than until the caller gives up."""
        return self.given_up.wait(seconds)


class Call(msgspec.Struct, Generic[T], frozen=True):
    """A call as it goes over the wire, and how its answer is read.

    `read(body)` raises `ValueError` for what is no answer to this call.  A call that `is_asked_once`
    goes to each node once at most.  `headers` are those that not every call has.
    """

    method: str
    path: str
    read: Callable[[bytes], T]
    body: bytes | None = None
    is_asked_once: bool = False
    headers: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Call({self.method} {self.path})"


class _Refusal(msgspec.Struct, frozen=True):
    """A problem document."""

    error: VaultError
    retry_after: float


class _Found(msgspec.Struct, Generic[T], frozen=True):
    """What was asked for."""

    document: T

    def __repr__(self) -> str:
        return "_Found()"


class Caller:
    """Asks the nodes.  Safe for many threads."""

    def __init__(
        self, nodes: Nodes, exchanger: Exchanger, headers: Mapping[str, str], patience: Patience
    ) -> None:
        self._nodes = nodes
        self._exchanger = exchanger
        self._headers = headers
        self._patience = patience

    def close(self) -> None:
        """End all connections."""
        self._exchanger.close()

    def ask(self, call: Call[T], deadline_s: float) -> T:
        """What the first answer 200 says.

        Raises `VaultError` with the server's refusal; when the time is up, the last 503, or
        `unreachable` if no node was even reached, or none of them can be taken for one.  All askings
        bear one `Request-Id`, which is the error's `request_id`.
        """
        request_id = secrets.token_hex(8)
        try:
            answer = self._persist(call, deadline_s, request_id)
        except VaultError as error:
            refusal = replace(error, request_id=request_id)
        else:
            return answer
        raise refusal

    def _persist(self, call: Call[T], deadline_s: float, request_id: str) -> T:
        patience = self._patience
        begin = patience.clock()
        end = begin + deadline_s
        is_noted = call.is_asked_once
        round_ = _Round()
        pause = FIRST_PAUSE_SECONDS
        hasty_rounds = HASTY_ROUNDS
        while True:
            round_.begin()
            urls = self._nodes.in_turn()
            for url in urls:
                left = end - patience.clock()
                if left <= LEAST_SECONDS or patience.given_up.is_set():
                    break
                outcome = self._exchange(url, call, left, request_id)
                if isinstance(outcome, _Found):
                    self._nodes.answered(url)
                    return outcome.document
                self._nodes.failed(url, is_silent=isinstance(outcome, Failure) and outcome.is_silent)
                round_.note(url, outcome)
                if not is_noted and patience.clock() - begin >= NOTE_SECONDS:
                    is_noted = True
                    patience.note(f"{round_.told()}; trying for {deadline_s:g} s")
            if len(round_.lasting) == len(urls):
                raise _no_node_there(round_.failures)
            left = end - patience.clock()
            is_over = call.is_asked_once or round_.lacks_a_key or patience.given_up.is_set()
            if left <= LEAST_SECONDS or is_over:
                raise round_.refusal or _unreachable(round_.failures, patience, deadline_s)
            # Jitter, so that clients that were refused together do not come back together.
            jittered = pause * (0.5 + patience.dice() / 2)
            is_hasty = hasty_rounds > 0 and not round_.is_overloaded
            longest = HASTY_PAUSE_SECONDS if is_hasty else max(LONGEST_PAUSE_SECONDS, round_.retry_after)
            patience.wait(min(left, longest, max(jittered, round_.retry_after)))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            hasty_rounds -= 1

    def _exchange(
        self, url: str, call: Call[T], left: float, request_id: str
    ) -> _Found[T] | _Refusal | Failure:
        """One asking of one node.  Raises only the refusals that every node would give."""
        headers = {**self._headers, **call.headers, REQUEST_ID: request_id}
        if call.body is not None:
            headers["Content-Type"] = JSON_TYPE
        request = Request(call.method, call.path, headers, call.body)
        answer = self._exchanger.exchange(url, request, min(ANSWER_SECONDS, left))
        return answer if isinstance(answer, Failure) else _judged(call, answer, request_id)


class _Round:
    """What the nodes said when each was asked once, and what they said last in all rounds."""

    def __init__(self) -> None:
        self.refusal: VaultError | None = None
        self.failures: dict[str, str] = {}
        self.begin()

    def begin(self) -> None:
        self.retry_after = 0.0
        self.codes: set[Code] = set()
        self.lasting: set[str] = set()

    def note(self, url: str, outcome: _Refusal | Failure) -> None:
        if isinstance(outcome, Failure):
            self.failures[url] = outcome.why
            if outcome.is_lasting:
                self.lasting.add(url)
            return
        self.refusal = outcome.error
        self.retry_after = max(self.retry_after, outcome.retry_after)
        self.codes.add(outcome.error.code)

    def told(self) -> str:
        """Why there is no answer yet, for people."""
        if self.codes:
            return f"no node can do it yet ({str(self.refusal).rstrip('.')})"
        return f"no node answers yet: {_told(self.failures)}"

    @property
    def is_overloaded(self) -> bool:
        """Whether a node was busy."""
        return "overloaded" in self.codes

    @property
    def lacks_a_key(self) -> bool:
        """Whether no node that spoke has the master key that is needed: to wait brings none."""
        return self.codes == {"key_unavailable"}


def untrusted(url: str, why: str) -> VaultError:
    """The refusal to talk to a node that does not show who it is; `why` as `trust.distrust` says it."""
    return _no_node_there({url: why})


def _judged(call: Call[T], answer: Answer, request_id: str) -> _Found[T] | _Refusal | Failure:
    status, body = answer.status, answer.body
    kind = (answer.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if body is None:
        return Failure(f"{NO_NODE}: an answer without end", is_lasting=True)
    if status in _MOVE_ON:
        return _Refusal(error_from_problem(status, body), _retry_after(answer))
    if status != 200 and kind == PROBLEM_TYPE:
        raise error_from_problem(status, body)
    if status != 200 or kind != JSON_TYPE:
        return Failure(f"{NO_NODE}: HTTP status {status}, {kind[:60] or 'no type'}", is_lasting=True)
    # An answer to another request: a proxy has mixed them up.
    if answer.headers.get(REQUEST_ID) != request_id:
        return Failure(f"{NO_NODE}: another Request-Id", is_lasting=True)
    try:
        return _Found(call.read(body))
    except (ValueError, RecursionError, VaultError):
        return Failure(f"{NO_NODE}: another document", is_lasting=True)


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("Retry-After") or ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def _no_node_there(failures: dict[str, str]) -> VaultError:
    doubts = [why for why in failures.values() if why.startswith(UNTRUSTED)]
    is_untrusted = any(EXPIRED not in why for why in doubts)
    hint = f"; {NAME_THE_CA}" if is_untrusted else ""
    return VaultError("unreachable", f"no node can be used: {_told(failures)}{hint}")


def _unreachable(failures: dict[str, str], patience: Patience, deadline_s: float) -> VaultError:
    if patience.given_up.is_set():
        return VaultError("unreachable", "the call was given up")
    return VaultError("unreachable", f"no node answered within {deadline_s:g} s: {_told(failures)}")


def _told(failures: dict[str, str]) -> str:
    return ", ".join(f"{url} ({why})" for url, why in failures.items())
