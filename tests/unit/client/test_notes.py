"""What is told of a call that waits."""

from __future__ import annotations

import pytest

from tests.unit.client.canned import BREAK_OFF, Canned, TimelessPatience, canned, nobody
from tvault.client.retries import LONGEST_PAUSE_SECONDS, NOTE_SECONDS
from tvault.client.vault import Vault
from tvault.errors import VaultError
from tvault.wire import encode_json, problem

EPOCH = Canned(200, b'{"epoch":3}')
REFUSAL = problem(VaultError("unavailable", "No majority."))
UNAVAILABLE = Canned(REFUSAL["status"], encode_json(REFUSAL))


class Noted(TimelessPatience):
    """Remembers what it is told, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.begin = self.now
        self.notes: list[tuple[float, str]] = []
        self.note = lambda text: self.notes.append((self.now - self.begin, text))


def vault(patience: Noted, *urls: str) -> Vault:
    return Vault(urls, "k", patience=patience)


def test_a_call_that_waits_tells_once_which_nodes_do_not_answer_and_why() -> None:
    patience = Noted()
    urls = [nobody(), nobody()]
    with vault(patience, *urls) as client, pytest.raises(VaultError, match="within 60 s"):
        client.epoch()
    [(seconds, text)] = patience.notes
    assert NOTE_SECONDS <= seconds <= NOTE_SECONDS + LONGEST_PAUSE_SECONDS
    told = ", ".join(f"{url} (connection refused)" for url in sorted(urls))
    assert text.startswith("no node answers yet: ")
    assert ", ".join(sorted(text.partition(": ")[2].partition(";")[0].split(", "))) == told
    assert text.endswith("; trying for 60 s")


def test_each_call_that_waits_is_told_of() -> None:
    patience = Noted()
    with vault(patience, nobody()) as client:
        for _ in range(2):
            with pytest.raises(VaultError):
                client.epoch()
    assert len(patience.notes) == 2


def test_a_refusal_that_is_waited_out_is_told() -> None:
    patience = Noted()
    with (
        canned([UNAVAILABLE]) as node,
        vault(patience, node.url) as client,
        pytest.raises(VaultError, match="No majority"),
    ):
        client.epoch()
    assert [text for _, text in patience.notes] == [
        "no node can do it yet (No majority); trying for 60 s"
    ]


def test_nothing_is_told_of_a_call_that_is_answered_sooner_or_not_asked_again() -> None:
    patience = Noted()
    with canned([Canned(BREAK_OFF), UNAVAILABLE, EPOCH]) as node, vault(patience, node.url) as client:
        assert client.epoch() == 3
    with vault(patience, nobody()) as client, pytest.raises(VaultError):
        client.health()
    assert patience.notes == []
