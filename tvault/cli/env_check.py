"""`tvault env check`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from tvault.cli.env_file import read_source
from tvault.cli.invocation import VaultCommand, api_key_file_option, json_option
from tvault.cli.opening import open_vault
from tvault.cli.output import NOT_FOUND, print_json
from tvault.errors import VaultError
from tvault.model.envfile_references import GoodReferences

FAILED = 1


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: where, what kind, the name it is about, and what to say of it."""

    line: int
    code: str
    name: str | None
    message: str


@click.command("check", cls=VaultCommand)
@click.argument("file", metavar="FILE")
@click.option("--offline", is_flag=True, help="Ask no node: judge the lines alone.")
@json_option
@api_key_file_option
@click.pass_context
def command(
    ctx: click.Context, file: str, offline: bool, as_json: bool, api_key_file: str | None
) -> None:
    """Tell whether a .env file is right and resolves.

    Names every line that cannot be read, every enc(NAME) that is not encrypted yet, and every
    secret(NAME) without a value. Values are fetched to be sure of it, and dropped. FILE may be '-' for
    stdin.

    Exit code 0: nothing is wrong. 3: only values are missing. 1: anything else is wrong.
    """
    source = read_source(file)
    references = GoodReferences(source.content)
    findings = list(_of_lines(references))
    if not offline:
        findings += _of_values(ctx, references, api_key_file)
    findings.sort(key=lambda finding: finding.line)
    if as_json:
        print_json(
            {"file": source.name, "ok": not findings, "findings": [vars(each) for each in findings]}
        )
    else:
        for finding in findings:
            click.echo(f"{source.name}:{finding.line}: {finding.message}")
    if findings:
        ctx.exit(NOT_FOUND if all(finding.code == "unresolved" for finding in findings) else FAILED)


def _of_lines(references: GoodReferences) -> Iterator[Finding]:
    """What is wrong whatever the vault holds."""
    for line in references.file.unreadable:
        yield Finding(line.line, "unreadable", None, "is neither NAME=value nor a comment")
    for bad in references.bad_lines:
        why = "holds an enc(…) or secret(…) that names no secret, or does not stand in a value"
        yield Finding(bad, "bad_reference", None, why)
    asked = {reference.name for reference in references if reference.kind == "enc"}
    for reference in references:
        if reference.kind == "enc":
            why = f"enc({reference.name}) is not encrypted yet: run 'tvault env encrypt'"
            yield Finding(reference.line, "not_encrypted", reference.name, why)
    referring = {place.binding.line for place in references.places} | references.bad_lines
    for binding in references.file.bindings:
        if binding.name in asked and binding.value is not None and binding.line not in referring:
            why = f"the value of {binding.name} stands here in the clear"
            yield Finding(binding.line, "plaintext", binding.name, why)


def _of_values(
    ctx: click.Context, references: GoodReferences, api_key_file: str | None
) -> Iterator[Finding]:
    """The references to secrets that have no value.  Nothing of the content but their names is sent."""
    names = tuple(references.first("secret"))
    if not names:
        return
    missing = _missing(ctx, names, api_key_file)
    for reference in references:
        if reference.kind == "secret" and reference.name in missing:
            yield Finding(reference.line, "unresolved", reference.name, f"no value for {reference.name}")


def _missing(ctx: click.Context, names: tuple[str, ...], api_key_file: str | None) -> set[str | None]:
    try:
        with open_vault(ctx, api_key_file) as vault:
            vault.expand_env("".join(f"_{at}=secret({name})\n" for at, name in enumerate(names)))
    except VaultError as error:
        if error.code != "unresolved" or not error.errors:
            raise
        return {entry.field for entry in error.errors}
    return set()
