"""Clients' calls on a stage: the production API code, one step at a time.

Each call runs `server.tokenize`, `server.reading`, the reading of an epoch or `server.secret_vault` over
`server.chain_engine`, in a thread that moves only while the stage waits for it, and that stands still
wherever a server's thread would wait: so a script can do anything between two steps of a call, and the
same script always gives the same transcript.

The steps of a call: `look` (at the store), `commit` (a look at how far the journal is known to be
committed), `submit` (a command), `wait` (until something is known), `confirm` (a view), `index`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import cast

from tests.scenarios import lines
from tests.scenarios.secret_calls import secret_work_of, told_of_look
from tests.scenarios.stage import StagedNode
from tests.unit.replication.node import TIMING
from tvault.engine import EpochRefused, Written
from tvault.errors import VaultError
from tvault.model.commands import Command, Rotate
from tvault.model.keys import KeyRing
from tvault.model.records import Places
from tvault.model.secret_looks import FoundSecrets, Wanted
from tvault.model.tokens import render_token
from tvault.model.values import encode_value
from tvault.ordering import Verdict
from tvault.replication.ready import Answer
from tvault.replication.state import State
from tvault.server.chain_engine import BEHIND_SECONDS, LOOK_AGAIN_SECONDS, ChainEngine
from tvault.server.reading import ValueReader
from tvault.server.tokenize import Collision, Tokenizer
from tvault.store.ports import Store

NO_DEADLINE = float("inf")
MOST_BYTES = 1 << 20
TURN_SECONDS = 60
PATIENCE_TIMES = 2

Got = Answer | Verdict | bool

KEYS = KeyRing(b"the key ring of the stage, 32 bytes")


class _Over(Exception):
    """The node is gone, or the scenario has ended, before the call has."""


class Call:
    """One client's call to one node: `result` is None until it is answered.

    It stands still before its next step of the kind `before`, until that is changed.
    """

    def __init__(self, name: str, node: StagedNode, tell: Callable[[str], None]) -> None:
        self.name = name
        self.node = node
        self.before: str | None = None
        self.result: str | None = None
        self._tell = tell
        self._is_over = False
        self._at = ""
        self._to_do: Callable[[], None] | None = None
        self._poll: Callable[[], bool | None] | None = None
        self._got: list[Got] = []
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)

    # The stage's side.

    def begin(self, work: Callable[[], str]) -> None:
        """Run until the first step that has to wait."""
        threading.Thread(target=self._run, args=(work,), daemon=True).start()
        self._let_run()
        self.go_on()

    def go_on(self) -> None:
        """Take the steps that can be taken now."""
        while self.result is None:
            if self._to_do is not None and self.before != self._at:
                to_do, self._to_do = self._to_do, None
                to_do()
                self.node.settle()
            elif self._to_do is None and self._has_got():
                self._let_run()
            else:
                return

    def go_on_to(self, before: str | None) -> None:
        """Take the step that it stands before, and go on to the next one of this kind."""
        self.before = None
        if self._to_do is not None:
            to_do, self._to_do = self._to_do, None
            to_do()
            self.node.settle()
        self.before = before
        self.go_on()

    def break_off(self) -> None:
        """The node is gone, or the scenario over."""
        if self.result is None:
            self._is_over = True
            self._let_run()

    def _has_got(self) -> bool:
        if self._poll is not None and (found := self._poll()) is not None:
            self._poll = None
            self._got.append(found)
        return bool(self._got)

    def _let_run(self) -> None:
        self._turn.release()
        assert self._back.acquire(timeout=TURN_SECONDS), f"{self.name} does not stand still"

    # The call's side.

    def wait(self, kind: str, told: str, start: Callable[[int], None]) -> Answer | Verdict:
        """Have the node's thread do something, and stand still until it has an answer."""
        ticket = self.node.new_ticket()

        def to_do() -> None:
            self.tell(told)
            self.node.waits[ticket] = self._got.append
            start(ticket)

        self._stand(kind, to_do)
        got = self._got.pop()
        assert not isinstance(got, bool)
        return got

    def wait_until(self, kind: str, told: str, poll: Callable[[], bool | None]) -> bool:
        """Stand still until `poll` says something, and tell so only if it does not at once."""
        found = poll()
        if found is None:
            self._poll = poll
            self._stand(kind, lambda: self.tell(told))
            found = self._got.pop() is True
        return found

    def step(self, kind: str) -> None:
        """A step that waits for nobody: only the script can come between."""
        if self.before == kind:
            self._stand(kind, lambda: self._got.append(True))
            self._got.clear()

    def tell(self, told: str) -> None:
        self._tell(f"{self.node.name} {self.name} {told}")

    def _stand(self, kind: str, to_do: Callable[[], None]) -> None:
        self._at, self._to_do = kind, to_do
        if self.before == kind:
            self.tell(f"stands before its {kind}")
        self._back.release()
        self._turn.acquire()
        if self._is_over:
            raise _Over

    def _run(self, work: Callable[[], str]) -> None:
        self._turn.acquire()
        try:
            result = work()
        except VaultError as refusal:
            result = refusal.code
        except Collision:
            result = "collision"
        except _Over:
            result = "broken off"
        except Exception as fault:  # noqa: BLE001  told as the call's result, so that it is seen
            result = f"fault: {fault!r}"
        self.tell(f"answers: {result}")
        self.result = result
        self._back.release()


