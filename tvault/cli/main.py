"""The entry of the command line: which commands there are, and what an exit code means."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import click

from tvault.cli.invocation import LazyGroup, Terminated, config_option
from tvault.errors import Code, VaultError

COMMANDS = {
    "init": ("tvault.cli.init", "Make the folder of a new cluster: keys, configuration, API keys."),
    "key": ("tvault.cli.key", "Make API keys, and the credential for Prometheus."),
    "serve": (
        "tvault.cli.serve",
        "Run one node in the foreground, or a gateway; SIGTERM ends it cleanly.",
    ),
    "up": ("tvault.cli.up", "Run every node of tvault.toml on this machine."),
    "demo": ("tvault.cli.demo", "Show what a vault does, on a temporary cluster, in about a minute."),
    "tokenize": ("tvault.cli.tokenize", "Put tokens in the place of values in a file."),
    "detokenize": ("tvault.cli.detokenize", "Put values in the place of tokens in a file."),
    "retokenize": ("tvault.cli.retokenize", "Bring old tokens in a file to the active epoch."),
    "lookup": ("tvault.cli.lookup", "Show the tokens that values have; make none."),
    "duckdb-attach": (
        "tvault.cli.duckdb_attach",
        "Query a DuckDB file that holds tokens, with their values at hand.",
    ),
    "secret": ("tvault.cli.secret", "Keep secrets: values with names and versions."),
    "env": ("tvault.cli.env", "Keep the values of .env files as secrets, and use them."),
    "rotate-epoch": ("tvault.cli.rotate_epoch", "Begin a new epoch: other tokens from now on."),
    "backup": ("tvault.cli.backup", "Copy the committed journal of a node into a new folder."),
    "restore": ("tvault.cli.restore", "Fill the folders of an empty cluster from a backup."),
    "recover": (
        "tvault.cli.recover",
        "Let a blank node vote again: accept that what it has lost is lost.",
    ),
    "inspect": ("tvault.cli.inspect", "Show the cluster at a glance."),
    "doctor": ("tvault.cli.doctor", "Check configuration, keys, ports, disks, clocks and versions."),
}
"""Each command's module, imported when the command is used, and its line of help."""

DONE, FAILED, USAGE, NO_ANSWER = 0, 1, 2, 4
INTERRUPTED = 130
BY_SIGNAL = 128
"""A signal that ends a command gives this and its number as exit code."""

EXIT_CODES: dict[Code, int] = {
    "configuration": USAGE,
    "usage": USAGE,
    "unreachable": NO_ANSWER,
    "unavailable": NO_ANSWER,
    "overloaded": NO_ANSWER,
}
"""The exit code of each refusal; the others are 1."""


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 done but something was not found, "
    "4 the cluster did not answer.",
)
@config_option
@click.version_option(package_name="tvault", message="%(prog)s %(version)s")
@click.pass_context
def tvault(ctx: click.Context) -> None:
    """Deterministic tokens for sensitive values, kept on a chain of durable nodes."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: never with a traceback."""
    _open_missing_streams()
    code = _run(args)
    try:
        sys.stdout.flush()
    except OSError:
        code = code or FAILED
        _drop_output()
    if code > BY_SIGNAL:
        # Threads may wait for an answer of the cluster: an interrupt does not wait for them.
        os._exit(code)
    sys.exit(code)


def _open_missing_streams() -> None:
    """Open what the caller has closed of stdin, stdout and stderr, so that a file does not get its
    number and with it what is printed.  Reading such a stdin, or writing such a stdout, is an error.
    """
    for number, name, useless in (
        (0, "stdin", os.O_WRONLY),
        (1, "stdout", os.O_RDONLY),
        (2, "stderr", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.close(number)
            os.open(os.devnull, useless)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _run(args: Sequence[str] | None) -> int:
    try:
        result = tvault.main(args=args, prog_name="tvault", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        cause = error.__cause__ or error.__context__  # a prompt of click hides the cause
        return BY_SIGNAL + cause.number if isinstance(cause, Terminated) else INTERRUPTED
    except VaultError as error:
        _say(str(error))
        return EXIT_CODES.get(error.code, FAILED)
    except OSError as error:
        if error.errno == errno.EPIPE:
            _drop_output()
        else:
            _say(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: a mistake of ours, told without its data
        _say(f"internal error: {type(error).__name__} at {_place(error.__traceback__)}")
        return FAILED
    return result if isinstance(result, int) else DONE


def _place(trace: TracebackType | None) -> str:
    """Where it began."""
    place = "?"
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _say(text: str) -> None:
    click.echo(f"tvault: {text}", err=True)


def _drop_output() -> None:
    """Nobody takes our output any more: what is still buffered goes nowhere, quietly."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
