"""The headers of conditions, read as RFC 9110 has them."""

from __future__ import annotations

import pytest

from tvault.errors import VaultError
from tvault.server.preconditions import condition_in


def holds(match: str | None, none_match: str | None, version: int | None) -> bool:
    try:
        condition_in(match, none_match).check(version)
    except VaultError as error:
        return (error.code, error.members) != ("precondition_failed", {"version": version})
    return True


@pytest.mark.parametrize(
    ("match", "versions"),
    [
        ("*", [1, 2, 3]),
        ('"3"', [3]),
        ('"1", "3"', [1, 3]),
        ('"1","3"', [1, 3]),
        (', ,"1" ,\t"3",,', [1, 3]),
        ('W/"3"', []),
        ('W/"3", "2"', [2]),
        ('"03"', []),
        ('"3 "', None),
        ('"a,b\xe9!"', []),
        ('""', []),
        ('"*"', []),
    ],
)
def test_if_match_holds_of_the_versions_that_it_lists_and_of_no_other(
    match: str, versions: list[int] | None
) -> None:
    if versions is None:
        with pytest.raises(VaultError):
            condition_in(match, None)
        return
    assert [version for version in (1, 2, 3) if holds(match, None, version)] == versions
    assert not holds(match, None, None), "there is nothing that could match"


@pytest.mark.parametrize(
    ("none_match", "excluded"),
    [("*", [1, 2, 3]), ('"3"', [3]), ('W/"3"', [3]), ('W/"1", "3"', [1, 3]), ('"x"', [])],
)
def test_if_none_match_excludes_the_versions_that_it_lists_weak_or_strong(
    none_match: str, excluded: list[int]
) -> None:
    assert [version for version in (1, 2, 3) if not holds(None, none_match, version)] == excluded
    assert holds(None, none_match, None)


def test_both_must_hold_and_none_always_does() -> None:
    assert holds('"1"', '"2"', 1)
    assert not holds('"1"', '"1"', 1)
    assert not holds('"2"', '"2"', 1)
    assert holds(None, None, 1)
    assert holds(None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "3", '"3', '3"', '"3""4"', '"3" "4"', '*, "3"', '"3", *', 'w/"3"', 'W/ "3"', "**"),
        *("'3'", '"a\x7f"', '"3";q=1', '"a"b"', "\xa0*"),
    ],
)
def test_what_is_neither_a_star_nor_a_list_of_tags_is_malformed(text: str) -> None:
    for match, none_match in ((text, None), (None, text)):
        with pytest.raises(VaultError) as caught:
            condition_in(match, none_match)
        assert caught.value.code == "malformed"


def test_the_text_of_conditions_is_the_same_for_the_same_ones_only() -> None:
    same = [('"1", "2"', None), ('"2","1"', None), (',"1" ,"2", "1"', None)]
    assert len({condition_in(*pair).text for pair in same}) == 1
    different = [(None, None), ("*", None), (None, "*"), ('"1"', None), ('"1"', '"1"'), ('"1,2"', None)]
    different += [('"1", "2"', None), ('W/"1"', None), ('"1;-"', None), ('"1"', "*"), ('"*"', None)]
    assert len({condition_in(*pair).text for pair in different}) == len(different)
