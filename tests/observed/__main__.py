"""Runs a cluster and puts what it shows into `docs/observed.md`: `python -m tests.observed`."""

from __future__ import annotations

import click

from tests.observed.page import PAGE, filled, observed


@click.command()
def main() -> None:
    """Make the excerpts of the page of observed behaviour anew."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), observed()), encoding="utf-8")


if __name__ == "__main__":
    main()
