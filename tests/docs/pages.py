"""The Markdown pages of the repository, and what they say by their form: headings, rows, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<kind>[^`\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page: what stands behind its fence, its text, and the line of the page on
    which its text begins."""

    kind: str
    text: str
    line: int


def pages() -> list[Path]:
    """Every page that the repository publishes."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def name_of(path: Path) -> str:
    """The page as people call it."""
    return str(path.relative_to(ROOT))


def page_called(name: str) -> Path:
    """The page of the documentation that is called so, in whichever folder it stands."""
    (found,) = DOCS.rglob(f"{name}.md")
    return found


def read(path: Path) -> str:
    """The page's text."""
    return path.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """The text without its blocks of code."""
    return _FENCE.sub("", text)


def links(text: str) -> list[str]:
    """The targets of links and pictures, as written."""
    return _LINK.findall(_CODE.sub("`…`", prose(text)))


def anchors(text: str) -> set[str]:
    """The anchors that the page's headings have."""
    return {_slug(title) for _, title in _HEADING.findall(prose(text))}


def section(text: str, title: str) -> str:
    """What stands under the heading `title`, up to the next heading of any level."""
    body = re.split(rf"^#+ {re.escape(title)}$", text, maxsplit=1, flags=re.MULTILINE)
    assert len(body) == 2, f"there is no heading {title}"
    return re.split(r"^#+ ", body[1], maxsplit=1, flags=re.MULTILINE)[0]


def rules_of(text: str) -> set[str]:
    """The sections of the page of rules with their rules: `2.8`, or `4` for one without numbers."""
    found = set()
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        number = section.partition(".")[0]
        found |= {
            number,
            *(f"{number}.{rule}" for rule in re.findall(r"^(\d+)\. ", section, re.MULTILINE)),
        }
    return found


def snippets(text: str, kind: str) -> list[str]:
    """The blocks of code that begin with ```` ```kind ````, each as it stands."""
    return re.findall(rf"^```{re.escape(kind)}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page, in their order; one in a list stands without its indentation."""
    return [
        Block(
            found["kind"].strip(),
            re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            text.count("\n", 0, found.start("text")) + 1,
        )
        for found in _BLOCK.finditer(text)
    ]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each table row of the text, without heads and rules."""
    for _, *body in tables(text):
        yield from body


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each row of each table, the head first, without the rule under it."""
    found = re.findall(r"^\|.*\n\|---.*\n(?:\|.*(?:\n|\Z))*", prose(text), re.MULTILINE)
    lines = (table.splitlines() for table in found)
    return [[_cells(head), *map(_cells, body)] for head, _, *body in lines]


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _slug(title: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", title.strip().lower())
    return kept.replace(" ", "-")
