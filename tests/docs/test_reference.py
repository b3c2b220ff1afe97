"""The reference says all that the code has, in its words: commands, settings, codes, calls, events."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import get_args

import click

from tests.contract.specification import PLACES, bodies_of, operations
from tests.docs.pages import DOCS, REFERENCE, ROOT, read, rows, section
from tvault import wire
from tvault.cli.main import EXIT_CODES, FAILED, tvault
from tvault.config import SECTIONS, SETTINGS, Setting
from tvault.errors import Code
from tvault.events import EVENTS, FIELDS, WAITING_EVENTS
from tvault.events.catalog import COMMON, GROUPS
from tvault.events.query import NAMES
from tvault.server.connections import GREETING_SECONDS, HEAD_SECONDS, IDLE_SECONDS
from tvault.server.door import MOST_CONNECTIONS
from tvault.server.intake import BODIES_IN_HAND, BYTES_A_MARK, READING_REQUESTS, WAITING_BODIES
from tvault.server.streams import HEADER_BYTES, SLOW_BYTES, SLOW_SECONDS, SMALL_BODY
from tvault.server.turns import WAIT_SECONDS, WAITING_REQUESTS

RECORDERS = {"record", "_record", "notice", "_note", "_append"}
COMMON_OF_CALLS = {"owner", "request_id", "duration_ms", "view", "seq"}


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups included."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from commands(found, f"{name} {each}")


def option_row(option: click.Option) -> list[str]:
    """An option as its row in the reference says it."""
    flags = ", ".join(f"`{flag}`" for flag in option.opts)
    default = "required" if option.required else str(option.default) if option.show_default else ""
    return [flags, option.help or "", default]


def setting_row(setting: Setting) -> list[str]:
    """A setting as its row in the reference says it."""
    default = "required" if setting.default is None else f"{setting.written_default} {setting.unit}"
    return [f"`{setting.name}`", setting.help, setting.kind.expected, default.strip()]


def recorded() -> dict[str, set[str]]:
    """The events that the code records, by name, with the fields that it gives them."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tvault").rglob("*.py")):
        for node in ast.walk(ast.parse(read(path))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            name = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            if called in RECORDERS and isinstance(name, str):
                common = COMMON_OF_CALLS if called == "_note" else set()
                found.setdefault(name, set()).update(common, fields_of(node))
    return found


def fields_of(call: ast.Call) -> set[str]:
    """The names of the keywords of a call, and of the keys of a dict that it is given."""
    keys = {
        str(key.value)
        for argument in call.args
        if isinstance(argument, ast.Dict)
        for key in argument.keys
        if isinstance(key, ast.Constant)
    }
    return keys | {keyword.arg for keyword in call.keywords if keyword.arg is not None}


def test_every_command_and_option_stands_in_the_reference_as_its_help_says_it() -> None:
    page = read(REFERENCE / "cli.md")
    for name, command in commands(tvault, "tvault"):
        part = section(page, name)
        summary = (command.help or "").split("\n\n", maxsplit=1)[0]
        assert " ".join(summary.split()) in " ".join(part.split()), f"{name} is told otherwise"
        options = [
            option_row(option)
            for option in command.params
            if isinstance(option, click.Option) and not option.hidden
        ]
        shared = options[:0] if command is tvault else [["`--config`"]]
        own = [row for row in options if row[:1] not in shared]
        assert [row for row in rows(part) if row[0].startswith("`-")] == own, f"options of {name}"
        arguments = [each.metavar for each in command.params if isinstance(each, click.Argument)]
        written = [each for each in arguments if each]
        assert not written or " ".join([name, *written]) in part


def test_every_setting_stands_in_the_reference_with_its_bounds_and_default() -> None:
    page = read(REFERENCE / "configuration.md")
    for each in SECTIONS:
        part = section(page, f"`{each.header}`")
        assert each.help in " ".join(part.split())
        expected = [setting_row(setting) for setting in SETTINGS if setting.section == each.name]
        assert list(rows(part)) == expected


def test_every_error_code_stands_in_the_reference_with_its_status() -> None:
    page = read(REFERENCE / "errors.md")
    told = {(row[0], row[1]) for row in rows(section(page, "The codes"))}
    assert told == {(str(status), f"[`{code}`](#{code})") for code, status in wire.STATUS.items()}


def test_every_code_of_a_place_in_a_batch_stands_in_the_reference() -> None:
    told = {row[0] for row in rows(section(read(REFERENCE / "errors.md"), "Places in a request"))}
    assert told == {f"`{code}`" for code in PLACES}


def test_every_exit_code_stands_in_the_reference_with_the_errors_that_lead_to_it() -> None:
    told = {row[0]: row[2] for row in rows(section(read(REFERENCE / "errors.md"), "Exit codes"))}
    for code in get_args(Code):
        exit_code = EXIT_CODES.get(code, FAILED)
        if exit_code != FAILED:
            assert f"`{code}`" in told[str(exit_code)]
    assert set(told) == {"0", "1", "2", "3", "4", "126, 127", "130", "143"}


def test_every_call_stands_in_the_reference_and_no_other() -> None:
    page = section(read(REFERENCE / "http-api.md"), "HTTP calls")
    calls = [f"`{method} {path}`" for method, path, _ in operations()]
    assert len(calls) >= 8, "the calls are no longer found where they were"
    assert set(calls) == {row[0] for row in rows(page)}
    shapes = {(row[0], *re.findall(r'`{"(\w+)":', row[1])) for row in rows(page)}
    assert shapes == {
        (f"`{method} {path}`", *shape["required"])
        for method, path, operation in operations()
        for shape in bodies_of(operation)
    }


def test_every_limit_of_a_request_stands_in_the_reference() -> None:
    told = {row[0] for row in rows(section(read(REFERENCE / "http-api.md"), "Limits"))}
    limits = {setting.name for setting in SETTINGS if setting.section == "limits"}
    assert told == {f"`{name}`" for name in limits | {"request_timeout_ms"}}


def test_how_many_requests_wait_for_their_turn_is_told_as_it_is() -> None:
    for page in ("reference/http-api.md", "capacity.md"):
        (told,) = [
            row for row in rows(section(read(DOCS / page), "Limits")) if "at_once" in "".join(row)
        ]
        assert f"{WAITING_REQUESTS} more wait for their turn, up to a second" in told[1]
    assert WAIT_SECONDS == 1


def test_every_limit_that_is_no_setting_is_told_as_it_is() -> None:
    kib = 1024
    told = {row[0]: row[1] for row in rows(section(read(REFERENCE / "http-api.md"), "Fixed limits"))}
    head, body, hand, idle = (told[name] for name in told if not name.startswith(("`", "connections")))
    assert f"{HEADER_BYTES // kib} KiB" in told["`header_bytes`"]
    assert f"each {BYTES_A_MARK} bytes of `body_bytes`" in told["`marks`"]
    assert f"{HEAD_SECONDS:.0f} seconds" in head
    assert f"up to {SMALL_BODY // kib} KiB" in head
    assert f"{SLOW_SECONDS:.0f} seconds, and a second more for each {SLOW_BYTES // kib} KiB" in body
    assert f"as {BODIES_IN_HAND} of the longest body, of at most {READING_REQUESTS} bodies" in hand
    assert f"{WAITING_BODIES} more wait up to a second" in hand
    assert idle == f"{IDLE_SECONDS:.0f} seconds" == f"{GREETING_SECONDS:.0f} seconds"
    assert told["connections"].startswith(f"{MOST_CONNECTIONS};")


def test_every_event_that_the_code_records_is_in_the_catalog_with_its_fields_and_no_other() -> None:
    events = recorded()
    assert {"view", "tokenize", "start", "events-lost"} <= set(events), "events are no longer found"
    assert events == {name: set(event.fields) for name, event in EVENTS.items()}
    assert {*COMMON, *(field for event in EVENTS.values() for field in event.fields)} == set(FIELDS)


def test_every_event_and_field_stands_in_the_reference_as_the_catalog_has_it() -> None:
    page = read(REFERENCE / "events.md")
    for title, group in GROUPS.items():
        expected = [
            [f"`{name}`", event.when, ", ".join(f"`{field}`" for field in event.fields)]
            for name, event in group.items()
        ]
        assert list(rows(section(page, title))) == expected
    fields = [[f"`{name}`", field.form, field.meaning] for name, field in FIELDS.items()]
    assert list(rows(section(page, "Fields"))) == fields


def test_what_the_event_log_keeps_while_it_cannot_be_written_is_told_as_it_is() -> None:
    assert f"up to {WAITING_EVENTS} events wait for it" in read(REFERENCE / "events.md")


def test_every_member_of_a_query_for_events_stands_in_the_reference() -> None:
    told = rows(section(read(REFERENCE / "events.md"), "Over the network"))
    assert sorted(name for row in told for name in re.findall(r"`(\w+)`", row[0])) == sorted(NAMES)
