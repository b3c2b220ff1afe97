"""Events as people read them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import click

from tvault.cli.output import visible, width

HEAD = ("time", "node", "event")
EVENT_COLUMNS = 13
"""What most names of events fit into."""

_PLAIN = re.compile(r'[^\s="]+')

TROUBLES = frozenset(
    {
        "collision",
        "damaged",
        "disk-full",
        "doubtful",
        "events-dropped",
        "events-lost",
        "failure",
        "key-missing",
        "key-refused",
        "left-view",
        "no-majority",
        "peer-refused",
        "refused",
        "set-aside",
        "suspect",
        "truncate",
    }
)
"""Events that are shown as such."""


def text_of_event(event: Mapping[str, Any], node_columns: int, *, is_coloured: bool) -> str:
    """Time, node and name in columns, and what else it tells behind them."""
    time, node, name = (visible(str(event[each])) for each in HEAD)
    rest = " ".join(
        f"{visible(key)}={text_of_value(value)}" for key, value in event.items() if key not in HEAD
    )
    placed = padded(name, EVENT_COLUMNS)
    if is_coloured:
        time = click.style(time, dim=True)
        placed = click.style(placed, fg="red" if name in TROUBLES else "cyan")
    return f"{time}  {padded(node, node_columns)}  {placed}  {rest}".rstrip()


def text_of_value(value: object) -> str:
    """A value in a place where blanks separate: in quotes if it has any itself, or could be taken for
    another one."""
    match value:
        case None:
            return "-"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list():
            return ",".join(text_of_value(each) for each in value) or "none"
        case str():
            return visible(value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False))
        case _:
            return visible(json.dumps(value, ensure_ascii=False))


def padded(text: str, columns: int) -> str:
    """The text in a column of this width, if it is not longer."""
    return text + " " * (columns - width(text))
