"""Parquet files through a real client API: what is kept."""

from __future__ import annotations

import datetime as dt
import io
import os
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.client.arrow_data import LEAVES, array_of, texts_in
from tests.unit.client.parquet_data import (
    VISITS,
    converted,
    manner_of,
    read,
    there_and_back,
    written,
)
from tests.unit.server.serving import Node
from tvault.client import parquet_reading
from tvault.client.files import detokenize_file, tokenize_file
from tvault.client.records import Cut
from tvault.client.vault import Vault
from tvault.errors import VaultError


def test_the_configured_fields_become_tokens_and_come_back_as_they_were(vault: Vault) -> None:
    content = written(VISITS)
    tokens, summary = converted(tokenize_file, vault, content)
    table = read(tokens)
    assert (summary.records, summary.epochs, summary.not_found) == (6, {1}, 0)
    assert table.column_names == VISITS.column_names
    assert table.column("id").equals(VISITS.column("id"))
    assert table.column("ssn").to_pylist() == vault.tokenize(VISITS.column("ssn").to_pylist()).tokens
    assert table.column("patient").to_pylist()[1:3] == [None, {"mrn": None, "ward": None}]
    assert table.column("patient").to_pylist()[0] == {"mrn": vault.tokenize([1]).tokens[0], "ward": "w"}
    [one] = vault.tokenize(["1"]).tokens
    assert table.column("contacts").to_pylist()[0] == [{"phone": one}, None, {"phone": None}]
    there_and_back(vault, content)


NOT_STORED = ("decimal32", "decimal64", "decimal128(5, -2)")
STORED = [(type_, values) for type_, values in LEAVES if not str(type_).startswith(NOT_STORED)]


@pytest.mark.parametrize(("type_", "values"), STORED, ids=[str(type_) for type_, _ in STORED])
def test_a_column_of_every_type_comes_back_as_it_was(
    vault: Vault, type_: pa.DataType, values: list[Any]
) -> None:
    column = array_of(type_, values)
    lists = pa.ListArray.from_arrays([0, *[len(values)] * len(values)], column)
    table = pa.table({"c": column, "l": lists})
    tokens, _ = there_and_back(vault, written(table), "c", "l[*]")
    assert all(text.startswith("tv1_1_") for text in texts_in(read(tokens).to_pylist()))


def test_a_configured_column_may_have_the_path_of_the_field_for_its_name(vault: Vault) -> None:
    tokens, _ = converted(tokenize_file, vault, written(pa.table({"patient.mrn": ["m"], "x": ["y"]})))
    assert read(tokens).to_pylist() == [{"patient.mrn": vault.tokenize(["m"]).tokens[0], "x": "y"}]


def test_a_file_without_configured_fields_is_refused(vault: Vault) -> None:
    with pytest.raises(
        VaultError, match=r"^v.parquet has no column that is a configured field"
    ) as refused:
        converted(tokenize_file, vault, written(pa.table({"x": ["y"]})))
    assert refused.value.code == "usage"


def test_a_column_that_is_not_there_is_refused_by_name(vault: Vault) -> None:
    with pytest.raises(VaultError, match=r"^v.parquet has no column nope; it has id, ssn, patient"):
        converted(tokenize_file, vault, written(VISITS), "ssn", "nope")


