"""The rules of the house that no linter checks, over the code and its tests."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FUNCTION = 60
LONGEST_FILE = 400
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
MARKS_OF_THE_UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X")


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


CODE = python_files("tvault")
TESTS = python_files("tests")
EVERYTHING = [*CODE, *TESTS, *python_files("examples")]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute access, as text."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_no_function_is_longer_than_sixty_lines(path: Path) -> None:
    long = [
        f"{function.name} has {(function.end_lineno or 0) - function.lineno + 1} lines"
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_no_file_is_longer_than_four_hundred_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_every_import_stands_at_the_top_of_its_module(path: Path) -> None:
    hidden = [
        f"line {node.lineno}"
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert hidden == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {
        (name_of(path), part)
        for path in EVERYTHING
        for part in path.relative_to(ROOT).with_suffix("").parts
    }
    assert [name for name, part in sorted(parts) if part in NAMES_THAT_SAY_NOTHING] == []


def test_every_public_module_says_what_it_is_for() -> None:
    public = [path for path in CODE if not path.name.startswith("_") or path.name == "__init__.py"]
    assert [name_of(path) for path in public if not ast.get_docstring(tree(path))] == []


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_nothing_is_left_for_later(path: Path) -> None:
    words = path.read_text(encoding="utf-8").replace(":", " ").replace("(", " ").split()
    assert [mark for mark in MARKS_OF_THE_UNFINISHED if mark in words] == []


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_tests_neither_patch_our_code_nor_skip_nor_wait_by_the_clock(path: Path) -> None:
    banned = {
        "monkeypatch.setattr",
        "pytest.skip",
        "pytest.xfail",
        "pytest.mark.skip",
        "pytest.mark.skipif",
        "pytest.mark.xfail",
        "time.sleep",
    }
    used = [
        f"line {node.lineno}: {dotted(node)}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
    ]
    assert [use for use in used if use.split(": ")[1] in banned] == []


def test_the_command_of_ci_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
