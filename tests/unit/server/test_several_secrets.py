"""Several secrets in one request: one entry, one moment, all or nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.server.behind import ALWAYS, MOST, Behind, put, soon
from tests.unit.server.serving import KEYS, MASTERS, RING
from tvault.errors import VaultError
from tvault.model.records import LookTooLong
from tvault.model.secret_looks import FoundSecrets, Wanted
from tvault.model.secrets import MasterKeys
from tvault.server.secret_vault import Missing, SecretVault


def store(
    secrets: SecretVault, values: dict[str, str], needed: Sequence[str] = (), key: str | None = None
) -> dict[str, int]:
    request = secrets.request("alice", key, json.dumps([values, needed]).encode())
    return secrets.write_many("alice", values, needed, request, soon())


class ShortSighted(Behind):
    """Looks at more than two secrets are too long for it."""

    def read_secrets(self, owner: str, wanted: Sequence[Wanted], *more: Any) -> FoundSecrets:
        if len(wanted) > 2:
            raise LookTooLong
        return super().read_secrets(owner, wanted, *more)


class Noting(Behind):
    """Notes what a glance finds."""

    def peek_secrets(self, owner: str, wanted: Sequence[Wanted], *more: Any) -> FoundSecrets:
        seen = super().peek_secrets(owner, wanted, *more)
        self.found = seen.versions
        return seen


def test_several_secrets_begin_at_one_moment_and_those_that_are_so_already_begin_nothing(
    engine: Behind, secrets: SecretVault
) -> None:
    names = ["A", "B", "C", "D", "E"]
    put(secrets, "old", "A")
    put(secrets, "same", "B")
    last = engine.store.last().seq
    values = dict.fromkeys(names, "same")

    for _ in range(2):
        done = store(secrets, values, key="k")
        assert list(done.items()) == [("A", 2), ("B", 1), ("C", 1), ("D", 1), ("E", 1)]
    assert engine.store.last().seq == last + 1, "one entry, once"
    began = {secrets.history("alice", name, soon()).versions[-1].valid_from for name in "ACDE"}
    assert len(began) == 1
    assert store(secrets, values) == done
    assert engine.store.last().seq == last + 1, "nothing to write, and nobody to ask again"


def test_what_is_needed_must_be_there_at_the_same_moment(engine: Behind, secrets: SecretVault) -> None:
    put(secrets, "x", "THERE")

    with pytest.raises(Missing) as caught:
        store(secrets, {"A": "1"}, ["NO", "THERE", "NOR"])
    assert caught.value.names == ("NO", "NOR")
    assert secrets.names("alice", soon()) == ("THERE",)

    def end() -> None:
        secrets.delete("alice", "THERE", ALWAYS, secrets.request("alice", None), soon())

    engine.between = end
    with pytest.raises(Missing) as caught:
        store(secrets, {"A": "1"}, ["THERE"])
    assert caught.value.names == ("THERE",)
    assert secrets.names("alice", soon()) == ()
    assert secrets.missing("alice", ["THERE", "A"], soon()) == {"THERE", "A"}


def test_current_values_are_of_one_look_and_not_longer_than_an_answer(
    engine: Behind, secrets: SecretVault
) -> None:
    put(secrets, "a", "A")
    put(secrets, "", "B")
    secrets.delete("alice", "B", ALWAYS, secrets.request("alice", None), soon())
    put(secrets, "", "C")
    del engine.calls[:]

    assert secrets.current("alice", ["C", "A"], soon()) == {"C": "", "A": "a"}
    assert engine.calls == ["read_secrets"]
    with pytest.raises(Missing) as missing:
        secrets.current("alice", ["C", "B", "A", "NO"], soon())
    assert missing.value.names == ("B", "NO")
    put(secrets, "x" * MOST, "A")
    with pytest.raises(VaultError) as caught:
        secrets.current("alice", ["A", "C"], soon())
    assert (caught.value.code, caught.value.members["limit_name"]) == ("too_large", "body_bytes")
    far = SecretVault(ShortSighted(KEYS), RING, MASTERS, os.urandom, MOST)
    with pytest.raises(VaultError) as caught:
        far.current("alice", ["A", "B", "C"], soon())
    assert caught.value.code == "too_large"


def test_all_that_has_no_value_is_named_before_any_key_is_asked_for(
    engine: Behind, secrets: SecretVault
) -> None:
    put(secrets, "x", "SEALED")
    other = MasterKeys("m2", {"m2": b"2" * 32}, os.urandom)
    keyless = SecretVault(engine, RING, other, os.urandom, MOST)
    with pytest.raises(Missing) as caught:
        keyless.current("alice", ["SEALED", "NO"], soon())
    assert caught.value.names == ("NO",)
    with pytest.raises(VaultError) as refused:
        keyless.current("alice", ["SEALED"], soon())
    assert refused.value.code == "key_unavailable"


def test_of_values_that_cannot_be_equal_no_ciphertext_is_read(
    engine: Behind, secrets: SecretVault
) -> None:
    for name in ("A", "B", "C"):
        put(secrets, "12345", name)
    looks = Noting(KEYS)
    looks.share(engine)
    noted = SecretVault(looks, RING, MASTERS, os.urandom, MOST)
    store(noted, {"A": "1234", "B": "54321"}, ["C"])
    assert [bool(found.sealed.ciphertext) for found in looks.found if found] == [False, True, False]
