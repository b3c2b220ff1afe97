"""`tvault retokenize` against a real client API."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.running import CommandLine
from tests.unit.client.canned import Canned, canned
from tests.unit.server.serving import KEYS, Node, serving
from tvault.wire import Limits

TOKEN = re.compile(rb"tv1_\d+_[0-9a-f]{32}")


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node of its own, so that a test may rotate; commands find it, with the key of alice."""
    with serving() as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
        yield node


def old_and_new(node: Node, values: list[object]) -> tuple[list[str], list[str]]:
    """The tokens of values before and after a rotation."""
    old = node.tokenize(values)
    rotate(node)
    return old, node.tokenize(values)


def rotate(node: Node) -> None:
    to = node.get("/epoch").json()["epoch"] + 1
    assert node.post("/rotate-epoch", {"to": to}).status_code == 200


def replaced(text: bytes, old: list[str], new: list[str]) -> bytes:
    for before, after in zip(old, new, strict=True):
        text = text.replace(before.encode(), after.encode())
    return text


def read_map(path: Path) -> dict[str, str]:
    """The map, which must be sorted and hold each old token once."""
    header, *lines = path.read_text(encoding="ascii").splitlines()
    assert header == "old,new"
    pairs = [line.split(",") for line in lines]
    olds = [old for old, _ in pairs]
    assert olds == sorted(set(olds))
    return dict(pairs)


def test_old_tokens_become_new_ones_wherever_they_stand_and_every_other_byte_stays(
    tvault: CommandLine, node: Node
) -> None:
    (a, b), (new_a, new_b) = old_and_new(node, ["a", 2])
    stays = f'{{"{a}":1,"x":"see {a}","y":"\\"{a}\\"","\\u00e9":"é\\\\"}}\r\n \r\n\n'
    changes = f'  {{"ssn":"{a}","deep":[[{{"q":["{b}", null]}}], "{a}"]}} \n{{"{a}" : "{b}"}}'
    expected = changes.replace(f'"{a}",', f'"{new_a}",').replace(f'"{a}"]', f'"{new_a}"]')
    Path("f.jsonl").write_text(stays + changes, encoding="utf-8", newline="")
    ran = tvault("retokenize", "f.jsonl", "-o", "out.jsonl", "--batch", 1)
    assert (ran.code, ran.out, ran.err) == (0, b"", "")
    assert Path("out.jsonl").read_bytes().decode() == stays + expected.replace(b, new_b)


def test_a_json_array_keeps_its_shape(tvault: CommandLine, node: Node) -> None:
    old, new = old_and_new(node, ["a", "b"])
    content = f'[ {{"x":"{old[0]}"}},\n {{"y":[ "{old[1]}"\n]}} ]\n'.encode()
    Path("f.json").write_bytes(content)
    assert tvault("retokenize", "f.json").out == replaced(content, old, new)


def test_after_two_rotations_tokens_of_both_older_epochs_come_to_the_active_one(
    tvault: CommandLine, node: Node
) -> None:
    first, second = old_and_new(node, ["a", "b"])
    rotate(node)
    Path("f.jsonl").write_text("".join(f'{{"x":"{token}"}}\n' for token in first + second))
    ran = tvault("retokenize", "f.jsonl", "--map=m.csv")
    third = node.tokenize(["a", "b"])
    assert [json.loads(line)["x"] for line in ran.out.splitlines()] == third * 2
    assert read_map(Path("m.csv")) == dict(zip(first + second, third * 2, strict=True))


def test_the_map_joins_the_old_file_with_the_new_one_each_old_token_once(
    tvault: CommandLine, node: Node
) -> None:
    values: list[object] = [f"v{n}" for n in range(300)]
    old, new = old_and_new(node, values)
    content = "".join(f'{{"a":"{old[n % 300]}","b":"{new[n % 7]}"}}\n' for n in range(2000))
    Path("f.jsonl").write_text(content)
    assert tvault("retokenize", "f.jsonl", "-o", "out.jsonl", "--map", "--batch", 90).code == 0
    names = read_map(Path("out.jsonl.map.csv"))
    assert names == dict(zip(old, new, strict=True))
    joined = TOKEN.sub(
        lambda old: names.get(old[0].decode(), old[0].decode()).encode(), content.encode()
    )
    assert joined == Path("out.jsonl").read_bytes()
    assert stat.S_IMODE(Path("out.jsonl.map.csv").stat().st_mode) == 0o600