@pytest.mark.parametrize("codec", ["NONE", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4"])
def test_the_codec_is_kept(vault: Vault, codec: str) -> None:
    content = written(VISITS, compression=codec)
    for made in there_and_back(vault, content):
        assert manner_of(made) == manner_of(content)


def test_each_column_keeps_its_own_codec_and_its_dictionary(vault: Vault) -> None:
    table = pa.table({"a": ["x"] * 9, "b": ["y"] * 9, "n": range(9), "l": [[{"k": 1}]] * 9})
    codecs = {"a": "ZSTD", "b": "GZIP", "n": "NONE", "l.list.element.k": "BROTLI"}
    content = written(table, compression=codecs, use_dictionary=["a"])
    tokens, back = there_and_back(vault, content, "a", "b", "l[*].k")
    assert manner_of(tokens) == manner_of(back) == manner_of(content)
    group = pq.read_metadata(io.BytesIO(tokens)).row_group(0)
    has_dictionary = [group.column(at).has_dictionary_page for at in range(4)]
    assert has_dictionary == [True, False, False, True], "numbers that became tokens get one"


def test_the_names_inside_lists_may_be_others(vault: Vault) -> None:
    content = written(VISITS, use_compliant_nested_type=False, compression={"ssn": "ZSTD"})
    assert "contacts.list.item.phone" in [path for _, path, _ in manner_of(content)[0]]
    tokens, _ = there_and_back(vault, content)
    codecs = [codec for _, _, codec in manner_of(tokens)[0]]
    assert codecs == [codec for _, _, codec in manner_of(content)[0]]


def test_row_groups_keep_their_rows_and_their_order(vault: Vault) -> None:
    table = pa.table({"n": range(5000), "ssn": [f"s{number % 77}" for number in range(5000)]})
    content = written(table, row_group_size=700)
    tokens, back = there_and_back(vault, content)
    assert manner_of(tokens) == manner_of(back) == manner_of(content)
    assert [rows for ((rows, _, _), *_) in manner_of(tokens)] == [700] * 7 + [100]


def test_a_value_is_asked_for_once_a_row_group(vault: Vault, node: Node) -> None:
    table = pa.table({"ssn": [f"s{number % 77}" for number in range(5000)]})
    first = len(node.events)
    converted(tokenize_file, vault, written(table, row_group_size=2500))
    assert [counts["values"] for name, counts in node.events[first:] if name == "tokenize"] == [77, 77]


def test_a_request_holds_no_more_than_is_wished_for(vault: Vault, node: Node) -> None:
    table = pa.table({"ssn": [f"s{number}" for number in range(100)]})
    first = len(node.events)
    tokens, _ = converted(tokenize_file, vault, written(table), cut=Cut(records=30))
    sizes = [counts["values"] for name, counts in node.events[first:] if name == "tokenize"]
    assert sorted(sizes) == [10, 30, 30, 30]
    assert (
        read(tokens).column("ssn").to_pylist() == vault.tokenize(table.column("ssn").to_pylist()).tokens
    )


@pytest.mark.parametrize("table", [VISITS.slice(0, 0), VISITS.slice(1, 1)], ids=["no row", "nulls"])
def test_a_file_without_values_keeps_its_types(vault: Vault, table: pa.Table) -> None:
    tokens, back = there_and_back(vault, written(table))
    assert read(tokens).schema.equals(read(converted(tokenize_file, vault, written(VISITS))[0]).schema)
    assert read(back).schema.equals(VISITS.schema)


def test_a_file_without_row_groups_is_converted(vault: Vault) -> None:
    sink = io.BytesIO()
    pq.ParquetWriter(sink, VISITS.schema).close()
    tokens, _ = there_and_back(vault, sink.getvalue())
    assert pq.read_metadata(io.BytesIO(tokens)).num_row_groups == 0


def test_other_metadata_is_kept_and_no_plaintext_in_statistics(vault: Vault) -> None:
    field = pa.field("ssn", pa.string(), nullable=False, metadata={"unit": "none"})
    schema = pa.schema([field], metadata={"made by": "hand"})
    content = written(pa.table([["sentinel-1", "sentinel-2"]], schema=schema))
    assert b"sentinel" in content
    tokens, _ = there_and_back(vault, content)
    assert b"sentinel" not in tokens
    metadata = pq.read_metadata(io.BytesIO(tokens))
    assert metadata.metadata[b"made by"] == b"hand"
    assert metadata.schema.column(0).max_definition_level == 0, "still required"
    assert read(tokens).schema.field(0).metadata[b"unit"] == b"none"


def test_what_spark_notes_of_types_goes_when_a_type_changes(vault: Vault) -> None:
    note = {"org.apache.spark.sql.parquet.row.metadata": "{}", "org.apache.spark.version": "3.5"}
    table = pa.table({"ssn": ["a"], "n": [1]}).replace_schema_metadata(note)
    same, _ = converted(tokenize_file, vault, written(table), "ssn")
    assert b"org.apache.spark.sql.parquet.row.metadata" in read(same).schema.metadata
    changed, _ = converted(tokenize_file, vault, written(table), "n")
    assert read(changed).schema.metadata == {b"org.apache.spark.version": b"3.5"}


def test_moments_of_96_bits_stay_so(vault: Vault) -> None:
    """Spark reads no others of its own with nanoseconds."""
    table = pa.table({"ssn": ["a"], "at": pa.array([1709251199000001000], pa.timestamp("ns"))})
    content = written(table, use_deprecated_int96_timestamps=True)
    tokens, _ = there_and_back(vault, content)
    assert pq.read_metadata(io.BytesIO(tokens)).schema.column(1).physical_type == "INT96"


def test_moments_that_nanoseconds_do_not_reach_stay_as_they_are(vault: Vault) -> None:
    days = [dt.date(9999, 12, 31), None, dt.date(1, 1, 1), dt.date(2024, 2, 29)]
    moments = pa.array(days).cast(pa.timestamp("us")).to_pylist()
    lists = [[{"at": moment}] for moment in moments]
    shape = pa.list_(pa.struct([("at", pa.timestamp("us"))]))
    for column in (pa.array(moments, pa.timestamp("us")), pa.array(lists, shape)):
        table = pa.table({"ssn": ["a"] * 4, "at": column})
        content = written(table, use_deprecated_int96_timestamps=True, store_schema=False)
        tokens, _ = converted(tokenize_file, vault, content)
        back, _ = converted(detokenize_file, vault, tokens)
        for made in (tokens, back):
            file = pq.ParquetFile(io.BytesIO(made), coerce_int96_timestamp_unit="us")
            assert file.schema.column(1).physical_type == "INT96"
            assert file.read().column("at").to_pylist() == column.to_pylist()


def test_the_index_of_pages_is_kept(vault: Vault) -> None:
    for is_there in (True, False):
        tokens, _ = converted(tokenize_file, vault, written(VISITS, write_page_index=is_there))
        assert pq.read_metadata(io.BytesIO(tokens)).row_group(0).column(0).has_column_index == is_there


def test_progress_comes_to_all_rows_and_no_more_than_the_file(vault: Vault) -> None:
    told: list[tuple[int, int]] = []
    content = written(VISITS, row_group_size=2)
    converted(tokenize_file, vault, content, progress=lambda size, rows: told.append((size, rows)))
    assert [rows for _, rows in told] == [2, 4, 6]
    assert 0 < told[0][0] < told[1][0] < told[2][0] <= len(content)


def test_a_row_group_that_is_too_large_for_memory_becomes_several(vault: Vault) -> None:
    rows = 2 * parquet_reading.MOST_GROUP_BYTES // 65536 + 1
    table = pa.table(
        {
            "n": range(rows),
            "big": pa.array([os.urandom(65536) for _ in range(16)]).take([n % 16 for n in range(rows)]),
            "ssn": ["s"] * rows,
        }
    )
    content = written(table, compression="ZSTD")
    tokens, summary = converted(tokenize_file, vault, content)
    assert summary.records == rows
    groups = [group[0][0] for group in manner_of(tokens)]
    assert len(groups) == 3
    assert sum(groups) == rows
    assert read(tokens).drop(["ssn"]).equals(table.drop(["ssn"]))
