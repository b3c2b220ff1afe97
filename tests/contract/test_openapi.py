"""The published OpenAPI document is valid and complete, and its examples are answered as they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.contract.conftest import FRONTS
from tests.contract.fronts import Front, Reply, serving
from tests.contract.specification import (
    PLACES,
    Example,
    examples,
    examples_of,
    operations,
    problems,
    resolved,
    specification,
)
from tests.docs.pages import rows
from tests.unit.server.serving import serving as serving_in_process
from tvault import wire
from tvault.config import SETTINGS
from tvault.server.intake import BYTES_A_MARK
from tvault.server.streams import HEADER_BYTES

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
PROVOKED: dict[tuple[str, str], tuple[str, object]] = {
    ("Malformed", "unknownMember"): ("/tokenize", {"values": [], "fields": []}),
    ("Malformed", "notAString"): ("/detokenize", {"tokens": ["", 7]}),
    ("TooLarge", "tooMany"): ("/tokenize", {"values": [1] * 10_001}),
    ("InvalidValue", "notAValue"): ("/tokenize", {"records": [{"ssn": {}}]}),
}
"""What is answered as an example of a refusal says, where the document has no request beside it."""


def exactly(document: object) -> str:
    """JSON that is the same for the same JSON values only: 1 is not 1.0, and no order of members."""
    return json.dumps(document, sort_keys=True)


def timeless(document: object) -> str:
    """The document, exactly, but for the moments in it."""
    return MOMENT.sub("some moment", exactly(document))


def form(document: object) -> object:
    """The names of members, all the way down."""
    return {name: form(part) for name, part in document.items()} if isinstance(document, dict) else None


def ask(front: Front, example: Example) -> Reply:
    return front.ask(example.method, example.path, example.request, "A")


def test_the_document_is_valid() -> None:
    assert list(OpenAPIV31SpecValidator(specification()).iter_errors()) == []
    assert specification()["openapi"].startswith("3.1.")


def test_every_call_of_a_node_is_described_and_no_other() -> None:
    with serving_in_process() as node:
        routes = {
            (route.method, re.sub("<(.*?)>", r"{\1}", route.path)): route for route in node.api.routes()
        }
    described = {(method, path): operation for method, path, operation in operations()}
    assert set(described) == set(routes)
    for call, operation in described.items():
        assert (operation.get("security") == []) == (not routes[call].has_key), call
        assert ("401" in operation["responses"]) == routes[call].has_key, call
        assert ("415" in operation["responses"]) == routes[call].has_body, call
        assert ("requestBody" in operation) == routes[call].has_body, call


def test_every_code_of_an_error_is_described_with_its_status_and_title() -> None:
    described = problems()
    assert set(described) == set(wire.STATUS)
    for code, status in wire.STATUS.items():
        members = described[code]["properties"]
        assert members["type"]["const"] == f"urn:tvault:problem:{code}"
        assert members["status"]["const"] == status
        assert members["title"]["const"] == wire.TITLES[code]


def test_every_answer_is_described_under_the_status_that_its_code_has() -> None:
    for _, path, operation in operations():
        for status, part in operation["responses"].items():
            answer = resolved(part)
            assert {"Request-Id", "Cache-Control"} <= set(answer["headers"]), (path, status)
            assert ("Retry-After" in answer["headers"]) == (status == "503"), (path, status)
            assert ("WWW-Authenticate" in answer["headers"]) == (status == "401"), (path, status)
            for name, example in (
                answer["content"].get("application/problem+json", {"examples": {}})["examples"].items()
            ):
                assert example["value"]["status"] == int(status), (path, name)


def test_every_problem_that_stands_as_an_example_is_one_that_a_node_writes() -> None:
    for name, answer in specification()["components"]["responses"].items():
        for title, document in examples_of(answer).items():
            told = wire.error_from_problem(document["status"], wire.encode_json(document))
            assert exactly(wire.problem(told)) == exactly(document), (name, title)


def test_every_code_of_a_place_is_described() -> None:
    place = specification()["components"]["schemas"]["Place"]
    assert set(place["properties"]["code"]["enum"]) == set(PLACES)


def test_every_limit_is_told_with_its_name_and_default() -> None:
    told = {row[0].strip("`"): int(row[1]) for row in rows(specification()["info"]["description"])}
    limits = {setting.name: setting.default for setting in SETTINGS if setting.section == "limits"}
    del limits["requests_at_once"]  # one more is a 503, which names no limit
    limits |= {"header_bytes": HEADER_BYTES, "marks": wire.Limits.body_bytes // BYTES_A_MARK}
    assert told == limits
    named = problems()["too_large"]["properties"]["limit_name"]["enum"]
    assert set(named) == set(told)


@pytest.mark.parametrize("kind", FRONTS)
def test_every_example_is_answered_as_the_document_says(kind: str, tmp_path: Path) -> None:
    walk = list(examples())
    assert len(walk) >= 23, "the examples are no longer found"
    with serving(kind, tmp_path / "vault") as front:
        for example in walk:
            reply = ask(front, example)
            assert reply.status == example.status, str(example)
            told: object = reply.document
            expected = example.answer
            if example.path == "/status":  # it differs from node to node
                told, expected = form(told), form(expected)
            assert timeless(told) == timeless(expected), str(example)


@pytest.mark.parametrize("name", list(PROVOKED), ids="-".join)
def test_every_refusal_reads_as_its_example(front: Front, name: tuple[str, str]) -> None:
    answer, example = name
    path, body = PROVOKED[name]
    expected = examples_of(specification()["components"]["responses"][answer])[example]

    reply = front.ask("POST", path, body)

    assert reply.refusal == (expected["status"], expected["code"])
    assert exactly(reply.document) == exactly(expected)


def test_the_refusal_of_a_key_and_of_a_media_type_read_as_their_examples(front: Front) -> None:
    parts: dict[str, Any] = specification()["components"]["responses"]
    without_key = front.ask("POST", "/tokenize", {"values": []}, None)
    plain_text = front.ask("POST", "/tokenize", {"values": []}, Content_Type="text/plain")

    assert exactly(without_key.document) == exactly(examples_of(parts["Unauthorized"])["unauthorized"])
    assert exactly(plain_text.document) == exactly(
        examples_of(parts["UnsupportedMediaType"])["plainText"]
    )
