"""Pages as what they tell to do: commands with what they print, and what differs from run to run."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import blocks

LEFT_OUT = "…"
"""In what a page shows: a line of its own stands for any lines, one in a line for any part of it."""


class Step(NamedTuple):
    """A command as it is typed, what it prints, and the line of the page (or block) where it stands."""

    command: str
    output: str
    line: int


def environment(**more: str) -> dict[str, str]:
    """The environment of the test with the installed `tvault` on the path, and no cluster named."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    rest = {name: text for name, text in os.environ.items() if not name.startswith("TVAULT_")}
    return {**rest, "PATH": path, **more}


def blocks_of(page: str) -> list[list[Step]]:
    """The terminals of a page."""
    return [steps_of(block.text, block.line) for block in blocks(page) if block.kind == "console"]


def steps_of(block: str, first_line: int = 1) -> list[Step]:
    """The steps of a block: `$ ` begins a command, `> ` goes on with it, all else is printed."""
    steps: list[Step] = []
    for number, line in enumerate(block.splitlines(), first_line):
        if line.startswith("$ "):
            steps.append(Step(line[2:], "", number))
            continue
        assert steps, f"line {number}: a block of a terminal begins with a command: $ …"
        if line.startswith("> ") and not steps[-1].output:
            steps[-1] = steps[-1]._replace(command=f"{steps[-1].command}\n{line[2:]}")
        else:
            steps[-1] = steps[-1]._replace(output=f"{steps[-1].output}{line}\n")
    return steps


API_KEY = r"tvk_[\w-]{43}"
TOKEN = r"tv1_\d+_[0-9a-f]{32}"  # noqa: S105 - the form of one
PROCESS = r"(?<=, process )\d+"
GIVEN = re.compile(f"{API_KEY}|{TOKEN}|{PROCESS}")
"""What a vault gives and a later command may name."""

_CHANCE: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (API_KEY, "tvk_<key>"),
    (r"(tv1_\d+_)[0-9a-f]{32}", r"\1<token>"),
    (r"(127\.0\.0\.1:)\d+", r"\1<port>"),
    (PROCESS, "<process>"),
    (r"\d{4}-\d\d-\d\dT[\d:]+(?:\.\d+)?Z", "<time>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "<time>"),
    (r"^(<time> +)n\d(?= )", r"\1<node>"),
    (r"^last change: .+ ago$", "last change: <one>"),
    (r"n\d(?: -> n\d)+", lambda chain: " -> ".join(sorted(chain[0].split(" -> ")))),
    (r'"chain":\["n\d"(?:,"n\d")*\]', lambda chain: f'"chain":{sorted(re.findall("n[0-9]", chain[0]))}'),
    (r"\bview(\W+)\d+", r"view\1<view>"),
    (r'"role":"\w+"', '"role":<role>'),
    (r'"(last|committed)":\d+', r'"\1":<entry>'),
    (r"\b(entry|entries) \d[\d,]*", r"\1 <entry>"),
    (r"\b\d[\d,]* entries", "<entry> entries"),
    (r"\b(seq|first|last)=\d+", r"\1=<entry>"),
    (r"\b(\w+_ms)=[\d.]+", r"\1=<n>"),
    (r"\b\d+(?:\.\d+)? (ms|s|seconds)\b", r"<n> \1"),
    (r"\b[0-9a-f]{12,64}\b", "<hex>"),
    (r"\bvoted: n\d(?:, n\d)*", "voted: <nodes>"),
    (r"^([\w-]+) +\d+ +\d+ +([\d,]+ +\d+) +[\d.]+ +(?=sound)", r"\1  <entry>  <entry>  \2  <n>  "),
    (r" {2,}", "  "),
)
_NODE = re.compile(r"^(n\d) +(head|middle|tail|outside) +\d+ +(\d+) +(\d+) +(\d+) +<hex> +(\w+)$", re.M)


def without_chance(text: str) -> str:
    """The text without what differs from vault to vault and from run to run: keys, digits of tokens,
    ports, processes, times and durations, digests, which node was asked, which heads which view, and how
    many views there were: each begins with an entry."""
    for pattern, instead in _CHANCE:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)

    roles = iter(sorted(row[2] for row in _NODE.finditer(text)))

    def without_views(row: re.Match[str]) -> str:
        name, _, last, committed, lag, health = row.groups()
        whole = "all committed" if last == committed else f"{committed} of {last}"
        return f"{name}  {next(roles)}  view  {whole}  {lag}  digest  {health}"

    lines = _NODE.sub(without_views, text).strip().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def is_as_shown(printed: str, shown: str) -> bool:
    """Whether what was printed is what the page shows, both without chance; `…` stands for what the
    page leaves out."""
    form = ""
    for line in shown.splitlines():
        if line.strip() == LEFT_OUT:
            form += r"(?:.*\n)*?"
        else:
            form += re.escape(line).replace(re.escape(LEFT_OUT), r".*") + r"\n"
    return re.fullmatch(form, f"{printed}\n" if printed else "") is not None
