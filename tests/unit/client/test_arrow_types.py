"""Types of Arrow by their text, as metadata has them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.unit.client.arrow_data import LEAVES
from tvault.client.arrow_types import parse_type


@pytest.mark.parametrize("type_", [type_ for type_, _ in LEAVES], ids=str)
def test_every_type_is_read_from_its_text(type_: pa.DataType) -> None:
    assert parse_type(str(type_)) == type_


@pytest.mark.parametrize(
    "text",
    [
        "",
        "int",
        "list<item: string>",
        "decimal12(3, 4)",
        "timestamp[h]",
        "dictionary<values=x>",
        "x" * 99,
    ],
)
def test_what_is_no_convertible_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no such type"):
        parse_type(text)
