"""What all commands share: their options, and how they end.  Loads nothing but click: what is shown in a
moment, such as the help, goes by here."""

from __future__ import annotations

import importlib
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click
from click.shell_completion import CompletionItem

_CONFIG = "tvault.config"


def config_file(ctx: click.Context) -> str | None:
    """What `--config` said, before or after the command's name."""
    found: str | None = ctx.meta.get(_CONFIG)
    return found


def _remember(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:  # noqa: ARG001
    if value is not None:
        ctx.meta[_CONFIG] = value


config_option = click.option(
    "--config",
    metavar="FILE",
    expose_value=False,
    callback=_remember,
    help="The configuration; else TVAULT_CONFIG, else ./tvault.toml.",
)

api_key_file_option = click.option(
    "--api-key-file", metavar="FILE", help="A file that holds the API key; else TVAULT_API_KEY."
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

node_option = click.option(
    "--node", "node_names", multiple=True, metavar="NAME", help="Of this node; may repeat; else of all."
)

data_option = click.option(
    "--data",
    "folders",
    multiple=True,
    metavar="DIR",
    help="Of a stopped node's data folder; may repeat.",
)


ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""Asked to end, and the terminal is gone."""


class Terminated(KeyboardInterrupt):
    """A signal that ends a command as Ctrl-C does: what it has begun is tidied up."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def tidied_up_when_ended() -> Iterator[None]:
    """Raise `Terminated` in the main thread when SIGTERM or SIGHUP comes, unless it is ignored, as
    SIGHUP is under nohup."""

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise Terminated(number)

    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    heeded = [number for number in ENDING_SIGNALS if before[number] is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def turns(seconds: float) -> Iterator[None]:
    """A turn at every such interval, the first at once, until Ctrl-C: one that came where Python drops
    it, as in a finalizer, counts at the end of the turn."""
    is_over = False

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal is_over
        is_over = True
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, end)
    try:
        while True:
            begin = time.monotonic()
            yield
            if is_over:
                raise KeyboardInterrupt
            time.sleep(max(0.0, begin + seconds - time.monotonic()))
    finally:
        signal.signal(signal.SIGINT, before)


class VaultCommand(click.Command):
    """A command that takes `--config`, as every command does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config_option(self)


class VaultGroup(click.Group):
    """A group whose commands take `--config`."""

    command_class = VaultCommand


class LazyGroup(VaultGroup):
    """A group whose commands are imported when they are used: `table` has each one's module, which holds
    it as `command`, and its line of help."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._table:
            return None
        module = importlib.import_module(self._table[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """By the table, too: who presses a key does not wait until all commands are imported."""
        found = {name: text for name, (_, text) in self._table.items() if name.startswith(incomplete)}
        commands = [CompletionItem(name, help=text) for name, text in found.items()]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]
