"""The client API of a node: every call that users have, over an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

from tvault.engine import Engine, Written
from tvault.errors import FieldError, VaultError
from tvault.model.blocks import SealBroken
from tvault.model.commands import Rotate
from tvault.model.fields import Fields
from tvault.model.keys import KeyRing
from tvault.model.owners import OwnerTable
from tvault.server.auth import owner_of_header
from tvault.server.bodies import (
    MOST_ERRORS,
    canonical_fields,
    canonical_values,
    list_of,
    members_of,
    only_member,
    records_of,
    refuse_marks,
    refuse_too_many,
)
from tvault.server.detokenize import Detokenizer
from tvault.server.tokenize import Collision, Tokenizer
from tvault.server.web import Answer, Call, Route, Web, json_answer, retry_after
from tvault.wire import (
    DETOKENIZE,
    EPOCH,
    HEALTH,
    JSON_TYPE,
    ROTATE_EPOCH,
    STATUS_PATH,
    TOKENIZE,
    Limits,
    encode_json,
)

ROTATE_ROUNDS: Final = 8
"""How often a rotation is tried when others keep coming between."""

LARGEST_EPOCH: Final = 2**53
"""The largest epoch that a rotation may name: beyond it, many JSON readers lose digits."""

REQUEST_SECONDS: Final = 5.0


class EventSink(Protocol):
    """Where events of a node go: a name with numbers, owners and ids, never a value or a token."""

    def __call__(self, event: str, **counts: str | float) -> None:
        """Note that `event` happened."""


class ClientApi:
    """The client API as a WSGI application, `app`.

    `status` gives the document of `GET /status`; `nonce` 12 bytes that it never gives again; `clock`
    seconds of `time.monotonic()`; `request_seconds` is how long a request may take inside the engine.
    """

    def __init__(  # noqa: PLR0913  everything that a node wires together
        self,
        *,
        engine: Engine,
        keys: KeyRing,
        fields: Fields,
        owners: OwnerTable,
        limits: Limits,
        status: Callable[[], dict[str, Any]],
        nonce: Callable[[], bytes],
        clock: Callable[[], float],
        record: EventSink,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._engine = engine
        self._fields = fields
        self._limits = limits
        self._status = status
        self._clock = clock
        self._record = record
        self._request_seconds = request_seconds
        self._tokenizer = Tokenizer(engine, keys, nonce)
        self._detokenizer = Detokenizer(engine, keys, clock)
        self.app = Web(self.routes(), partial(owner_of_header, owners), limits)

    def routes(self) -> list[Route]:
        """Every call there is."""
        return [
            Route("POST", TOKENIZE, self._tokenize),
            Route("POST", DETOKENIZE, self._detokenize),
            Route("GET", EPOCH, self._epoch),
            Route("POST", ROTATE_EPOCH, self._rotate),
            Route("GET", HEALTH, self._health, has_key=False, is_counted=False),
            Route("GET", STATUS_PATH, self._tell_status, is_counted=False),
        ]

    def _tokenize(self, call: Call) -> Answer:
        document, is_marked = members_of(call.body, ("records", "values"))
        if only_member(document, ("records", "values")) == "records":
            return self._tokenize_records(call, document, is_marked=is_marked)
        values = list_of(document, "values")
        positions = [at for at, value in enumerate(values) if value is not None]
        refuse_too_many(len(positions), self._limits)
        canonicals = canonical_values([values[at] for at in positions], positions, self._limits)

        def render(epoch: int, tokens: list[str]) -> bytes:
            places: list[str | None] = [None] * len(values)
            for at, token in zip(positions, tokens, strict=True):
                places[at] = token
            return encode_json({"epoch": epoch, "tokens": places})

        return self._give_tokens(call, canonicals, render)

    def _tokenize_records(self, call: Call, document: dict[str, Any], *, is_marked: bool) -> Answer:
        records = records_of(document)
        found, canonicals = canonical_fields(records, self._fields, self._limits, is_marked=is_marked)

        def render(epoch: int, tokens: list[str]) -> bytes:
            found.put(tokens)
            return encode_json({"epoch": epoch, "records": records})

        return self._give_tokens(call, canonicals, render)

    def _give_tokens(
        self, call: Call, canonicals: list[bytes], render: Callable[[int, list[str]], bytes]
    ) -> Answer:
        started = self._clock()
        try:
            with _opening_blocks():
                done = self._tokenizer.tokenize(call.owner, canonicals, render, self._deadline())
        except Collision as collision:
            self._note("collision", call, started, epoch=collision.epoch)
            raise VaultError(
                "collision", "Two values have one token; nothing was stored."
            ) from collision
        self._note(
            "tokenize",
            call,
            started,
            epoch=done.epoch,
            values=len(canonicals),
            new=done.new,
            known=done.known,
        )
        return Answer(done.answer, headers=(("Content-Type", JSON_TYPE),))

    def _detokenize(self, call: Call) -> Answer:
        shapes = ("records", "token", "tokens")
        document, is_marked = members_of(call.body, shapes)
        shape = only_member(document, shapes)
        if shape == "records":
            return self._detokenize_records(call, document, is_marked=is_marked)
        if shape == "tokens":
            return self._detokenize_tokens(call, document)
        token = document["token"]
        if not isinstance(token, str):
            raise VaultError("malformed", "The member token must be a string.")
        value = self._give_values(call, [token])[0]
        if value is None:
            raise VaultError("not_found", "There is no such token.")
        return json_answer({"value": value})

    def _detokenize_tokens(self, call: Call, document: dict[str, Any]) -> Answer:
        tokens = list_of(document, "tokens")
        odd = [at for at, token in enumerate(tokens) if not (token is None or isinstance(token, str))]
        if odd:
            errors = tuple(FieldError(at, "not_a_string") for at in odd[:MOST_ERRORS])
            raise VaultError("malformed", "A token must be a string or null.", errors)
        positions = [at for at, token in enumerate(tokens) if token is not None]
        refuse_too_many(len(positions), self._limits)
        values: list[Any] = [None] * len(tokens)
        for at, value in zip(
            positions, self._give_values(call, [tokens[at] for at in positions]), strict=True
        ):
            values[at] = value
        not_found = [at for at in positions if values[at] is None]
        return json_answer({"values": values, "not_found": not_found})

    def _detokenize_records(self, call: Call, document: dict[str, Any], *, is_marked: bool) -> Answer:
        records = records_of(document)
        found = self._fields.find(records)
        if is_marked:
            refuse_marks(records, found)
        refuse_too_many(len(found.values), self._limits)
        values = self._give_values(call, found.values)
        missed = [(misfit.record, misfit.where) for misfit in found.misfits]
        missed += [found.place(at) for at, value in enumerate(values) if value is None]
        found.put(values)
        missed.sort(key=lambda place: place[0])
        not_found = [{"record": record, "field": field} for record, field in missed]
        return json_answer({"records": records, "not_found": not_found})

    def _give_values(self, call: Call, texts: list[Any]) -> list[Any]:
        started = self._clock()
        with _opening_blocks():
            values = self._detokenizer.detokenize(call.owner, texts, self._deadline())
        missing = values.count(None)
        self._note(
            "detokenize",
            call,
            started,
            values=len(values),
            found=len(values) - missing,
            not_found=missing,
        )
        return values

    def _epoch(self, call: Call) -> Answer:
        return json_answer({"epoch": self._engine.read_epoch(call.owner, self._deadline())})

    def _rotate(self, call: Call) -> Answer:
        document, _ = members_of(call.body, ("to",))
        to = document.get("to")
        if not isinstance(to, int) or isinstance(to, bool) or not 1 <= to <= LARGEST_EPOCH:
            raise VaultError("malformed", "The member to must be an epoch, an integer from 1.")
        started = self._clock()
        is_new = self._rotate_to(call.owner, to, self._deadline())
        self._note("rotate", call, started, epoch=to, rotated=int(is_new))
        return json_answer({"epoch": to, "rotated": is_new})

    def _rotate_to(self, owner: str, to: int, deadline: float) -> bool:
        """Whether the owner's epoch has become `to` by this call; False when it was that already."""
        for _ in range(ROTATE_ROUNDS):
            active = self._engine.read_epoch(owner, deadline)
            if active == to:
                return False
            if active + 1 != to:
                raise VaultError(
                    "epoch_conflict",
                    f"The active epoch is {active}; a rotation leads to the next one.",
                    members={"epoch": active},
                )
            verdict = self._engine.rotate(Rotate(owner, to), deadline)
            if isinstance(verdict, Written):
                return True
            self._engine.wait_for(verdict.seq, deadline)
        raise VaultError("unavailable", "Other rotations kept coming between; try again.")

    def _health(self, _: Call) -> Answer:
        if not self._engine.can_write():
            answer = json_answer({"status": "unavailable"}, 503)
            return Answer(answer.body, answer.status, (*answer.headers, retry_after()))
        return json_answer({"status": "degraded" if self._engine.is_degraded() else "ok"})

    def _tell_status(self, _: Call) -> Answer:
        return json_answer(self._status())

    def _deadline(self) -> float:
        return self._clock() + self._request_seconds

    def _note(self, event: str, call: Call, started: float, **counts: float) -> None:
        spent = round((self._clock() - started) * 1000, 3)
        self._record(event, owner=call.owner, request_id=call.request_id, duration_ms=spent, **counts)


@contextmanager
def _opening_blocks() -> Iterator[None]:
    """What this node's disk has changed another node may have as it was.

    The node is not told: a block that was sealed wrongly is the same on all nodes, and only the check of
    the journal can tell one from the other.
    """
    try:
        yield
    except SealBroken:
        raise VaultError("unavailable", "A value cannot be opened here; try another node.") from None
