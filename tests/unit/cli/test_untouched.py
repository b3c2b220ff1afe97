"""What `tokenize` says of JSON without a value in a configured field."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine

SAID = "no record has a value in a configured field: nothing was tokenized\n"

pytestmark = pytest.mark.usefixtures("node")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.jsonl", b'{"SSN":"078-05-1120"}\n{ "x" : 1.0 }\n'),
        ("f.jsonl", b'{"ssn":null}\n'),
        ("f.json", b'[{"SSN":"078-05-1120"},\n{}]'),
        ("f.json", b'{"SSN":"078-05-1120"}'),
    ],
)
def test_a_file_in_which_nothing_became_a_token_is_told_at_the_end(
    tvault: CommandLine, name: str, content: bytes
) -> None:
    Path(name).write_bytes(content)
    ran = tvault("tokenize", name, "--batch", 1)
    assert (ran.code, ran.err) == (0, f"tvault: {name}: {SAID}")
    assert b"tv1_" not in ran.out


def test_a_packed_file_is_told_of_too(tvault: CommandLine) -> None:
    Path("f.jsonl.gz").write_bytes(gzip.compress(b'{"SSN":"1"}\n'))
    assert tvault("tokenize", "f.jsonl.gz").err == f"tvault: f.jsonl.gz: {SAID}"


def test_tokens_that_were_there_before_are_none_that_were_made(tvault: CommandLine) -> None:
    Path("f.jsonl").write_bytes(b'{"ssn":"1"}\n')
    token = json.loads(tvault("tokenize", "f.jsonl").out)["ssn"]
    Path("f.jsonl").write_text(f'{{"x": "{token}"}}\n' * 3)
    assert tvault("tokenize", "f.jsonl").err == f"tvault: f.jsonl: {SAID}"
    Path("f.jsonl").write_text(f'{{"ssn": "{token}"}}\n')
    assert tvault("tokenize", "f.jsonl").err == ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.jsonl", b'{"x":1}\n{"x":2}\n{"ssn":""}\n{"x":3}\n'),
        ("f.jsonl", b""),
        ("f.json", b"[]"),
    ],
)
def test_nothing_is_said_when_one_value_is_a_token_or_there_is_no_record(
    tvault: CommandLine, name: str, content: bytes
) -> None:
    Path(name).write_bytes(content)
    ran = tvault("tokenize", name, "--batch", 1)
    assert (ran.code, ran.err) == (0, "")


def test_nothing_is_said_of_chosen_columns_and_of_the_way_back(tvault: CommandLine) -> None:
    Path("f.jsonl").write_bytes(b'{"x":null}\n')
    for args in (["tokenize", "--columns", "x"], ["detokenize"], ["retokenize"]):
        ran = tvault(*args, "f.jsonl")
        assert (ran.code, ran.err) == (0, "")
