"""Two threads at once that are the first to decode a type: msgspec 0.22 crashes when that makes the
decoder of the type, since the second one takes what the first has not filled in yet."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tvault

ROOT = Path(tvault.__file__).parent

TWO_AT_ONCE = """
import contextlib, queue, sys, threading
{setup}
first_waits, second_was_here = queue.SimpleQueue(), queue.SimpleQueue()

def decode():
    with contextlib.suppress(Exception):  # whether the text fits is all the same
        {call}

def wait_for_the_second(frame, event, _):
    if event == "call" and frame.f_code.co_filename.endswith(("typing.py", "_utils.py")):
        first_waits.put(True)
        second_was_here.get()

def first():
    sys.setprofile(wait_for_the_second)  # msgspec runs some Python while it makes a decoder
    decode()
    sys.setprofile(None)
    first_waits.put(False)

thread = threading.Thread(target=first)
thread.start()
while first_waits.get():
    decode()
    second_was_here.put(None)
thread.join()
"""

HELLO = (
    '{"cluster":"c","ensemble":["n1","n2"],"fields":"f","keys":"k","node":"n1","incarnation":"i",'
    '"boot":1,"life":1,"owners":"o","format":1}'
)
JOURNAL = '"journal":{"last":1,"committed":1,"digest":""}'
STATUS = f'{{"view":1,"chain":[],"ensemble":[],{JOURNAL},"health":"ok"}}'.encode()

CALLS = {
    "a hello": ("from tvault.server.hello import decode_hello", f"decode_hello({HELLO!r})"),
    "a hello of another version": (
        "from tvault.server.hello import decode_hello",
        """decode_hello('{"node":"n1","format":2}')""",
    ),
    "the status of a node": (
        "from tvault.server.engine_wire import decode_status",
        f"decode_status({STATUS!r})",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_two_threads_decode_for_the_first_time_at_once(name: str) -> None:
    setup, call = CALLS[name]
    code = TWO_AT_ONCE.format(setup=setup, call=call)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_decoder_is_made_while_threads_run() -> None:
    late = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(ROOT.rglob("*.py"))
        for line in late_decoders(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert late == []


@pytest.mark.parametrize(
    "text",
    [
        "def f(body):\n    return msgspec.json.decode(body, type=Hello)",
        "def f(body):\n    return msgspec.msgpack.Decoder(Hello).decode(body)",
        "class A:\n    def f(self, body):\n        return Decoder(Hello)",
    ],
)
def test_a_decoder_that_is_made_late_is_noticed(text: str) -> None:
    assert late_decoders(ast.parse(text)) != []


def late_decoders(module: ast.Module) -> list[int]:
    """The lines of a module's functions that make msgspec look at a type, perhaps for the first time."""
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    calls = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)]
    return sorted({call.lineno for call in calls if _looks_at_a_type(call)})


def _looks_at_a_type(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    is_typed = any(keyword.arg == "type" for keyword in call.keywords)
    return name.split(".")[-1] == "Decoder" or (name.endswith(".decode") and is_typed)
