"""Chosen fields of JSON records: found as a parser finds them, and every other byte stays."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.client.remembering import RememberingVault
from tvault.client.bulk import Bulk
from tvault.client.chosen_fields import ChosenFields
from tvault.client.files import detokenize_file, retokenize_file, tokenize_file
from tvault.client.job import Job
from tvault.client.vault import Vault
from tvault.errors import VaultError
from tvault.model.fields import Fields, parse_path

KEYS = st.sampled_from(["a", "b", "c", 'q"\\', "é", "{", "a.b"])
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('ab"\\{}[],: é😀'), max_size=5)
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(KEYS, DOCUMENTS, max_size=5)
PATHS = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "a.b",
            "a.c",
            "b[*]",
            "b[*].a",
            "c[*][*]",
            "c.a.b",
            '["q\\"\\\\"]',
            '["a.b"]',
            "é[*].é",
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)
SPACINGS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :\n"), ("\r\n,", "  :\r")])


def are_sound(paths: list[str]) -> bool:
    try:
        Fields(map(parse_path, paths))
    except ValueError:
        return False
    return True


def expected(vault: RememberingVault, records: list[dict[str, Any]], paths: list[str]) -> Any:
    """The records with tokens, by the walk that the server does; the places of what cannot be one."""
    records = copy.deepcopy(records)
    found = Fields(map(parse_path, paths)).find(records)
    odd: list[tuple[int, str, str]] = [
        (misfit.record, misfit.code, misfit.where) for misfit in found.misfits
    ]
    for at, value in enumerate(found.values):
        if isinstance(value, (dict, list)):
            record, where = found.place(at)
            odd.append((record, "object" if isinstance(value, dict) else "array", where))
    if odd:
        return odd
    found.put([vault.token(value) for value in found.values])
    return records


@given(st.lists(RECORDS, max_size=4), PATHS.filter(are_sound), SPACINGS)
def test_the_values_at_the_paths_become_tokens_and_come_back_byte_for_byte(
    records: list[dict[str, Any]], paths: list[str], spacing: tuple[str, str]
) -> None:
    texts = [json.dumps(each, ensure_ascii=False, separators=spacing).encode() for each in records]
    with RememberingVault() as vault:
        wanted = expected(vault, records, paths)
        tokenized = ChosenFields("tokenize", Bulk(vault), paths)
        try:
            answer = tokenized(texts)
        except VaultError as error:
            told = [(entry.index, entry.code, entry.field) for entry in error.errors]
            assert sorted(map(str, told)) == sorted(map(str, wanted))
            return
        made = [bytes(record) for record in answer.records]
        assert [json.loads(text) for text in made] == wanted
        back = ChosenFields("detokenize", Bulk(vault), paths)(made)
        assert back.missing == ()
        assert back.records == texts


def lines(vault: Vault, content: bytes, *columns: str) -> bytes:
    target = io.BytesIO()
    tokenize_file(vault, io.BytesIO(content), target, Job("f.jsonl", columns=columns))
    return target.getvalue()


def test_numbers_escapes_and_blanks_of_all_other_fields_stay() -> None:
    content = b'{ "n":1.50 ,"ssn" : "%b", "x":"\\u0061\\/", "big":1E400,\t"y":{} } \n'
    with RememberingVault() as vault:
        token = vault.token("a").encode()
        assert lines(vault, content % b"\\u0061", "ssn") == content % token


def test_values_that_look_alike_have_tokens_of_their_own() -> None:
    content = b'{"a":["1",1,1.0,true,-0.0,0.0,0]}\n'
    with RememberingVault() as vault:
        lines(vault, content, "a[*]")
        assert list(map(repr, vault.asked[0])) == ["'1'", "1", "1.0", "True", "-0.0", "0.0", "0"]


def test_of_two_members_with_one_name_none_is_left_in_the_clear() -> None:
    with RememberingVault() as vault:
        tokens = lines(vault, b'{"ssn":"a","\\u0073sn":"b","ssn":"c","ssn":null}\n', "ssn")
    assert tokens.count(b"tv1_1_") == 3


def test_an_unknown_token_stays_and_is_named_and_so_does_what_is_no_token() -> None:
    content = b'{"a":"no token"}\n{"a":1e400,"b":{"c":[]}}\n{"a":null}\n{"a":"tv1_1_%032d"}\n' % 9
    with RememberingVault() as vault:
        target = io.BytesIO()
        job = Job("f.jsonl", columns=("a", "b.c[*].d"))
        summary = detokenize_file(vault, io.BytesIO(content), target, job)
        assert vault.asked == [[f"tv1_1_{9:032}"]]
    assert target.getvalue() == content
    assert summary.missing == ["line 1, field a", "line 2, field a", "line 4, field a"]


def test_old_tokens_are_renewed_in_the_chosen_fields_alone() -> None:
    with RememberingVault() as vault:
        old = vault.token("x")
        vault.active = 2
        new = vault.token("x")
        content = f'{{"a":"{old}","b":"{old}"}}\n{{"a":{{"b":"{old}"}},"b":1}}\n'.encode()
        target = io.BytesIO()
        changed: dict[bytes, bytes] = {}
        job = Job("f.jsonl", columns=("a",))
        summary = retokenize_file(vault, io.BytesIO(content), target, job, changed.update)
    assert target.getvalue() == content.replace(old.encode(), new.encode(), 1)
    assert (summary.not_found, changed) == (0, {old.encode(): new.encode()})


@pytest.fixture
def remembering() -> Iterator[RememberingVault]:
    with RememberingVault() as vault:
        yield vault


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("snn",), "f.jsonl: no record has the field snn"),
        (("ssn", "a.b", "d[*].e", "n.x"), "f.jsonl: no record has the field a.b, d[*].e"),
        (("a[",), "the field 'a[' is no path: column 2: expected [*] or [\"key\"]"),
        (("a", "a.b"), "the fields a and a.b: one leads through the other"),
    ],
)
def test_a_field_that_no_record_has_and_what_is_no_path_is_refused_by_name(
    remembering: RememberingVault, columns: tuple[str, ...], said: str
) -> None:
    content = b'{"ssn":"a","a":{"c":1},"n":null}\n{"d":[{"f":1}]}\n'
    with pytest.raises(VaultError) as caught:
        lines(remembering, content, *columns)
    assert caught.value.code == "usage"
    assert caught.value.detail.startswith(said)


@pytest.mark.parametrize("content", [b"", b'{"ssn":null}\n{}\n', b'{"ssn":"x"}\n', b'{}\n{"ssn":"x"}\n'])
def test_a_field_that_some_record_has_may_be_missing_in_others(
    remembering: RememberingVault, content: bytes
) -> None:
    token = f'"{remembering.token("x")}"'.encode()
    assert lines(remembering, content, "ssn") == content.replace(b'"x"', token)


def test_a_value_that_is_refused_is_named_by_line_and_field_and_never_shown(vault: Vault) -> None:
    content = b'{"a":[1,{"b":"%b"}]}\n' % (b"x" * 70_000)
    with pytest.raises(VaultError) as caught:
        lines(vault, b'{"a":[null]}\n' + content, "a[*].b")
    assert caught.value.detail == (
        "f.jsonl line 2, field a[0].b: an object was expected on the way to this field"
    )
    with pytest.raises(VaultError) as caught:
        lines(vault, b'{"a":[null]}\n' + content.replace(b"1,", b""), "a[*].b")
    assert caught.value.detail == "f.jsonl line 2, field a[0].b: the value is too long"
    with pytest.raises(VaultError) as caught:
        lines(vault, b'{"a":1e400}\n', "a")
    assert caught.value.detail == "f.jsonl line 1, field a: the number is out of range"


def test_a_json_array_keeps_its_shape(vault: Vault) -> None:
    content = b'[ {"note":"a", "n":1},\n {"note":"b" , "n":[ 2]} ]\n'
    job = Job("f.json", "json", columns=("note",))
    tokens, back = io.BytesIO(), io.BytesIO()
    tokenize_file(vault, io.BytesIO(content), tokens, job)
    assert tokens.getvalue().count(b"tv1_1_") == 2
    detokenize_file(vault, io.BytesIO(tokens.getvalue()), back, job)
    assert back.getvalue() == content
