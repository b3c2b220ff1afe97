"""Arbitrary bodies for every route of a running server: answered or refused as documented, no 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import fuzzed
from tests.fuzz.test_json import BODIES
from tests.fuzz.test_model import DOCUMENTS, TOKENS
from tests.unit.server.serving import Node, problem_of, serving
from tvault.errors import VaultError
from tvault.server.moments import moment_in, moment_text
from tvault.server.preconditions import condition_in
from tvault.wire import (
    DETOKENIZE,
    ENV_ENCRYPT,
    ENV_EXPAND,
    EPOCH,
    HEALTH,
    LOOKUP,
    RETOKENIZE,
    ROTATE_EPOCH,
    SECRETS,
    STATUS,
    STATUS_PATH,
    TOKENIZE,
)

POSTED = (TOKENIZE, DETOKENIZE, LOOKUP, RETOKENIZE, ROTATE_EPOCH, ENV_ENCRYPT, ENV_EXPAND)
READ = (EPOCH, HEALTH, STATUS_PATH, "/none", SECRETS, f"{SECRETS}/N", f"{SECRETS}/N/history")
REFUSALS = {400, 404, 405, 409, 412, 413, 415, 422}

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
        "value": st.text(max_size=20) | DOCUMENTS,
        "content": st.text(max_size=40) | DOCUMENTS,
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


def check(node: Node, method: str, path: str, body: bytes | None, **headers: str) -> Any:
    answer = node.request(method, path, body, **headers)
    if answer.status_code in {200, 204}:
        return answer.json() if answer.content else None
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


MOMENTS = st.datetimes(timezones=st.just(timezone.utc)).map(datetime.isoformat)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,3}", fullmatch=True) | st.text(max_size=5)
TAGS = st.lists(st.sampled_from(['"1"', '"2"', 'W/"1"', "*", '"x"', '"', ",", " "]), max_size=4)
LETTERS = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")
LATIN = st.text(LETTERS, max_size=9)
QUERIES = st.lists(
    st.tuples(st.sampled_from(["version", "at", "owner_id", "x", ""]), st.text(max_size=30) | MOMENTS),
    max_size=2,
)


@given(
    st.sampled_from(["GET", "PUT", "DELETE", "HEAD"]),
    NAMES,
    st.sampled_from(["", "/history", "/"]),
    st.none() | QUERIES.map(urlencode) | LATIN.map(quote),
    st.fixed_dictionaries(
        {}, optional={"If_Match": TAGS.map("".join), "If_None_Match": LATIN, "Idempotency_Key": LATIN}
    ),
    st.text(max_size=9),
)
@fuzzed(300)
def test_whatever_is_asked_of_secrets_is_answered_or_refused_as_documented(
    node: Node, method: str, name: str, more: str, query: str | None, headers: dict[str, str], value: str
) -> None:
    path = f"{SECRETS}/{quote(name, safe='')}{more}" + (f"?{query}" if query else "")
    body = json.dumps({"value": value}).encode() if method == "PUT" else None
    sent = {header: text.strip() for header, text in headers.items()}
    if method == "HEAD":
        assert node.request(method, path, body, **sent).status_code in {200} | REFUSALS
        return
    answer = check(node, method, path, body, **sent)
    if answer is not None and method == "PUT":
        found = check(node, "GET", f"{SECRETS}/{name}?version={answer['version']}", None)
        assert found["value"] == value


@given(st.integers(0, 253_402_300_799_999_999), st.integers(-1439, 1439))
@fuzzed(100)
def test_a_moment_in_any_zone_is_read_as_the_moment_that_it_is(moment: int, minutes: int) -> None:
    text = moment_text(moment)
    assert moment_in(text) == moment
    sign = "-" if minutes < 0 else "+"
    there = text.replace("Z", f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}")
    assert moment_in(there) == moment - minutes * 60_000_000


@given(LATIN | st.text(max_size=40), st.sampled_from([0, 1]))
@fuzzed(200)
def test_conditions_and_moments_of_any_text_are_read_or_refused(text: str, header: int) -> None:
    assert moment_in(text) is None or text[4] == "-"
    refusal = None
    try:
        condition_in(*(text if header == at else None for at in (0, 1)))
    except VaultError as error:
        refusal = error.code
    assert refusal in {None, "malformed"}
