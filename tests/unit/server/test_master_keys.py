"""At start a node finds out whether its master keys are those that sealed what it holds."""

from __future__ import annotations

import logging
import os

import msgspec
import pytest

from tvault.errors import VaultError
from tvault.model.commands import SecretVersion
from tvault.model.secrets import MasterKeys
from tvault.server.master_keys import tried, warn_of_missing

KEYS = {f"m{number}": bytes([number]) * 32 for number in (1, 2, 3)}
OTHER = bytes(32)


def masters_of(active: str, keys: dict[str, bytes]) -> MasterKeys:
    return MasterKeys(active, keys, os.urandom)


def sample(key_id: str) -> SecretVersion:
    """A version that was sealed under this master key."""
    return SecretVersion("A", "NAME", 2, 1, masters_of(key_id, KEYS).seal("A", "NAME", 2, b"value"))


SAMPLES = [sample(key_id) for key_id in KEYS]


def test_keys_that_open_what_they_sealed_all_stay() -> None:
    masters, missing = tried(masters_of("m3", KEYS), SAMPLES)
    assert masters.fingerprints() == masters_of("m3", KEYS).fingerprints()
    assert missing == {}


def test_an_older_key_that_is_another_one_is_told_of_and_left_out() -> None:
    masters, missing = tried(masters_of("m3", KEYS | {"m1": OTHER}), SAMPLES)
    assert set(masters.fingerprints()) == {"m2", "m3"}
    assert masters.active == "m3"
    assert missing == {"m1": "it is not the key that sealed the secrets of this node"}


def test_a_key_that_sealed_something_and_is_not_configured_is_told_of() -> None:
    masters, missing = tried(masters_of("m3", {"m3": KEYS["m3"]}), SAMPLES)
    assert set(masters.fingerprints()) == {"m3"}
    assert missing == dict.fromkeys(("m1", "m2"), "there is no [[master_key]] with this id")


def test_an_active_key_that_is_another_one_refuses_the_start_by_setting_and_id() -> None:
    with pytest.raises(VaultError) as caught:
        tried(masters_of("m3", KEYS | {"m3": OTHER, "m1": OTHER}), SAMPLES)
    assert caught.value.code == "configuration"
    assert "[[master_key]] 'm3' key: it is not the key that sealed" in caught.value.detail
    assert "([keys] master)" in caught.value.detail


def test_a_key_that_has_sealed_nothing_yet_cannot_be_wrong() -> None:
    given = masters_of("m3", {"m3": OTHER, "m2": OTHER, "m1": KEYS["m1"]})
    masters, missing = tried(given, [sample("m1")])
    assert (masters.fingerprints(), missing) == (given.fingerprints(), {})


def test_damage_is_no_reason_to_refuse_a_key() -> None:
    whole = sample("m3")
    damaged = msgspec.structs.replace(whole.sealed, ciphertext=bytes(len(whole.sealed.ciphertext)))
    row = msgspec.structs.replace(whole, sealed=damaged)
    masters, missing = tried(masters_of("m3", KEYS), [row])
    assert (set(masters.fingerprints()), missing) == (set(KEYS), {})


def test_a_missing_key_is_in_the_log_and_an_event_that_tells_its_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[tuple[str, str]] = []
    with caplog.at_level(logging.WARNING):
        warn_of_missing(
            {"m2": "lost", "m1": "gone"}, lambda event, *, key_id: told.append((event, key_id))
        )
    assert told == [("key-missing", "m1"), ("key-missing", "m2")]
    assert "the master key 'm1' is missing: gone; " in caplog.text
    assert "503 key_unavailable" in caplog.text
