"""`tvault env`."""

from __future__ import annotations

import click

from tvault.cli.invocation import LazyGroup

COMMANDS = {
    "encrypt": ("tvault.cli.env_encrypt", "Keep the values of a .env file as secrets."),
    "expand": ("tvault.cli.env_expand", "Put the values of secrets into a .env file."),
    "run": ("tvault.cli.env_run", "Run a command with the variables of a .env file."),
    "check": ("tvault.cli.env_check", "Tell whether a .env file is right and resolves."),
}


@click.group("env", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Keep the values of .env files as secrets, and use them."""
