"""Configuration files: read whole, or refused by the file's name, without what was pasted into them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import fuzzed
from tvault.config import Config, load
from tvault.config.outline import Outline
from tvault.config.writing import sample
from tvault.errors import VaultError

SECRET = "tvk_" + "S3cr3t" * 7
ODD = [
    *("", "=", "[", "]", "[[", '"', "'", '"""', "\n", "\0", "é", "1", "-1", "0x1", "true", "1979-05-27"),
    *("{a=1}", "[1]", "[[nodes]]", "[limits]", "[keys]", 'id = "n1"', "inf", "nan", "9" * 30, "#"),
    *(f'"{SECRET}"', f'["{SECRET}"]', f'"{SECRET}" = 1', "a.b.c = 1", "\\u0000", '"\\ud800"'),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


def outcome(folder: Path, text: bytes) -> Config | VaultError:
    """What becomes of a file with this content."""
    file = folder / "tvault.toml"
    file.write_bytes(text)
    try:
        return load(file, {})
    except VaultError as error:
        return error


def check(folder: Path, text: bytes) -> None:
    found = outcome(folder, text)
    if isinstance(found, VaultError):
        assert found.code == "configuration"
        assert "tvault.toml" in found.detail
        assert SECRET not in found.detail


LINES = sample().splitlines(keepends=True)
CHANGES = st.lists(
    st.tuples(
        st.integers(0, len(LINES) - 1),
        st.sampled_from(["drop", "twice", "value", "insert", "cut"]),
        st.sampled_from(ODD),
    ),
    min_size=1,
    max_size=4,
)


def changed(changes: list[tuple[int, str, str]]) -> str:
    lines = list(LINES)
    for at, how, odd in changes:
        line = lines[at]
        name, _, _ = line.partition("=")
        lines[at] = {
            "drop": "",
            "twice": line + line,
            "value": f"{name}= {odd}\n",
            "insert": f"{odd}\n{line}",
            "cut": line[: len(line) // 2],
        }[how]
    return "".join(lines)


@given(CHANGES)
@fuzzed(250)
def test_a_file_with_mistakes_is_refused_by_its_name_without_a_pasted_key(
    folder: Path, changes: list[tuple[int, str, str]]
) -> None:
    check(folder, changed(changes).encode("utf-8", "surrogatepass"))


@given(st.lists(st.sampled_from(ODD), max_size=12).map("\n".join) | st.text(max_size=60))
@fuzzed(200)
def test_any_text_is_a_configuration_or_refused(folder: Path, text: str) -> None:
    check(folder, text.encode())
    Outline(text).line_of("nodes", 1, "id", "n2")


@given(st.binary(max_size=60))
@fuzzed(100)
def test_any_bytes_are_a_configuration_or_refused(folder: Path, text: bytes) -> None:
    check(folder, text)
