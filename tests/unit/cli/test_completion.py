"""What a shell offers when its user presses the key for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tvault.cli.main import COMMANDS

LOADED = "import sys; from tvault.cli.main import main\ntry: main()\nfinally: print(*sys.modules)"


def offered(*words: str) -> tuple[list[str], set[str]]:
    """The completions of the last word, as bash gets them, and the modules that were loaded for them."""
    asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    ran = subprocess.run(
        [sys.executable, "-c", LOADED],
        env=os.environ | asked | {"_TVAULT_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, modules = ran.stdout.splitlines()
    return [line.partition(",")[2] for line in lines], set(modules.split())


def test_all_commands_are_offered_without_loading_any() -> None:
    found, loaded = offered("tvault", "")
    assert found == list(COMMANDS)
    assert loaded & {module for module, _ in COMMANDS.values()} == set()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("tvault", "rot"), ["rotate-epoch"]),
        (("tvault", "--v"), ["--version"]),
        (("tvault", "secret", ""), ["delete", "get", "history", "list", "put"]),
        (("tvault", "secret", "put", "--f"), ["--file"]),
        (("tvault", "inspect", ""), ["state", "events", "chain", "verify"]),
        (("tvault", "inspect", "events", "--event", "tok"), ["tokenize"]),
        (("tvault", "tokenize", "--format", ""), ["jsonl", "json", "csv", "parquet"]),
        (("tvault", "secret", "get", "NAME", "--"), None),
    ],
)
def test_the_beginning_of_a_command_or_an_option_is_completed(
    words: tuple[str, ...], found: list[str] | None
) -> None:
    told, _ = offered(*words)
    assert told == found if found is not None else {"--version", "--at", "--json"} <= set(told)
