"""`tvault.arrow` in front of a real client API: columns become tokens and come back as they were."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.client.arrow_data import LEAVES, array_of, texts_in
from tests.unit.server.serving import KEYS, Node, serving
from tvault import arrow
from tvault.client.vault import Vault


def nested(leaf: pa.DataType) -> list[tuple[str, pa.DataType, Any]]:
    """Types with a leaf inside: the path to it, the type, and how a value of it stands in a row."""
    inner = pa.struct([pa.field("x", leaf), pa.field("other", pa.string())])
    return [
        ("c.x", inner, lambda value: {"x": value, "other": "o"}),
        ("c[*]", pa.list_(leaf), lambda value: [value, value]),
        ("c[*]", pa.large_list(leaf), lambda value: [value]),
        ("c[*]", pa.list_(leaf, 2), lambda value: [value, None]),
        ("c[*]", pa.list_view(leaf), lambda value: [value, None]),
        ("c[*]", pa.large_list_view(leaf), lambda value: [value]),
        ("c[*]", pa.map_(pa.string(), leaf), lambda value: [("k", value)]),
        ("c[*].x", pa.list_(inner), lambda value: [{"x": value, "other": None}, None]),
        ("c.x[*]", pa.struct([pa.field("x", pa.list_(leaf))]), lambda value: {"x": [value]}),
        ("c[*][*]", pa.list_(pa.list_(leaf)), lambda value: [[value], None, []]),
    ]


def there_and_back(vault: Vault, table: Any, columns: list[str]) -> Any:
    tokens = arrow.transform(table, columns, "tokenize", vault=vault)
    assert tokens.schema.equals(arrow.schema_of(table.schema, columns, "tokenize"), check_metadata=True)
    back = arrow.transform(tokens, columns, "detokenize", vault=vault)
    wanted = arrow.schema_of(tokens.schema, columns, "detokenize")
    assert back.schema.equals(wanted, check_metadata=True)
    assert back.schema.equals(table.schema, check_metadata=True)
    back.validate(full=True)
    tokens.validate(full=True)
    return tokens, back


def told(values: Any) -> list[str]:
    """Values with the sign of zeros."""
    return [repr(value) for value in values]


@pytest.mark.parametrize(("type_", "values"), LEAVES, ids=[str(type_) for type_, _ in LEAVES])
def test_a_column_of_every_type_comes_back_as_it_was(
    vault: Vault, type_: pa.DataType, values: list[Any]
) -> None:
    table = pa.table({"id": range(len(values)), "c": array_of(type_, values)})
    tokens, back = there_and_back(vault, table, ["c"])
    became = tokens.column("c").to_pylist()
    assert [one is None for one in became] == [one is None for one in values]
    assert all(text.startswith("tv1_1_") for text in became if text is not None)
    assert told(back.column("c").to_pylist()) == told(table.column("c").to_pylist())
    assert len(set(became)) == len(set(told(values)))
    assert tokens.column("id").equals(table.column("id"))


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize(
    "leaf", [pa.string(), pa.int64(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_what_is_nested_comes_back_as_it_was_and_nothing_else_is_touched(
    vault: Vault, leaf: pa.DataType, number: int
) -> None:
    path, type_, made = nested(leaf)[number]
    plain = [4711, None, 12] if leaf == pa.int64() else ["4711", None, "12"]
    rows = [None, *map(made, plain), None, *map(made, plain)]
    whole = pa.table({"c": pa.array(rows, _without_dictionary(type_)).cast(type_)})
    for table in (whole, whole.slice(1, 4), whole.slice(2, 0), whole.slice(6)):
        tokens, back = there_and_back(vault, table, [path])
        assert back.to_pylist() == table.to_pylist()
        assert [row is None for row in tokens.column("c").to_pylist()] == [
            row is None for row in table.column("c").to_pylist()
        ]
        kept = {"o", "k"}
        assert all(
            text.startswith("tv1_1_") for text in texts_in(tokens.to_pylist()) if text not in kept
        )


def _without_dictionary(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(type_):
        return type_.value_type
    if pa.types.is_struct(type_):
        return pa.struct([field.with_type(_without_dictionary(field.type)) for field in type_])
    return type_


def test_what_is_outside_a_slice_or_in_a_null_is_neither_sent_nor_kept(vault: Vault) -> None:
    hidden = pa.StructArray.from_arrays(
        [pa.array(["hidden 1", "shown", "hidden 2"])], ["x"], mask=pa.array([True, False, False])
    )
    lists = pa.ListArray.from_arrays(
        pa.array([0, 1, 2, 3]),
        pa.array(["hidden 3", "shown", "hidden 4"]),
        mask=pa.array([True, False, False]),
    )
    table = pa.table({"s": hidden, "l": lists}).slice(0, 2)
    tokens = arrow.transform(table, ["s.x", "l[*]"], "tokenize", vault=vault)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, tokens.schema) as stream:
        stream.write_table(tokens)
    assert b"hidden" not in sink.getvalue().to_pybytes()
    assert vault.lookup([f"hidden {number}" for number in (1, 2, 3, 4)]) == [{}, {}, {}, {}]
    assert vault.lookup(["shown"]) == [{1: tokens.column("s").to_pylist()[1]["x"]}]


def test_a_dictionary_gives_away_nothing_that_its_column_does_not_hold(vault: Vault) -> None:
    whole = pa.array(["used", "left out"]).dictionary_encode()
    tokens = arrow.transform(pa.table({"c": whole.slice(0, 1)}), ["c"], "tokenize", vault=vault)
    dictionary = tokens.column("c").chunk(0).dictionary.to_pylist()
    assert [text[:6] for text in dictionary] == ["tv1_1_"]
    assert vault.lookup(["left out"]) == [{}]


def test_an_ordered_dictionary_keeps_its_order(vault: Vault) -> None:
    ordered = pa.DictionaryArray.from_arrays(
        pa.array([2, 0, None, 1], pa.int8()), pa.array(["low", "middle", "high"]), ordered=True
    )
    _, back = there_and_back(vault, pa.table({"c": ordered}), ["c"])
    assert back.column("c").chunk(0).dictionary.to_pylist() == ["low", "middle", "high"]
    assert back.column("c").to_pylist() == ["high", "low", None, "middle"]


def test_two_tokens_of_one_value_become_one_entry_of_a_dictionary() -> None:
    with serving() as node, Vault([node.url], KEYS["alice"]) as vault:
        both = vault.tokenize(["v"]).tokens
        vault.rotate_epoch()
        both += vault.tokenize(["v"]).tokens
        table = pa.table({"c": pa.array(both).dictionary_encode()})
        back = arrow.transform(table, ["c"], "detokenize", vault=vault)
    assert back.column("c").to_pylist() == ["v", "v"]
    assert back.column("c").chunk(0).dictionary.to_pylist() == ["v"]


values = st.none() | st.text(max_size=5) | st.sampled_from(["a", "b"])
structs = st.none() | st.fixed_dictionaries({"x": values, "n": st.none() | st.integers(-9, 9)})
rows = st.lists(
    st.fixed_dictionaries(
        {"s": values, "f": st.none() | st.floats(allow_nan=False, allow_infinity=False), "t": structs}
        | {"l": st.none() | st.lists(structs, max_size=3)}
    ),
    max_size=6,
)
STRUCT = pa.struct([("x", pa.string()), ("n", pa.int64())])
SHAPE = pa.schema([("s", pa.string()), ("f", pa.float64()), ("t", STRUCT), ("l", pa.list_(STRUCT))])


@given(chunks=st.lists(rows, max_size=3), begin=st.integers(0, 4), size=st.integers(0, 8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_comes_back_as_it_was(vault: Vault, chunks: list[Any], begin: int, size: int) -> None:
    whole = pa.Table.from_batches([pa.RecordBatch.from_pylist(chunk, SHAPE) for chunk in chunks], SHAPE)
    table = whole.slice(min(begin, len(whole)), size)
    columns = ["s", "f", "t.x", "t.n", "l[*].x", "l[*].n"]
    tokens, back = there_and_back(vault, table, columns)
    assert told(back.to_pylist()) == told(table.to_pylist())
    assert all(text.startswith("tv1_1_") for text in texts_in(tokens.to_pylist()))


def test_each_different_value_is_asked_for_once_and_null_never(vault: Vault, node: Node) -> None:
    column = pa.chunked_array([["x", "y", None] * 500, [], ["y", "z"] * 500])
    first = len(node.events)
    arrow.transform(pa.table({"c": column}), ["c"], "tokenize", vault=vault)
    assert [counts["values"] for name, counts in node.events[first:] if name == "tokenize"] == [3]


def test_more_values_than_a_request_holds_keep_their_rows(vault: Vault, node: Node) -> None:
    table = pa.table({"c": [f"many {number % 25_000}" for number in range(40_000)]})
    first = len(node.events)
    _, back = there_and_back(vault, table, ["c"])
    assert back.equals(table)
    sizes = [counts["values"] for name, counts in node.events[first:] if name == "tokenize"]
    assert sorted(sizes) == [5_000, 10_000, 10_000]


def test_a_token_is_the_same_in_every_type_that_has_the_value(vault: Vault) -> None:
    table = pa.table(
        {
            "text": ["1", "2"],
            "view": pa.array(["1", "2"], pa.string_view()),
            "byte": pa.array([1, 2], pa.int8()),
            "long": pa.array([1, 2], pa.uint64()),
            "float": pa.array([1, 2], pa.float32()),
            "double": pa.array([1, 2], pa.float64()),
        }
    )
    tokens = arrow.transform(table, table.column_names, "tokenize", vault=vault).to_pydict()
    assert tokens["text"] == tokens["view"] == vault.tokenize(["1", "2"]).tokens
    assert tokens["byte"] == tokens["long"] == vault.tokenize([1, 2]).tokens
    assert tokens["float"] == tokens["double"] == vault.tokenize([1.0, 2.0]).tokens
    assert len({*tokens["text"], *tokens["byte"], *tokens["float"]}) == 6
