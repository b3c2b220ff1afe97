from __future__ import annotations

import pytest

from tvault.errors import VaultError
from tvault.events import Filter
from tvault.events.query import MOST_SEQS, Question, query_of, question_of, since_of

QUESTIONS = [
    Question(Filter()),
    Question(Filter(events=frozenset({"view", "left-view"})), after="12:345", limit=7),
    Question(Filter(owners=frozenset({'B "ü"&=+ %', "A"}), request_id="r 1+2", since=1764091755.208759)),
    Question(Filter(seqs=frozenset({1, 10**18})), after="end", limit=1),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_understood_as_it_was_asked(question: Question) -> None:
    query = query_of(question)
    assert query.isascii()
    assert question_of(query) == question


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("x=1", "unknown in the query; known are event, owner, request, since, seq, after, limit"),
        ("event", "the query is not"),
        ("event=%ff", "the query is not"),
        ("seq=0", "seq: expected a number from 1 to"),
        ("seq=-1", "seq: expected a number"),
        ("seq=1.5", "seq: expected a number"),
        ("seq=%D9%A1", "seq: expected a number"),
        ("limit=0", "limit: expected a number from 1 to 1000"),
        ("limit=1001", "limit: expected a number from 1 to 1000"),
        ("limit=" + "9" * 5000, "limit: expected a number"),
        ("limit=1&limit=2", "limit: stands in the query more than once"),
        ("request=a&request=b", "request: stands in the query more than once"),
        ("since=yesterday", "since: expected a time as '2026-11-25T17:29:15Z', or seconds since 1970"),
        ("since=nan", "since: expected a time"),
        ("since=inf", "since: expected a time"),
        ("since=", "since: expected a time"),
        ("since=2026-13-25", "since: expected a time"),
        ("&".join(["seq=1"] * (MOST_SEQS + 1)), "seq: a query names 1000 at most"),
    ],
)
def test_a_query_that_is_none_is_refused_with_what_was_expected(query: str, why: str) -> None:
    with pytest.raises(VaultError) as caught:
        question_of(query)
    assert caught.value.code == "malformed"
    assert caught.value.detail.startswith(why)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-25T17:29:15Z", 1795627755.0),
        ("2026-11-25T17:29:15.500000Z", 1795627755.5),
        ("2026-11-25T17:29:15.5z", 1795627755.5),
        ("2026-11-25T18:29:15+01:00", 1795627755.0),
        ("2026-11-25T17:29:15", 1795627755.0),
        ("2026-11-25", 1795564800.0),
        ("1795627755", 1795627755.0),
        ("1795627755.5", 1795627755.5),
    ],
)
def test_a_time_is_rfc_3339_or_seconds_since_1970(text: str, seconds: float) -> None:
    assert since_of(text) == seconds
