"""`tvault.arrow`: what is refused, what is not found, and which schema a result has."""

from __future__ import annotations

import logging
import os
from typing import Any

import pyarrow as pa
import pytest

from tests.unit.client.arrow_data import array_of
from tests.unit.server.serving import KEYS, Node, serving
from tvault import arrow
from tvault.client.vault import Vault
from tvault.errors import VaultError

UNKNOWN = "tv1_1_" + "0" * 32


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused_by_row_and_column(vault: Vault, bad: float) -> None:
    column = pa.array([[1.0], None, [2.0, None, bad]])
    table = pa.table({"f": pa.chunked_array([column.slice(0, 1), column.slice(1)])})
    with pytest.raises(VaultError, match=r"^row 3, column f\[\*\]: NaN and infinities") as refused:
        arrow.transform(table, ["f[*]"], "tokenize", vault=vault)
    assert refused.value.code == "invalid_value"


def test_a_value_that_the_service_refuses_is_named_by_row_and_column(vault: Vault) -> None:
    table = pa.table({"a": ["x", "y"], "c": ["short", "x" * 70_000]})
    with pytest.raises(VaultError, match=r"^row 2, column c: the value is too long") as refused:
        arrow.transform(table, ["a", "c"], "tokenize", vault=vault)
    assert "xx" not in str(refused.value)


def test_a_text_that_is_not_utf_8_is_refused_without_showing_it(vault: Vault) -> None:
    broken = pa.array([b"fine", b"sec\xffret"]).view(pa.string())
    with pytest.raises(VaultError, match=r"^row 2, column c: the text is not UTF-8$") as refused:
        arrow.transform(pa.table({"c": broken}), ["c"], "tokenize", vault=vault)
    assert refused.value.__context__ is None


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 2**60], pa.timestamp("s")),
        pa.array([0, 1], pa.date64()),
        pa.array([None, 0], pa.timestamp("s", "Mars/Olympus")),
    ],
    ids=["year", "half a day", "zone"],
)
def test_a_value_whose_text_does_not_give_it_back_is_refused(vault: Vault, column: pa.Array) -> None:
    with pytest.raises(
        VaultError, match=r"^row 2, column c: the text of this .* does not give it back$"
    ):
        arrow.transform(pa.table({"c": column}), ["c"], "tokenize", vault=vault)


@pytest.mark.parametrize(
    ("type_", "hint"),
    [
        (pa.binary(), "binary cannot be tokenized$"),
        (pa.duration("s"), "cannot be tokenized$"),
        (pa.struct([("x", pa.string())]), r"as in c\.x$"),
        (pa.list_(pa.string()), r"c\[\*\]$"),
    ],
    ids=str,
)
def test_other_types_are_refused_by_name(type_: pa.DataType, hint: str) -> None:
    with pytest.raises(VaultError, match=hint) as refused:
        arrow.schema_of(pa.schema([("c", type_)]), ["c"], "tokenize")
    assert refused.value.code == "usage"


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["d"], "the table has no column d; it has c, s"),
        (["s.y"], "the table has no column s.y; it has c, s"),
        (["c[*]"], r"no column c\[\*\]"),
        ([], "columns names no column"),
        ("c", "columns is a list of names"),
        ([1], "columns is a list of names"),
    ],
)
def test_columns_that_are_not_there_are_refused_by_name(columns: Any, told: str) -> None:
    schema = pa.schema([("c", pa.string()), ("s", pa.struct([("x", pa.string())]))])
    with pytest.raises(VaultError, match=told) as refused:
        arrow.schema_of(schema, columns, "tokenize")
    assert refused.value.code == "usage"


def test_a_column_goes_before_a_path_of_the_same_text(vault: Vault) -> None:
    table = pa.table({"s.x": ["column"], "s": [{"x": "member"}]})
    tokens = arrow.transform(table, ["s.x"], "tokenize", vault=vault)
    assert tokens.to_pylist() == [{"s.x": vault.tokenize(["column"]).tokens[0], "s": {"x": "member"}}]


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(VaultError, match="several columns c"):
        arrow.schema_of(pa.schema([("c", pa.string()), ("c", pa.int8())]), ["c"], "tokenize")


