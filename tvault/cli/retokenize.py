"""`tvault retokenize`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click

from tvault.cli.convert import Wish, convert, end, file_options, say_epochs
from tvault.cli.invocation import VaultCommand
from tvault.cli.targets import are_one, output_file, writing
from tvault.client.changes import Changes
from tvault.client.files import SUFFIXES, retokenize_file
from tvault.client.gzipped import SUFFIX as PACKED
from tvault.client.job import Job, Summary
from tvault.client.vault import Vault
from tvault.errors import VaultError

NO_MAPS = {PACKED, *SUFFIXES} - {".csv"}
"""Suffixes that no map has.  One that is named so was meant as FILE."""


class _Command(VaultCommand):
    """A command of which an option may take what was meant as FILE."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.MissingParameter:
            if not ctx.params.get("map_file"):
                raise
        raise click.UsageError(
            "Missing argument 'FILE': --map took the last word as the name of the map. "
            "Write FILE before --map, or --map=MAPFILE.",
            ctx,
        )


@click.command("retokenize", cls=_Command)
@file_options
@click.option(
    "--map",
    "map_file",
    metavar="[MAPFILE]",
    is_flag=False,
    flag_value="",
    help="Write which token became which, as CSV: old,new. Without MAPFILE to OUT.map.csv, or "
    "FILE.map.csv when OUT is no file.",
)
@click.pass_context
def command(ctx: click.Context, /, map_file: str | None, **wish: Any) -> None:
    """Bring old tokens in a file to the active epoch.

    FILE is JSON Lines (one object a line), JSON (an array of objects, or one object), CSV with a
    header, or Parquet; all but Parquet may be packed by gzip. '-' is stdin. Every string or cell that
    is a token is replaced, whichever field or column it stands in, or in those named by --columns
    alone; keys, longer strings and all other bytes stay. A token that is not found stays as it is, and
    the exit code is 3. To do it again changes nothing.

    MAPFILE gets a line for each token that became another one, sorted, each once. A new one can be
    read by its owner alone: it joins what the rotation took apart. OUT is never there without it.
    """
    asked = Wish(**wish)
    place = _place_of_map(map_file, asked)
    if place is None:
        summary = convert(ctx, retokenize_file, asked, 0o666)
    else:
        summary = convert(ctx, _Mapped(place), asked, 0o666)
    say_epochs(summary)
    end(ctx, summary)


class _Mapped:
    """The conversion with a map.

    The map takes its place first, and then OUT does: when FILE is written over, nothing but the map
    remembers the old tokens.  A map without its OUT is true all the same, and the next run writes it
    again.
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    def __call__(self, vault: Vault, source: BinaryIO, target: BinaryIO, job: Job) -> Summary:
        name = str(self._place)
        with writing(name):
            changes = Changes(self._place.parent)

        def note(changed: Mapping[bytes, bytes]) -> None:
            with writing(name):
                changes.add(changed)

        with changes:
            summary = retokenize_file(vault, source, target, job, note)
            with output_file(name, 0o600) as opened:
                changes.write(opened)
        return summary


def _place_of_map(asked: str | None, wish: Wish) -> Path | None:
    """Where the map goes, None when none is asked for.  Raises `VaultError` (`usage`) for a place where
    it would do harm."""
    if asked is None:
        return None
    output = None if wish.output in {None, "-"} else Path(str(wish.output))
    source = None if wish.file == "-" else Path(wish.file)
    beside = output if output is not None and (output.is_file() or not output.exists()) else source
    if asked:
        place = Path(asked)
    elif beside is None:
        raise VaultError("usage", "there is no file that the map could be named after: --map=MAPFILE")
    else:
        place = beside.with_name(f"{beside.name}.map.csv")
    if asked == "-" or place.suffix.lower() in NO_MAPS:
        raise VaultError("usage", f"the map is a CSV file, and '{asked}' is no name of one")
    if place.is_dir():
        raise VaultError("usage", f"the map cannot be written to {place}: it is a folder")
    if any(are_one(place, other) for other in (source, output)):
        raise VaultError("usage", f"the map would be written over {place}")
    if place.is_file() and are_one(source, output):
        raise VaultError(
            "usage",
            f"{place} is there, and may be all that remembers the tokens that {output} held before: "
            "move it away, or name another MAPFILE",
        )
    return place
