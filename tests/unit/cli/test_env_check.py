"""`tvault env check` against a real client API."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.server.serving import Node
from tvault.client.vault import Vault

SENTINEL = "sentinel-4711"

WRONG = b"A=secret(X)\nnot one\nP=sentinel-4711\nB=enc(P)\nC=secret(NONE)secret(OTHER)\nD=secret(NONE)\n"
TOLD = [
    "f.env:2: is neither NAME=value nor a comment",
    "f.env:3: the value of P stands here in the clear",
    "f.env:4: enc(P) is not encrypted yet: run 'tvault env encrypt'",
    "f.env:5: no value for NONE",
    "f.env:5: no value for OTHER",
    "f.env:6: no value for NONE",
]


@pytest.fixture(autouse=True)
def x(node: Node) -> Node:
    with Vault.from_env() as vault:
        vault.put_secret("X", SENTINEL)
    return node


def test_a_file_that_resolves_is_right_and_nothing_is_said(tvault: CommandLine) -> None:
    Path("f.env").write_bytes(b"\xef\xbb\xbfA=secret(X)\r\nB='x secret(X)' # c\r\nC=1\n")
    ran = tvault("env", "check", "f.env")
    assert (ran.code, ran.out, ran.err) == (0, b"", "")
    assert tvault("env", "check", "f.env", "--json").document == {
        "file": "f.env",
        "ok": True,
        "findings": [],
    }


def test_names_without_a_value_are_all_told_and_make_exit_code_3(tvault: CommandLine) -> None:
    Path("f.env").write_bytes(b"C=secret(NONE)secret(OTHER)\nA=secret(X)\nD=secret(NONE)\n")
    ran = tvault("env", "check", "f.env")
    assert (ran.code, ran.err) == (3, "")
    assert ran.out.decode().splitlines() == [
        "f.env:1: no value for NONE",
        "f.env:1: no value for OTHER",
        "f.env:3: no value for NONE",
    ]


def test_everything_that_is_wrong_is_told_with_its_line_and_never_a_value(tvault: CommandLine) -> None:
    Path("f.env").write_bytes(WRONG)
    ran = tvault("env", "check", "f.env")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.decode().splitlines() == TOLD
    document = tvault("env", "check", "f.env", "--json").document
    assert document["ok"] is False
    assert [f"f.env:{each['line']}: {each['message']}" for each in document["findings"]] == TOLD
    codes = ["unreadable", "plaintext", "not_encrypted", *["unresolved"] * 3]
    assert [each["code"] for each in document["findings"]] == codes
    assert [each["name"] for each in document["findings"]] == [None, "P", "P", "NONE", "OTHER", "NONE"]
    assert SENTINEL not in str(document)


def test_a_definition_that_is_a_reference_itself_is_no_plaintext(tvault: CommandLine) -> None:
    Path("f.env").write_bytes(b"X=secret(X)\nA=enc(X)\n")
    ran = tvault("env", "check", "f.env")
    assert (ran.code, ran.out.decode().count("\n")) == (1, 1)
    assert ran.out.startswith(b"f.env:2: enc(X) is not encrypted yet")


def test_nothing_but_the_names_of_secrets_is_sent(tvault: CommandLine, node: Node) -> None:
    Path("f.env").write_bytes(b"A=1\nB=enc(A)\n")
    node.events.clear()
    assert tvault("env", "check", "f.env").code == 1
    assert node.events == []


def test_offline_only_the_lines_are_judged_without_key_or_node(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TVAULT_API_KEY")
    monkeypatch.delenv("TVAULT_URL")
    Path("f.env").write_bytes(WRONG)
    ran = tvault("env", "check", "f.env", "--offline")
    assert (ran.code, ran.out.decode().splitlines()) == (1, TOLD[:3])
    Path("f.env").write_bytes(b"A=secret(NONE)\n")
    assert tvault("env", "check", "f.env", "--offline").code == 0
    assert tvault("env", "check", "f.env").code == 2


@pytest.mark.parametrize("line", [b"A=secret(no name)", b"A=enc(", b"'secret(X)'=1", b"A='secret(X)"])
def test_a_reference_that_is_none_is_told_with_its_line(tvault: CommandLine, line: bytes) -> None:
    Path("f.env").write_bytes(b"OK=1\n" + line + b"\nB=secret(NONE)\n")
    ran = tvault("env", "check", "f.env", "--json")
    assert ran.code == 1
    told = [(each["line"], each["code"]) for each in ran.document["findings"]]
    assert {line for line, _ in told} == {2, 3}
    assert (2, "bad_reference") in told
    assert told[-1] == (3, "unresolved")


def test_a_malformed_reference_does_not_hide_what_is_wrong_in_other_lines(tvault: CommandLine) -> None:
    # A good reference in a bad line is part of what is bad there.
    bad = b"U=secret(no name)\nV=enc(U)secret(\nP=enc(\n"
    Path("f.env").write_bytes(WRONG + bad + b"E=enc(U)\n")
    ran = tvault("env", "check", "f.env")
    assert ran.code == 1
    why = "holds an enc(…) or secret(…) that names no secret, or does not stand in a value"
    assert ran.out.decode().splitlines() == [
        *TOLD,
        *(f"f.env:{line}: {why}" for line in (7, 8, 9)),
        "f.env:10: enc(U) is not encrypted yet: run 'tvault env encrypt'",
    ]


def test_every_malformed_reference_is_told_however_many_there_are(tvault: CommandLine) -> None:
    Path("f.env").write_bytes(b"A=secret(\n" * 150)
    ran = tvault("env", "check", "f.env", "--offline", "--json")
    assert [each["line"] for each in ran.document["findings"]] == [*range(1, 151)]
