"""Parquet files through a real client API: what is refused, what is not found, and what is renewed."""

from __future__ import annotations

import io
import os
import random
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.client.parquet_data import (
    VISITS,
    converted,
    read,
    written,
)
from tests.unit.server.serving import KEYS, Node, serving
from tvault.client.files import detokenize_file, retokenize_file, tokenize_file
from tvault.client.job import Job
from tvault.client.vault import Vault
from tvault.errors import VaultError

UNKNOWN = "tv1_1_" + "0" * 32


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_by_row_and_column(vault: Vault, bad: float) -> None:
    table = pa.table({"f": [0.5] * 1000 + [bad]})
    with pytest.raises(
        VaultError, match=r"^v.parquet row 1001, column f: NaN and infinities"
    ) as refused:
        converted(tokenize_file, vault, written(table, row_group_size=400), "f")
    assert refused.value.code == "invalid_value"


def test_a_value_that_is_too_long_is_refused_by_row_and_column(vault: Vault) -> None:
    table = pa.table({"ssn": ["a"] * 7 + ["x" * 70_000]})
    with pytest.raises(VaultError, match=r"^v.parquet row 8, column ssn: the value is too long$"):
        converted(tokenize_file, vault, written(table, row_group_size=5))


def test_a_token_that_is_not_found_stays_and_is_named(vault: Vault, node: Node) -> None:
    [mine], [his] = node.tokenize(["mine"]), node.tokenize(["his"], "bob")
    table = pa.table(
        {"ssn": [mine, his, None, "no token", mine], "phone": [[mine], [], [his], None, [UNKNOWN, his]]}
    )
    back, summary = converted(
        detokenize_file, vault, written(table, row_group_size=2), "ssn", "phone[*]"
    )
    assert read(back).column("ssn").to_pylist() == ["mine", his, None, "no token", "mine"]
    assert read(back).column("phone").to_pylist() == [["mine"], [], [his], None, [UNKNOWN, his]]
    assert summary.not_found == 5
    assert summary.missing == [
        "row 2, column ssn",
        "row 3, column phone[*]",
        "row 4, column ssn",
        "row 5, column phone[*]",
    ]


def test_a_token_that_is_not_found_is_null_where_no_text_can_stand(vault: Vault) -> None:
    tokens, _ = converted(tokenize_file, vault, written(pa.table({"n": [1, 2]})), "n")
    table = read(tokens)
    table = table.set_column(0, table.schema.field(0), [[table.column(0)[0].as_py(), UNKNOWN]])
    back, summary = converted(detokenize_file, vault, written(table), "n")
    assert read(back).to_pydict() == {"n": [1, None]}
    assert (summary.not_found, summary.missing) == (1, ["row 2, column n"])


def test_a_token_that_is_not_found_is_refused_where_not_even_null_can_stand(vault: Vault) -> None:
    field = pa.field("n", pa.string(), nullable=False, metadata={"tvault:type": "int64"})
    table = pa.table([[UNKNOWN]], schema=pa.schema([field]))
    with pytest.raises(
        VaultError, match=r"^v.parquet row 1, column n: the token is not found, and this"
    ):
        converted(detokenize_file, vault, written(table), "n")


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, 2], pa.int64()),
        ([0.5, 1.0], pa.float64()),
        ([True], pa.bool_()),
        (["1"], pa.string()),
        ([], pa.string()),
    ],
)
def test_without_metadata_values_tell_their_type(
    vault: Vault, values: list[Any], type_: pa.DataType
) -> None:
    tokens: list[str | None] = [None, *vault.tokenize(values).tokens]
    table = pa.table({"c": pa.array([*[None] * 9, UNKNOWN, *tokens], pa.string())})
    if not values:
        table = table.slice(0, 9)
    back, _ = converted(detokenize_file, vault, written(table, row_group_size=4), "c")
    assert read(back).schema.types == [type_]
    assert [
        value for value in read(back).column("c").to_pylist() if value != UNKNOWN and value is not None
    ] == values


def test_of_columns_with_one_name_each_gets_the_type_of_its_own_values(vault: Vault) -> None:
    table = pa.Table.from_arrays([pa.array([1, 2]), pa.array(["a", None])], names=["ssn", "ssn"])
    tokens = pq.ParquetFile(io.BytesIO(converted(tokenize_file, vault, written(table))[0])).read()
    plain = pa.Table.from_arrays(
        [column.cast(pa.string()) for column in tokens.columns], names=tokens.column_names
    )
    back, _ = converted(detokenize_file, vault, written(plain, store_schema=False))
    assert pq.ParquetFile(io.BytesIO(back)).read().equals(table)


@pytest.mark.parametrize("values", [["a", 1], [1, "a"], [1, 1.0], [True, 1], [1, 2**70]])
def test_values_of_several_types_are_refused_with_the_way_out(vault: Vault, values: list[Any]) -> None:
    table = pa.table({"c": vault.tokenize(values).tokens})
    with pytest.raises(
        VaultError, match=r"^v.parquet row 2, column c: the value is none of .*pyarrow.string"
    ):
        converted(detokenize_file, vault, written(table), "c")


