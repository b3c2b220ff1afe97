"""What a command says while no node answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.client.canned import BREAK_OFF, Canned, canned
from tvault.client.job import DEFAULT_JOBS as JOBS
from tvault.errors import VaultError
from tvault.wire import encode_json, problem

EPOCH = Canned(200, b'{"epoch":1,"rotated":false}')
BROKEN = Canned(BREAK_OFF)


def busy(seconds: int) -> Canned:
    document = problem(VaultError("overloaded", "Too much at a time."))
    return Canned(document["status"], encode_json(document), {"Retry-After": str(seconds)})


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVAULT_API_KEY", "k")


def test_a_command_whose_calls_wait_says_so_once_and_on_stderr_alone(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("f.jsonl").write_bytes(b'{"ssn":"1"}\n' * JOBS)
    answer = Canned(200, b'{"epoch":1,"records":[{"ssn":"tv1_1_x"}]}')
    with canned([busy(seconds=3)] * JOBS + [busy(seconds=0)] * JOBS + [answer]) as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        ran = tvault("tokenize", "f.jsonl", "--batch", 1)
    assert (ran.code, ran.out) == (0, b'{"ssn":"tv1_1_x"}\n' * JOBS)
    assert ran.err == "tvault: no node can do it yet (Too much at a time); trying for 60 s\n"


def test_a_command_that_is_answered_soon_says_nothing(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with canned([BROKEN, EPOCH]) as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        ran = tvault("rotate-epoch", "--to", 1)
    assert (ran.code, ran.err) == (0, "")
