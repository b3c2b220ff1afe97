"""The command line, run in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tvault.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What a command said and how it ended."""

    code: int
    out: bytes
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """Runs commands and catches what they print."""

    def __init__(self, capture: pytest.CaptureFixture[bytes]) -> None:
        self._capture = capture

    def __call__(self, *args: object) -> Ran:
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        captured = self._capture.readouterr()
        code = ended.value.code
        err = captured.err.decode()
        assert "Traceback" not in err
        return Ran(code if isinstance(code, int) else 0, captured.out, err)
