"""The page on errors shows every code, each by what a server truly says."""

from __future__ import annotations

import json
import re
from typing import Any

import requests

from tests.docs.pages import REFERENCE, read
from tests.unit.server.crowded import writing
from tests.unit.server.lone_engine import LoneEngine
from tests.unit.server.serving import KEYS, serving
from tvault import wire
from tvault.model.secrets import MasterKeys

PAGE = read(REFERENCE / "errors.md")
OLDER = MasterKeys("m0", {"m0": bytes(range(64, 96))}, bytes)


def parts() -> dict[str, str]:
    """What the page says of each code."""
    body = PAGE.split("\n## The codes\n", 1)[1].split("\n## ", 1)[0]
    found = re.split(r"^### `(\w+)`$", body, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def examples_of(code: str) -> list[dict[str, Any]]:
    """The documents that the page shows of a code."""
    return [json.loads(line) for line in re.findall(r'^\{"type":.*\}$', parts()[code], re.MULTILINE)]


def check_as_shown(answer: requests.Response) -> None:
    """Assert that the page shows this very answer, members and their order included."""
    lines = parts()[answer.json()["code"]].splitlines()
    assert answer.text in lines


def test_every_code_is_told_in_the_order_of_the_table_by_examples_of_its_own() -> None:
    assert list(parts()) == list(wire.STATUS)
    for code, status in wire.STATUS.items():
        shown = examples_of(code)
        assert shown, code
        assert {(each["code"], each["status"]) for each in shown} == {(code, status)}
        told = [wire.error_from_problem(status, json.dumps(each).encode()) for each in shown]
        assert [json.dumps(wire.problem(each), sort_keys=True) for each in told] == [
            json.dumps(each, sort_keys=True) for each in shown
        ]


def test_a_collision_reads_as_shown() -> None:
    engine = LoneEngine(KEYS)
    writing("other", under="mine")(engine)
    with serving(engine) as node:
        check_as_shown(node.post("/tokenize", {"values": ["mine"]}))


class Failing(LoneEngine):
    """An engine with a mistake in it."""

    def read_epoch(self, owner: str, deadline: float) -> int:
        raise KeyError(owner, deadline)


def test_a_fault_of_the_server_reads_as_shown() -> None:
    with serving(Failing(KEYS)) as node:
        check_as_shown(node.get("/epoch"))


def test_a_secret_without_its_master_key_reads_as_shown() -> None:
    engine = LoneEngine(KEYS)
    with serving(engine, masters=OLDER) as before:
        put = before.request("PUT", "/secrets/DB_PASSWORD", b'{"value":"s3cret"}')
        assert put.status_code == 200
    with serving(engine) as node:
        check_as_shown(node.get("/secrets/DB_PASSWORD"))
