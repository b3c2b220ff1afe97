"""`make bench`: prints a table and writes it as JSON to the folder `build`.

make bench               200,000 records of one field, through the command line, on three nodes
make bench SCALE=small   20,000 records
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import baseline
from tests.cluster.cluster import Cluster, eventually

RECORDS = {"small": 20_000, "full": 200_000}


def main() -> None:
    """Measure and print."""
    count = RECORDS[os.environ.get("SCALE") or "full"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = baseline.measure(folder, count)
        cluster = Cluster(folder / "vault")
        try:
            cluster.start()
            cluster.wait_until_healthy()
            results = measure(cluster, folder, count)
        finally:
            cluster.stop()
    report(results, base, count)


def measure(cluster: Cluster, folder: Path, count: int) -> list[dict[str, float | str]]:
    """Seconds and peak memory of each run of the command line."""
    whole, part = write_records(folder, "whole", count), write_records(folder, "part", count // 10)
    tokens = folder / "tokens.jsonl"
    runs = [
        run(cluster, "tokenize, new values (a tenth)", part, "tokenize", str(part), "-o", str(tokens)),
        run(cluster, "tokenize, new values", whole, "tokenize", str(whole), "-o", str(tokens)),
        run(cluster, "tokenize, known values", whole, "tokenize", str(whole), "-o", str(tokens)),
        run(cluster, "detokenize", whole, "detokenize", str(tokens), "-o", str(folder / "back.jsonl")),
    ]
    assert (folder / "back.jsonl").read_bytes() == whole.read_bytes()
    eventually(cluster.agree)
    return runs


def write_records(folder: Path, name: str, count: int) -> Path:
    """A JSONL file of `count` records with one configured field, all values distinct."""
    file = folder / f"{name}.jsonl"
    with file.open("w") as out:
        for i in range(count):
            record = {"id": i, "ssn": f"{name}-{i:09d}", "city": "Springfield", "year": 1980 + i % 30}
            out.write(json.dumps(record, separators=(",", ":")) + "\n")
    return file


def run(cluster: Cluster, title: str, source: Path, *arguments: str) -> dict[str, float | str]:
    """One run of the command line: how long, how much memory, and the nodes' memory after it."""
    count = sum(1 for _ in source.open())
    environment = os.environ | {
        "TVAULT_CONFIG": str(cluster.config),
        "TVAULT_API_KEY": cluster.keys["A"],
    }
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "tvault", *arguments], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    assert status == 0, f"{title} failed"
    return {
        "title": title,
        "values": count,
        "seconds": round(seconds, 3),
        "per_second": round(count / seconds),
        "client_mib": round(usage.ru_maxrss / 1024),
        "node_mib": max(resident_mib(process.pid) for process in cluster.processes.values()),
    }


def resident_mib(pid: int) -> int:
    """Memory that a process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def report(results: list[dict[str, float | str]], base: dict[str, float], count: int) -> None:
    """Print the table; ratios are to the raw SQLite file of the same run."""
    raw = {"tokenize": round(1 / base["insert"]), "detokenize": round(1 / base["look_up"])}
    print(f"raw SQLite, one file: {raw['tokenize']:,} inserts/s, {raw['detokenize']:,} look-ups/s")
    print(f"{'':34}{'values':>9}{'values/s':>10}{'x raw':>7}{'client MiB':>12}{'node MiB':>10}")
    for result in results:
        kind = "detokenize" if str(result["title"]).startswith("detokenize") else "tokenize"
        result["ratio"] = round(float(result["per_second"]) / raw[kind], 2)
        print(
            f"{result['title']:34}{result['values']:>9,}{result['per_second']:>10,}"
            f"{result['ratio']:>7}{result['client_mib']:>12}{result['node_mib']:>10}"
        )
    target = Path("build") / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"records": count, "raw": raw, "results": results}, indent=1) + "\n")


main()
