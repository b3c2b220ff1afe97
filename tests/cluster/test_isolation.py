"""What one owner can see of another on a real cluster: nothing, to the byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import GATEWAY, Cluster, eventually
from tests.cluster.raw import Line, document_of, status_of
from tests.unit.store.test_masked import unkeyed

NEVER_ISSUED = "tv1_1_" + "5a" * 16
FAR_FUTURE = 10**17


@dataclass(frozen=True)
class Vault:
    """A cluster in which B holds little and A holds much."""

    cluster: Cluster
    good: str
    """A live token of B."""
    missing: dict[str, str]
    """Tokens that B does not have, each for a reason of its own."""

    def fronts(self) -> list[str]:
        """Where clients can ask."""
        return [*self.cluster.nodes, GATEWAY]

    def line(self, front: str, owner: str = "B") -> Line:
        """A connection of an owner."""
        return Line(self.cluster.url(front), self.cluster.keys[owner])


def missing_tokens(old: str, live: str, mine: str) -> dict[str, str]:
    """`old` and `live` are A's, of epochs 1 and 2; `mine` is B's, of epoch 2."""
    digits, foreign = mine.rsplit("_", 1)[1], live.rsplit("_", 1)[1]
    forged = zip(bytes.fromhex(foreign), unkeyed("A", 2), unkeyed("B", 2), strict=True)
    return {
        "never issued": NEVER_ISSUED,
        "never issued, active epoch": NEVER_ISSUED.replace("tv1_1_", "tv1_2_"),
        "foreign and live": live,
        "foreign, of an old epoch": old,
        "foreign digits, older epoch": f"tv1_1_{foreign}",
        "forged": "tv1_2_" + bytes(a ^ b ^ c for a, b, c in forged).hex(),
        "older epoch": f"tv1_1_{digits}",
        "newer epoch": f"tv1_3_{digits}",
        "far future": f"tv1_{FAR_FUTURE}_{digits}",
        "epoch too large": f"tv1_{10**18}_{digits}",
        "epoch zero": f"tv1_0_{digits}",
        "negative epoch": f"tv1_-2_{digits}",
        "leading zero": f"tv1_02_{digits}",
        "upper case": "tv1_2_" + digits.upper(),
        "other version": f"tv2_2_{digits}",
        "too short": mine[:-1],
        "too long": mine + "0",
        "other digits": mine.replace("2_", "\u0662_", 1),
        "wide digits": "tv1_2_" + digits.translate({48 + n: 0xFF10 + n for n in range(10)}),
        "blank before": " " + mine,
        "blank behind": mine + " ",
        "newline": mine + "\n",
        "NUL": mine + "\0",
        "NUL within": mine[:10] + "\0" + mine[11:],
        "empty": "",
        "a megabyte": "x" * 2**20,
        "a megabyte of digits": mine * (2**20 // len(mine)),
        "emoji": "\U0001f600",
    }


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    folder = tmp_path_factory.mktemp("isolation") / "vault"
    with Cluster(folder, fields=("ssn", "patient.mrn")) as cluster:
        cluster.open()
        [old] = cluster.tokenize("n1", ["shared"], "A")
        for owner in ("A", "B"):
            assert cluster.post("n2", "/rotate-epoch", {"to": 2}, owner).status_code == 200
        live, *_ = cluster.tokenize("n1", ["shared", *(f"only A has {n}" for n in range(500))], "A")
        mine, good = cluster.tokenize("n3", ["mine", "good"], "B")
        missing = missing_tokens(old, live, mine)
        eventually(cluster.agree)
        yield Vault(cluster, good, missing)
        assert cluster.ended() == []
        assert all("damage" not in cluster.said(name) for name in cluster.nodes)


def all_alike(answers: dict[str, bytes]) -> bytes:
    """The one answer that there is; the test fails when there are two."""
    first = next(iter(answers.values()))
    differing = {kind: answer[:600] for kind, answer in answers.items() if answer != first}
    assert differing == {}, first
    return first


def test_a_single_token_that_is_missing_gets_one_answer_to_the_byte(vault: Vault) -> None:
    answers: dict[str, bytes] = {}
    for front in vault.fronts():
        with vault.line(front) as line:
            for kind, text in vault.missing.items():
                answers[f"{front}, {kind}"] = line.ask("POST", "/detokenize", {"token": text})
    assert status_of(all_alike(answers)) == 404


@pytest.mark.parametrize("path", ["/detokenize", "/retokenize"])
def test_a_missing_token_in_a_batch_gets_one_answer_to_the_byte(vault: Vault, path: str) -> None:
    answers: dict[str, bytes] = {}
    for front in vault.fronts():
        with vault.line(front) as line:
            for kind, text in vault.missing.items():
                tokens = [vault.good, text, None, text, vault.good]
                answers[f"{front}, {kind}"] = line.ask("POST", path, {"tokens": tokens})
    answer = all_alike(answers)
    assert status_of(answer) == 200
    document: Any = document_of(answer)
    assert document["not_found"] == [1, 3]
    given = document["tokens" if path == "/retokenize" else "values"]
    kept = vault.good if path == "/retokenize" else "good"
    assert given == [kept, None, None, None, kept]


@pytest.mark.parametrize("path", ["/detokenize", "/retokenize"])
def test_all_kinds_of_missing_tokens_in_one_batch_are_alike(vault: Vault, path: str) -> None:
    tokens = list(vault.missing.values())
    answers: dict[str, bytes] = {}
    for front in vault.fronts():
        with vault.line(front) as line:
            answers[front] = line.ask("POST", path, {"tokens": tokens})
            answers[f"{front}, unknown"] = line.ask(
                "POST", path, {"tokens": [NEVER_ISSUED] * len(tokens)}
            )
    document: Any = document_of(all_alike(answers))
    assert document["not_found"] == list(range(len(tokens)))


def test_a_missing_token_in_a_record_gets_one_answer_but_for_what_was_sent(vault: Vault) -> None:
    """What is not found is left as it was: the sender's own text, and a length that goes with it."""
    answers: dict[str, bytes] = {}
    for front in vault.fronts():
        with vault.line(front) as line:
            for kind, text in vault.missing.items():
                records = [{"ssn": vault.good, "x": 1}, {"ssn": text, "patient": {"mrn": vault.good}}]
                answer = line.ask("POST", "/detokenize", {"records": records})
                document: Any = document_of(answer)
                assert document["records"][1].pop("ssn") == text
                head = re.sub(rb"(?<=Content-Length: )\d+", b"", answer.split(b"\r\n\r\n")[0])
                answers[f"{front}, {kind}"] = head + json.dumps(document).encode()
    assert b'"not_found": [{"record": 1, "field": "ssn"}]' in all_alike(answers)


