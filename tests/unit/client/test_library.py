"""The library as a program meets it: what it takes, from where, in which process, and what it shows."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tvault
from tests.certificates import issued
from tests.unit.client.canned import Canned, canned, nobody
from tests.unit.server.ports import listening
from tests.unit.server.serving import KEYS, Node, serving
from tvault import FieldError, MissingField, Vault, VaultError
from tvault.client.retries import untrusted
from tvault.server.framing import make_server
from tvault.server.tls import accepting
from tvault.trust import UNTRUSTED


def test_records_go_and_come_as_dictionaries(vault: Vault) -> None:
    records: list[dict[str, Any]] = [
        {"ssn": "1", "n": 1.0, "big": 10**30},
        {"odd": "\ud800", "ssn": None},
        {"ssn": True},
    ]
    made = vault.tokenize_records(records)
    assert [str(record["ssn"]).startswith("tv1_") for record in made.records] == [True, False, True]
    back = vault.detokenize_records([*made.records, {"ssn": "no token"}])
    assert repr(back.records[:3]) == repr(records)
    assert back.not_found == [MissingField(3, "ssn")]


def test_lookup_finds_tokens_of_all_epochs_and_retokenize_brings_them_to_the_active_one() -> None:
    with serving() as node, Vault([node.url], KEYS["alice"]) as vault:
        (old,) = vault.tokenize(["x"]).tokens
        assert vault.rotate_epoch().epoch == 2
        moved = vault.retokenize([old, None, "no token"])
        assert (moved.epoch, moved.tokens[1:], moved.not_found) == (2, [None, None], [2])
        assert vault.lookup(["x", "y", None]) == [{1: old, 2: moved.tokens[0]}, {}, {}]


@pytest.mark.parametrize(
    "odd", [Decimal("1.5"), date(2026, 1, 2), b"x", float("nan"), float("inf"), [1], {}]
)
def test_what_json_would_turn_into_something_else_is_refused_by_its_position(
    vault: Vault, odd: Any
) -> None:
    for call in (vault.tokenize, vault.lookup):
        with pytest.raises(VaultError, match="position 1 ") as caught:
            call(["secret value", odd])
        assert caught.value.code == "invalid_value"
        assert "secret value" not in repr(caught.value)
    if not isinstance(odd, (list, dict)):
        with pytest.raises(VaultError, match="record 1 is no JSON object"):
            vault.tokenize_records([{"ssn": "a"}, {"note": odd}])


@pytest.mark.parametrize("given", ["abc", b"abc", {"a": 1}])
def test_a_text_in_the_place_of_a_list_is_refused(vault: Vault, given: Any) -> None:
    for call in (vault.tokenize, vault.tokenize_records, vault.detokenize_tokens, vault.retokenize):
        told = f"^a list.* is expected, and this is of type {type(given).__name__}$"
        with pytest.raises(VaultError, match=told):
            call(given)


def test_more_values_than_a_request_may_hold_are_refused_by_the_node_and_not_split(vault: Vault) -> None:
    with pytest.raises(VaultError) as caught:
        vault.tokenize(range(10_001))
    assert (caught.value.code, caught.value.members["limit"]) == ("too_large", 10_000)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_deadline_is_a_number_of_seconds(vault: Vault, seconds: float) -> None:
    with pytest.raises(VaultError, match="deadline_s"):
        vault.epoch(deadline_s=seconds)


def test_health_is_told_at_once_also_when_nothing_can_be_written() -> None:
    with (
        canned([Canned(503, b'{"status":"unavailable"}')]) as ill,
        canned([Canned(200, b'{"status":"ok"}')]) as well,
    ):
        with Vault([ill.url], "k") as vault:
            assert vault.health() == "unavailable"
        with Vault([ill.url, well.url], "k") as vault:
            assert vault.health() == "ok"
    with Vault([nobody()], "k") as vault, pytest.raises(VaultError) as caught:
        vault.health()
    assert caught.value.code == "unreachable"


def test_the_environment_names_the_vault(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TVAULT_URL", raising=False)
    monkeypatch.delenv("TVAULT_CA", raising=False)
    monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
    with pytest.raises(VaultError, match="set TVAULT_URL"):
        Vault.from_env()
    monkeypatch.setenv("TVAULT_URL", f"{nobody()}, {node.url}")
    with Vault.from_env() as vault:
        assert vault.epoch() == 1
    monkeypatch.setenv("TVAULT_API_KEY", "")
    with pytest.raises(VaultError, match="set TVAULT_API_KEY"):
        Vault.from_env()


def test_a_vault_is_not_pickled_and_its_errors_are(vault: Vault) -> None:
    with pytest.raises(TypeError, match="from_env"):
        pickle.dumps(vault)
    error = VaultError(
        code="too_large", detail="no", errors=(FieldError(1, "x"),), members={"limit": 3}, request_id="r"
    )
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (back, back.request_id) == (error, "r")


def test_what_is_shown_of_a_vault_and_its_answers_holds_neither_key_nor_value(vault: Vault) -> None:
    made = vault.tokenize_records([{"ssn": "078-05-1120"}])
    back = vault.detokenize_records(made.records)
    texts = vault.detokenize_json([b'{"ssn":"078-05-1120"}'])
    shown = repr((vault, vault.__dict__, made, back, texts, vault.detokenize_tokens([])))
    assert "078-05-1120" not in shown
    assert KEYS["alice"] not in shown


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_gets_its_own_answers(vault: Vault) -> None:
    """On the connection of its parent it would get those of its parent."""
    fork = multiprocessing.get_context("fork")
    vault.epoch()

    def ask(name: str, count: int) -> None:
        for number in range(count):
            text = f"{name} {number}"
            assert vault.detokenize(vault.tokenize([text]).tokens[0] or "") == text

    children = [fork.Process(target=partial(ask, f"child {each}", 50)) for each in range(3)]
    for child in children:
        child.start()
    ask("parent", 50)
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]


def test_a_node_whose_certificate_is_not_trusted_is_refused_at_once(tmp_path: Path) -> None:
    files, others = issued(tmp_path / "a", "127.0.0.1"), issued(tmp_path / "b", "127.0.0.1")
    with (
        serving() as node,
        listening(
            make_server(node.api.app, "127.0.0.1", 0, 4, accepting(files.certificate, files.key))
        ) as server,
    ):
        url = f"https://127.0.0.1:{server.port}"
        with Vault([url], KEYS["alice"], ca=files.ca) as vault:
            assert vault.epoch() == 1
        began = time.monotonic()
        with Vault([url], KEYS["alice"], ca=others.ca) as vault, pytest.raises(VaultError) as caught:
            vault.epoch()
        assert time.monotonic() - began < 10
    assert caught.value.code == "unreachable"
    assert "certificate is not trusted" in caught.value.detail
    assert "name its CA" in caught.value.detail


def test_the_library_is_loaded_when_it_is_used_and_not_before() -> None:
    told = "print('msgspec' in sys.modules)"
    look = f"import sys, tvault; {told}; tvault.Vault; {told}"
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]
    assert all(getattr(tvault, name) is not None for name in tvault.__all__)
    assert not hasattr(tvault, "no such name")


def test_many_threads_share_a_vault(vault: Vault) -> None:
    def ask(number: int) -> bool:
        return vault.detokenize(vault.tokenize([number]).tokens[0] or "") == number

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(ask, range(200)))


def test_the_advice_on_a_certificate_is_for_what_is_wrong_with_it() -> None:
    unknown = untrusted("https://n1:1", f"{UNTRUSTED}: unable to get local issuer certificate")
    expired = untrusted("https://n1:1", f"{UNTRUSTED}: certificate has expired")
    assert "name its CA" in unknown.detail
    assert expired.detail.endswith("certificate has expired)")
