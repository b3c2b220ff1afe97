"""Arbitrary bodies for every route of a running server: answered or refused as documented, no 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import fuzzed
from tests.fuzz.test_json import BODIES
from tests.fuzz.test_model import DOCUMENTS, TOKENS
from tests.unit.server.serving import Node, problem_of, serving
from tvault.wire import (
    DETOKENIZE,
    EPOCH,
    HEALTH,
    LOOKUP,
    RETOKENIZE,
    ROTATE_EPOCH,
    STATUS,
    STATUS_PATH,
    TOKENIZE,
)

POSTED = (TOKENIZE, DETOKENIZE, LOOKUP, RETOKENIZE, ROTATE_EPOCH)
READ = (EPOCH, HEALTH, STATUS_PATH, "/none")
REFUSALS = {400, 404, 405, 409, 413, 415, 422}

RECORDS = st.lists(
    st.fixed_dictionaries({}, optional={"ssn": DOCUMENTS, "patient": DOCUMENTS, "contacts": DOCUMENTS}),
    max_size=3,
)
SEVERAL = st.lists(DOCUMENTS | TOKENS, max_size=4)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "values": SEVERAL,
        "tokens": SEVERAL,
        "token": DOCUMENTS | TOKENS,
        "records": RECORDS,
        "to": st.integers(-1, 3) | DOCUMENTS,
        "owner_id": DOCUMENTS,
    },
)
SINGLE = st.sampled_from(["values", "tokens", "records"]).flatmap(
    lambda name: st.fixed_dictionaries({name: RECORDS if name == "records" else SEVERAL})
)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with serving() as running:
        yield running


def check(node: Node, method: str, path: str, body: bytes | None) -> Any:
    answer = node.request(method, path, body)
    if answer.status_code == 200:
        return answer.json()
    status, code = problem_of(answer)
    assert status in REFUSALS
    assert STATUS[code] == status  # type: ignore[index]
    return None


@given(st.sampled_from(POSTED), SINGLE | REQUESTS)
@fuzzed(250)
def test_whatever_a_document_holds_it_is_answered_or_refused_as_documented(
    node: Node, path: str, document: dict[str, Any]
) -> None:
    answer = check(node, "POST", path, json.dumps(document).encode())
    if answer is not None and path == TOKENIZE and "values" in document:
        back = node.detokenize(answer["tokens"])
        assert repr(back) == repr(document["values"])


@given(st.sampled_from((*POSTED, *READ)), st.sampled_from(["GET", "POST", "PUT", "DELETE"]), BODIES)
@fuzzed(200)
def test_whatever_bytes_come_they_are_answered_or_refused_as_documented(
    node: Node, path: str, method: str, body: bytes
) -> None:
    check(node, method, path, body)
