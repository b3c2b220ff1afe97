"""`tvault secret`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import click

from tvault.cli.invocation import VaultGroup, api_key_file_option, json_option
from tvault.cli.opening import open_vault
from tvault.cli.output import NOT_FOUND, print_json, print_table, say
from tvault.cli.secret_value import value_for
from tvault.errors import VaultError
from tvault.wire import valid_secret_name

MOMENT = "2026-03-01T12:00:00Z"
NOTHING = "-"
HISTORY = ("version", "valid from", "valid to", "master key")

name_argument = click.argument("name", metavar="NAME")

if_match_option = click.option(
    "--if-match", type=click.IntRange(1), metavar="N", help="Only if N is the current version."
)


@click.group("secret", cls=VaultGroup)
def command() -> None:
    """Keep secrets: values with names and versions."""


@command.command("put", context_settings={"ignore_unknown_options": True})  # they may be values
@name_argument
@click.argument("more", metavar="", nargs=-1, type=click.UNPROCESSED)
@click.option("--file", metavar="FILE", help="Take the value from FILE, every byte; '-' is stdin.")
@if_match_option
@click.option("--create", is_flag=True, help="Only if the secret has no value now.")
@api_key_file_option
@json_option
@click.pass_context
def put(ctx: click.Context, /, name: str, more: tuple[str, ...], **wish: Any) -> None:
    """Give a secret a value: a new version of it.

    The value comes from stdin; on a terminal it is asked for, hidden and twice. It is text in UTF-8.
    A newline at the end of stdin is no part of it, as `echo` adds one; --file takes every byte. When
    the secret has this value already, nothing is changed.

    A value is never an argument: other users of this machine can see those, and shells keep them.
    """
    if more or not valid_secret_name(name):
        raise VaultError("usage", _mistake(is_name_good=valid_secret_name(name)))
    if wish["if_match"] and wish["create"]:
        raise VaultError("usage", "--if-match and --create exclude each other")
    with open_vault(ctx, wish["api_key_file"]) as vault:
        value = value_for(name, wish["file"])
        made = vault.put_secret(name, value, if_match=wish["if_match"], if_none_match=wish["create"])
    if wish["as_json"]:
        known = {"name": made.name, "version": made.version, "valid_from": _shown(made.valid_from)}
        print_json({**known, "created": made.created})
    else:
        click.echo(f"{made.name} version {made.version}{'' if made.created else ', as before'}")


@command.command("get")
@name_argument
@click.option("--version", type=click.IntRange(1), metavar="N", help="Version N of it.")
@click.option("--at", metavar="T", help=f"The version that was valid at T, such as {MOMENT}.")
@api_key_file_option
@json_option
@click.pass_context
def get(ctx: click.Context, /, name: str, version: int | None, at: str | None, **wish: Any) -> None:
    """Print the value of a secret, every byte.

    Only on a terminal a newline follows. When there is no such secret or version, nothing is
    printed, and the exit code is 3.
    """
    if version and at:
        raise VaultError("usage", "--version and --at exclude each other")
    which = f", version {version}" if version else f", at {at}" if at else ""
    with open_vault(ctx, wish["api_key_file"]) as vault, _looking_for(ctx, name + which):
        found = vault.get_secret(name, version=version, at=at)
    if wish["as_json"]:
        known = {"name": found.name, "value": found.value, "version": found.version}
        print_json({**known, **_validity(found.valid_from, found.valid_to)})
    else:
        sys.stdout.buffer.write(found.value.encode("utf-8"))
        if sys.stdout.isatty() and not found.value.endswith("\n"):
            click.echo()


@command.command("list")
@api_key_file_option
@json_option
@click.pass_context
def list_(ctx: click.Context, api_key_file: str | None, as_json: bool) -> None:
    """Print the names of the secrets that have a value, sorted."""
    with open_vault(ctx, api_key_file) as vault:
        names = vault.secret_names()
    if as_json:
        print_json({"names": names})
    else:
        click.echo("".join(f"{name}\n" for name in names), nl=False)


@command.command("history")
@name_argument
@api_key_file_option
@json_option
@click.pass_context
def history(ctx: click.Context, name: str, api_key_file: str | None, as_json: bool) -> None:
    """Show the versions of a secret, oldest first, without their values.

    A version is valid from its first moment up to, but without, its last one. A deleted secret keeps
    its versions. When there never was such a secret, the exit code is 3.
    """
    with open_vault(ctx, api_key_file) as vault, _looking_for(ctx, name):
        versions = vault.secret_history(name)
    told = [
        {"version": each.version, **_validity(each.valid_from, each.valid_to), "key_id": each.key_id}
        for each in versions
    ]
    if as_json:
        print_json({"name": name, "versions": told})
    else:
        print_table(HISTORY, [[str(cell or NOTHING) for cell in each.values()] for each in told])


@command.command("delete")
@name_argument
@if_match_option
@click.option("--yes", is_flag=True, help="Do not ask; off a terminal nothing is asked.")
@api_key_file_option
@json_option
@click.pass_context
def delete(ctx: click.Context, /, name: str, if_match: int | None, **wish: Any) -> None:
    """Delete a secret: from now on it has no value.

    Its versions stay, and can be got by --version and --at. A put gives it a value again, and the
    next number. When it has no value, the exit code is 3.
    """
    with open_vault(ctx, wish["api_key_file"]) as vault, _looking_for(ctx, name):
        is_asked = sys.stdin.isatty() and not wish["yes"]
        if is_asked and not click.confirm(f"Delete the secret {name}?", err=True):
            say("tvault: nothing is changed")
            ctx.exit(1)
        ended = vault.delete_secret(name, if_match=if_match)
    if wish["as_json"]:
        valid_to = _shown(ended.valid_to)
        print_json({"name": ended.name, "version": ended.version, "valid_to": valid_to})
    else:
        click.echo(f"{ended.name} version {ended.version}, valid until {_shown(ended.valid_to)}")


def _mistake(*, is_name_good: bool) -> str:
    """Why a put cannot be: without what was given, which may be a value."""
    if is_name_good:
        why = "a value is no argument"
    else:
        why = (
            "a name has letters, digits, '_', '.' and '-', at most 128, and begins with a letter or '_'"
        )
    return (
        f"{why}; give the value on stdin, by --file, or when asked for it on a terminal. "
        "If it stood in the command, shells keep it and others may have seen it: change it"
    )


@contextmanager
def _looking_for(ctx: click.Context, what: str) -> Iterator[None]:
    """Say what was not found and exit accordingly."""
    try:
        yield
    except VaultError as error:
        if error.code in {"malformed", "usage"} and ctx.params.get("at"):
            raise VaultError("usage", f"--at is a date and time of RFC 3339, such as {MOMENT}") from None
        if error.code != "not_found":
            raise
        say(f"tvault: not found: {what}")
        ctx.exit(NOT_FOUND)


def _validity(valid_from: datetime, valid_to: datetime | None) -> dict[str, str | None]:
    return {"valid_from": _shown(valid_from), "valid_to": None if valid_to is None else _shown(valid_to)}


def _shown(moment: datetime) -> str:
    """The moment as the nodes write it."""
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
