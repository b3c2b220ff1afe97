"""`tvault lookup` against a real client API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.client.canned import Canned, canned
from tests.unit.server.serving import KEYS, Node, serving
from tvault.client.bulk import MOST_VALUES
from tvault.wire import Limits

SENTINEL = "sentinel-4711"


def from_stdin(stdin: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tvault", "lookup", "-", *args],
        input=stdin,
        capture_output=True,
        check=False,
        env=dict(os.environ),
    )


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Node, dict[int, list[str]]]]:
    """A node at epoch 2, with the tokens of a, 42, "42" and the secret in both epochs, in that order."""
    with serving() as node:
        values = ["a", 42, "42", SENTINEL]
        tokens = {1: node.tokenize(values)}
        assert node.post("/rotate-epoch", {"to": 2}).status_code == 200
        tokens[2] = node.tokenize(values)
        yield node, tokens


@pytest.fixture
def tokens(
    served: tuple[Node, dict[int, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> dict[int, list[str]]:
    monkeypatch.setenv("TVAULT_URL", served[0].url)
    monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
    return served[1]


def test_each_token_of_a_value_gets_a_line_with_its_number_and_epoch(
    tvault: CommandLine, tokens: dict[int, list[str]]
) -> None:
    ran = tvault("lookup", SENTINEL, "a")
    rows = [(n, epoch, tokens[epoch][at]) for n, at in ((1, 3), (2, 0)) for epoch in (1, 2)]
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode() == "".join(f"{n}\t{epoch}\t{token}\n" for n, epoch, token in rows)


def test_values_come_one_a_line_from_stdin_and_are_never_shown(tokens: dict[int, list[str]]) -> None:
    ran = from_stdin(f"none of {SENTINEL}\n{SENTINEL}\r\n\na".encode())
    assert ran.returncode == 3
    assert [line.split("\t") for line in ran.stdout.decode().splitlines()] == [
        [str(number), str(epoch), tokens[epoch][at]]
        for number, at in ((2, 3), (4, 0))
        for epoch in (1, 2)
    ]
    assert ran.stderr == b"tvault: without a token: 2 (stdin line 1; stdin line 3)\n"


def test_a_number_and_its_text_are_two_values(tvault: CommandLine, tokens: dict[int, list[str]]) -> None:
    assert tvault("lookup", "42").out.split()[2::3] == [tokens[1][2].encode(), tokens[2][2].encode()]
    typed = tvault("lookup", "--typed", "42", '"42"', "--json")
    assert typed.document == {
        "tokens": [{str(epoch): tokens[epoch][at] for epoch in (1, 2)} for at in (1, 2)]
    }
    other = tvault("lookup", "--typed", "null", "42.0", "true")
    assert (other.code, other.out) == (3, b"")
    assert other.err == "tvault: without a token: 3 (value 1; value 2; value 3)\n"


@pytest.mark.usefixtures("tokens")
def test_looking_up_makes_no_token_and_shows_none_of_another_owner(
    tvault: CommandLine, served: tuple[Node, object]
) -> None:
    before = served[0].engine.store.last()
    Path("bob.key").write_text(KEYS["bob"])
    for _ in range(2):
        ran = tvault("lookup", "--api-key-file", "bob.key", "a", "new")
        assert (ran.code, ran.out) == (3, b"")
    assert served[0].engine.store.last() == before


@pytest.mark.usefixtures("tokens")
def test_nothing_asked_for_is_an_empty_document() -> None:
    assert json.loads(from_stdin(b"", "--json").stdout) == {"tokens": []}
    assert (from_stdin(b"").returncode, from_stdin(b"").stdout) == (0, b"")


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize(
    ("stdin", "flags", "said"),
    [
        (b"a\n\xff" + SENTINEL.encode(), (), "stdin line 2 is not UTF-8 (byte 1 of it)"),
        (b"1\n" + SENTINEL.encode(), ("--typed",), "stdin line 2 is not JSON"),
        (b"1\n\n", ("--typed",), "stdin line 2 is not JSON"),
        (b"1\n" + b"9" * 5000, ("--typed",), "stdin line 2: the number is out of range"),
        (b'1\n["' + SENTINEL.encode() + b'"]', ("--typed",), "stdin line 2: an array is no value"),
        (b'1\n"\\ud800"', ("--typed",), "stdin line 2: the text holds half of a surrogate pair"),
        (b"\xef\xbb\xbfa", (), "stdin begins with a byte order mark; save it as UTF-8 without one"),
        (b"a\n" + b"x" * 70_000, (), "stdin line 2: the value is too long"),
    ],
)
def test_a_bad_line_is_named_and_never_shown(stdin: bytes, flags: tuple[str, ...], said: str) -> None:
    ran = from_stdin(stdin, *flags)
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert ran.stderr.decode() == f"tvault: {said}\n"


@pytest.mark.usefixtures("tokens")
def test_mistakes_of_usage_make_exit_code_2(tvault: CommandLine) -> None:
    assert tvault("lookup").code == 2
    assert tvault("lookup", "-", "a").err == (
        "tvault: '-' stands alone: then every VALUE comes from stdin\n"
    )
    closed = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m tvault lookup - <&-"], capture_output=True, check=False
    )
    assert (closed.returncode, closed.stderr) == (2, b"tvault: cannot read stdin: Bad file descriptor\n")


@pytest.mark.parametrize("limits", [Limits(values_per_request=700), Limits(lookups_per_request=900)])
def test_many_values_go_in_requests_as_large_as_the_node_takes(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(limits=limits) as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
        known = node.tokenize([f"v{n}" for n in range(600)])
        count = MOST_VALUES + 1500
        stdin = "".join(f"v{(n * 7) % count}\n" for n in range(count)).encode()
        lines, document = from_stdin(stdin), from_stdin(stdin, "--json")
    numbers = {(n * 7) % count: n + 1 for n in range(count)}
    rows = sorted((numbers[value], token) for value, token in enumerate(known))
    assert lines.stdout.decode() == "".join(f"{number}\t1\t{token}\n" for number, token in rows)
    assert (lines.returncode, document.returncode) == (3, 3)
    without = [number for number in range(1, count + 1) if number not in dict(rows)]
    places = "; ".join(f"stdin line {number}" for number in without[:5])
    assert lines.stderr.decode() == f"tvault: without a token: {len(without)} ({places}; …)\n"
    told = json.loads(document.stdout)["tokens"]
    assert [(number, known["1"]) for number, known in enumerate(told, 1) if known] == rows


def test_places_go_on_counting_after_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b'{"code":"invalid_value","detail":"x","errors":[{"index":1,"code":"object"}]}'
    answers = [
        Canned(200, json.dumps({"tokens": [{}] * MOST_VALUES}).encode()),
        Canned(422, refusal),
    ]
    with canned(answers) as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        monkeypatch.setenv("TVAULT_API_KEY", "k")
        ran = from_stdin(b"1\n" * (MOST_VALUES + 3), "--typed")
    assert ran.returncode == 1
    assert ran.stderr == f"tvault: stdin line {MOST_VALUES + 2}: an object is no value\n".encode()
