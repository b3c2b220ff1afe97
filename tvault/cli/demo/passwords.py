"""A secret with its versions, a program that gets it by a .env file, and the disks looked through."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tvault.cli.demo.patients import NUMBERS_LIKE
from tvault.cli.demo.show import Show
from tvault.cli.demo.temporary import FOLDER

FIRST, SECOND = "example-password-one", "example-password-two"
ENV = f"DB_PASSWORD={FIRST}\nDATABASE_URL=postgres://clinic:enc(DB_PASSWORD)@db/visits\n"
PROGRAM = "tvault env run app.env -- sh -c 'echo \"$DATABASE_URL\"'"

PIECE = 1 << 20
OVERLAP = 64
"""More than the longest number or password: none is missed between two pieces of a file."""

_WORDS = re.compile(NUMBERS_LIKE + f"|{FIRST}|{SECOND}".encode(), re.ASCII)


def env_file(show: Show) -> None:
    """A password moves out of a .env file, gets a new value, and reaches a program."""
    stage = show.stage
    stage.step("A password leaves a .env file, and reaches the program that needs it")
    show.write("app.env", ENV.encode())
    show.write("new-password.txt", SECOND.encode())
    show.run("cat app.env; tvault env encrypt --in-place app.env; cat app.env")
    file = show.content("app.env")
    stage.claim("the file holds no password any more", FIRST.encode() not in file)
    first = show.run(PROGRAM)
    stage.claim("the program gets it in its environment", f":{FIRST}@" in first)
    show.run("tvault secret put DB_PASSWORD < new-password.txt")
    show.run("tvault secret history DB_PASSWORD")
    second = show.run(PROGRAM)
    stage.claim(
        "after a change it gets the new one, and the file stays as it is",
        f":{SECOND}@" in second and show.content("app.env") == file,
    )
    old = show.run("tvault secret get DB_PASSWORD --version 1")
    stage.claim("the version before stays known", old == FIRST)


def look_through_the_disks(show: Show) -> None:
    """All that the nodes have written, searched for what nobody may read there."""
    stage, place = show.stage, show.cluster.place
    stage.step("The disks of all nodes, searched for values in the clear")
    secret = {value.encode() for each in show.people for value in each.values}
    secret |= {FIRST.encode(), SECOND.encode()}
    # The first password is in no file any more.
    in_the_clear = _found([place / "patients.jsonl", place / "new-password.txt"], secret)
    stage.tell(
        f"The search finds {in_the_clear:,} values in the files that the demo made; now the same search "
        f"in the data folders and logs of the nodes:"
    )
    files = [*_files(place / FOLDER), *(place / f"{name}.log" for name in show.cluster.nodes)]

    found = _found(files, secret)
    stage.output(f"{len(files)} files: {found} values in the clear")
    stage.claim(
        "no node has written a value in the clear", found == 0 and in_the_clear == len(secret) - 1
    )


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root, name) for name in names)


def _found(files: Iterable[Path], secret: set[bytes]) -> int:
    """How many of these stand in the files."""
    found: set[bytes] = set()
    for file in files:
        # What a merge of an index has removed since it was listed is not there to be read.
        with suppress(FileNotFoundError), file.open("rb") as opened:
            rest = b""
            while piece := opened.read(PIECE):
                found.update(_WORDS.findall(rest + piece))
                rest = piece[-OVERLAP:]
    return len(found & secret)
