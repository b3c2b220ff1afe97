"""What commands share: where the configuration is, which nodes to ask, and as whom."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from tvault.client.routing import urls_in
from tvault.client.vault import Vault
from tvault.config import Config, load
from tvault.errors import VaultError

_CONFIG = "tvault.config"


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


class VaultCommand(click.Command):
    """A command that takes `--config`, as every command does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config_option(self)


class VaultGroup(click.Group):
    """A group whose commands take `--config`."""

    command_class = VaultCommand


def read_config(ctx: click.Context) -> Config:
    """The configuration of this invocation.  Raises `VaultError` (`configuration`)."""
    return load(ctx.meta.get(_CONFIG), os.environ)


def open_vault(ctx: click.Context, api_key_file: str | None, connections: int = 4) -> Vault:
    """The vault at `TVAULT_URL`, or at the nodes of the configuration, as the owner of the API key."""
    api_key = _api_key(api_key_file)
    urls = urls_in(os.environ.get("TVAULT_URL", ""))
    if urls:
        return Vault(urls, api_key, ca=trusted_ca(None), connections=connections)
    config = read_config(ctx)
    urls = [node.api.url for node in config.nodes]
    return Vault(urls, api_key, ca=trusted_ca(config), connections=connections)


def trusted_ca(config: Config | None) -> Path | None:
    """The file of the CAs to trust: of `TVAULT_CA`, else of the configuration; None for the system's."""
    named = os.environ.get("TVAULT_CA")
    if named:
        return Path(named)
    return None if config is None else config.tls.ca


def _api_key(file: str | None) -> str:
    if file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise VaultError("usage", f"cannot read the API key from {file}: {why}") from None
        if not text:
            raise VaultError("usage", f"{file} holds no API key")
        return text
    found = os.environ.get("TVAULT_API_KEY", "").strip()
    if not found:
        raise VaultError("usage", "no API key: set TVAULT_API_KEY or give --api-key-file")
    return found
