"""No secret stands in any file in the clear: not in the database or its log, an index, an event, a log
line, whatever was asked, refused or broken off."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.cluster.cluster import GATEWAY, Cluster, eventually, tvault

MARK = 'Sentinel\u00e4"'
"""What all values that are hidden here hold, of characters that are written in several ways."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "vault") as cluster:
        config = cluster.config.read_text()
        assert config.count('# format = "text"') == 1
        cluster.config.write_text(config.replace('# format = "text"', 'format = "json"'))
        cluster.open()
        yield cluster


def hide(cluster: Cluster, front: str) -> None:
    """A secret by every way there is, and by those that end in a refusal."""
    path = f"/secrets/HIDDEN.{front}"

    def put(value: str, **headers: str) -> int:
        return cluster.ask(front, "PUT", path, {"value": value}, **headers).status_code

    assert put(f"{MARK} put") == put(f"{MARK} put") == put(f"{MARK} key", Idempotency_Key=front) == 200
    assert put(f"{MARK} other", Idempotency_Key=front) == 422
    assert put(f"{MARK} 412", If_None_Match="*") == 412
    assert put(MARK * 2**17) == 413
    assert put(f"{MARK} half \ud800") == 422
    assert cluster.ask(front, "PUT", f"/secrets/{MARK}", {"value": MARK}).status_code == 422
    assert cluster.ask(front, "PUT", path, {"value": MARK, MARK: MARK}).status_code == 400
    content = f"A=enc(A.1)\nA.1='{MARK} line'\nB=enc(B.1)\nC='{MARK} beside'\n"
    body = {"content": f"{content}D=enc(NO)\n", "values": {"B.1": f"{MARK} values"}}
    assert cluster.ask(front, "POST", "/env/encrypt", body).status_code == 422
    body["content"] = content
    encrypted = cluster.ask(front, "POST", "/env/encrypt", body)
    assert encrypted.status_code == 200, encrypted.text
    expanded = cluster.ask(front, "POST", "/env/expand", {"content": encrypted.json()["content"]})
    assert f"{MARK} line" in expanded.json()["content"]
    unresolved = {"content": f"{content}D=secret(NO)\n"}
    assert cluster.ask(front, "POST", "/env/expand", unresolved).status_code == 422
    assert cluster.ask(front, "GET", f"{path}?version=1").json()["value"] == f"{MARK} put"


def hide_by_command(cluster: Cluster, folder: Path) -> None:
    """By the commands; their file is the only one that may hold it, before."""
    told = {"TVAULT_CONFIG": str(cluster.config), "TVAULT_API_KEY": cluster.keys["A"]}
    env = folder / "app.env"
    env.write_text(f"A=enc(A.2)\nA.2='{MARK} command'\n", encoding="utf-8")
    assert tvault("env", "encrypt", str(env), "--in-place", **told).returncode == 0
    assert tvault("secret", "put", "A.3", "--file", str(env), **told).returncode == 0
    ran = tvault("env", "run", str(env), "--", "sh", "-c", 'printf %s "$A"', **told)
    assert ran.stdout == f"{MARK} command"


def forms() -> dict[str, bytes]:
    """How the mark may stand in a file, at whatever place of it."""
    raw = MARK.encode()
    told = {
        "raw": raw,
        "JSON": json.dumps(MARK).encode()[1:-1],
        "JSON in UTF-8": json.dumps(MARK, ensure_ascii=False).encode()[1:-1],
        "repr": repr(MARK).encode()[1:-1],
        "hex": raw.hex().encode(),
        "UTF-16": MARK.encode("utf-16-le"),
        "in a URL": quote(MARK).encode(),
    }
    for shift in range(3):
        told[f"base64, {shift}"] = base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
    return told


def test_no_secret_reaches_a_disk_in_the_clear(cluster: Cluster, tmp_path: Path) -> None:
    for front in (GATEWAY, "n2"):
        hide(cluster, front)
    hide_by_command(cluster, tmp_path)
    stopping, answered = threading.Event(), itertools.count()
    done = [0]

    def go_on() -> None:
        for number in itertools.count():
            if stopping.is_set():
                return
            body = {"value": f"{MARK} number {number}"}
            answer = cluster.ask(GATEWAY, "PUT", "/secrets/BUSY", body)
            assert answer.status_code in {200, 503}
            if answer.status_code == 200:
                done[0] = next(answered)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for name in cluster.nodes:
            before = done[0]
            cluster.kill(name)
            eventually(lambda before=before: done[0] > before + 2)  # type: ignore[misc]
            cluster.start(name)
            cluster.wait_until_whole()
    finally:
        stopping.set()
        thread.join()
    files = [file for file in cluster.folder.rglob("*") if file.is_file()]
    assert {".sqlite", ".sqlite-wal", ".jsonl", ".log"} <= {file.suffix for file in files}
    keys = [key.encode() for key in cluster.keys.values()]
    for file in files:
        content = file.read_bytes()
        found = [form for form, text in forms().items() if text in content]
        assert found == [], f"{file.name} holds a secret"
        assert not any(key in content for key in keys), f"{file.name} holds an API key"
        if file.suffix == ".log":
            lines = [json.loads(line) for line in content.splitlines()]
            assert {line["node"] for line in lines} == {file.stem}, "a line of the log is no JSON"
