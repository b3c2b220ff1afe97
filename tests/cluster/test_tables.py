"""Tables through a real cluster: whole, whatever happens to a node meanwhile."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.cluster import Cluster, eventually, tvault

ROWS = 60_000


def table() -> bytes:
    text = io.StringIO(newline="")
    text.write("\ufeff")
    written = csv.writer(text, delimiter=";", lineterminator="\r\n")
    written.writerow(["n", "patient.mrn", "note", "ssn"])
    for n in range(ROWS):
        written.writerow([n, f"m {n % 4000}; é", f'said "{n}"\nand left', "" if n % 5 else f"s{n}"])
    return text.getvalue().encode()


def test_a_packed_table_is_tokenized_and_comes_back_through_the_death_of_the_head(
    cluster: Cluster, tmp_path: Path
) -> None:
    content = table()
    file, tokens = tmp_path / "f.csv.gz", tmp_path / "tokens.csv.gz"
    file.write_bytes(gzip.compress(content))
    environment = {"TVAULT_CONFIG": str(cluster.config), "TVAULT_API_KEY": cluster.keys["A"]}
    command = ["tokenize", str(file), "-o", str(tokens), "--batch", "500"]
    before = cluster.status(head := cluster.by_role("head"))["journal"]["last"]
    with subprocess.Popen(
        [sys.executable, "-m", "tvault", *command], env=os.environ | environment, stderr=subprocess.PIPE
    ) as process:
        eventually(lambda: cluster.status(head)["journal"]["last"] > before + 2)
        cluster.kill(head)
        assert process.poll() is None
        _, told = process.communicate(timeout=90)
    assert (process.returncode, told) == (0, b"")
    text = gzip.decompress(tokens.read_bytes()).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    assert len(rows) == ROWS + 1
    assert {row[1][:6] for row in rows[1:]} == {"tv1_1_"}
    assert len({row[1] for row in rows[1:]}) == 4000
    assert {row[3][:6] for row in rows[1:]} == {"tv1_1_", ""}
    back = tvault("detokenize", str(tokens), "-o", str(tmp_path / "back.csv"), **environment)
    assert (back.returncode, back.stderr) == (0, "")
    assert (tmp_path / "back.csv").read_bytes() == content
