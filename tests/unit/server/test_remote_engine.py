"""A gateway asks node after node: what is safe to do twice is done again, nothing else is."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import pytest

from tests.unit.server.crowded import rotation, writing
from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.remote import CREDENTIAL, peer_port, terms_of
from tests.unit.server.serving import KEYS, RING
from tvault.engine import EpochRefused, Overtaken, StaleEpoch, TokensExist, Written
from tvault.errors import VaultError
from tvault.model.blocks import seal
from tvault.model.commands import Block, Done, Mint, Put, Rotate, Sealed, SecretRequest, WriteSecrets
from tvault.model.records import LookTooLong, Places
from tvault.model.secret_looks import FoundHistory, FoundSecrets, FoundVersion, VersionMark, Wanted
from tvault.model.values import encode_value
from tvault.server.engine_wire import (
    ActiveEpoch,
    Ask,
    AskEpoch,
    AskFind,
    AskHistory,
    AskLookUp,
    AskNames,
    AskSecrets,
    AskWaitFor,
    FoundPlaces,
    PackedPlaces,
    Question,
    Reply,
    TooLong,
    decode_ask,
    encode_ask,
    misfit,
)
from tvault.server.lines import Lines
from tvault.server.links import Peer
from tvault.server.remote_engine import RemoteEngine

TERMS = terms_of(RING)


def mint(value: str, epoch: int = 1) -> Mint:
    scope = RING.scope("alice", epoch)
    canonical = encode_value(value, 1000)
    blocks = seal(scope, scope.digests([canonical]), [canonical], lambda: b"nonce" * 2 + b"12")
    return Mint("alice", epoch, blocks)


def soon() -> float:
    return time.monotonic() + 10


class Forgetful(LoneEngine):
    """An engine that does what it is asked, and then says that it does not know whether it did."""

    def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
        super().mint(command, deadline)
        raise VaultError("unavailable", "the outcome is unknown")

    def rotate(self, command: Rotate, deadline: float) -> Written:
        super().rotate(command, deadline)
        raise VaultError("unavailable", "the outcome is unknown")


class Lost(LoneEngine):
    """An engine of a node that has no chain."""

    def _note(self, call: str, deadline: float) -> None:
        super()._note(call, deadline)
        raise VaultError("unavailable", "no chain")


def of_one_journal(*kinds: Callable[..., LoneEngine]) -> list[LoneEngine]:
    """Engines of nodes that hold the same journal."""
    engines = [kind(KEYS) for kind in kinds]
    for other in engines[1:]:
        other.share(engines[0])
    return engines


@contextmanager
def over(*engines: LoneEngine, gone: int = 0) -> Iterator[RemoteEngine]:
    """A gateway in front of `gone` nodes that are not there, and then of these."""
    with ExitStack() as stack:
        there = [stack.enter_context(peer_port(engine, TERMS)) for engine in engines]
        absent = [Peer(f"gone{number}", "http://127.0.0.1:9") for number in range(gone)]
        lines = Lines([*absent, *there], TERMS, CREDENTIAL, None)
        stack.callback(lines.close)
        yield RemoteEngine(lines)


def test_a_node_that_is_gone_costs_nothing_but_the_way_to_the_next() -> None:
    [engine] = of_one_journal(LoneEngine)
    with over(engine, gone=2) as remote:
        assert remote.mint(mint("a"), soon()) == Written(1)
        assert remote.rotate(Rotate("alice", 2), soon()) == Written(2)
        assert remote.read_epoch("alice", soon()) == 2
    assert engine.calls == ["mint", "rotate", "read_epoch"]


def test_a_read_is_made_at_another_node_when_one_cannot_answer() -> None:
    lost, sound = of_one_journal(Lost, LoneEngine)
    rotation(2)(sound)
    with over(lost, sound) as remote:
        assert remote.read_epoch("alice", soon()) == 2


def test_a_read_that_finds_a_node_busy_does_not_say_that_nothing_was_written() -> None:
    class Busy(LoneEngine):
        def _note(self, call: str, deadline: float) -> None:
            super()._note(call, deadline)
            raise VaultError("overloaded", "too many")

    with over(*of_one_journal(Busy)) as remote:
        for read in (
            lambda: remote.read_epoch("alice", soon()),
            lambda: remote.wait_for(1, soon()),
            lambda: remote.look_up("alice", 1, bytes(16), soon()),
        ):
            with pytest.raises(VaultError) as caught:
                read()
            assert caught.value.code == "unavailable"
        with pytest.raises(VaultError) as caught:
            remote.mint(mint("a"), soon())
        assert caught.value.code == "overloaded"


def test_a_write_of_unknown_outcome_is_made_again_and_known_to_be_perhaps_its_own() -> None:
    forgetful, sound = of_one_journal(Forgetful, LoneEngine)
    with over(forgetful, sound) as remote:
        assert remote.mint(mint("a"), soon()) == TokensExist(1, is_perhaps_own=True)


def test_a_write_of_unknown_outcome_does_not_go_on_in_another_epoch() -> None:
    """Else one request could have tokens in two epochs: see `engine.checked_repeat`."""

    class RotatesAfter(Forgetful):
        def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
            try:
                return super().mint(command, deadline)
            finally:
                rotation(2)(self)

    forgetful, sound = of_one_journal(RotatesAfter, LoneEngine)
    with over(forgetful, sound) as remote:
        with pytest.raises(VaultError) as caught:
            remote.mint(mint("a"), soon())
        assert caught.value.code == "unavailable"
        assert remote.hint_epoch("alice") == 2


def test_a_write_that_failed_inside_a_node_may_have_been_done() -> None:
    class FailsAfter(LoneEngine):
        def mint(self, command: Mint, deadline: float) -> Written | StaleEpoch | TokensExist:
            super().mint(command, deadline)
            raise VaultError("internal", "a fault of the node")

    failing, sound = of_one_journal(FailsAfter, LoneEngine)
    with over(failing, sound) as remote:
        assert remote.mint(mint("a"), soon()) == TokensExist(1, is_perhaps_own=True)


def test_a_rotation_of_unknown_outcome_is_not_made_again() -> None:
    """Else the client would be told that another had rotated."""
    forgetful, sound = of_one_journal(Forgetful, LoneEngine)
    with over(forgetful, sound) as remote, pytest.raises(VaultError) as caught:
        remote.rotate(Rotate("alice", 2), soon())
    assert caught.value.code == "unavailable"
    assert "unknown" in caught.value.detail
    assert sound.calls == []


def test_a_look_that_is_too_long_is_too_long_here_as_well() -> None:
    class ShortSighted(LoneEngine):
        def find(self, owner: str, asked: Sequence[tuple[int, bytes]], deadline: float) -> list[Places]:
            super().find(owner, asked, deadline)
            raise LookTooLong

    with over(*of_one_journal(ShortSighted)) as remote, pytest.raises(LookTooLong):
        remote.find("alice", [(1, bytes(16))], soon())


def test_what_is_found_over_the_wire_is_what_is_found() -> None:
    [engine] = of_one_journal(LoneEngine)
    writing("a", "b")(engine)
    rotation(2)(engine)
    writing("c", epoch=2)(engine)
    first, second = (
        b"".join(RING.scope("alice", epoch).digests([encode_value(v, 9) for v in ("a", "c", "b")]))
        for epoch in (1, 2)
    )
    with over(engine) as remote:
        asked = [(2, second), (1, first)]
        for far, near in zip(
            remote.find("alice", asked, soon()), engine.find("alice", asked, soon()), strict=True
        ):
            assert list(far.blocks) == list(near.blocks)
            assert far.block_of.tolist() == near.block_of.tolist()
            assert far.place_of.tolist() == near.place_of.tolist()
            assert far.seq == near.seq


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cluster": "other"}, "cluster"),
        ({"fields": "other"}, "field list"),
        ({"keys": "other"}, "token key"),
        ({"master": "m2"}, "active master key"),
        ({"masters": {"m1": "1" * 16}}, "key under the master key id 'm1'"),
        ({"format": 99}, "message format"),
    ],
)
def test_a_gateway_of_other_terms_is_turned_away_by_name_once(
    change: dict[str, Any], reason: str
) -> None:
    refusals: list[str] = []
    other = msgspec.structs.replace(TERMS, **change)
    with peer_port(LoneEngine(KEYS), TERMS, refusals) as peer:
        lines = Lines([peer], other, CREDENTIAL, None)
        for _ in range(3):
            with pytest.raises(VaultError) as caught:
                RemoteEngine(lines).read_epoch("alice", soon())
            assert caught.value.code == "unavailable"
        lines.close()
    assert len(refusals) == 1
    assert f"has another {reason}" in refusals[0]


def test_gateways_with_different_faults_are_told_of_once_each() -> None:
    refusals: list[str] = []
    faulty = [msgspec.structs.replace(TERMS, **change) for change in ({"keys": "x"}, {"fields": "x"})]
    with peer_port(LoneEngine(KEYS), TERMS, refusals) as peer:
        for terms in faulty * 3:
            lines = Lines([peer], terms, CREDENTIAL, None)
            with pytest.raises(VaultError):
                RemoteEngine(lines).read_epoch("alice", soon())
            lines.close()
    assert len(refusals) == len(faulty)


def test_a_gateway_without_the_secret_is_turned_away() -> None:
    with peer_port(LoneEngine(KEYS), TERMS) as peer:
        lines = Lines([peer], TERMS, "00" * 32, None)
        with pytest.raises(VaultError) as caught:
            RemoteEngine(lines).mint(mint("a"), soon())
        lines.close()
    assert caught.value.code == "unavailable"


def test_a_gateway_that_is_turned_away_again_and_again_keeps_nothing_of_it() -> None:
    other = msgspec.structs.replace(TERMS, cluster="other")
    with peer_port(LoneEngine(KEYS), TERMS) as peer:
        lines = Lines([peer], other, CREDENTIAL, None)
        depths = []
        for _ in range(3):
            with pytest.raises(VaultError) as caught:
                RemoteEngine(lines).read_epoch("alice", soon())
            depths.append(len(caught.traceback))
        lines.close()
    assert depths[0] == depths[-1]


SEALED = Sealed(b"c", b"n" * 12, b"w" * 40, "m1")


def put(request: int, newest: int = 0) -> WriteSecrets:
    name = request.to_bytes(16, "big")
    return WriteSecrets("alice", name, bytes(16), (Put("s", newest, newest > 0, SEALED),))


def test_a_write_of_secrets_of_unknown_outcome_is_made_again_and_carried_out_once() -> None:
    class Forgets(LoneEngine):
        def write_secrets(self, command: WriteSecrets, deadline: float) -> Written | Overtaken:
            super().write_secrets(command, deadline)
            raise VaultError("unavailable", "the outcome is unknown")

    forgetful, sound = of_one_journal(Forgets, LoneEngine)
    with over(forgetful, sound) as remote:
        assert remote.write_secrets(put(1), soon()) == Overtaken(1)
        found = remote.read_secrets("alice", [Wanted("s")], bytes(15) + b"\1", soon())
    assert found.request is not None
    assert found.request.done == (Done("s", 1, is_changed=True),)


def test_secrets_over_the_wire_are_those_of_the_node() -> None:
    [engine] = of_one_journal(LoneEngine)
    wanted = [Wanted("s"), Wanted("s", version=1), Wanted("s", at=1), Wanted("t")]
    with over(engine) as remote:
        for number in (1, 2):
            written = remote.write_secrets(put(number, number - 1), soon())
            assert isinstance(written, Written)
            assert written.seq == number
            (newest,) = engine.read_secrets("alice", [Wanted("s")], None, soon()).versions
            assert newest is not None
            assert written.stamp == newest.valid_from
        for request in (None, bytes(16), bytes(15) + b"\2"):
            found = remote.read_secrets("alice", wanted, request, soon())
            assert found == engine.read_secrets("alice", wanted, request, soon())
            assert found == remote.peek_secrets("alice", wanted, request, soon())
        assert remote.read_history("alice", "s", soon()) == engine.read_history("alice", "s", soon())
        assert remote.read_names("alice", soon()) == engine.read_names("alice", soon())
    assert engine.calls.count("peek_secrets") == 3, "a glance stays a glance"


def test_a_look_at_secrets_that_is_too_long_is_too_long_here_as_well() -> None:
    class ShortSighted(LoneEngine):
        def read_secrets(
            self, owner: str, wanted: Sequence[Wanted], request: bytes | None, deadline: float
        ) -> FoundSecrets:
            super().read_secrets(owner, wanted, request, deadline)
            raise LookTooLong

    with over(*of_one_journal(ShortSighted)) as remote, pytest.raises(LookTooLong):
        remote.read_secrets("alice", [Wanted("s")], None, soon())


SOUND = Block("alice", 1, bytes(32), b"sealed")


def numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


@pytest.mark.parametrize(
    ("blocks", "block_of", "place_of"),
    [
        ((SOUND,), numbers(0), numbers(0)),
        ((SOUND,), numbers(0, 1), numbers(0, 0)),
        ((SOUND,), numbers(0, -2), numbers(0, 0)),
        ((SOUND,), numbers(0, 0), numbers(0, 2)),
        ((SOUND,), numbers(0, 0), numbers(0, -1)),
        ((), numbers(0, 0), numbers(0, 0)),
        ((SOUND,), numbers(0, 0)[:-1], numbers(0, 0)),
        ((SOUND,), numbers(0, 0), numbers(0, 0, 0)),
    ],
)
def test_places_that_cannot_be_are_no_reply(
    blocks: tuple[Block, ...], block_of: bytes, place_of: bytes
) -> None:
    question = AskLookUp("alice", 1, bytes(32))
    assert misfit(question, FoundPlaces((PackedPlaces(blocks, block_of, place_of, 1),)))
    sound = FoundPlaces((PackedPlaces((SOUND,), numbers(0, -1), numbers(1, -1), 1),))
    assert not misfit(question, sound)
    assert misfit(AskFind("alice", ((1, bytes(16)), (1, bytes(16)))), sound)


ASK = AskSecrets("alice", (Wanted("s", version=2),), None, is_glance=False)


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        (AskEpoch("alice"), ActiveEpoch(0)),
        (AskEpoch("alice"), Written(1)),
        (mint("a"), StaleEpoch(-3)),
        (mint("a"), ActiveEpoch(1)),
        (Rotate("alice", 2), TokensExist(1)),
        (Rotate("alice", 2), EpochRefused(0, 1)),
        (AskWaitFor(1), TooLong()),
        (put(1), TokensExist(1)),
        (mint("a"), Overtaken(1)),
        (AskNames("alice"), FoundHistory((), 0)),
        (AskHistory("alice", "s"), FoundHistory((VersionMark(2, 5, None, "m1"),), 1)),
        (ASK, FoundSecrets((), None, 1)),
        (ASK, FoundSecrets((FoundVersion(3, 5, None, SEALED),), None, 1)),
        (ASK, FoundSecrets((None,), SecretRequest("alice", bytes(16), bytes(16), ()), 1)),
    ],
)
def test_a_reply_to_another_question_is_none(question: Question, reply: Reply) -> None:
    assert misfit(question, reply)


@pytest.mark.parametrize(
    "question",
    [
        AskLookUp("alice", 0, bytes(16)),
        AskLookUp("alice", 10**18, bytes(16)),
        AskLookUp("alice", 1, bytes(15)),
        AskFind("alice", ((1, bytes(16)), (-1, bytes(16)))),
        AskFind("alice", ((1, bytes(17)),)),
        AskSecrets("alice", (Wanted("s", version=2**63),), None, is_glance=True),
        AskSecrets("alice", (Wanted("s", at=-1),), None, is_glance=True),
    ],
)
def test_questions_out_of_bounds_are_refused(question: Question) -> None:
    with pytest.raises(VaultError) as caught:
        decode_ask(encode_ask(Ask(1000, question)))
    assert caught.value.code == "malformed"
