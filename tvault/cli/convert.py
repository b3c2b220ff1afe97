"""What `tokenize`, `detokenize` and `retokenize` share: which file, in which format, where it goes, and
what is said in the end."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast, get_args

import click

from tvault.cli.invocation import api_key_file_option, tidied_up_when_ended
from tvault.cli.opening import open_vault
from tvault.cli.output import NOT_FOUND, say
from tvault.cli.progress import Progress
from tvault.cli.targets import is_stdout, output_file
from tvault.client.files import SUFFIXES
from tvault.client.gzipped import MAGIC, Packing, unpacked
from tvault.client.gzipped import SUFFIX as PACKED
from tvault.client.job import DEFAULT_JOBS, Format, Job, Summary
from tvault.client.records import DEFAULT_RECORDS, Cut
from tvault.client.vault import Vault
from tvault.errors import VaultError

F = TypeVar("F", bound=Callable[..., Any])

Conversion = Callable[[Vault, BinaryIO, BinaryIO, Job], Summary]

TAB = "\t"
TABS = frozenset({"tab", "\\t", TAB})
"""How a tab can be written on a command line."""

FAMILIES: dict[Format, str] = {"jsonl": "JSON", "json": "JSON", "csv": "CSV", "parquet": "Parquet"}


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    file: str
    output: str | None
    format: Format | None
    columns: tuple[str, ...]
    delimiter: str | None
    jobs: int
    batch: int
    api_key_file: str | None

    @property
    def name(self) -> str:
        """What messages call the file."""
        return "stdin" if self.file == "-" else self.file


def _columns(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The names in some lists, each list as CSV writes it."""
    try:
        rows = [next(csv.reader([text], strict=True), []) for text in texts]
    except csv.Error:
        raise click.BadParameter("a quote is not closed, or is one too many", ctx, parameter) from None
    if not all(row and all(row) for row in rows):
        raise click.BadParameter("a name is empty", ctx, parameter)
    return tuple(name for row in rows for name in row)


def _delimiter(ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    if text is None:
        return None
    if text in TABS:
        return TAB
    if len(text) != 1 or not text.isascii() or not text.isprintable() or text.isalnum() or text in '"_':
        told = "it is a single character, and no letter, digit, quote or _; 'tab' for a tab"
        raise click.BadParameter(told, ctx, parameter)
    return text


def file_options(command: F) -> F:
    """The argument FILE and the options that go with it."""
    options = (
        click.argument("file", metavar="FILE"),
        click.option(
            "-o", "--output", metavar="OUT", help="Where to write; stdout when left out or '-'."
        ),
        click.option(
            "--format",
            type=click.Choice(get_args(Format)),
            help="What FILE is; else its suffix tells.",
        ),
        click.option(
            "--columns",
            metavar="NAMES",
            multiple=True,
            callback=_columns,
            help="What to convert instead of the configured fields: columns or field paths, with commas "
            "between them; may repeat.",
        ),
        click.option(
            "--delimiter",
            metavar="CHAR",
            callback=_delimiter,
            help="What stands between the cells of CSV; else the header tells.",
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
        _source(wish.file) as opened,
    ):
        name = wish.name
        is_in_the_way = is_stdout(wish.output) and sys.stdout.isatty()
        with Progress(opened, is_in_the_way=is_in_the_way) as progress:
            source, told = _unpacked(opened, name, progress)
            form = _format(wish, source, name)
            _refuse_another_format(wish, form)
            job = Job(
                name, form, Cut(records=wish.batch), wish.jobs, told, wish.columns, _between(wish, form)
            )
            with output_file(wish.output, new_mode) as target:
                return _packed(conversion, vault, source, target, job, wish)


def _unpacked(
    opened: BinaryIO, name: str, progress: Callable[[int, int], None]
) -> tuple[BinaryIO, Callable[[int, int], None]]:
    """What the file holds, unpacked if it is packed by gzip, as its name or its first bytes tell; and
    what is to be told how far it has come, in bytes of what it holds."""
    if not _is_packed(name) and not _peeked(opened, name).startswith(MAGIC):
        return opened, progress
    source, unpacking = unpacked(opened)
    return source, lambda done, records: progress(unpacking.packed(done), records)


def _packed(
    conversion: Conversion, vault: Vault, source: BinaryIO, target: BinaryIO, job: Job, wish: Wish
) -> Summary:
    """Carry it out with an output that is packed when its name says so."""
    if wish.output is None or not _is_packed(wish.output):
        return conversion(vault, source, target, job)
    packing = Packing(target)
    summary = conversion(vault, source, cast("BinaryIO", packing), job)
    packing.finish()
    return summary


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


def say_untouched(wish: Wish, summary: Summary) -> None:
    """Tell of a file that went through as it is."""
    if summary.is_untouched:
        told = "no record has a value in a configured field: nothing was tokenized"
        say(f"tvault: {wish.name}: {told}")


def end(ctx: click.Context, summary: Summary) -> None:
    """Tell of tokens that were not found, and exit accordingly."""
    if summary.not_found:
        places = "; ".join(summary.missing)
        more = "; …" if summary.has_more else ""
        become = "left as they were" if summary.have_place else "null where they cannot stay"
        say(f"tvault: not found, {become}: {summary.not_found} ({places}{more})")
        ctx.exit(NOT_FOUND)


def _is_packed(name: str) -> bool:
    return Path(name).suffix.lower() == PACKED


def _suffix(name: str | None) -> str:
    """What a file's name says of its format, whether it is packed or not."""
    path = Path(name or "")
    return (Path(path.stem) if _is_packed(path.name) else path).suffix.lower()


def _format(wish: Wish, source: BinaryIO, name: str) -> Format:
    if wish.format is not None:
        return wish.format
    if wish.file == "-":
        try:
            beginning = _peeked(source, name)
        except VaultError as error:
            raise replace(error, detail=f"{name} {error.detail}") from None
        return "json" if beginning.lstrip().startswith(b"[") else "jsonl"
    suffix = _suffix(wish.file)
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise VaultError(
            "usage", f"cannot tell what {wish.file} is: its suffix is none of {known}; give --format"
        )
    return SUFFIXES[suffix]


def _refuse_another_format(wish: Wish, form: Format) -> None:
    """Refuse options that the format has no use for, and an OUT that its name promises to be in another
    one."""
    is_packed = any(_is_packed(name or "") for name in (wish.file, wish.output))
    if form == "parquet" and is_packed:
        raise VaultError("usage", "Parquet files are compressed inside: name them without .gz")
    if form != "csv" and wish.delimiter is not None:
        raise VaultError("usage", "--delimiter is for CSV files")
    given, wanted = _suffix(wish.file), _suffix(wish.output)
    is_other = wanted in SUFFIXES and FAMILIES[SUFFIXES[wanted]] != FAMILIES[form]
    if is_other or {given, wanted} == {".csv", ".tsv"}:
        told = f"{wish.file} is {FAMILIES[form]}, and {wish.output} is named as another format"
        raise VaultError("usage", f"{told}: values are converted, not formats")


def _between(wish: Wish, form: Format) -> bytes | None:
    """What stands between the cells, as far as it was told."""
    is_tabbed = form == "csv" and _suffix(wish.file) == ".tsv"
    between = wish.delimiter or (TAB if is_tabbed else None)
    return None if between is None else between.encode()


def _peeked(source: BinaryIO, name: str) -> bytes:
    try:
        return source.peek(1) if isinstance(source, BufferedReader) else b""
    except OSError as error:
        raise VaultError("usage", f"cannot read {name}: {error.strerror}") from None
