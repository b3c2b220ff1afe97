"""Where the configuration is, which nodes to ask, and as whom."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvault.cli.invocation import config_file
from tvault.cli.output import say
from tvault.cli.progress import BEGINNING_OF_LINE
from tvault.client.retries import Patience
from tvault.client.routing import urls_in
from tvault.client.vault import Vault
from tvault.errors import VaultError

if TYPE_CHECKING:
    from tvault.config import Config


def read_config(ctx: click.Context) -> Config:
    """The configuration of this invocation.  Raises `VaultError` (`configuration`)."""
    config: Config = importlib.import_module("tvault.config").load(config_file(ctx), os.environ)
    return config


def open_vault(ctx: click.Context, api_key_file: str | None, connections: int = 0) -> Vault:
    """The vault at `TVAULT_URL`, or at the nodes of the configuration, as the owner of the API key.  Who
    makes many calls keeps `connections`.  It says on stderr, once, why a call waits."""
    api_key = _api_key(api_key_file)
    urls = urls_in(os.environ.get("TVAULT_URL", ""))
    if urls:
        ca = trusted_ca(None)
    else:
        config = read_config(ctx)
        urls = [node.api.url for node in config.nodes]
        ca = trusted_ca(config)
    patience = Patience(note=_said_once())
    return Vault(urls, api_key, ca=ca, connections=connections, patience=patience)


def _said_once() -> Callable[[str], None]:
    """Says the first text that it is told: calls that go on at a time wait for the same nodes."""
    turn = threading.Lock()

    def say_it(text: str) -> None:
        if turn.acquire(blocking=False):
            # On a terminal it takes the place of how far a file has come, which is shown again below.
            with suppress(OSError):  # nobody reads it: that ends no call
                if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
                    click.echo(BEGINNING_OF_LINE, err=True, nl=False, color=True)
                say(f"tvault: {text}")

    return say_it


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
