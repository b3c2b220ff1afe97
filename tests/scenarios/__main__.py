"""Play scenarios: `python -m tests.scenarios [--rewrite] [NAME ...]`.

Without names all of them.  Looks at what they expect, not at their transcripts; `--rewrite` writes those
anew, to be reviewed as a diff.  Ends with status 1 when an expectation is not met.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.scenarios.script import play


def main() -> int:
    """What the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--rewrite", action="store_true")
    options = parser.parse_args()
    paths = sorted(Path(__file__).parent.glob("*.txt"))
    chosen = [path for path in paths if not options.names or path.stem in options.names]
    if len(chosen) < len(options.names):
        parser.error("there is no such scenario")
    return int(sum(not _plays(path, rewrite=options.rewrite) for path in chosen) > 0)


def _plays(path: Path, *, rewrite: bool) -> bool:
    try:
        outcome = play(path)
    except Exception as failure:  # noqa: BLE001  also a fault in what is played
        sys.stdout.write(f"{path.stem} fails: {type(failure).__name__}: {failure}\n")
        return False
    if rewrite:
        path.write_text(outcome, encoding="utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main())