def test_a_second_run_changes_nothing(tvault: CommandLine, node: Node) -> None:
    old, new = old_and_new(node, ["a"])
    Path("f.jsonl").write_text(f'{{"x":"{old[0]}"}}\n')
    assert tvault("retokenize", "f.jsonl", "-o", "f.jsonl").code == 0
    assert Path("f.jsonl").read_text() == f'{{"x":"{new[0]}"}}\n'
    again = tvault("retokenize", "f.jsonl", "--map")
    assert (again.code, again.out) == (0, Path("f.jsonl").read_bytes())
    assert read_map(Path("f.jsonl.map.csv")) == {}


def test_tokens_that_are_unknown_or_anothers_stay_are_counted_and_make_exit_code_3(
    tvault: CommandLine, node: Node
) -> None:
    old, new = old_and_new(node, ["a"])
    (foreign,) = node.tokenize(["a"], owner="bob")
    unknown = f"tv1_1_{0:032}"
    later = f"tv1_7_{0:032}"
    lines = [f'{{"x":"{old[0]}"}}', f'{{"x":["{foreign}","{unknown}"]}}', "{}", f'{{"y":"{later}"}}']
    Path("f.jsonl").write_text("\n".join(lines))
    ran = tvault("retokenize", "f.jsonl", "-o", "out.jsonl", "--map", "--batch", 2)
    assert (ran.code, ran.out) == (3, b"")
    assert ran.err == "tvault: not found, left as they were: 3 (line 2; line 4)\n"
    assert Path("out.jsonl").read_text() == "\n".join(lines).replace(old[0], new[0])
    assert read_map(Path("out.jsonl.map.csv")) == {old[0]: new[0]}


def test_only_the_first_places_of_what_is_not_found_are_named(tvault: CommandLine, node: Node) -> None:
    assert node.tokenize(["a"])
    Path("f.jsonl").write_text(f'{{"x":"tv1_1_{0:032}"}}\n' * 6)
    ran = tvault("retokenize", "f.jsonl")
    named = "; ".join(f"line {line}" for line in range(1, 6))
    assert ran.err == f"tvault: not found, left as they were: 6 ({named}; …)\n"


def test_a_file_of_two_epochs_is_told_and_the_map_keeps_the_later_one(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = [f"tv1_{epoch}_{0:032}" for epoch in (1, 9, 10)]
    Path("f.jsonl").write_text(f'{{"x":"{tokens[0]}"}}\n' * 2)
    answers = [
        Canned(200, json.dumps({"epoch": epoch, "tokens": [token], "not_found": []}).encode())
        for epoch, token in ((9, tokens[1]), (10, tokens[2]))
    ]
    with canned(answers) as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        monkeypatch.setenv("TVAULT_API_KEY", "k")
        ran = tvault("retokenize", "f.jsonl", "--map", "--batch", 1, "--jobs", 1)
    assert (ran.code, ran.out) == (0, "".join(f'{{"x":"{token}"}}\n' for token in tokens[1:]).encode())
    assert "tokens of epochs 9, 10" in ran.err
    assert read_map(Path("f.jsonl.map.csv")) == {tokens[0]: tokens[2]}


def test_batches_and_records_over_the_limits_of_the_node_are_sent_in_pieces(
    tvault: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(limits=Limits(values_per_request=40, body_bytes=8192)) as node:
        monkeypatch.setenv("TVAULT_URL", node.url)
        monkeypatch.setenv("TVAULT_API_KEY", KEYS["alice"])
        values: list[list[object]] = [[f"{n}-{m}" for m in range(25)] for n in range(8)]
        old = [token for some in values for token in node.tokenize(some)]
        rotate(node)
        new = [token for some in values for token in node.tokenize(some)]
        lines = "".join(f'{{"x":["{token}"]}}\n' for token in old)
        longest = json.dumps({"x": old[:150]})
        Path("f.jsonl").write_text(lines + longest)
        ran = tvault("retokenize", "f.jsonl", "--map=m.csv")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == replaced((lines + longest).encode(), old, new)
    assert read_map(Path("m.csv")) == dict(zip(old, new, strict=True))


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--map", "f.jsonl"), "--map took the last word as the name of the map"),
        (("-", "--map"), "no file that the map could be named after"),
        (("f.jsonl", "--map=-"), "'-' is no name of one"),
        (("f.jsonl", "--map=g.json"), "'g.json' is no name of one"),
        (("f.csv", "--format=jsonl", "--map=f.csv"), "would be written over f.csv"),
        (("f.csv", "--format=jsonl", "--map=link.csv"), "would be written over link.csv"),
        (("f.csv", "-o", "out.csv", "--map=./out.csv"), "would be written over out.csv"),
        (("f.jsonl", "--map=g.tsv"), "'g.tsv' is no name of one"),
        (("f.jsonl", "--map=g.csv.gz"), "'g.csv.gz' is no name of one"),
        (("f.jsonl", "-o", "f.jsonl", "--map"), "f.jsonl.map.csv is there"),
        (("f.jsonl", "-o", "out", "--map=."), "it is a folder"),
        (("f.jsonl", "-o", "out", "--map=m.csv", "--map"), None),
    ],
)
def test_a_map_in_a_place_where_it_would_do_harm_is_refused_before_anything_is_done(
    tvault: CommandLine, args: tuple[str, ...], said: str | None
) -> None:
    for name in ("f.jsonl", "f.csv"):
        Path(name).write_bytes(b"{}\n")
    Path("link.csv").symlink_to("f.csv")
    Path("f.jsonl.map.csv").write_bytes(b"the old map")
    before = sorted(os.listdir())  # noqa: PTH208
    ran = tvault("retokenize", *args)
    if said is None:
        assert Path("out.map.csv").read_bytes() == b"old,new\n"
        return
    assert ran.code == 2
    assert said in " ".join(ran.err.split())
    assert sorted(os.listdir()) == before  # noqa: PTH208
    assert Path("f.jsonl").read_bytes() == Path("f.csv").read_bytes() == b"{}\n"
    assert Path("f.jsonl.map.csv").read_bytes() == b"the old map"


