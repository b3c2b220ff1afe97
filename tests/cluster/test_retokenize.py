"""A file of old tokens is brought to the active epoch of a real cluster; tables follow by its map."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from tests.cluster.cluster import Cluster, tvault

TOKEN = re.compile(r"tv1_\d+_[0-9a-f]{32}")
WHOLE_STRING = re.compile(rf'(?<!\\)"({TOKEN.pattern})"(?!\s*:)')
COUNT = 3000


def rotate(cluster: Cluster, to: int) -> None:
    assert cluster.post("n2", "/rotate-epoch", {"to": to}).json() == {"epoch": to, "rotated": True}


def odd_lines(a: str, b: str, foreign: str) -> str:
    """Records in which tokens stand in odd places, and strings that only look like tokens."""
    return (
        f'  {{"ssn" : "{a}" , "é😀":["{b}",["{a}",{{"deep":"{b}"}}]]}}\t\r\n'
        "\r\n\n"
        f'{{"{a}":"{b}", "{b}" : null}}\n'
        f'{{"x":"see {a}","y":"\\"{a}\\"","z":"\\\\","w":"{a}\\\\"}}\r\n'
        f'{{"up":"{a.upper()}","long":"{a}0","foreign":"{foreign}"}}'
    )


def test_a_file_of_two_old_epochs_comes_out_under_the_active_one_and_the_map_joins_exactly(
    cluster: Cluster, tmp_path: Path
) -> None:
    names = list(cluster.nodes)
    values = [f"v{n} é" for n in range(COUNT)]
    first = cluster.tokenize(names[0], [*values])
    (foreign,) = cluster.tokenize(names[0], ["v0 é"], owner="B")
    rotate(cluster, 2)
    second = cluster.tokenize(names[1], [*values[: COUNT // 2]])
    rotate(cluster, 3)
    lines = [json.dumps({"n": n, "ssn": token}) for n, token in enumerate(first + second)]
    old = "\n".join([*lines, odd_lines(first[0], second[1], foreign)])
    file, out = tmp_path / "f.jsonl", tmp_path / "out.jsonl"
    file.write_text(old, encoding="utf-8", newline="")
    environment = {"TVAULT_CONFIG": str(cluster.config), "TVAULT_API_KEY": cluster.keys["A"]}
    command = ("retokenize", str(file), "-o", str(out), "--map", "--batch", "700")
    done = tvault(*command, **environment)
    place = f"line {len(lines) + 6}"
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"tvault: not found, left as they were: 1 ({place})\n"

    third = cluster.tokenize(names[2], [*values])
    with (tmp_path / "out.jsonl.map.csv").open(newline="") as opened:
        rows = list(csv.reader(opened))
    assert rows[0] == ["old", "new"]
    assert len(rows) - 1 == len(first + second)
    new_of = dict(rows[1:])
    assert new_of == dict(zip(first + second, third + third[: COUNT // 2], strict=True))
    joined = WHOLE_STRING.sub(lambda match: f'"{new_of.get(match[1], match[1])}"', old)
    new = out.read_bytes().decode()
    assert new == joined
    assert [TOKEN.sub("", line) for line in new.split("\n")] == [
        TOKEN.sub("", line) for line in old.split("\n")
    ]

    again = tvault("retokenize", str(out), "-o", str(tmp_path / "again.jsonl"), **environment)
    assert (again.returncode, (tmp_path / "again.jsonl").read_bytes().decode()) == (3, new)
    looked = tvault("lookup", values[0], values[-1], "--json", **environment)
    assert json.loads(looked.stdout) == {
        "tokens": [
            {"1": first[0], "2": second[0], "3": third[0]},
            {"1": first[-1], "3": third[-1]},
        ]
    }


def test_a_file_is_finished_through_the_death_of_a_node_and_its_map_with_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    values = [f"v{n}" for n in range(COUNT)]
    first = cluster.tokenize("n1", [*values])
    rotate(cluster, 2)
    file, out = tmp_path / "f.json", tmp_path / "out.json"
    file.write_text(json.dumps([{"ssn": token} for token in first], indent=1))
    cluster.kill(cluster.by_role("head"))
    environment = {"TVAULT_CONFIG": str(cluster.config), "TVAULT_API_KEY": cluster.keys["A"]}
    done = tvault("retokenize", str(file), "-o", str(out), f"--map={tmp_path / 'm.csv'}", **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    new_of = dict(csv.reader((tmp_path / "m.csv").read_text().splitlines()[1:]))
    assert sorted(new_of) == sorted(first)
    assert out.read_text() == TOKEN.sub(lambda match: new_of[match[0]], file.read_text())
    back = tvault("detokenize", str(out), **environment)
    assert [record["ssn"] for record in json.loads(back.stdout)] == values
