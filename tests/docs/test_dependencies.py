"""The page on dependencies names every package that comes with tvault, and the licence that it has."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import PackageMetadata, distribution, metadata, version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.pages import ROOT, page_called, read, rows, section

PAGE = read(page_called("dependencies"))
DIRECT, BROUGHT = ("At run time", "With an extra"), "What these bring with them"
EXTRAS = ("duckdb", "parquet")
OF_SOME_PYTHONS = {"tomli", "typing-extensions"}
PERMITTED = {
    *(
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
    ),
    "Zlib",
}
WORDS = {"Apache-2.0": "Apache", "BSD-3-Clause": "BSD", "MIT": "MIT", "MPL-2.0": "MPL"}
"""How packages call a licence that do not call it by its SPDX identifier."""
MIT_TEXT = "Permission is hereby granted, free of charge, to any person obtaining a copy"


def told(title: str) -> dict[str, list[str]]:
    """The rows of a table, by the package's name as installers compare names."""
    return {canonicalize_name(row[0].strip("`")): row[1:] for row in rows(section(PAGE, title))}


LICENCES = {name: row[1] for title in (*DIRECT, BROUGHT) for name, row in told(title).items()}


@cache
def requirements(name: str, *extras: str) -> frozenset[str]:
    """What a package needs in this environment."""
    needed = [Requirement(line) for line in metadata(name).get_all("Requires-Dist") or ()]
    return frozenset(
        canonicalize_name(each.name)
        for each in needed
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    )


def brought() -> dict[str, set[str]]:
    """Every package that comes with what tvault needs, with those that need it."""
    found: dict[str, set[str]] = {}
    waiting = sorted(requirements("tvault", *EXTRAS))
    while waiting:
        name = waiting.pop()
        for needed in requirements(name):
            waiting += [needed] if needed not in found else []
            found.setdefault(needed, set()).add(name)
    return found


def identifiers(expression: str) -> set[str]:
    return set(re.findall(r"[\w.-]+", expression)) - {"AND", "OR", "WITH"}


def says(package: PackageMetadata, licence: str) -> bool:
    """Whether a package's metadata or its file of the licence says that it has it."""
    expressions = package.get_all("License-Expression") or []
    if expressions:
        named = identifiers(expressions[0])
        return named <= PERMITTED and licence in {*named, *(each.removesuffix("-0") for each in named)}
    classified = [each for each in package.get_all("Classifier") or () if each.startswith("License")]
    words = " ".join([*classified, *(package.get_all("License") or [])])
    return WORDS.get(licence, licence) in words or (
        licence == "MIT" and MIT_TEXT in texts(package["Name"])
    )


def texts(name: str) -> str:
    """The files of a package that hold its licence."""
    files = [each for each in distribution(name).files or () if "LICENSE" in each.name.upper()]
    return " ".join(" ".join(each.read_text().split()) for each in files)


def test_every_package_that_is_installed_stands_in_the_tables_with_what_brings_it() -> None:
    direct = {name for title in DIRECT for name in told(title)}
    assert direct - OF_SOME_PYTHONS == requirements("tvault", *EXTRAS) - OF_SOME_PYTHONS
    assert set(told("At run time")) - OF_SOME_PYTHONS == requirements("tvault") - OF_SOME_PYTHONS
    indirect = {
        name: {canonicalize_name(each) for each in re.findall(r"`([^`]+)`", row[0])}
        for name, row in told(BROUGHT).items()
    }
    found = {name: by for name, by in brought().items() if name not in direct}
    assert found == {
        name: by for name, by in indirect.items() if name in found or name not in OF_SOME_PYTHONS
    }


@pytest.mark.parametrize("name", LICENCES)
def test_every_package_says_that_it_has_the_licence_of_its_row(name: str) -> None:
    alternatives = LICENCES[name].split(" OR ")
    assert set(alternatives) <= PERMITTED
    if name not in OF_SOME_PYTHONS or name in {*brought(), *requirements("tvault")}:
        assert version(name)
        assert all(says(metadata(name), licence) for licence in alternatives)


def test_tvault_says_that_it_has_the_licence_whose_text_lies_beside_it() -> None:
    assert metadata("tvault")["License-Expression"] == "Apache-2.0"
    text = read(ROOT / "LICENSE")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")
    assert read(ROOT / "NOTICE") == "tvault\nCopyright 2026 The tvault authors\n"
