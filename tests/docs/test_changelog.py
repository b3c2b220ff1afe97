"""The changelog keeps the form of Keep a Changelog 1.1.0."""

from __future__ import annotations

import re
from importlib.metadata import version

from tests.docs.pages import ROOT, pages, read
from tvault.cli.main import COMMANDS

KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
RELEASE = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)")

NAMED = re.compile(r"\btvault[-:=]+(\d+\.\d+\.\d+)")
"""A wheel, an image or a requirement of a release."""


def releases() -> list[tuple[str, str]]:
    """Each release's heading and what stands under it."""
    parts = re.split(r"^## (.+)$", read(ROOT / "CHANGELOG.md"), flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_the_changelog_begins_with_what_is_not_released_and_goes_back_in_time() -> None:
    headings = [heading for heading, _ in releases()]
    assert headings[0] == "[Unreleased]"
    matches = [RELEASE.fullmatch(heading) for heading in headings[1:]]
    assert all(matches)
    versions = [tuple(map(int, match.groups()[:3])) for match in matches if match]
    dates = [match[4] for match in matches if match]
    assert versions == sorted(set(versions), reverse=True)
    assert dates == sorted(dates, reverse=True)


def test_changes_stand_under_the_known_headings_each_once_and_in_order() -> None:
    for heading, body in releases():
        kinds = re.findall(r"^### (.+)$", body, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds], heading


def test_the_newest_release_is_the_version_of_the_package() -> None:
    newest = RELEASE.fullmatch(releases()[1][0])
    assert newest is not None
    assert ".".join(newest.groups()[:3]) == version("tvault")
    assert f'\nversion = "{version("tvault")}"\n' in read(ROOT / "pyproject.toml"), "install it anew"


def test_what_names_a_release_beside_the_changelog_names_this_one_or_one_to_come() -> None:
    places = [*pages(), *(path for path in (ROOT / "examples").rglob("*") if path.is_file())]
    named = {found for path in places for found in NAMED.findall(read(path))}
    oldest = min(tuple(map(int, each.split("."))) for each in named)
    assert ".".join(map(str, oldest)) == version("tvault")


def test_every_change_is_a_sentence_of_its_own_and_told_once() -> None:
    told: list[str] = []
    for heading, body in releases():
        empty = re.findall(r"^#{3,4} (.+)\s+(?=^#{2,3} |\Z)", body, re.MULTILINE)
        assert empty == [], heading
        for part in re.split(r"^#{3,4} ", body, flags=re.MULTILINE)[1:]:
            title, _, text = part.partition("\n")
            before, *entries = re.split(r"^- ", text, flags=re.MULTILINE)
            assert before.strip() == "", f"{heading} {title} begins with something that is no entry"
            assert all(entry.strip().endswith(".") and entry[0].isupper() for entry in entries)
            told += entries
    assert len(told) == len(set(told)) > 50


def test_every_command_is_a_change_that_was_told() -> None:
    page = read(ROOT / "CHANGELOG.md")
    assert [name for name in COMMANDS if f"`tvault {name}" not in page] == []
