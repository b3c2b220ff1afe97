"""Command lines as pages show them, held against the commands, options, targets and tests there are."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from tests.docs.pages import ROOT, read
from tvault.cli.main import tvault

PROGRAMS = ("tvault", "make", "python", "python3", "pytest")
SHELL = {"do", "then", "else", "if", "while", "until", "!", "time", "exec", "nohup", "env", "sudo", "{"}
BETWEEN = re.compile(r"[|&;()]+")
REDIRECTION = re.compile(r"[<>]+[&|]?")
PLACEHOLDER = re.compile(r"…|^[A-Z][A-Z_:.=,]*$|^\[|^CMD|\bNAME\b|^<|\.\.\.")
MAKEFILE = read(ROOT / "Makefile")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"\$\((?:if \$\()?([A-Z_]+)\)", MAKEFILE))


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line of a shell, without redirections and without what stands
    before its name; none of a line that is no whole one."""
    lexer = shlex.shlex(line.replace("\\\n", " "), posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        words = list(lexer)
    except ValueError:
        return
    command: list[str] = []
    skip = False
    for word in [*words, ";"]:
        if BETWEEN.fullmatch(word):
            yield from _called(command)
            command = []
        elif skip or REDIRECTION.fullmatch(word):
            skip = not skip
        else:
            command.append(word)


def _called(words: list[str]) -> Iterator[list[str]]:
    """The command from its name on, if it is one of those that are known here."""
    while words:
        if words[0] == "sudo" and words[1:2] == ["-u"]:
            words = words[3:]
        elif words[0] in SHELL or re.match(r"[A-Za-z_]\w*=", words[0]):
            words = words[1:]
        else:
            name = words[0].rpartition("/")[2]
            if name in PROGRAMS:
                yield [name, *words[1:]]
            return


def what_is_wrong(words: list[str], *, whole: bool) -> str | None:
    """Why a command of one of PROGRAMS cannot be meant so, or None.  One that is not whole, as in a
    sentence, may lack what it needs, and may have names in the place of what a reader fills in."""
    name, *rest = words
    if name == "tvault":
        return _tvault(rest, whole=whole)
    if name == "make":
        return _make(rest)
    if name == "pytest":
        return _pytest(rest)
    return _python(rest)


def _tvault(words: list[str], *, whole: bool) -> str | None:
    unknown = _unknown_word(words)
    if unknown:
        return unknown
    try:
        _parse(tvault, "tvault", words, None)
    except click.exceptions.Exit:
        return None  # --help and --version
    except click.UsageError as error:
        lacks = isinstance(error, (click.MissingParameter, click.BadOptionUsage))
        is_form = any(PLACEHOLDER.search(word) or "|" in word for word in words)
        return error.format_message() if whole or not (lacks or is_form) else None
    return None


def _parse(command: click.Command, name: str, words: list[str], parent: click.Context | None) -> None:
    """Read the words as the command line does, and run nothing."""
    if not isinstance(command, click.Group):
        command.make_context(name, list(words), parent)
        return
    context = click.Context(command, info_name=name, parent=parent)
    _, left, _ = command.make_parser(context).parse_args(list(words))
    if left:
        found = command.get_command(context, left[0])
        if found is None:
            raise click.UsageError(f"No such command {left[0]!r}")
        _parse(found, left[0], left[1:], context)


def _unknown_word(words: list[str]) -> str | None:
    """The first word that is no command or option: `a|b` are both looked for."""
    command: click.Command = tvault
    left = iter(words)
    for word in left:
        if word == "--":
            return None
        plain = word.strip("[]")
        name = plain.partition("=")[0]
        if plain.startswith("-"):
            if plain.startswith("--") and name not in _options(command):
                return f"no such option {word!r}"
            if isinstance(command, click.Group) and word == "--config":
                next(left, None)
        elif isinstance(command, click.Group):
            found = [command.get_command(click.Context(command), each) for each in plain.split("|")]
            if not all(found):
                return f"no such command {word!r}"
            command = found[0] or command
    return None


def _options(command: click.Command) -> set[str]:
    known = {"--config", "--help", "--version"}
    return known.union(*(each.opts for each in command.params if isinstance(each, click.Option)))


def _make(words: list[str]) -> str | None:
    for word in words:
        variable, given, _ = word.partition("=")
        if given and variable not in VARIABLES:
            return f"the Makefile has no variable {variable}"
        if not given and re.fullmatch(r"[a-z-]+", word) and word not in TARGETS:
            return f"the Makefile has no target {word}"
    return None


def _python(words: list[str]) -> str | None:
    """A module of the tests that is run by its name, with its options."""
    if words[:1] != ["-m"] or not words[1:] or not words[1].startswith("tests"):
        return None
    folder = ROOT / words[1].replace(".", "/")
    file = folder / "__main__.py" if folder.is_dir() else folder.with_suffix(".py")
    if not file.is_file():
        return f"there is no module {words[1]}"
    text = read(file)
    options = (word.partition("=")[0] for word in words[2:] if word.startswith("--"))
    unknown = [option for option in options if f'"{option}"' not in text]
    return f"{words[1]} has no option {unknown[0]}" if unknown else None


def _pytest(words: list[str]) -> str | None:
    """Paths and tests exist, and a name that `-k` gives is in one."""
    tests: set[str] = set()
    for word in words:
        path, _, name = word.partition("::")
        if not path.startswith("tests") or PLACEHOLDER.search(word):
            continue
        if not (ROOT / path).exists():
            return f"there is no {path}"
        found = functions_of(ROOT / path)
        if name and name.partition("[")[0] not in found:
            return f"{path} has no test {name}"
        tests |= found
    chosen = words[words.index("-k") + 1] if "-k" in words else "NAME"
    if not PLACEHOLDER.search(chosen) and not any(chosen in test for test in tests):
        return f"no test there has {chosen} in its name"
    return None


def functions_of(path: Path) -> set[str]:
    """The names of the functions of a file, or of all files of a folder."""
    files = path.rglob("*.py") if path.is_dir() else [path]
    return {
        node.name
        for file in files
        for node in ast.walk(ast.parse(read(file)))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
