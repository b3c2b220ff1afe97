"""The calls about values and their tokens: bodies in, owners' values or tokens out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tvault.engine import Engine
from tvault.errors import VaultError
from tvault.model.blocks import SealBroken
from tvault.model.fields import Fields
from tvault.model.keys import KeyRing
from tvault.server.bodies import (
    canonical_fields,
    members_of,
    only_member,
    records_of,
    refuse_marks,
    refuse_too_long,
    refuse_too_many,
    spread,
    tokens_of,
    values_of,
)
from tvault.server.calls import Calls, EventSink
from tvault.server.lookup import Finder
from tvault.server.reading import ValueReader
from tvault.server.tokenize import Collision, Tokenized, Tokenizer
from tvault.server.web import Answer, Call, json_answer
from tvault.wire import JSON_TYPE, Limits, encode_json

Render = Callable[[int, list[str]], bytes]


class TokenCalls(Calls):
    """`POST` of `/tokenize`, `/detokenize`, `/lookup` and `/retokenize`.  `nonce` gives 12 bytes that it
    never gives again."""

    def __init__(  # noqa: PLR0913  everything that an API wires together
        self,
        *,
        engine: Engine,
        keys: KeyRing,
        fields: Fields,
        limits: Limits,
        nonce: Callable[[], bytes],
        clock: Callable[[], float],
        record: EventSink,
        request_seconds: float,
    ) -> None:
        super().__init__(clock, record, request_seconds)
        self._fields = fields
        self._limits = limits
        self._tokenizer = Tokenizer(engine, keys, nonce)
        self._reader = ValueReader(engine, keys, limits.body_bytes)
        self._finder = Finder(engine, keys, self._reader, limits.lookups_per_request)

    def tokenize(self, call: Call) -> Answer:
        """The tokens of values, which have them from now on."""
        document, is_marked = members_of(call.body, ("records", "values"))
        if only_member(document, ("records", "values")) == "records":
            return self._tokenize_records(call, document, is_marked=is_marked)
        values, positions, canonicals = values_of(document, self._limits)

        def render(epoch: int, tokens: list[str]) -> bytes:
            return encode_json({"epoch": epoch, "tokens": spread(tokens, positions, len(values))})

        return self._give_tokens(call, canonicals, render)

    def _tokenize_records(self, call: Call, document: dict[str, Any], *, is_marked: bool) -> Answer:
        records = records_of(document)
        found, canonicals = canonical_fields(records, self._fields, self._limits, is_marked=is_marked)

        def render(epoch: int, tokens: list[str]) -> bytes:
            found.put(tokens)
            return encode_json({"epoch": epoch, "records": records})

        return self._give_tokens(call, canonicals, render)

    def _give_tokens(self, call: Call, canonicals: list[bytes], render: Render) -> Answer:
        started = self._clock()
        with self._guarded(call, started):
            done = self._tokenizer.tokenize(call.owner, canonicals, render, self._deadline())
        self._note(
            "tokenize",
            call,
            started,
            epoch=done.epoch,
            values=len(canonicals),
            new=done.new,
            known=done.known,
        )
        return _as_answer(done)

    def retokenize(self, call: Call) -> Answer:
        """The tokens of the active epoch for the values of tokens of any epoch: read on one look, and
        then given tokens like any others."""
        document, _ = members_of(call.body, ("tokens",))
        only_member(document, ("tokens",))
        tokens, positions = tokens_of(document, self._limits)
        texts = [tokens[at] for at in positions]
        started = self._clock()
        deadline = self._deadline()
        with self._guarded(call, started):
            canonicals = self._reader.canonicals(call.owner, texts, deadline)
            done = self._renew(call, canonicals, positions, len(tokens), deadline)
            # An epoch may have ended meanwhile, and with it the last moment at which a missing token
            # could come: if one has, it was there when the new epoch began.
            while self._find_more(call, texts, canonicals, deadline):
                done = self._renew(call, canonicals, positions, len(tokens), deadline, may_be_done=True)
        missing = canonicals.count(None)
        self._note(
            "retokenize",
            call,
            started,
            epoch=done.epoch,
            values=len(positions),
            found=len(positions) - missing,
            not_found=missing,
            new=done.new,
            known=done.known,
        )
        return _as_answer(done)

    def _renew(
        self,
        call: Call,
        canonicals: Sequence[bytes | None],
        positions: Sequence[int],
        count: int,
        deadline: float,
        *,
        may_be_done: bool = False,
    ) -> Tokenized:
        """Give the values that were found their tokens; the answer has `count` places."""
        read = list(zip(positions, canonicals, strict=True))
        found = [at for at, canonical in read if canonical is not None]
        not_found = [at for at, canonical in read if canonical is None]
        there = [canonical for canonical in canonicals if canonical is not None]
        refuse_too_long(there, found, self._limits)

        def render(epoch: int, new: list[str]) -> bytes:
            tokens = spread(new, found, count)
            return encode_json({"epoch": epoch, "tokens": tokens, "not_found": not_found})

        return self._tokenizer.tokenize(call.owner, there, render, deadline, may_be_done=may_be_done)

    def _find_more(
        self, call: Call, texts: Sequence[str], canonicals: list[bytes | None], deadline: float
    ) -> bool:
        """Look again for what is missing; whether any of it is there by now."""
        missing = [at for at, canonical in enumerate(canonicals) if canonical is None]
        again = self._reader.canonicals(call.owner, [texts[at] for at in missing], deadline)
        for at, canonical in zip(missing, again, strict=True):
            canonicals[at] = canonical
        return any(canonical is not None for canonical in again)

    def lookup(self, call: Call) -> Answer:
        """The tokens that values have already, of every epoch."""
        document, _ = members_of(call.body, ("values",))
        only_member(document, ("values",))
        values, positions, canonicals = values_of(document, self._limits)
        started = self._clock()
        with self._guarded(call, started):
            existing = self._finder.existing(call.owner, canonicals, self._deadline())
        found = sum(1 for tokens in existing.tokens if tokens)
        self._note(
            "lookup",
            call,
            started,
            epoch=existing.epoch,
            values=len(positions),
            found=found,
            not_found=len(positions) - found,
        )
        places = spread(existing.tokens, positions, len(values))
        return json_answer({"tokens": [{} if place is None else place for place in places]})

    def detokenize(self, call: Call) -> Answer:
        """The values of tokens, of every epoch."""
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
        tokens, positions = tokens_of(document, self._limits)
        values = spread(
            self._give_values(call, [tokens[at] for at in positions]), positions, len(tokens)
        )
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

    def _give_values(self, call: Call, texts: Sequence[Any]) -> list[Any]:
        started = self._clock()
        with self._guarded(call, started):
            values = self._reader.values(call.owner, texts, self._deadline())
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

    @contextmanager
    def _guarded(self, call: Call, started: float) -> Iterator[None]:
        """What clients are told when the vault's own rows are not as they must be.

        A block that this node's disk has changed another node may have as it was.  The node is not told:
        a block that was sealed wrongly is the same on all nodes, and only the check of the journal can
        tell one from the other.
        """
        try:
            yield
        except SealBroken:
            raise VaultError("unavailable", "A value cannot be opened here; try another node.") from None
        except Collision as collision:
            self._note("collision", call, started, epoch=collision.epoch)
            raise VaultError(
                "collision", "Two values have one token; nothing was stored."
            ) from collision


def _as_answer(done: Tokenized) -> Answer:
    return Answer(done.answer, headers=(("Content-Type", JSON_TYPE),))
