"""`tvault tokenize`, `detokenize` and `rotate-epoch` against a real client API."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.client.canned import Canned, canned
from tests.unit.server.serving import KEYS, Node, serving
from tvault.cli.invocation import tidied_up_when_ended

LINES = b'{"ssn":"1"}\n{"ssn":2,"x":"\xc3\xa9"}\n'


def run(*args: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tvault", *args]
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, env={**os.environ, **environ}
    )


@pytest.mark.usefixtures("node")
def test_a_file_goes_to_tokens_and_back(tvault: CommandLine) -> None:
    Path("in.jsonl").write_bytes(LINES)
    there = tvault("tokenize", "in.jsonl", "-o", "tokens.jsonl")
    assert (there.code, there.out, there.err) == (0, b"", "")
    assert [json.loads(line)["ssn"][:6] for line in Path("tokens.jsonl").read_bytes().splitlines()] == [
        "tv1_1_"
    ] * 2
    back = tvault("detokenize", "tokens.jsonl")
    assert (back.code, back.out, back.err) == (0, LINES, "")


@pytest.mark.usefixtures("node")
def test_a_file_may_be_replaced_by_its_own_tokens(tvault: CommandLine) -> None:
    Path("f.jsonl").write_bytes(LINES)
    assert tvault("tokenize", "f.jsonl", "-o", "f.jsonl", "--batch", 1).code == 0
    assert tvault("detokenize", "f.jsonl", "-o", "-").out == LINES


@pytest.mark.usefixtures("node")
def test_values_turned_back_into_a_new_file_are_the_users_alone(tvault: CommandLine) -> None:
    Path("f.jsonl").write_bytes(LINES)
    assert tvault("detokenize", "f.jsonl", "-o", "values.jsonl").code == 3
    assert stat.S_IMODE(Path("values.jsonl").stat().st_mode) == 0o600


@pytest.mark.usefixtures("node")
def test_stdin_is_lines_unless_it_begins_like_an_array() -> None:
    lines = run("tokenize", "-", stdin=LINES)
    assert (lines.returncode, lines.stdout.count(b"tv1_1_"), lines.stderr) == (0, 2, b"")
    array = run("tokenize", "-", stdin=b' [{"ssn":"1"},\n {}]\n')
    assert array.stdout.startswith(b' [{"ssn":"tv1_1_')
    assert array.stdout.endswith(b"},\n {}]\n")
    bad = run("tokenize", "-", stdin=b"[1]")
    assert (bad.returncode, bad.stderr) == (1, b"tvault: stdin record 1 is not an object\n")


@pytest.mark.usefixtures("node")
def test_a_reader_that_leaves_early_is_no_mistake_to_shout_about() -> None:
    command = f"yes '{{}}' | {sys.executable} -m tvault tokenize - | head -n 1"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=60)
    assert (ended.stdout, ended.stderr.replace(b"yes: standard output: Broken pipe\n", b"")) == (
        b"{}\n",
        b"",
    )


@pytest.mark.usefixtures("node")
def test_tokens_that_are_not_found_stay_and_make_exit_code_3(tvault: CommandLine) -> None:
    Path("f.jsonl").write_bytes(b'{}\n{"ssn":"tv1_1_0"}\n')
    ran = tvault("detokenize", "f.jsonl", "-o", "out")
    assert (ran.code, Path("out").read_bytes()) == (3, b'{}\n{"ssn":"tv1_1_0"}\n')
    assert ran.err == "tvault: not found, left as they were: 1 (line 2, field ssn)\n"


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{}\n{"ssn":[]}\n', "in.jsonl line 2, field ssn: an array is no value"),
        (b"{}\n[]\n", "in.jsonl line 2 is JSON, but not an object"),
    ],
)
def test_a_bad_record_leaves_the_old_output_and_no_half_file(
    tvault: CommandLine, content: bytes, said: str
) -> None:
    Path("in.jsonl").write_bytes(content)
    Path("out").write_bytes(b"old")
    ran = tvault("tokenize", "in.jsonl", "-o", "out", "--batch", 1)
    assert (ran.code, ran.err) == (1, f"tvault: {said}\n")
    assert Path("out").read_bytes() == b"old"
    assert sorted(os.listdir()) == ["in.jsonl", "out"]  # noqa: PTH208


@pytest.mark.usefixtures("node")
def test_the_suffix_or_format_tells_what_a_file_is(tvault: CommandLine) -> None:
    Path("f.json").write_bytes(b'{"ssn":"1"}')
    Path("f.txt").write_bytes(b"{}\n{}\n")
    assert tvault("tokenize", "f.json").out.startswith(b'{"ssn":"tv1_')
    assert tvault("tokenize", "f.txt", "--format", "jsonl").out == b"{}\n{}\n"
    refused = tvault("tokenize", "f.txt")
    assert refused.code == 2
    assert "give --format" in refused.err


@pytest.mark.usefixtures("node")
def test_mistakes_of_usage_make_exit_code_2(tvault: CommandLine) -> None:
    assert (
        tvault("tokenize", "none.jsonl").err
        == "tvault: cannot read none.jsonl: No such file or directory\n"
    )
    assert tvault("tokenize", "none.jsonl").code == 2
    assert tvault("tokenize", ".").code == 2
    assert tvault("tokenize").code == 2
    assert tvault("tokenize", "-", "--jobs", 0).code == 2
    assert tvault("nonsense").code == 2


@pytest.mark.usefixtures("node")
def test_an_output_that_cannot_be_written_makes_exit_code_1(tvault: CommandLine) -> None:
    Path("f.jsonl").write_bytes(LINES)
    ran = tvault("tokenize", "f.jsonl", "-o", "none/out")
    assert (ran.code, ran.err) == (1, "tvault: cannot write none/out: No such file or directory\n")


@pytest.mark.usefixtures("node")
def test_the_api_key_comes_from_a_file_or_the_environment(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("f.jsonl").write_bytes(LINES)
    alices = tvault("tokenize", "f.jsonl").out
    Path("bob.key").write_text(KEYS["bob"] + "\n")
    assert tvault("tokenize", "f.jsonl", "--api-key-file", "bob.key").out not in {alices, b""}
    assert tvault("tokenize", "f.jsonl", "--api-key-file", "none").code == 2
    monkeypatch.setenv("TVAULT_API_KEY", "tvk_wrong")
    wrong = tvault("tokenize", "f.jsonl")
    assert wrong.code == 1
    assert "tvk_wrong" not in wrong.err
    monkeypatch.delenv("TVAULT_API_KEY")
    assert "no API key" in tvault("tokenize", "f.jsonl").err


def test_without_urls_the_nodes_of_the_configuration_are_asked(
    tvault: CommandLine, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("f.jsonl").write_bytes(LINES)
    monkeypatch.delenv("TVAULT_URL")
    refused = tvault("tokenize", "f.jsonl")
    assert refused.code == 2
    assert "tvault.toml: no such file" in refused.err
    tvault("init", "c", "--base-port", node.port - 1, "--nodes", 1, "--owner", "A")
    for args in (["--config", "c/tvault.toml", "tokenize"], ["tokenize", "--config", "c/tvault.toml"]):
        assert tvault(*args, "f.jsonl").out.count(b"tv1_1_") == 2
    monkeypatch.setenv("TVAULT_CONFIG", "c/tvault.toml")
    assert tvault("tokenize", "f.jsonl").code == 0


def test_rotating_names_the_epoch_and_can_be_asked_again(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
        assert tvault("rotate-epoch").out == b"epoch 2\n"
        assert tvault("rotate-epoch", "--to", 2).out == b"epoch 2, as before\n"
        assert tvault("rotate-epoch", "--to", 3, "--json").document == {"epoch": 3, "rotated": True}
        refused = tvault("rotate-epoch", "--to", 9)
        assert refused.code == 1
        assert tvault("rotate-epoch", "--to", 0).code == 2


def test_a_file_of_two_epochs_is_told(tvault: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("f.jsonl").write_bytes(b"{}\n{}\n")
    answers = [Canned(200, b'{"epoch":%d,"records":[{}]}' % epoch) for epoch in (1, 2)]
    with canned(answers) as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        monkeypatch.setenv("TVAULT_API_KEY", "k")
        ran = tvault("tokenize", "f.jsonl", "--batch", 1)
    assert (ran.code, ran.out) == (0, b"{}\n{}\n")
    assert "tokens of epochs 1, 2" in ran.err


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        ("- <&-", 2, b"tvault: cannot read stdin: Bad file descriptor\n"),
        ("f.jsonl >&-", 1, b"tvault: cannot write stdout: Bad file descriptor\n"),
        ("f.jsonl >/dev/full", 1, b"tvault: cannot write stdout: No space left on device\n"),
        ("f.jsonl -o out 2>&-", 0, b""),
        ("f.jsonl -o out <&- >&- 2>&-", 0, b""),
    ],
)
def test_a_stream_that_is_closed_or_full_is_told_in_one_line(
    redirected: str, code: int, said: bytes
) -> None:
    Path("f.jsonl").write_bytes(LINES)
    command = f'"{sys.executable}" -m tvault tokenize {redirected}'
    ran = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, b"", said)
    if "out" in redirected:
        assert Path("out").read_bytes().count(b"tv1_1_") == 2


def test_a_command_under_nohup_goes_on_when_the_terminal_is_gone() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with tidied_up_when_ended():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_at_once_and_leaves_no_half_file(number: int) -> None:
    Path("f.jsonl").write_bytes(LINES)
    Path("out").write_bytes(b"old")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "tvault", "tokenize", "f.jsonl", "-o", "out"]
        environ = {**os.environ, "TVAULT_URL": url, "TVAULT_API_KEY": "k"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environ) as process:
            connection, _ = silent.accept()  # by now the output has been begun
            process.send_signal(number)
            _, err = process.communicate(timeout=10)
            connection.close()
    assert process.returncode == 128 + number
    assert err.strip() == b""
    assert Path("out").read_bytes() == b"old"
    assert sorted(os.listdir()) == ["f.jsonl", "out"]  # noqa: PTH208