def test_retokenize_renews_tokens_wherever_they_stand_and_tells_which() -> None:
    inside = pa.map_(pa.string(), pa.string())
    changes: dict[bytes, bytes] = {}

    def note(changed: Mapping[bytes, bytes]) -> None:
        assert threading.current_thread() is threading.main_thread()
        changes.update(changed)

    with serving() as node, Vault([node.url], KEYS["alice"]) as vault:
        old = vault.tokenize(["a", "b"]).tokens
        table = pa.table(
            {
                "n": [1, 2],
                "text": [old[0], f"see {old[0]}"],
                "kind": pa.array([UNKNOWN, old[1]]).dictionary_encode(),
                "tags": [[old[1], None], None],
                "map": pa.array([[(old[0], old[0])], None], inside),
            }
        )
        vault.rotate_epoch()
        target = io.BytesIO()
        told = Job("v.parquet", format="parquet")
        summary = retokenize_file(vault, io.BytesIO(written(table)), target, told, note)
        new = vault.tokenize(["a", "b"]).tokens
    assert read(target.getvalue()).to_pydict() == {
        "n": [1, 2],
        "text": [new[0], f"see {old[0]}"],
        "kind": [UNKNOWN, new[1]],
        "tags": [[new[1], None], None],
        "map": [[(old[0], new[0])], None],
    }
    assert read(target.getvalue()).schema.equals(read(written(table)).schema, check_metadata=True)
    assert changes == {
        str(before).encode(): str(after).encode() for before, after in zip(old, new, strict=True)
    }
    assert (summary.epochs, summary.not_found, summary.missing) == ({2}, 1, ["row 1, column kind"])


def test_retokenize_of_chosen_columns_leaves_the_others() -> None:
    with serving() as node, Vault([node.url], KEYS["alice"]) as vault:
        old = vault.tokenize(["a"]).tokens
        vault.rotate_epoch()
        made, _ = converted(retokenize_file, vault, written(pa.table({"x": old, "y": old})), "y")
        assert read(made).to_pydict() == {"x": old, "y": vault.tokenize(["a"]).tokens}


def cut(size: int) -> bytes:
    return written(VISITS)[:size]


def damaged() -> bytes:
    """A file whose pages are not what its footer says."""
    content = bytearray(written(VISITS, compression="ZSTD"))
    content[4:200] = random.Random(7).randbytes(196)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "code", "told"),
    [
        (b"", "malformed", "^v.parquet is no Parquet file"),
        (b"ssn,name\na,b\n", "malformed", "^v.parquet is no Parquet file"),
        (b"PAR1", "malformed", "^v.parquet is cut off"),
        (b"PAR1PAR1", "malformed", "^v.parquet is cut off"),
        (cut(500), "malformed", "^v.parquet is cut off"),
        (b"PAR1" + bytes(100) + b"PAR1", "malformed", "^v.parquet: its footer cannot be read"),
        (damaged(), "malformed", "^v.parquet: row group 1 cannot be read"),
        (b"PARE" + bytes(20) + b"PARE", "usage", "^v.parquet is an encrypted Parquet file"),
    ],
    ids=["empty", "csv", "4 bytes", "8 bytes", "cut", "no footer", "damaged", "encrypted"],
)
def test_what_is_no_whole_parquet_file_is_refused(
    vault: Vault, content: bytes, code: str, told: str
) -> None:
    with pytest.raises(VaultError, match=told) as refused:
        converted(tokenize_file, vault, content)
    assert refused.value.code == code


def test_any_file_with_bytes_changed_is_converted_or_refused(vault: Vault) -> None:
    dice = random.Random(11)
    whole = written(VISITS)
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            content[dice.randrange(4, len(content) - 4)] = dice.randrange(256)
        try:
            converted(tokenize_file, vault, bytes(content))
        except VaultError as error:
            told = str(error)
        else:
            continue
        assert told.startswith("v.parquet"), told


def test_a_pipe_is_refused_as_a_source_and_welcome_as_a_target(vault: Vault) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as target:
        with pytest.raises(VaultError, match=r"^stdin: a Parquet file is read from its end") as refused:
            tokenize_file(vault, source, io.BytesIO(), Job("stdin", format="parquet"))
        assert refused.value.code == "usage"
        tokenize_file(vault, io.BytesIO(written(VISITS)), target, Job("v.parquet", format="parquet"))
        target.close()
        assert read(source.read()).num_rows == 6


def test_half_a_file_never_looks_like_a_whole_one(vault: Vault) -> None:
    target = io.BytesIO()
    table = pa.table({"f": [0.5] * 5000 + [float("nan")]})
    content = written(table, row_group_size=1000)
    with pytest.raises(VaultError, match="row 5001"):
        tokenize_file(
            vault, io.BytesIO(content), target, Job("v.parquet", format="parquet", columns=("f",))
        )
    assert not target.closed
    assert not target.getvalue().endswith(b"PAR1")


class Full(io.RawIOBase):
    """A disk without room after some bytes."""

    def __init__(self, room: int) -> None:
        self._room = room

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(28, "No space left on device")
        return len(data)


@pytest.mark.parametrize("room", [0, 3, 100, 900])
def test_a_target_that_fails_is_told_as_it_is(vault: Vault, room: int) -> None:
    with pytest.raises(OSError, match="No space left") as failed:
        tokenize_file(
            vault, io.BytesIO(written(VISITS)), cast("BinaryIO", Full(room)), Job("v", format="parquet")
        )
    assert failed.value.errno == 28
