"""Draws the pictures of the documentation: `python docs/diagrams/draw.py [FOLDER]`.

Writes all of them into FOLDER, or beside this file; `growth.svg` from `docs/measured.json`.  The same
source always gives the same bytes; a test compares them with what is stored.  Pictures of earlier times,
in `then`, have no source any more: they stay as they were.
"""

from __future__ import annotations

import sys
from pathlib import Path

from coordination import coordination
from growth import growth
from node import node
from picture import CLIENT, DOWN, NODE, SOFT, UP, Picture
from processes import architecture
from sequence import draw
from tales import TALES


def chain() -> str:
    """The chain alone, for the README."""
    picture = Picture(
        760,
        230,
        "The chain of three nodes",
        "A request may go to any node. The head orders it and hands it to the middle, which hands it to "
        "the tail. Acknowledgements come back up the chain. The client is answered when all three hold "
        "the mapping on disk.",
    )
    picture.box((250, 14), (260, 44), CLIENT)
    picture.say((380, 41), "your program, tvault, curl")
    for x, name, role in ((40, "n1", "head"), (300, "n2", "middle"), (560, "n3", "tail")):
        picture.box((x, 104), (160, 68), NODE)
        picture.say((x + 80, 130), f"{name}: {role}", bold=True)
        picture.say((x + 80, 154), "a full copy on disk", colour=SOFT)
    picture.arrow((380, 58), (380, 102), "plain", both=True)
    picture.say((474, 84), "to any node, over HTTP", size=12, colour=SOFT)
    for x in (200, 460):
        picture.arrow((x + 4, 126), (x + 96, 126), "down")
        picture.say((x + 50, 119), "entries", size=12, colour=DOWN)
        picture.arrow((x + 96, 152), (x + 4, 152), "up")
        picture.say((x + 50, 168), "on disk", size=12, colour=UP)
    picture.say((380, 206), "A token is given out once every node of the chain has its mapping on disk.")
    return picture.svg()


def main() -> None:
    """Write all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    drawn = {
        "architecture.svg": architecture(),
        "chain.svg": chain(),
        "coordination.svg": coordination(),
        "growth.svg": growth(),
        "node.svg": node(),
        **{name: draw(tale) for name, tale in TALES.items()},
    }
    for name, svg in drawn.items():
        (folder / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
