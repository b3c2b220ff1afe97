"""What `tokenize`, `detokenize` and `retokenize` share: which file, in which format, where it goes, and
what is said in the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import click

from tvault.cli.invocation import api_key_file_option, tidied_up_when_ended
from tvault.cli.opening import open_vault
from tvault.cli.output import NOT_FOUND, say
from tvault.cli.progress import Progress
from tvault.cli.targets import is_stdout, output_file
from tvault.client.files import DEFAULT_JOBS, SUFFIXES, Format, Job, Summary
from tvault.client.records import DEFAULT_RECORDS, Cut
from tvault.client.vault import Vault
from tvault.errors import VaultError

F = TypeVar("F", bound=Callable[..., Any])

Conversion = Callable[[Vault, BinaryIO, BinaryIO, Job], Summary]


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    file: str
    output: str | None
    format: str | None
    jobs: int
    batch: int
    api_key_file: str | None


def file_options(command: F) -> F:
    """The argument FILE and the options that go with it."""
    options = (
        click.argument("file", metavar="FILE"),
        click.option(
            "-o", "--output", metavar="OUT", help="Where to write; stdout when left out or '-'."
        ),
        click.option(
            "--format",
            type=click.Choice(["jsonl", "json"]),
            help="What FILE is; else its suffix tells.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(1, 64),
            default=DEFAULT_JOBS,
            show_default=True,
            help="Requests at a time.",
        ),
        click.option(
            "--batch",
            type=click.IntRange(1, 10_000),
            default=DEFAULT_RECORDS,
            show_default=True,
            help="Records in a request, at most.",
        ),
        api_key_file_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def convert(ctx: click.Context, conversion: Conversion, wish: Wish, new_mode: int) -> Summary:
    """Carry the conversion out.  A new output file gets `new_mode` less the umask.

    Raises `VaultError`; no half output file is left then, and an old one is as it was.
    """
    with (
        tidied_up_when_ended(),
        open_vault(ctx, wish.api_key_file, wish.jobs) as vault,
        _source(wish.file) as source,
    ):
        form = _format(wish, source)
        name = "stdin" if wish.file == "-" else wish.file
        is_in_the_way = is_stdout(wish.output) and sys.stdout.isatty()
        with (
            Progress(source, is_in_the_way=is_in_the_way) as progress,
            output_file(wish.output, new_mode) as target,
        ):
            job = Job(name, form, Cut(records=wish.batch), wish.jobs, progress)
            return conversion(vault, source, target, job)


@contextmanager
def _source(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = Path(file).open("rb")  # noqa: SIM115 - closed below; only opening it is a mistake of usage
    except OSError as error:
        raise VaultError("usage", f"cannot read {file}: {error.strerror}") from None
    with opened:
        if Path(file).is_dir():
            raise VaultError("usage", f"cannot read {file}: it is a folder")
        yield opened


def say_epochs(summary: Summary) -> None:
    """Tell of tokens of several epochs in one file."""
    if len(summary.epochs) > 1:
        epochs = ", ".join(str(epoch) for epoch in sorted(summary.epochs))
        say(f"note: the epoch changed meanwhile: the file holds tokens of epochs {epochs}")


def end(ctx: click.Context, summary: Summary) -> None:
    """Tell of tokens that were not found, and exit accordingly."""
    if summary.not_found:
        places = "; ".join(summary.missing)
        more = "; …" if summary.has_more else ""
        say(f"tvault: not found, left as they were: {summary.not_found} ({places}{more})")
        ctx.exit(NOT_FOUND)


def _format(wish: Wish, source: BinaryIO) -> Format:
    if wish.format is not None:
        return cast("Format", wish.format)
    if wish.file == "-":
        beginning = _peeked(source)
        return "json" if beginning.lstrip().startswith(b"[") else "jsonl"
    suffix = Path(wish.file).suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise VaultError(
            "usage", f"cannot tell what {wish.file} is: its suffix is none of {known}; give --format"
        )
    return SUFFIXES[suffix]


def _peeked(source: BinaryIO) -> bytes:
    try:
        return source.peek(1) if isinstance(source, BufferedReader) else b""
    except OSError as error:
        raise VaultError("usage", f"cannot read stdin: {error.strerror}") from None
