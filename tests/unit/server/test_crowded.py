"""Tokenization while others write, rotate and collide: still one epoch, whole, and never twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.server.crowded import CrowdedEngine, Disturbance, rotation, writing
from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, RING, Node, problem_of, serving
from tvault.engine import StaleEpoch, TokensExist, Written
from tvault.errors import VaultError
from tvault.model.blocks import seal
from tvault.model.commands import Mint
from tvault.model.keys import KeyRing, Scope
from tvault.model.records import Places
from tvault.model.tokens import parse_token, render_token
from tvault.model.values import encode_value
from tvault.model.verdicts import Admitted
from tvault.server.tokenize import ROUNDS, Collision, Tokenizer


def epochs_of(tokens: Sequence[str]) -> set[int]:
    parsed = [parse_token(token) for token in tokens]
    return {token[0] for token in parsed if token is not None}


def stored(engine: LoneEngine) -> int:
    return engine.store.counts()[1]


class BusyBetweenLooks(CrowdedEngine):
    """An engine on which something happens right after a look."""

    def look_up(self, owner: str, epoch: int, digests: bytes, deadline: float) -> Places:
        places = super().look_up(owner, epoch, digests, deadline)
        self._disturb()
        return places


@pytest.mark.parametrize("asked", [("old", "new"), ("new", "old")])
def test_tokens_of_several_epochs_are_seen_as_at_one_moment(asked: tuple[str, str]) -> None:
    """Who finds the later token finds the earlier one, which was there before it."""

    def write_both(engine: LoneEngine) -> None:
        for happens in (writing("old"), rotation(2), writing("new", epoch=2)):
            happens(engine)

    tokens = {
        name: render_token(epoch, RING.scope("alice", epoch).digests([encode_value(name, 1000)])[0])
        for name, epoch in (("old", 1), ("new", 2))
    }
    with serving(BusyBetweenLooks(write_both)) as node:
        answer = node.post("/detokenize", {"tokens": [tokens[name] for name in asked]}).json()
    seen = {name for name, value in zip(asked, answer["values"], strict=True) if value is not None}
    assert seen != {"new"}


def test_a_rotation_just_before_the_write_moves_the_whole_request_to_the_new_epoch() -> None:
    engine = CrowdedEngine(rotation(2))

    with serving(engine) as node:
        answer = node.post("/tokenize", {"values": ["a", "b"]}).json()

    assert answer["epoch"] == 2
    assert epochs_of(answer["tokens"]) == {2}
    assert stored(engine) == 2


def test_the_records_of_a_request_that_had_to_start_again_hold_tokens_of_one_epoch() -> None:
    engine = CrowdedEngine(rotation(2), rotation(3))
    records = [{"ssn": "a", "patient": {"mrn": "b"}}]

    with serving(engine) as node:
        answer = node.post("/tokenize", {"records": records}).json()
        back = node.post("/detokenize", {"records": answer["records"]}).json()

    [record] = answer["records"]
    assert answer["epoch"] == 3
    assert epochs_of([record["ssn"], record["patient"]["mrn"]]) == {3}
    assert back == {"records": records, "not_found": []}


@pytest.mark.parametrize("hint", [1, 3, 40])
def test_a_wrong_idea_of_the_epoch_is_put_right_even_when_it_was_too_high(hint: int) -> None:
    engine = LoneEngine(KEYS)
    rotation(2)(engine)
    engine.hints["alice"] = hint

    with serving(engine) as node:
        assert node.post("/tokenize", {"values": ["a"]}).json()["epoch"] == 2


@pytest.mark.parametrize("hint", [1, 40])
def test_values_that_are_known_in_an_epoch_that_is_over_get_tokens_of_the_active_one(hint: int) -> None:
    engine = LoneEngine(KEYS)
    writing("a")(engine)
    rotation(2)(engine)
    engine.hints["alice"] = hint

    with serving(engine) as node:
        answer = node.post("/tokenize", {"values": ["a"]}).json()

    assert answer["epoch"] == 2
    assert epochs_of(answer["tokens"]) == {2}


def test_values_that_are_known_are_answered_only_with_a_confirmed_epoch() -> None:
    engine = LoneEngine(KEYS)
    writing("a")(engine)

    with serving(engine) as node:
        node.tokenize(["a"])

    assert engine.calls == ["look_up", "read_epoch"]


def test_tokens_that_another_node_wrote_meanwhile_are_waited_for_and_not_written_again() -> None:
    engine = CrowdedEngine(writing("b", "c"), writing("d"))

    with serving(engine) as node:
        tokens = node.tokenize(["a", "b", "c", "d"])

        assert stored(engine) == 4
        assert node.detokenize(tokens) == ["a", "b", "c", "d"]
    assert engine.calls[:6] == ["look_up", "mint", "wait_for", "look_up", "mint", "wait_for"]


def test_a_request_that_is_disturbed_for_ever_is_unavailable_and_wrote_nothing() -> None:
    engine = CrowdedEngine(*(rotation(epoch) for epoch in range(2, 3 + ROUNDS)))

    with serving(engine) as node:
        assert problem_of(node.post("/tokenize", {"values": ["a"]})) == (503, "unavailable")

    assert stored(engine) == 0


def test_another_value_under_a_token_fails_the_whole_request_and_is_counted() -> None:
    engine = LoneEngine(KEYS)
    writing("other", under="mine")(engine)

    with serving(engine) as node:
        answer = node.post("/tokenize", {"values": ["new", "mine"]}, Request_Id="r1")

    assert problem_of(answer) == (500, "collision")
    assert stored(engine) == 1
    assert [(event, counts["owner"], counts["request_id"]) for event, counts in node.events] == [
        ("collision", "alice", "r1")
    ]


def test_a_block_that_does_not_open_is_left_to_another_node() -> None:
    engine = LoneEngine(KEYS)
    scope, foreign = RING.scope("alice", 1), KeyRing(bytes(32)).scope("alice", 1)
    canonical = encode_value("a", 1000)
    blocks = seal(foreign, scope.digests([canonical]), [canonical], lambda: os.urandom(12))
    assert engine.judge(Mint("alice", 1, blocks)) == Admitted()

    with serving(engine) as node:
        [token] = [f"tv1_1_{digest.hex()}" for digest in scope.digests([canonical])]
        for path, document in (("/tokenize", {"values": ["a"]}), ("/detokenize", {"token": token})):
            assert problem_of(node.post(path, document)) == (503, "unavailable")


class FirmlyRefusing(LoneEngine):
    """An engine that cannot promise what it is asked for."""

    def __init__(self, call: str) -> None:
        super().__init__(KEYS)
        self.call = call

    def _note(self, call: str, deadline: float) -> None:
        super()._note(call, deadline)
        if call == self.call:
            raise VaultError("unavailable", "No majority answers.")


@pytest.mark.parametrize("call", ["look_up", "mint", "read_epoch"])
def test_a_request_is_unavailable_when_any_step_of_it_is(call: str) -> None:
    engine = FirmlyRefusing(call)
    writing("known")(engine)

    with serving(engine) as node:
        answers = [node.post("/tokenize", {"values": values}) for values in (["known"], ["new"])]

    assert (503, "unavailable") in [
        problem_of(answer) for answer in answers if answer.status_code != 200
    ]
    assert all(answer.status_code in {200, 503} for answer in answers)


def test_requests_at_once_with_values_in_common_agree_on_their_tokens(node: Node) -> None:
    batches = [[f"v{(start + step) % 97}" for step in range(60)] for start in range(0, 96, 8)]
    answers: dict[int, dict[str, str]] = {}
    gate = threading.Barrier(len(batches))

    def ask(number: int, values: list[str]) -> None:
        gate.wait(20)
        answer = node.post("/tokenize", {"values": values})
        answers[number] = dict(zip(values, answer.json()["tokens"], strict=True))

    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(batches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    together: dict[str, str] = {}
    for answer in answers.values():
        assert all(together.setdefault(value, token) == token for value, token in answer.items())
    assert len(together) == len(set(together.values())) == stored(node.engine) == 97


class BluntScope(Scope):
    """Keys under which all values have one digest."""

    def digests(self, canonicals: Sequence[bytes]) -> list[bytes]:
        return [bytes(16) for _ in canonicals]


class BluntRing(KeyRing):
    """A key ring of blunt scopes."""

    def scope(self, owner: str, epoch: int) -> Scope:
        return BluntScope(bytes(32), owner, epoch)


class LosingEngine(LoneEngine):
    """An engine that loses the outcome of its first write, and finds the tokens when it tries again;
    before it says so, `meanwhile` happens."""

    def __init__(self, meanwhile: Disturbance) -> None:
        super().__init__(KEYS)
        self._meanwhile = meanwhile

    def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
        verdict = super().mint(command, deadline)
        if isinstance(verdict, Written) and command.epoch == 1:
            self._meanwhile(self)
            return TokensExist(verdict.seq, is_perhaps_own=True)
        return verdict


def test_a_request_whose_write_may_be_done_does_not_go_on_in_a_later_epoch() -> None:
    """Else one request would have given a value two tokens, one of them to nobody."""
    engine = LosingEngine(rotation(2))

    with pytest.raises(VaultError, match="epoch changed") as caught:
        tokenizer(engine).tokenize("alice", [b"sa"], lambda *_: b"", 1e9)

    assert caught.value.code == "unavailable"
    assert stored(engine) == 1


def test_a_request_whose_write_may_be_done_is_not_told_that_nothing_was_written() -> None:
    class LosesThenIsBusy(LoneEngine):
        def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
            if "mint" in self.calls:
                raise VaultError("overloaded", "too many")
            self._note("mint", deadline)
            writing("a", epoch=command.epoch)(self)
            return TokensExist(self.store.last().seq, is_perhaps_own=True)

    with pytest.raises(VaultError, match="unknown") as caught:
        tokenizer(LosesThenIsBusy(KEYS)).tokenize("alice", [b"sa", b"sb"], lambda *_: b"", 1e9)
    assert caught.value.code == "unavailable"


def test_a_request_whose_write_may_be_done_finds_it_done_while_its_epoch_is_active() -> None:
    engine = LosingEngine(rotation(2, owner="bob"))

    done = tokenizer(engine).tokenize("alice", [b"sa"], lambda *_: b"", 1e9)

    assert (done.epoch, stored(engine)) == (1, 1)
    assert engine.calls == ["look_up", "mint", "wait_for", "look_up", "read_epoch"]


def tokenizer(engine: LoneEngine, ring: KeyRing = RING) -> Tokenizer:
    return Tokenizer(engine, ring, lambda: os.urandom(12))


def test_two_values_of_one_request_with_one_token_are_a_collision() -> None:
    engine = LoneEngine(KEYS)

    with pytest.raises(Collision):
        tokenizer(engine, BluntRing(bytes(32))).tokenize("alice", [b"sa", b"sb"], lambda *_: b"", 1e9)

    assert stored(engine) == 0


def test_two_values_of_two_requests_with_one_token_are_a_collision() -> None:
    engine = LoneEngine(KEYS)
    blunt = tokenizer(engine, BluntRing(bytes(32)))
    blunt.tokenize("alice", [b"sa"], lambda *_: b"", 1e9)

    with pytest.raises(Collision):
        blunt.tokenize("alice", [b"sb"], lambda *_: b"", 1e9)

    assert stored(engine) == 1


def test_nothing_is_written_when_the_answer_cannot_be_made() -> None:
    engine = LoneEngine(KEYS)

    def fail(*_: Any) -> bytes:
        raise VaultError("malformed", "Too deep.")

    with pytest.raises(VaultError, match="Too deep"):
        tokenizer(engine).tokenize("alice", [b"sa"], fail, 1e9)

    assert stored(engine) == 0


def test_a_tokenization_counts_what_it_issued_and_what_was_known() -> None:
    engine = LoneEngine(KEYS)
    writing("a", "b")(engine)
    canonicals = [encode_value(value, 100) for value in ("a", "c", "c", "b", "d", "e")]

    done = tokenizer(engine).tokenize("alice", canonicals, lambda *_: b"answer", 1e9)

    assert (done.epoch, done.answer, done.new, done.known) == (1, b"answer", 3, 2)


def test_an_answer_finds_the_places_of_values_spread_over_many_blocks(node: Node) -> None:
    values: list[Any] = [f"value {number}" for number in range(1000)]
    for start in range(0, 1000, 130):
        node.tokenize(values[start : start + 130])
    mixed = values[::-3] + values[::7] + values[:5]

    assert node.detokenize(node.tokenize(mixed)) == mixed
    assert stored(node.engine) == 1000


def test_places_that_hold_nothing_are_no_values() -> None:
    engine = LoneEngine(KEYS)

    places = engine.look_up("alice", 1, bytes(32), 1e9)

    assert (list(places.blocks), places.missing(), places.seq) == ([], [0, 1], 0)
    positions, blocks = places.by_block()
    assert (positions, list(blocks)) == ([], [])
