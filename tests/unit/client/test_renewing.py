"""Which strings of a record are tokens, told by a parser of JSON, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault.client.answers import Retokenized
from tvault.client.bulk import MOST_VALUES, Bulk
from tvault.client.renewing import renewed_records
from tvault.client.vault import Vault
from tvault.errors import VaultError
from tvault.model.tokens import parse_token

DIGEST = "fedcba9876543210" * 2
OLD, NEW = f"tv1_1_{DIGEST}", f"tv1_9_{DIGEST}"
UNKNOWN = f"tv1_1_{'f' * 32}"


class RenamingVault(Vault):
    """A vault at epoch 9 in which the new token has the digits of the old one.  Tokens that end in `f`
    are not found, and of a request with more than `most` of them nothing comes."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        super().__init__(["http://127.0.0.1:1"], "k")
        self.most = most
        self.refused = 0
        self.asked: list[list[str | None]] = []

    def retokenize(
        self, tokens: Iterable[str | None], *, deadline_s: float | None = None
    ) -> Retokenized:
        assert deadline_s is None
        asked = [*tokens]
        if len(asked) > self.most:
            self.refused += 1
            raise VaultError("too_large", "There are too many.")
        self.asked.append(asked)
        renewed = [renamed(str(token)) for token in asked]
        missing = [position for position, token in enumerate(renewed) if token is None]
        return Retokenized(9, renewed, missing)


def renamed(text: str) -> str | None:
    assert parse_token(text) is not None, "no token was asked for"
    return None if text.endswith("f") else f"tv1_9_{text.rpartition('_')[2]}"


def expected(document: object) -> object:
    """The document with what a parser of JSON and one of tokens say has to change."""
    if isinstance(document, str):
        return (renamed(document) or document) if parse_token(document) is not None else document
    if isinstance(document, list):
        return [expected(item) for item in document]
    if isinstance(document, dict):
        return {key: expected(item) for key, item in document.items()}
    return document


tokens = st.one_of(
    st.sampled_from([OLD, NEW, UNKNOWN]),
    st.from_regex(r"\Atv1_[0-9]{1,19}_[0-9a-f]{31,33}\Z"),
    st.from_regex(r"\Atv1_[1-9][0-9]{0,17}_[0-9a-f]{32}\Z"),
)
around = st.text('"\\:,{}[] \ntv1_é\0', max_size=4)
texts = st.one_of(
    tokens,
    st.builds(lambda before, token, after: before + token + after, around, tokens, around),
    st.builds(lambda before, token: f'{before}"{token}', around, tokens),
    st.builds(lambda before, token: f'{before}"{token}"', around, tokens),
    around,
)
values = st.recursive(
    st.one_of(texts, st.none(), st.booleans(), st.integers()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
records = st.lists(st.dictionaries(texts, values, max_size=4), min_size=1, max_size=3)
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t : \r\n")])


@given(records, separators, st.booleans(), st.sampled_from([None, 1]))
def test_exactly_the_strings_that_are_tokens_are_replaced_as_a_parser_finds_them(
    given_records: list[dict[str, object]],
    between: tuple[str, str],
    is_ascii: bool,  # noqa: FBT001 - hypothesis gives it by position
    indent: int | None,
) -> None:
    def written(record: object) -> bytes:
        text = json.dumps(record, ensure_ascii=is_ascii, separators=between, indent=indent)
        return text.encode("utf-8", "surrogatepass")

    with RenamingVault() as vault:
        answer = renewed_records(Bulk(vault), [written(record) for record in given_records])
    assert answer.records == [written(expected(record)) for record in given_records]
    for asked in vault.asked:
        assert len(set(asked)) == len(asked)


@pytest.mark.parametrize(
    "stays",
    [
        '{"%s":1}',
        '{"%s" \t\r\n : "x"}',
        '{"a":"\\"%s\\""}',
        '{"a":"x\\"%s"}',
        '{"a":"\\\\\\"%s\\"","b":"\\\\"}',
        '{"a":" %s"}',
        '{"a":"%s "}',
        '{"a":{"%s":{"b":null}}}',
    ],
)
def test_keys_and_parts_of_longer_strings_stay(stays: str) -> None:
    record = (stays % OLD).encode()
    json.loads(record)
    with RenamingVault() as vault:
        assert renewed_records(Bulk(vault), [record]).records == [record]
    assert vault.asked == []


def test_a_string_that_ends_in_a_backslash_before_a_token_changes_nothing() -> None:
    record = '{"a":"\\\\","b":["%s","\\\\","%s" ]}'
    with RenamingVault() as vault:
        answer = renewed_records(Bulk(vault), [(record % (OLD, OLD)).encode()])
    assert answer.records == [(record % (NEW, NEW)).encode()]


def test_each_token_is_asked_for_once_and_what_changed_is_told_by_old_and_new() -> None:
    lines = [f'{{"a":"{token}","b":"{OLD}"}}'.encode() for token in (OLD, NEW, UNKNOWN)]
    with RenamingVault() as vault:
        answer = renewed_records(Bulk(vault), lines)
    assert vault.asked == [[OLD, NEW, UNKNOWN]]
    assert answer.changed == {OLD.encode(): NEW.encode()}
    assert [missing.record for missing in answer.missing] == [2]
    assert answer.epochs == {9}


def test_records_without_tokens_ask_nobody() -> None:
    with RenamingVault() as vault:
        answer = renewed_records(Bulk(vault), [b"{}", b'{"a":"tv1_1_0"}'])
    assert answer.records == [b"{}", b'{"a":"tv1_1_0"}']
    assert (vault.asked, answer.epochs) == ([], frozenset())


def many(count: int) -> list[str]:
    return [f"tv1_1_{number:031x}0" for number in range(count)]


@pytest.mark.parametrize("most", [MOST_VALUES, 700, 1])
def test_one_record_of_many_tokens_is_asked_for_in_as_many_requests_as_it_takes(most: int) -> None:
    count = MOST_VALUES + 5 if most > 1 else 5
    record = json.dumps({"a": many(count)}).encode()
    with RenamingVault(most) as vault:
        answer = renewed_records(Bulk(vault), [record])
    assert answer.records == [record.replace(b"tv1_1_", b"tv1_9_")]
    assert sorted(str(token) for asked in vault.asked for token in asked) == many(count)
    assert max(map(len, vault.asked)) <= most


@given(st.integers(1, 9), st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_what_is_too_much_for_a_node_is_asked_for_in_pieces_and_later_ones_are_no_larger(
    most: int, lengths: list[int]
) -> None:
    tokens = iter(many(sum(lengths)))
    lines = [json.dumps({"a": [next(tokens) for _ in range(length)]}).encode() for length in lengths]
    with RenamingVault(most) as vault:
        bulk = Bulk(vault)
        answer = renewed_records(bulk, lines)
        assert answer.records == [line.replace(b"tv1_1_", b"tv1_9_") for line in lines]
        refused = vault.refused
        again = renewed_records(bulk, lines)
        assert again.records == answer.records
        assert vault.refused == refused
