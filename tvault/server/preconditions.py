"""Conditions on a secret's version: `If-Match` and `If-None-Match` (RFC 9110, 13.1.1 and 13.1.2).

The entity tag of a version is its number in quotes, `"3"`, and strong.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from tvault.errors import VaultError

_TAG: Final = r'(?:W/)?"[!#-~\x80-\xff]*"'
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_ONE: Final = re.compile(_TAG)
_ANY: Final = "*"


@dataclass(frozen=True)
class Condition:
    """What must hold of the version that is valid: one of `match` (`*`: any), none of `none_match`.

    None: no such condition.
    """

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    def check(self, version: int | None) -> None:
        """Raise `VaultError` `precondition_failed` unless it holds of `version`, None when no version
        is valid."""
        if self.match is not None and not _holds(self.match, version, weakly=False):
            raise _failed(version)
        if self.none_match is not None and _holds(self.none_match, version, weakly=True):
            raise _failed(version)

    @property
    def text(self) -> str:
        """The same for the same condition."""
        parts = (self.match, self.none_match)
        return ";".join("-" if part is None else ",".join(sorted(part)) for part in parts)


def condition_in(match: str | None, none_match: str | None) -> Condition:
    """The condition in the two headers.  Raises `VaultError` `malformed`."""
    return Condition(_tags_in("If-Match", match), _tags_in("If-None-Match", none_match))


def tag_of(version: int) -> str:
    """The entity tag of a version, as in `ETag`."""
    return f'"{version}"'


def _tags_in(name: str, text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    if text == _ANY:
        return frozenset({_ANY})
    if not _TAGS.fullmatch(text):
        raise VaultError("malformed", f'{name} must be * or versions in quotes, as "3".')
    return frozenset(_ONE.findall(text))


def _holds(tags: Collection[str], version: int | None, *, weakly: bool) -> bool:
    """Whether a version is among `tags`; a weak tag is equal only `weakly`."""
    if version is None:
        return False
    tag = tag_of(version)
    return _ANY in tags or tag in tags or (weakly and f"W/{tag}" in tags)


def _failed(version: int | None) -> VaultError:
    is_now = "no version is valid now" if version is None else f"version {version} is valid now"
    detail = f"The condition does not hold: {is_now}."
    return VaultError("precondition_failed", detail, members={"version": version})
