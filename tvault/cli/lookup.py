"""`tvault lookup`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import click

from tvault.cli.invocation import VaultCommand, api_key_file_option, json_option
from tvault.cli.opening import open_vault
from tvault.cli.output import NOT_FOUND, say
from tvault.client.answers import Value
from tvault.client.bulk import MOST_VALUES
from tvault.client.records import refuse_byte_order_mark
from tvault.client.sending import MOST_NAMED, REASONS, is_too_much, with_places
from tvault.client.vault import Vault
from tvault.errors import VaultError
from tvault.wire import Limits, decode_json

USUAL_BYTES = 2 * 1024 * 1024
"""A request with so many bytes of values gets no more of them."""

MOST_LINE_BYTES = Limits.body_bytes
"""The longest line that is read: a node takes no longer value, and memory would have no bound."""

Known = dict[int, str]
"""The tokens of a value by epoch."""


@click.command("lookup", cls=VaultCommand)
@click.argument("values", metavar="VALUE…|-", nargs=-1, required=True)
@click.option("--typed", is_flag=True, help='VALUEs are JSON: 42 is a number, "42" a text.')
@json_option
@api_key_file_option
@click.pass_context
def command(
    ctx: click.Context, /, values: tuple[str, ...], api_key_file: str | None, **flags: bool
) -> None:
    """Show the tokens that values have; make none.

    Other users of this machine can see the arguments of a command: give sensitive values on stdin,
    one a line, with '-' in the place of VALUE. VALUEs are texts, unless --typed is given.

    Prints a line for each token: the number of its VALUE, counted from 1, the epoch and the token,
    with tabs between them. When a VALUE has no token, the exit code is 3.
    """
    is_stdin = values == ("-",)
    if "-" in values and not is_stdin:
        raise VaultError("usage", "'-' stands alone: then every VALUE comes from stdin")
    asked = _Asked("stdin line" if is_stdin else "value", is_typed=flags["typed"])
    texts = _lines() if is_stdin else _arguments(values)
    with open_vault(ctx, api_key_file, connections=1) as vault:
        answers = asked.answers(vault, texts)
        (_print_document if flags["as_json"] else _print_lines)(answers)
    if asked.without:
        more = "; …" if asked.without > len(asked.named) else ""
        say(f"tvault: without a token: {asked.without} ({'; '.join(asked.named)}{more})")
        ctx.exit(NOT_FOUND)


def _arguments(values: tuple[str, ...]) -> Iterator[bytes]:
    for value in values:
        yield value.encode("utf-8", "surrogateescape")


def _lines() -> Iterator[bytes]:
    """The lines of stdin, without what ends them."""
    number = 0
    while line := _line():
        number += 1
        if number == 1:
            try:
                refuse_byte_order_mark(line)
            except VaultError as error:
                raise replace(error, detail=f"stdin {error.detail}") from None
        if len(line) > MOST_LINE_BYTES:
            raise VaultError("too_large", f"stdin line {number} is longer than {MOST_LINE_BYTES} bytes")
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def _line() -> bytes:
    try:
        return sys.stdin.buffer.readline(MOST_LINE_BYTES + 1)
    except OSError as error:
        raise VaultError("usage", f"cannot read stdin: {error.strerror}") from None


@dataclass(repr=False)
class _Asked:
    """Values that are asked for, called `unit` and a number from 1; how many had no token, and the
    first few of them by name."""

    unit: str
    is_typed: bool
    without: int = 0
    named: list[str] = field(default_factory=list)

    def answers(self, vault: Vault, texts: Iterator[bytes]) -> Iterator[list[Known]]:
        """The tokens of each value, a request at a time, each as large as the node takes.  Raises
        `VaultError`."""
        most = MOST_VALUES
        passed = 0
        for batch in self._batches(texts):
            end = passed + len(batch)
            while passed < end:
                some = batch[passed - end :][:most]
                try:
                    answer = vault.lookup(some)
                except VaultError as error:
                    if not is_too_much(error) or len(some) < 2:
                        raise self._placed(error, passed) from None
                    most = len(some) // 2
                    continue
                self._count(answer, passed)
                yield answer
                passed += len(some)

    def _batches(self, texts: Iterator[bytes]) -> Iterator[list[Value | None]]:
        batch: list[Value | None] = []
        size = 0
        for number, text in enumerate(texts, 1):
            batch.append(self._value(text, number))
            size += len(text)
            if len(batch) == MOST_VALUES or size >= USUAL_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _value(self, text: bytes, number: int) -> Value | None:
        place = f"{self.unit} {number}"
        try:
            decoded = text.decode("utf-8")
        except UnicodeDecodeError as broken:
            why = f"{place} is not UTF-8 (byte {broken.start + 1} of it)"
        else:
            if not self.is_typed:
                return decoded
            try:
                value = decode_json(text)
            except VaultError as error:
                is_number = error.code == "invalid_value"
                why = f"{place}: the number is out of range" if is_number else f"{place} is not JSON"
            else:
                if not isinstance(value, (list, dict)):
                    return cast("Value | None", value)
                why = f"{place}: {REASONS['array' if isinstance(value, list) else 'object']}"
        # Raised out here so that the refusal does not carry the decoder's error, which holds the value.
        raise VaultError("malformed", why)

    def _count(self, answer: list[Known], passed: int) -> None:
        without = [number for number, known in enumerate(answer, passed + 1) if not known]
        self.without += len(without)
        names = [f"{self.unit} {number}" for number in without[: MOST_NAMED - len(self.named)]]
        self.named.extend(names)

    def _placed(self, error: VaultError, passed: int) -> VaultError:
        if is_too_much(error):
            return replace(error, detail=f"{self.unit} {passed + 1}: {error.detail}")
        return with_places(error, lambda position: f"{self.unit} {passed + position + 1}")


def _print_lines(answers: Iterator[list[Known]]) -> None:
    passed = 0
    for answer in answers:
        lines = [
            f"{number}\t{epoch}\t{token}\n"
            for number, known in enumerate(answer, passed + 1)
            for epoch, token in sorted(known.items())
        ]
        click.echo("".join(lines), nl=False)
        passed += len(answer)


def _print_document(answers: Iterator[list[Known]]) -> None:
    """One JSON document, as the answers come: there may be more of them than memory holds."""
    before = '{"tokens": ['
    for answer in answers:
        texts = [json.dumps(dict(sorted(known.items()))) for known in answer]
        click.echo(before + ", ".join(texts), nl=False)
        before = ", "
    click.echo(("" if before == ", " else before) + "]}")
