"""`tvault inspect events`."""

from __future__ import annotations

import difflib
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import click

from tvault.cli.event_logs import MOMENT_COLUMNS, Event, Logs, open_logs
from tvault.cli.event_text import padded, text_of_event
from tvault.cli.event_way import in_words, way_of
from tvault.cli.invocation import VaultCommand, data_option, node_option, turns
from tvault.cli.moments import since
from tvault.cli.output import NOT_FOUND, is_coloured, say, visible, width
from tvault.events import EVENTS, Filter

FOLLOW_SECONDS = 0.5
"""How often nodes are asked for what is new."""


def _known(ctx: click.Context, param: click.Parameter, names: tuple[str, ...]) -> frozenset[str]:
    for name in names:
        if name not in EVENTS:
            nearest = difflib.get_close_matches(name, EVENTS, 1, 0.5)
            known = f"known are {', '.join(sorted(EVENTS))}"
            hint = f"did you mean {nearest[0]!r}?" if nearest else known
            raise click.BadParameter(f"unknown event {name!r}, {hint}", ctx, param)
    return frozenset(names)


def _beginning_so(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    return [name for name in sorted(EVENTS) if name.startswith(incomplete)]


def _utf8(ctx: click.Context, param: click.Parameter, given: Any) -> Any:
    """What is not UTF-8 can be asked of no node, and is in no event."""
    try:
        " ".join([given] if isinstance(given, str) else given or ()).encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8", ctx, param) from None
    return given


@click.command("events", cls=VaultCommand)
@click.option(
    "--event",
    "names",
    multiple=True,
    metavar="NAME",
    callback=_known,
    shell_complete=_beginning_so,
    help="This event; may repeat.",
)
@click.option(
    "--owner",
    "owners",
    multiple=True,
    metavar="OWNER",
    callback=_utf8,
    help="Of this owner; may repeat.",
)
@click.option(
    "--request",
    "request_id",
    metavar="ID",
    callback=_utf8,
    help="Of the request with this Request-Id.",
)
@click.option("--since", "begin", metavar="WHEN", help="From then on: 10m, 2h, 3d ago, or a time.")
@click.option("--last", type=click.IntRange(0), metavar="N", help="The last N of them alone.")
@click.option("--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@node_option
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_context
def command(  # noqa: PLR0913  each is an option
    ctx: click.Context,
    *,
    names: frozenset[str],
    owners: tuple[str, ...],
    request_id: str | None,
    begin: str | None,
    last: int | None,
    follow: bool,
    node_names: tuple[str, ...],
    folders: tuple[str, ...],
    as_json: bool,
) -> int:
    """Show what happened, on all nodes, in the order of time.

    An event is shown that fits each option which is given. A time is RFC 3339, in UTC without a zone.
    The events of a node that does not answer are read from its data folder, if that is on this machine.
    The events of stopped nodes can be read from their folders with --data, without a configuration.

    With --request, and no other option that chooses, the way of the request over the nodes is told:
    who was asked, who ordered what it wrote as which entry, when each node had that on disk, and who
    answered after how long. Exit code 3: no event is of that request.
    """
    wanted = Filter(
        events=names,
        owners=frozenset(owners),
        request_id=request_id,
        since=None if begin is None else since(begin),
    )
    logs = open_logs(ctx, node_names, folders)
    show = _show_json if as_json else _show_text(logs.node_columns)
    if request_id is not None and not (names or owners or follow or last is not None):
        found = _show_way(logs, wanted, as_json=as_json)
    else:
        cursors: dict[str, str] = {}
        found = _show_all(logs.events(wanted, cursors), last, show)
        logs.require_any()
        for _ in turns(FOLLOW_SECONDS) if follow else ():
            _show_all(logs.events(wanted, cursors), None, show)
            sys.stdout.flush()
    sys.stdout.flush()
    logs.require_any()
    if request_id is not None and not found:
        say(f"tvault: no event of a request {request_id!r}")
        return NOT_FOUND
    return 0


def _show_all(events: Iterable[Event], last: int | None, show: Callable[[Event], None]) -> int:
    """How many were shown."""
    count = 0
    for event in events if last is None else deque(events, min(last, sys.maxsize)):
        show(event)
        count += 1
    return count


def _show_way(logs: Logs, wanted: Filter, *, as_json: bool) -> int:
    way = way_of(logs, wanted)
    if as_json:
        _show_all(way, None, _show_json)
        return len(way)
    lines = list(in_words(way))
    columns = max((width(visible(node)) for _, node, _ in lines), default=0)
    for moment, node, text in lines:
        click.echo(f"{moment.ljust(MOMENT_COLUMNS)}  {padded(visible(node), columns)}  {visible(text)}")
    return len(way)


def _show_json(event: Event) -> None:
    sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")


def _show_text(node_columns: int) -> Callable[[Event], None]:
    has_colours = is_coloured()

    def show(event: Event) -> None:
        sys.stdout.write(text_of_event(event, node_columns, is_coloured=has_colours) + "\n")

    return show