class _Desk:
    """What `server.node.Node` is to the engine, on a stage."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._node = call.node

    @property
    def state(self) -> State:
        return self._node.state

    @property
    def committed(self) -> int:
        self._call.step("commit")
        return self._node.state.committed

    @property
    def is_cut_off(self) -> bool:
        return False

    def submit(self, command: Command, deadline: float, request: str) -> Verdict:  # noqa: ARG002
        assert deadline == NO_DEADLINE
        told = f"proposes to {lines.command(command)}"
        start = self._node.ordering.submit
        verdict = self._call.wait("submit", told, lambda ticket: start(ticket, command))
        assert not isinstance(verdict, Answer)
        return verdict

    def confirm(self, looked_in: int, deadline: float) -> bool:
        assert deadline == NO_DEADLINE
        start = self._node.replica.confirm
        told = f"has view {looked_in} confirmed"
        answer = self._call.wait("confirm", told, lambda ticket: start(ticket, looked_in))
        return isinstance(answer, Answer) and answer.result == "confirmed"

    def wait_for(self, seq: int, deadline: float) -> bool:
        end = self._now + _milliseconds_until(deadline)

        def is_known() -> bool | None:
            if self.state.committed >= seq:
                return True
            return False if self._now >= end else None

        return self._call.wait_until("wait", f"waits for entry {seq}", is_known)

    def wait_for_chain(self, deadline: float) -> bool:
        assert deadline == NO_DEADLINE
        return self._wait_for_state("waits for a chain", lambda state: state.can_write)

    def wait_for_vantage(self, deadline: float) -> bool:
        assert deadline == NO_DEADLINE
        return self._wait_for_state(
            "waits for a chain", lambda state: state.readable > 0 or state.can_write
        )

    def ask_index(self, deadline: float) -> int | None:
        assert deadline == NO_DEADLINE
        start = self._node.replica.ask_index
        answer = self._call.wait("index", "asks for an index", start)
        return answer.seq if isinstance(answer, Answer) and answer.result == "index" else None

    def note_damage(self, why: str) -> None:
        raise AssertionError(why)

    @property
    def can_write(self) -> bool:
        return self._node.state.can_write

    @property
    def _now(self) -> int:
        return self._node.stage.now

    def _wait_for_state(self, told: str, is_so: Callable[[State], bool]) -> bool:
        end = self._now + PATIENCE_TIMES * TIMING.suspect_ms

        def poll() -> bool | None:
            if is_so(self.state):
                return True
            return False if self._now >= end else None

        return self._call.wait_until("wait", told, poll)


def _milliseconds_until(deadline: float) -> float:
    """What a deadline of the engine leaves, in the stage's time: it has a short wait and a long one."""
    left = deadline - time.monotonic()
    if left == NO_DEADLINE:
        return left
    return 1000 * (BEHIND_SECONDS if left > LOOK_AGAIN_SECONDS else LOOK_AGAIN_SECONDS)


class _Looks:
    """The node's store, whose looks are told."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._store = call.node.store

    def find(self, owner: str, epoch: int, digests: bytes) -> Places:
        self._call.step("look")
        places = self._store.find(owner, epoch, digests)
        asked, missing = len(places.block_of), len(places.missing())
        told = f"looks: finds {asked - missing} of {asked} in epoch {epoch}"
        self._call.tell(told + (f", up to entry {places.seq}" if places.seq else ""))
        return places

    def newest_epoch(self, owner: str) -> tuple[int, int]:
        self._call.step("look")
        epoch, seq = self._store.newest_epoch(owner)
        self._call.tell(f"looks: epoch {epoch}" + (f", of entry {seq}" if seq else ""))
        return epoch, seq

    def secrets(self, owner: str, wanted: Sequence[Wanted], request: bytes | None) -> FoundSecrets:
        self._call.step("look")
        found = self._store.secrets(owner, wanted, request)
        told = f"looks: {told_of_look(found, [each.name for each in wanted])}"
        self._call.tell(told + (f", up to entry {found.seq}" if found.seq else ""))
        return found


def work_of(call: Call, words: list[str]) -> Callable[[], str]:
    """`tokenize OWNER VALUE...`, `detokenize OWNER VALUE@EPOCH...`, `epoch OWNER`, `rotate OWNER TO`,
    and those of `secret_calls`."""
    engine = ChainEngine(_Desk(call), cast("Store", _Looks(call)))
    about_secrets = secret_work_of(engine, KEYS, call.name, words, NO_DEADLINE)
    if about_secrets is not None:
        return about_secrets
    verb, owner, rest = words[0], words[1], words[2:]
    nonces = count(1)

    def tokenize() -> str:
        canonicals = [encode_value(value, 64) for value in rest]
        tokenizer = Tokenizer(engine, KEYS, lambda: next(nonces).to_bytes(12, "big"))

        def render(epoch: int, _tokens: list[str]) -> bytes:
            return " ".join(f"{value}@{epoch}" for value in rest).encode()

        return tokenizer.tokenize(owner, canonicals, render, NO_DEADLINE).answer.decode()

    def detokenize() -> str:
        texts = [_token(owner, name) for name in rest]
        values = ValueReader(engine, KEYS, MOST_BYTES).values(owner, texts, NO_DEADLINE)
        return " ".join("missing" if value is None else str(value) for value in values)

    def rotate() -> str:
        outcome = engine.rotate(Rotate(owner, int(rest[0])), NO_DEADLINE)
        match outcome:
            case Written():
                return f"epoch {rest[0]}"
            case EpochRefused(newest):
                return f"refused, epoch {newest}"

    def epoch() -> str:
        return f"epoch {engine.read_epoch(owner, NO_DEADLINE)}"

    return {"tokenize": tokenize, "detokenize": detokenize, "rotate": rotate, "epoch": epoch}[verb]


def _token(owner: str, name: str) -> str:
    """The token of `VALUE@EPOCH`."""
    value, _, epoch = name.partition("@")
    digest = KEYS.scope(owner, int(epoch)).digests([encode_value(value, 64)])[0]
    return render_token(int(epoch), digest)
