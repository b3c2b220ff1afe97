"""The excerpts in `docs/observed.md`: how they are made, put into the page, and compared.

An excerpt stands between `<!-- NAME: made by make observed -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.observed import calls, failing
from tests.observed.part import Part

PAGE = Path(__file__).parents[2] / "docs" / "observed.md"

PARTS: dict[str, Callable[[Part], None]] = {
    "whole": calls.whole,
    "issuance": calls.issuance,
    "followed": calls.followed,
    "again": calls.again,
    "twins": calls.twins,
    "foreign": calls.foreign,
    "rotation": calls.rotation,
    "secrets": calls.secrets,
    "head": failing.head_killed,
    "back": failing.killed_and_back,
    "paused": failing.paused,
    "majority": failing.majority_gone,
    "wiped": failing.wiped,
    "rolled": failing.rolled,
}
"""The parts in the order in which they happen, on one cluster."""

_EXCERPT = re.compile(r"(?<=<!-- )(\w+)(: [^>]* -->\n).*?(?=<!-- end -->)", re.DOTALL)

_CHANCE = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "time"),
    (r"\bn[1-9]\b", "node"),
    (r"twin-\d", "twin"),
    (r"\b[0-9a-f]{32}\b", "id"),
    (r"\b[0-9a-f]{12}\b", "digest"),
    (r"(127\.0\.0\.1:)\d+", r"\1port"),
    (r'("(?:seq|view|first|last|after|upto|end|committed|promised|boot|entries)":)\d+', r"\1number"),
    (r'("(?:duration_ms|seconds|rate)":)[\d.]+', r"\1number"),
    (r'("(?:voted|heard|requests)":)\[[^\]]*\]', r"\1list"),
    (r'"commands":\d+', '"commands":number'),
    (r'("event":"left-view".*"why":)".*"', r'\1"why"'),
    (r'("request_id":"meanwhile".*)"new":\d+,"known":\d+', r"\1known or new"),
    (r"\bentries \d+ to \d+ on disk", "entry number on disk"),
    (r", together with \d+ more$", ""),
    (r"^last change: .*", "last change"),
    (r"\b(view|entry|seq=|view=)(?: ?)\d+", r"\1 number"),
    (r"\d[\d,.]* (ms|s|min|entries|tokens)\b", r"number \1"),
    (r"^(node +(?:head|middle|tail)) .*( \w+)$", r"\1\2"),
    (r"^node( +[\d.]+)+( +sound)$", r"node\2"),
    (r" +", " "),
)


def observed() -> dict[str, str]:
    """What a cluster of three nodes shows now, by the names of the parts."""
    with tempfile.TemporaryDirectory() as name, Cluster(Path(name) / "vault") as cluster:
        quicker = cluster.config.read_text().replace(
            "# request_timeout_ms = 5000", "request_timeout_ms = 2000"
        )
        cluster.config.write_text(quicker)
        cluster.start()
        found: dict[str, str] = {}
        for part, play in PARTS.items():
            if len(cluster.processes) == len(cluster.nodes):
                calls.settled(cluster)
            shown = Part(cluster)
            play(shown)
            found[part] = shown.text()
        return found


def filled(text: str, excerpts: dict[str, str]) -> str:
    """The page with these excerpts."""

    def excerpt(found: re.Match[str]) -> str:
        return f"{found[1]}{found[2]}\n{excerpts[found[1]]}\n\n"

    return _EXCERPT.sub(excerpt, text)


def excerpts_of(text: str) -> dict[str, str]:
    """The excerpts that stand in the page."""
    return {
        found[1]: found[0][len(found[1]) + len(found[2]) :].strip() for found in _EXCERPT.finditer(text)
    }


def without_chance(excerpt: str) -> set[str]:
    """The lines of an excerpt without what differs from run to run: times, ids, ports, digests, which
    node it was, and numbers of views and entries.  Which came first of two nodes is chance, too, and
    how often one was told."""
    for chance, word in _CHANCE:
        excerpt = re.sub(chance, word, excerpt, flags=re.MULTILINE)
    return set(excerpt.splitlines())