def test_tokens_are_not_tokenized_again() -> None:
    tokens = arrow.schema_of(pa.schema([("c", pa.int8())]), ["c"], "tokenize")
    with pytest.raises(VaultError, match="column c holds tokens already"):
        arrow.schema_of(tokens, ["c"], "tokenize")


def test_a_token_that_is_not_found_becomes_null_and_is_counted(
    vault: Vault, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    [mine], [his] = node.tokenize(["mine"]), node.tokenize(["his"], "bob")
    table = pa.table({"c": [mine, his, UNKNOWN, None, "Elm Street 1", his]})
    with caplog.at_level(logging.WARNING, "tvault.arrow"):
        back = arrow.transform(table, ["c"], "detokenize", vault=vault)
    assert back.column("c").to_pylist() == ["mine", None, None, None, None, None]
    (line,) = caplog.messages
    assert line.startswith("tokens that are not found are null: 4 (row 2, column c; row 3, column c; ")
    assert "tv1" not in line
    assert "Elm" not in line


def test_values_without_a_known_type_become_text(vault: Vault) -> None:
    table = pa.table({"c": vault.tokenize(["07", 7, 7.0, True, -0.0]).tokens})
    back = arrow.transform(table, ["c"], "detokenize", vault=vault)
    assert back.column("c").to_pylist() == ["07", "7", "7.0", "true", "-0.0"]
    assert back.schema == arrow.schema_of(table.schema, ["c"], "detokenize")


def test_types_say_what_values_become(vault: Vault) -> None:
    days = vault.tokenize(["2024-02-29", "1999-01-01"]).tokens
    table = pa.table({"n": vault.tokenize([1, 2.5]).tokens, "d": days})
    types = {"n": pa.float64(), "d": pa.date32()}
    back = arrow.transform(table, ["n", "d"], "detokenize", vault=vault, types=types)
    assert back.schema.types == [pa.float64(), pa.date32()]
    assert back.column("n").to_pylist() == [1.0, 2.5]
    assert [str(day) for day in back.column("d").to_pylist()] == ["2024-02-29", "1999-01-01"]


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("s3cret", pa.int64()),
        (300, pa.int8()),
        (-77, pa.uint64()),
        (2**70, pa.int64()),
        (77.0, pa.int64()),
        (True, pa.int64()),
        (77, pa.bool_()),
        (2**53 + 1, pa.float64()),
        (0.1, pa.float32()),
        ("s3cret", pa.date32()),
        ("25:61", pa.time32("s")),
        (77, pa.timestamp("us")),
        ("1.234", pa.decimal128(5, 2)),
    ],
)
def test_a_value_of_another_type_is_refused_without_showing_it(
    vault: Vault, value: Any, type_: pa.DataType
) -> None:
    table = pa.table({"c": [None, *vault.tokenize([value]).tokens]})
    with pytest.raises(VaultError) as refused:
        arrow.transform(table, ["c"], "detokenize", vault=vault, types={"c": type_})
    assert str(refused.value) == f"row 2, column c: the value is none of type {type_}"
    assert refused.value.__context__ is None


def test_types_are_refused_where_they_say_nothing() -> None:
    schema = pa.schema([("c", pa.string())])
    with pytest.raises(VaultError, match="types name columns that are not converted: d"):
        arrow.schema_of(schema, ["c"], "detokenize", types={"d": pa.int8()})
    with pytest.raises(VaultError, match="types are for detokenize"):
        arrow.schema_of(schema, ["c"], "tokenize", types={"c": pa.int8()})
    with pytest.raises(VaultError, match="c cannot be of type binary"):
        arrow.schema_of(schema, ["c"], "detokenize", types={"c": pa.binary()})


