"""What a fenced block is read as, by its kind, and what is wrong with it."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.docs.commands import PROGRAMS, simple_commands, what_is_wrong
from tests.unit.configured import MINIMAL, TLS, load_text
from tvault import arrow
from tvault.errors import VaultError

_CRON = r"(?:[\d*]\S* +\S+ +\S+ +\S+ +\S+ +)"
_TYPED = re.compile(rf"^{_CRON}?(?P<command>(?:\w+=\S* )*(?:\S*/)?(?:{'|'.join(PROGRAMS)}) .*)")
_INSTRUCTIONS = (
    "FROM RUN COPY USER WORKDIR ENTRYPOINT CMD EXPOSE VOLUME ENV ARG HEALTHCHECK LABEL STOPSIGNAL"
)


def wrong_commands(line: str, *, whole: bool) -> Iterator[str]:
    """What is wrong with the commands of a line of a shell."""
    for words in simple_commands(line):
        wrong = what_is_wrong(words, whole=whole)
        if wrong:
            yield f"{' '.join(words)}: {wrong}"


def _toml(text: str) -> Iterator[str]:
    """A part of tvault.toml: a small whole one with it in the place of its like is read."""
    headers = set(re.findall(r"^\[+\w+\]+", text, re.MULTILINE))
    sections = re.split(r"^(?=\[)", MINIMAL + TLS.lstrip(), flags=re.MULTILINE)
    kept = [section for section in sections if section.split("\n", 1)[0] not in headers]
    with TemporaryDirectory() as folder:
        try:
            load_text(Path(folder), "\n".join([*kept, text]))
        except VaultError as error:
            yield error.detail


def _json(text: str) -> Iterator[str]:
    """One document, or one a line."""
    if wrong_json(text):
        yield from filter(None, map(wrong_json, text.splitlines()))


def wrong_json(text: str) -> str | None:
    """What is wrong with a document."""
    try:
        json.loads(text)
    except ValueError as error:
        return f"no JSON: {error}: {text}"
    return None


def _yaml(text: str) -> Iterator[str]:
    try:
        list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        yield str(error)


def _ini(text: str) -> Iterator[str]:
    """Sections of a unit of systemd, whose commands are commands."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    try:
        parser.read_string(text)
    except configparser.Error as error:
        yield str(error)
    for section in parser.sections():
        for name, written in parser.items(section):
            if name.startswith("exec"):
                yield from wrong_commands(written.lstrip("-+!@:"), whole=True)


def _shell(text: str) -> Iterator[str]:
    """Bash would read it, and its commands are commands."""
    reading = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, check=False, timeout=20
    )
    yield from reading.stderr.splitlines()
    for line in text.replace("\\\n", " ").splitlines():
        yield from wrong_commands(line, whole=True)


def _container_file(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        word = line.partition(" ")[0]
        if word and not word.startswith("#") and word not in _INSTRUCTIONS.split():
            yield f"no instruction of a container file: {line}"


def _output_or_form(text: str) -> Iterator[str]:
    """What is printed somewhere, or a form: names stand for what is filled in."""
    for line in text.splitlines():
        if line.startswith("$ "):
            yield f"what is typed stands in a block of the kind console: {line}"
        command = _TYPED.match(line)
        if command:
            yield from wrong_commands(command["command"], whole=False)


def of_another_library(text: str) -> Iterator[str]:
    """A snippet for a library that is not installed here: its Python, and what it takes of tvault's."""
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "arrow"
            and not hasattr(arrow, node.attr)
        ):
            yield f"tvault.arrow has no {node.attr}"


READ: dict[str, Callable[[str], Iterator[str]]] = {
    "": _output_or_form,
    "text": _output_or_form,
    "toml": _toml,
    "json": _json,
    "yaml": _yaml,
    "ini": _ini,
    "sh": _shell,
    "dockerfile": _container_file,
}
"""The kinds that are read; `console` and `python` are run."""
