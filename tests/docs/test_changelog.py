"""The changelog keeps the form of Keep a Changelog 1.1.0."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT, read

KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
RELEASE = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)")


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


def test_every_change_is_a_sentence_of_its_own() -> None:
    for heading, body in releases():
        for kind, text in re.findall(r"^### (.+)\n((?:(?!^### ).*\n?)*)", body, re.MULTILINE):
            entries = re.split(r"^- ", text.strip(), flags=re.MULTILINE)
            assert entries[0] == "", f"{heading} {kind} begins with something that is no entry"
            assert entries[1:], f"{heading} {kind} is empty"
            assert all(entry.strip().endswith(".") and entry[0].isupper() for entry in entries[1:])
