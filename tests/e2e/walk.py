"""A page gone through from top to bottom, as its reader does: all that it tells to type, typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.docs.pages import Block, blocks, name_of, read
from tests.e2e.page import GIVEN, Step, environment, is_as_shown, steps_of, without_chance
from tests.e2e.terminals import Python, Shell, Terminal

SHOWN_BASE_PORT = 7100
_PORT = re.compile(r"(?:(?<=127\.0\.0\.1:)|(?<=--base-port ))7[1-5]\d\d\b")
_STAYS = re.compile(r"tvault (?:up|serve)\b[^&|;\n]*")


_ACT = re.compile(r"^<!-- (?P<what>kill|start) (?P<node>n\d) -->$", re.MULTILINE)

Acts = Mapping[str, Callable[[str], None]]
"""What can happen to a node while a page is gone through."""


def same(text: str) -> str:
    """The text as it is: of a page of which nothing else is left to chance."""
    return text


class Walk:
    """One walk over a page.  `base_port` stands for the page's 7100: API ports follow it, those between
    nodes follow the one 100 above, that of a gateway the one 200 above.  `urls` are for Python.  `also`
    takes away what else is left to chance.  `acts` are what comments of the page make happen."""

    def __init__(
        self,
        page: Path,
        folder: Path,
        base_port: int,
        variables: dict[str, str],
        urls: str = "",
        also: Callable[[str], str] = same,
        acts: Acts | None = None,
    ) -> None:
        self._page = page
        self._folder = folder
        self._base_port = base_port
        self._variables = variables
        self._urls = urls
        self._also = also
        self._acts = acts or {}
        self._given: dict[str, str] = {}
        self._terminals: list[Terminal] = []

    def go(self) -> None:
        """Type all of it."""
        told = environment(**self._variables)
        for_python = told | {"TVAULT_URL": self._urls}
        with Shell(self._folder, told) as shell, Python(self._folder, for_python) as python:
            try:
                self._go(shell, python)
            finally:
                for terminal in self._terminals:
                    terminal.end()

    def _go(self, shell: Shell, python: Python) -> None:
        text = read(self._page)
        shown = blocks(text)
        acts = [(text.count("\n", 0, act.start()) + 1, act) for act in _ACT.finditer(text)]
        for at, block in enumerate(shown):
            while acts and acts[0][0] < block.line:
                self._act(acts.pop(0)[1])
            if block.kind == "console":
                self._type(shell, steps_of(block.text, block.line))
            elif block.kind == "python":
                self._run(python, block, shown[at + 1 :])
        for _, act in acts:
            self._act(act)

    def _act(self, act: re.Match[str]) -> None:
        self._acts[act["what"]](act["node"])

    def _type(self, shell: Shell, steps: list[Step]) -> None:
        for step, after in zip(steps, [*steps[1:], None], strict=True):
            command = self._command(step.command)
            if _STAYS.fullmatch(step.command):
                self._leave_running(step, command)
                continue
            printed, code = shell.type(command)
            self._compare(step, printed)
            expected = after is not None and "$?" in after.command
            told = self._told(step, printed)
            assert code == 0 or expected, f"{self._at(step.line)}: exit code {code}\n{told}"

    def _leave_running(self, step: Step, command: str) -> None:
        """In a terminal of its own: the lines that are shown come, among those of the log."""
        terminal = Terminal(command, self._folder, environment(**self._variables))
        self._terminals.append(terminal)
        shown = step.output.splitlines()

        def all_came(lines: list[str]) -> bool:
            plain = {without_chance(line): line for line in lines}
            found = [plain.get(without_chance(line)) for line in shown]
            if None in found:
                return False
            self._compare(step, "".join(f"{line}\n" for line in found))
            return True

        terminal.until(all_came, f"what {self._at(step.line)} shows")

    def _run(self, python: Python, block: Block, after: list[Block]) -> None:
        """A snippet; a block without a language right behind it is what it prints."""
        printed, code = python.run(block.text, name_of(self._page), block.line)
        assert code == 0, f"{self._at(block.line)}: the snippet fails\n{printed}"
        behind = block.line + block.text.count("\n") + 3
        if after and after[0].kind == "" and after[0].line == behind:
            self._compare(Step("(the snippet before)", after[0].text, after[0].line), printed)

    def _command(self, command: str) -> str:
        """A command of the page, to this vault: at its ports, with what it gave where the page shows
        what another one gave."""
        command = _PORT.sub(lambda port: self._port(port[0]), command)
        if command.startswith("tvault init") and "--base-port" not in command:
            command += f" --base-port {self._base_port}"
        for shown, given in self._given.items():
            place = rf"(?<=kill -9 ){shown}\b" if shown.isdigit() else re.escape(shown)
            command = re.sub(place, given, command)
        return command

    def _port(self, shown: str) -> str:
        return str(int(shown) - SHOWN_BASE_PORT + self._base_port)

    def _compare(self, step: Step, printed: str) -> None:
        sees = self._also(without_chance(printed))
        shows = self._also(without_chance(step.output))
        told = self._told(step, printed)
        assert is_as_shown(sees, shows), f"{self._at(step.line)}: it prints something else\n{told}"
        for shown, given in zip(GIVEN.findall(step.output), GIVEN.findall(printed), strict=False):
            known = self._given.setdefault(shown, given)
            assert known == given, f"{self._at(step.line)}: {shown} stood for {known} before\n{told}"
            first = next(each for each, other in self._given.items() if other == given)
            assert first == shown, f"{self._at(step.line)}: {shown} was {first} before\n{told}"

    def _at(self, line: int) -> str:
        return f"{name_of(self._page)}:{line}"

    def _told(self, step: Step, printed: str) -> str:
        return f"$ {step.command}\n--- the page shows\n{step.output}--- it prints\n{printed}"
