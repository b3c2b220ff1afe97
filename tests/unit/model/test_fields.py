"""Field paths find the values of records, replace them in place, and say what does not fit."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvault.model.fields import EACH, MAX_STEPS, FieldPath, Fields, parse_path

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6) | st.sampled_from(
    ["ssn", "a.b", "a b", '"', "[*]", "$", "é", "\u2028", "\\", "\x00"]
)
PATHS = st.builds(
    lambda first, rest: FieldPath((first, *rest)), KEYS, st.lists(KEYS | st.just(EACH), max_size=4)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, max_size=3), max_size=4)
PATH_SETS = st.sampled_from(
    [
        ["a"],
        ["a", "b", "c"],
        ["a.b"],
        ["a.b", "a.c", "b"],
        ["a[*]"],
        ["a[*].b"],
        ["a[*].b[*].c", "b", "c.a"],
        ["a[*][*]"],
        ["c[*].a", "c[*].b", "a"],
    ]
)


def fields(*texts: str) -> Fields:
    return Fields(map(parse_path, texts))


def found(paths: Fields, records: list[dict[str, Any]]) -> list[tuple[int, str, object]]:
    there = paths.find(records)
    assert there.misfits == []
    return [(*there.place(at), value) for at, value in enumerate(there.values)]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("ssn", ("ssn",)),
        ("patient.mrn", ("patient", "mrn")),
        ("contacts[*].phone", ("contacts", EACH, "phone")),
        ("a[*].b[*].c", ("a", EACH, "b", EACH, "c")),
        ("tags[*]", ("tags", EACH)),
        ("grid[*][*]", ("grid", EACH, EACH)),
        ('["odd key.x"]', ("odd key.x",)),
        ('a["b c"].d', ("a", "b c", "d")),
        ('a["b c"][*]["d"]', ("a", "b c", EACH, "d")),
        ('["say \\"hi\\" \\u00e9"]', ('say "hi" é',)),
        ("größe.first-name.x/y:z_1", ("größe", "first-name", "x/y:z_1")),
        ("0", ("0",)),
    ],
)
def test_a_path_is_read_as_written(text: str, steps: tuple[str | None, ...]) -> None:
    assert parse_path(text).steps == steps


@pytest.mark.parametrize(
    "text", ["ssn", "patient.mrn", "a[*].b[*].c", "tags[*]", '["odd key.x"].a', "é"]
)
def test_canonical_text_is_written_back_as_it_was(text: str) -> None:
    assert str(parse_path(text)) == text


@given(PATHS)
def test_a_path_survives_its_text(path: FieldPath) -> None:
    assert parse_path(str(path)) == path


@given(st.text() | st.text('ab.[]*"$ \\', max_size=8))
def test_any_text_is_a_path_or_is_refused_with_a_column(text: str) -> None:
    refusal: str | None = None
    try:
        path = parse_path(text)
    except ValueError as refused:
        refusal = str(refused)
    if refusal is None:
        assert parse_path(str(path)) == path
    else:
        assert 1 <= int(refusal.removeprefix("column ").split(":")[0]) <= len(text) + 1


def test_a_needless_quote_is_no_other_path() -> None:
    assert parse_path('["ssn"]') == parse_path("ssn")
    assert str(parse_path('a["b"]')) == "a.b"


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        (" ", 1),
        (" ssn", 1),
        ("ssn ", 4),
        ("a b", 2),
        ("a\tb", 2),
        (".", 1),
        (".a", 1),
        ("a.", 3),
        ("a..b", 3),
        ("$", 1),
        ("$.a", 1),
        ("a.$b", 3),
        ("a$", 2),
        ("*", 1),
        ("a.*", 3),
        ("a[0]", 2),
        ("a[-1]", 2),
        ("a[]", 2),
        ("a[", 2),
        ("a[*", 2),
        ("a[ * ]", 2),
        ("a[?(@.b)]", 2),
        ("a['b']", 2),
        ("a[*]b", 5),
        ("a]", 2),
        ("[*]", 1),
        ("[*].a", 1),
        ("a.[*]", 3),
        ('a.["b"]', 3),
        ('[""]', 2),
        ('a["b"', 6),
        ('a["b]', 3),
        ('a["b" ]', 6),
        ('a["\\ud800"]', 3),
        ('a["\\x"]', 4),
        ("a\u200bb", 2),
        ("a.b\ud800", 4),
    ],
)
def test_what_is_no_path_is_refused_at_its_column(text: str, column: int) -> None:
    with pytest.raises(ValueError, match=f"^column {column}: "):
        parse_path(text)


def test_a_path_has_a_bounded_number_of_steps() -> None:
    assert len(parse_path(".".join("a" * MAX_STEPS)).steps) == MAX_STEPS
    with pytest.raises(ValueError, match="more than"):
        parse_path(".".join("a" * (MAX_STEPS + 1)))


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["a", "a"], ["a"]),
        (["a", '["a"]'], ["a"]),
        (["a", "a.b"], ["a", "a.b"]),
        (["a.b.c", "x", "a.b"], ["a.b.c", "a.b"]),
        (["a[*]", "a"], ["a[*]", "a"]),
        (["a[*].b", "a[*]"], ["a[*].b", "a[*]"]),
        (["a[*].b", "a.b"], ["a[*].b", "a.b"]),
        (["x.a.b", "x.a[*]"], ["x.a.b", "x.a[*]"]),
    ],
)
def test_paths_that_no_record_could_fit_are_refused_by_name(texts: list[str], names: list[str]) -> None:
    with pytest.raises(ValueError, match="field") as refused:
        fields(*texts)
    for name in names:
        assert name in str(refused.value)


def test_paths_that_only_begin_alike_go_together() -> None:
    assert len(fields("a.b", "a.c", "ab", "c[*].x", "c[*].y.z").paths) == 5


def test_values_are_found_in_the_order_of_records_and_paths() -> None:
    records: list[dict[str, Any]] = [
        {"ssn": "1", "patient": {"mrn": 2}, "contacts": [{"phone": "3"}, {}, {"phone": 4.5}]},
        {"contacts": [], "patient": {"mrn": True, "ssn": "no"}, "ssn": ""},
    ]
    assert found(fields("contacts[*].phone", "ssn", "patient.mrn"), records) == [
        (0, "contacts[0].phone", "3"),
        (0, "contacts[2].phone", 4.5),
        (0, "ssn", "1"),
        (0, "patient.mrn", 2),
        (1, "ssn", ""),
        (1, "patient.mrn", True),
    ]


def test_values_under_arrays_in_arrays_are_found() -> None:
    records = [
        {"a": [{"b": [{"c": 1}, {"c": 2}]}, {"b": []}, {"b": [{"c": 3}]}], "g": [["x"], [], ["y", "z"]]}
    ]
    assert found(fields("a[*].b[*].c", "g[*][*]"), records) == [
        (0, "a[0].b[0].c", 1),
        (0, "a[0].b[1].c", 2),
        (0, "a[2].b[0].c", 3),
        (0, "g[0][0]", "x"),
        (0, "g[2][0]", "y"),
        (0, "g[2][1]", "z"),
    ]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"a": None},
        {"a": {}},
        {"a": {"b": None}},
        {"t": []},
        {"t": [None]},
        {"c": [None, {}, {"d": None}]},
    ],
)
def test_what_is_absent_or_null_is_left_alone(record: dict[str, Any]) -> None:
    assert found(fields("a.b", "t[*]", "c[*].d"), [record]) == []


def test_falsy_values_are_values() -> None:
    record = {"a": 0, "t": ["", False, 0.0]}
    assert fields("a", "t[*]").find([record]).values == [0, "", False, 0.0]


def test_objects_and_arrays_at_the_end_of_a_path_are_handed_on() -> None:
    assert found(fields("a", "b.c"), [{"a": {}, "b": {"c": []}}]) == [(0, "a", {}), (0, "b.c", [])]


@pytest.mark.parametrize(
    ("record", "code", "where"),
    [
        ({"a": "text"}, "not_an_object", "a.b"),
        ({"a": []}, "not_an_object", "a.b"),
        ({"a": False}, "not_an_object", "a.b"),
        ({"c": "text"}, "not_an_array", "c[*].d[*]"),
        ({"c": {}}, "not_an_array", "c[*].d[*]"),
        ({"c": [{}, "text"]}, "not_an_object", "c[1].d[*]"),
        ({"c": [[]]}, "not_an_object", "c[0].d[*]"),
        ({"c": [{}, {}, {"d": 0}]}, "not_an_array", "c[2].d[*]"),
    ],
)
def test_a_record_of_another_shape_is_named(record: dict[str, Any], code: str, where: str) -> None:
    there = fields("a.b", "c[*].d[*]").find([{}, record])
    assert there.values == []
    assert [(misfit.record, misfit.code, misfit.where) for misfit in there.misfits] == [(1, code, where)]


def test_every_misfit_is_named_and_the_rest_is_found() -> None:
    records: list[dict[str, Any]] = [{"a": 1}, {"a": {"b": 2}}, {"c": [3, {"d": 4}]}]
    there = fields("a.b", "c[*].d").find(records)
    assert there.values == [2, 4]
    assert [(misfit.record, str(misfit.path)) for misfit in there.misfits] == [(0, "a.b"), (2, "c[*].d")]


def test_replacing_changes_the_values_and_nothing_else() -> None:
    record = {"x": [1], "ssn": "1", "p": {"mrn": 2, "k": None}, "t": ["a", None, "b"], "z": {"ssn": "1"}}
    there = fields("ssn", "p.mrn", "t[*]").find([record])
    there.put([f"<{value}>" for value in there.values])
    assert json.dumps(record) == (
        '{"x": [1], "ssn": "<1>", "p": {"mrn": "<2>", "k": null}, '
        '"t": ["<a>", null, "<b>"], "z": {"ssn": "1"}}'
    )


@given(PATH_SETS, RECORDS)
def test_putting_the_values_back_restores_every_record(
    texts: list[str], records: list[dict[str, Any]]
) -> None:
    before = copy.deepcopy(records)
    there = fields(*texts).find(records)
    tokens = [f"token {number}" for number in range(len(there.values))]
    for put in (tokens[::-1], tokens):
        there.put(put)
        again = fields(*texts).find(records)
        assert again.values == put
    again.put(there.values)
    assert records == before


def test_where_nothing_replaces_it_the_value_stays() -> None:
    records: list[dict[str, Any]] = [{"ssn": "1", "t": [2, 3]}, {"ssn": "4"}]
    fields("ssn", "t[*]").find(records).put(["a", None, "b", None])
    assert records == [{"ssn": "a", "t": [2, "b"]}, {"ssn": "4"}]


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("texts", [["ssn"], ["ssn", "t[*]"]])
def test_every_value_has_one_replacement(texts: list[str], count: int) -> None:
    records = [{"ssn": "1"}, {"ssn": "2"}]
    with pytest.raises(ValueError, match="one replacement"):
        fields(*texts).find(records).put(["token"] * count)
    assert records == [{"ssn": "1"}, {"ssn": "2"}]


def test_without_paths_nothing_is_found() -> None:
    assert found(fields(), [{"ssn": "1"}, {}]) == []
    assert found(fields("ssn", "a[*]"), []) == []


def reference(steps: tuple[str | None, ...], there: Any, way: str) -> list[tuple[str, object]]:
    """What a path finds (or where it does not fit), written the slow and plain way."""
    if there is None:
        return []
    if not steps:
        return [(way, there)]
    if steps[0] is EACH:
        if not isinstance(there, list):
            return [("misfit", "not_an_array")]
        inner = [reference(steps[1:], element, f"{way}[{index}]") for index, element in enumerate(there)]
        return [leaf for leaves in inner for leaf in leaves]
    if not isinstance(there, dict):
        return [("misfit", "not_an_object")]
    return reference(steps[1:], there.get(steps[0]), f"{way}.{steps[0]}".removeprefix("."))


@given(PATH_SETS, RECORDS)
def test_the_walk_agrees_with_a_naive_one(texts: list[str], records: list[dict[str, Any]]) -> None:
    there = fields(*texts).find(records)
    expected = [
        (index, leaf)
        for index, record in enumerate(records)
        for text in texts
        for leaf in reference(parse_path(text).steps, record, "")
    ]
    places = [(index, leaf) for index, leaf in expected if leaf[0] != "misfit"]
    assert len(there.values) == len(places)
    for at, ((index, (way, leaf)), value) in enumerate(zip(places, there.values, strict=True)):
        assert there.place(at) == (index, way)
        assert value is leaf
    wrong = [(index, leaf[1]) for index, leaf in expected if leaf[0] == "misfit"]
    assert [(misfit.record, misfit.code) for misfit in there.misfits] == wrong


def test_neither_what_is_found_nor_misfits_show_values() -> None:
    there = fields("ssn", "a.b").find([{"ssn": "secret-1", "a": "secret-2"}])
    assert there.values
    assert there.misfits
    assert "secret" not in repr(there) + repr(there.misfits)