@pytest.mark.parametrize("op", ["tokenize", "detokenize", "retokenize"])
def test_the_schema_does_not_depend_on_the_data(vault: Vault, node: Node, op: arrow.Operation) -> None:
    encoded = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema([("c", pa.string()), ("n", pa.null()), ("d", encoded)])
    [token] = node.tokenize([4711 if op == "detokenize" else "x"])
    wanted = arrow.schema_of(schema, ["c", "n", "d"], op)
    lists: list[list[str | None]] = [[], [None], [token, None]]
    for cells in lists:
        columns = [pa.array(cells, pa.string()), pa.nulls(len(cells)), array_of(encoded, cells)]
        batch = pa.RecordBatch.from_arrays(columns, schema=schema)
        made = arrow.transform(batch, ["c", "n", "d"], op, vault=vault)
        assert isinstance(made, pa.RecordBatch)
        assert made.schema.equals(wanted, check_metadata=True)
        assert len(made) == len(cells)


def test_an_empty_batch_asks_no_vault_so_that_schemas_can_be_made_anywhere() -> None:
    batch = pa.RecordBatch.from_pydict({"c": pa.array([], pa.int8())})
    assert "TVAULT_URL" not in os.environ
    made = arrow.transform(batch, ["c"], "tokenize")
    assert (len(made), made.schema.types) == (0, [pa.string()])


def test_retokenize_brings_tokens_to_the_active_epoch_and_leaves_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    free = ["tv1_ is how tokens begin", None, UNKNOWN]
    with serving() as node, Vault([node.url], KEYS["alice"]) as vault:
        table = pa.table({"c": pa.array([1, None, 2]), "free": free})
        old = arrow.transform(table, ["c"], "tokenize", vault=vault)
        vault.rotate_epoch()
        new = arrow.transform(old, ["c", "free"], "retokenize", vault=vault)
        tokens = new.column("c").to_pylist()
        assert [text and text[:6] for text in tokens] == ["tv1_2_", None, "tv1_2_"]
        assert new.column("free").to_pylist() == free
        assert new.schema.equals(old.schema, check_metadata=True)
        assert arrow.transform(new, ["c"], "detokenize", vault=vault).equals(table)
    assert caplog.messages == ["tokens that are not found stay: 1 (row 3, column free)"]


def test_other_metadata_is_kept() -> None:
    metadata = {b"PARQUET:field_id": b"7", b"unit": b"kg"}
    field = pa.field("c", pa.int8(), metadata=metadata, nullable=False)
    schema = pa.schema([field], metadata={"made": "by hand"})
    tokens = arrow.schema_of(schema, ["c"], "tokenize")
    assert tokens.metadata == schema.metadata
    assert tokens.field("c").metadata == {**metadata, b"tvault:type": b"int8"}
    assert not tokens.field("c").nullable
    back = arrow.schema_of(tokens, ["c"], "detokenize")
    assert back.field("c").equals(field.with_nullable(True), check_metadata=True)


def test_a_type_in_the_metadata_that_nobody_knows_is_refused() -> None:
    field = pa.field("c", pa.string(), metadata={"tvault:type": "quaternion"})
    with pytest.raises(VaultError, match="column c: its metadata tvault:type names no known type"):
        arrow.schema_of(pa.schema([field]), ["c"], "detokenize")


@pytest.mark.parametrize("given", [[1, 2], {"c": [1]}, None])
def test_what_is_no_arrow_data_is_refused(given: Any) -> None:
    with pytest.raises(VaultError, match="give a RecordBatch or Table of pyarrow"):
        arrow.transform(given, ["c"], "tokenize")


def test_a_column_of_numbers_is_not_detokenized() -> None:
    with pytest.raises(VaultError, match="column c is of type int8 and holds no tokens"):
        arrow.schema_of(pa.schema([("c", pa.int8())]), ["c"], "detokenize")


def test_a_service_that_fails_raises() -> None:
    table = pa.table({"c": ["x"]})
    with (
        Vault(["http://127.0.0.1:9"], KEYS["alice"], deadline_s=0.2) as vault,
        pytest.raises(VaultError) as refused,
    ):
        arrow.transform(table, ["c"], "tokenize", vault=vault)
    assert refused.value.code == "unreachable"