def test_a_lookup_finds_nothing_of_another_owner(vault: Vault) -> None:
    answers: dict[str, bytes] = {}
    for front in vault.fronts():
        with vault.line(front) as line:
            for value in ("shared", "nobody has it", "only A has 7"):
                answers[f"{front}, {value}"] = line.ask("POST", "/lookup", {"values": [value]})
    assert document_of(all_alike(answers)) == {"tokens": [{}]}


def test_nothing_that_another_owner_does_shows_in_any_answer(vault: Vault) -> None:
    """Every call there is, before and after A has tokenized, rotated, and been refused; the length of
    the journal, which `/status` tells by contract, aside."""
    calls: list[tuple[str, str, object]] = [
        ("GET", "/epoch", None),
        ("GET", "/health", None),
        ("POST", "/tokenize", {"values": ["good", None]}),
        ("POST", "/tokenize", {"records": [{"ssn": "good"}]}),
        ("POST", "/tokenize", {"values": [{}]}),
        ("POST", "/detokenize", {"token": vault.good}),
        ("POST", "/detokenize", {"token": NEVER_ISSUED}),
        ("POST", "/retokenize", {"tokens": [vault.good, NEVER_ISSUED]}),
        ("POST", "/lookup", {"values": ["good", "shared"]}),
        ("POST", "/rotate-epoch", {"to": 2}),
        ("POST", "/rotate-epoch", {"to": 4}),
        ("POST", "/rotate-epoch", {"to": "x"}),
        ("GET", "/nowhere", None),
        ("DELETE", "/epoch", None),
    ]
    told = [[everything(vault, front, calls) for front in vault.fronts()]]
    cluster = vault.cluster
    cluster.tokenize("n1", [f"later {number}" for number in range(1000)], "A")
    active = cluster.get("n1", "/epoch", "A")["epoch"]
    assert cluster.post("n2", "/rotate-epoch", {"to": active + 1}, "A").status_code == 200
    assert cluster.post("n2", "/rotate-epoch", {"to": 99}, "A").status_code == 409
    assert cluster.post("n2", "/tokenize", {"values": [[]]}, "A").status_code == 422
    told.append([everything(vault, front, calls) for front in vault.fronts()])
    assert told[0] == told[1]


def everything(vault: Vault, front: str, calls: list[tuple[str, str, object]]) -> list[bytes]:
    with vault.line(front) as line:
        answers = [line.ask(*call) for call in calls]
        status: Any = document_of(line.ask("GET", "/status"))
    for name in ("last", "committed", "digest"):
        del status["journal"][name]
    assert status["journal"] == {}
    return [*answers, json.dumps(status).encode()]


def test_no_key_and_any_wrong_key_get_one_answer_to_the_byte(vault: Vault) -> None:
    known = vault.cluster.keys["A"]
    keys = [None, "x", known[:-1], known[:-1] + "~", known + "0", known.upper(), "tvk_" + "0" * 43]
    for path, body in (("/epoch", None), ("/status", None), ("/detokenize", {"token": NEVER_ISSUED})):
        answers: dict[str, bytes] = {}
        for front in vault.fronts():
            for key in keys:
                with Line(vault.cluster.url(front), key) as line:
                    answers[f"{front}, {key}"] = line.ask("GET" if body is None else "POST", path, body)
        assert status_of(all_alike(answers)) == 401


def test_a_node_that_comes_back_gives_the_same_answer_from_its_first_one_on(vault: Vault) -> None:
    """First it is outside the chain, and says that it cannot answer until it can."""
    cluster = vault.cluster
    with vault.line("n1") as line:
        expected = line.ask("POST", "/detokenize", {"token": NEVER_ISSUED})
    for name in list(cluster.nodes):
        cluster.kill(name)
        cluster.start(name)

        def ask_all(name: str = name) -> bool:
            try:
                with vault.line(name) as line:
                    for kind, text in vault.missing.items():
                        answer = line.ask("POST", "/detokenize", {"token": text})
                        assert answer == expected or status_of(answer) == 503, kind
            except OSError:
                return False
            return cluster.is_whole()

        eventually(ask_all)
    eventually(cluster.agree)


def test_a_node_and_a_gateway_allow_no_core_dump(vault: Vault) -> None:
    for process in vault.cluster.processes.values():
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        (told,) = [line.split() for line in limits if line.startswith("Max core file size")]
        assert told[4:6] == ["0", "0"]


def test_the_folder_of_a_node_shows_no_masks_to_others(vault: Vault) -> None:
    files = [vault.cluster.data(name) / "index" / "masks" for name in vault.cluster.nodes]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert len({file.read_bytes() for file in files}) == len(files)
