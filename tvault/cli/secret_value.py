"""Where the value of a secret comes from: stdin, a file, or a terminal; never a command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click

from tvault.cli.invocation import tidied_up_when_ended
from tvault.cli.output import say
from tvault.errors import VaultError
from tvault.wire import Limits

MOST_BYTES = Limits.body_bytes
"""The longest value that is read: a node takes no longer body, and memory would have no bound."""

MOST_TYPED_BYTES = 4094
"""A terminal cuts a longer line off without a word."""


def value_for(name: str, file: str | None) -> str:
    """The value that the user gives: in `file`, to the byte ('-' is stdin); without one on stdin, less a
    newline at its end, or when asked on a terminal.

    Raises `VaultError`, which does not show it.
    """
    if file is not None:
        return _text(_content(file), "stdin" if file == "-" else file)
    if sys.stdin.isatty():
        return typed(name)
    value = _text(_read(sys.stdin.buffer, "stdin"), "stdin")
    kept = value.removesuffix("\n")
    kept = kept.removesuffix("\r") if kept != value else kept
    if "\n" in kept and kept != value:
        say("note: the newline at the end of stdin is no part of the value; '--file -' keeps it")
    if not kept:
        say("note: the value is empty")
    return kept


def _content(file: str) -> bytes:
    if file == "-":
        return _read(sys.stdin.buffer, "stdin")
    try:
        with Path(file).open("rb") as opened:
            return _read(opened, file)
    except OSError as error:
        raise VaultError("usage", f"cannot read {file}: {error.strerror}") from None


def _read(source: BinaryIO, called: str) -> bytes:
    try:
        content = source.read(MOST_BYTES + 1)
    except OSError as error:
        raise VaultError("usage", f"cannot read {called}: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise VaultError("too_large", f"{called} is longer than {MOST_BYTES} bytes")
    return content


def _text(content: bytes, called: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"{called} is not UTF-8 (byte {error.start + 1})"
    # Raised out here so that the refusal does not carry the decoder's error, which holds the value.
    raise VaultError("malformed", f"{place}; a secret is text: encode what is none, as base64 does")


def typed(name: str) -> str:
    """What is typed twice, hidden.  When a signal ends it, the terminal shows again what is typed."""
    why = "a terminal takes no line as long; use --file"
    try:
        with tidied_up_when_ended():
            typed: str = click.prompt(
                f"Value of {name}", hide_input=True, confirmation_prompt="The same again", err=True
            )
        if len(typed.encode("utf-8")) <= MOST_TYPED_BYTES:
            return typed
    except UnicodeError:
        why = "what was typed is not UTF-8"
    raise VaultError("malformed", why)