def test_without_a_file_for_the_output_the_map_is_named_after_the_input(
    tvault: CommandLine, node: Node
) -> None:
    assert node.tokenize(["a"])
    Path("f.jsonl").write_bytes(b"{}\n")
    for output in ((), ("-o", "-"), ("-o", "/dev/null")):
        assert tvault("retokenize", "f.jsonl", *output, "--map").code == 0
        assert Path("f.jsonl.map.csv").read_bytes() == b"old,new\n"
        Path("f.jsonl.map.csv").unlink()


def test_stdin_goes_to_a_file_with_its_map(node: Node) -> None:
    old, new = old_and_new(node, ["a"])
    ran = subprocess.run(
        [sys.executable, "-m", "tvault", "retokenize", "-", "-o", "out.jsonl", "--map"],
        input=f'{{"x":"{old[0]}"}}\n'.encode(),
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    assert Path("out.jsonl").read_text() == f'{{"x":"{new[0]}"}}\n'
    assert read_map(Path("out.jsonl.map.csv")) == {old[0]: new[0]}


def test_an_output_is_not_replaced_when_its_map_cannot_be_written(
    tvault: CommandLine, node: Node
) -> None:
    old, _ = old_and_new(node, ["a"])
    line = f'{{"x":"{old[0]}"}}\n'
    Path("f.jsonl").write_text(line)
    for place, why in (
        ("none/m.csv", "No such file or directory"),
        ("/dev/full", "No space left on device"),
    ):
        ran = tvault("retokenize", "f.jsonl", "-o", "f.jsonl", f"--map={place}")
        assert (ran.code, ran.err) == (1, f"tvault: cannot write {place}: {why}\n")
        assert Path("f.jsonl").read_text() == line
        assert os.listdir() == ["f.jsonl"]  # noqa: PTH208


def test_a_map_is_not_replaced_when_the_run_fails(tvault: CommandLine, node: Node) -> None:
    old, _ = old_and_new(node, ["a"])
    Path("f.jsonl").write_text(f'{{"x":"{old[0]}"}}\n[]\n')
    Path("out.jsonl").write_bytes(b"old")
    Path("m.csv").write_bytes(b"old")
    ran = tvault("retokenize", "f.jsonl", "-o", "out.jsonl", "--map=m.csv", "--batch", 1)
    assert (ran.code, ran.err) == (1, "tvault: f.jsonl line 2 is JSON, but not an object\n")
    assert Path("out.jsonl").read_bytes() == Path("m.csv").read_bytes() == b"old"
    assert sorted(os.listdir()) == ["f.jsonl", "m.csv", "out.jsonl"]  # noqa: PTH208


@pytest.mark.usefixtures("node")
def test_an_output_that_cannot_be_written_leaves_an_old_map_as_it_was(tvault: CommandLine) -> None:
    Path("f.jsonl").write_bytes(b"{}\n")
    Path("m.csv").write_bytes(b"old")
    ran = tvault("retokenize", "f.jsonl", "-o", "/dev/full", "--map=m.csv")
    assert (ran.code, ran.err) == (1, "tvault: cannot write /dev/full: No space left on device\n")
    assert Path("m.csv").read_bytes() == b"old"
