"""Every row of the contract's table of calls, to the members of its JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import FRONTS
from tests.contract.fronts import Front, serving

TOKEN = re.compile(r"tv1_1_[0-9a-f]{32}")
UNKNOWN = "tv1_1_" + "0" * 32
VALUES = [
    "1",
    1,
    1.0,
    -0.0,
    0.0,
    True,
    False,
    "",
    "\u0000",
    "e\u0301",
    "\u00e9",
    10**4299,
    -(10**100),
    5e-324,
]


def told(front: Front, method: str, path: str, body: object = None, owner: str = "B") -> Any:
    """The document of an answer 200, which must have what every answer has."""
    reply = front.ask(method, path, body, owner)
    assert reply.status == 200, reply.document
    assert reply.headers["Content-Type"] == "application/json"
    reply.check_common()
    return reply.document


def tokens_of(front: Front, values: list[Any], owner: str = "B") -> list[Any]:
    document = told(front, "POST", "/tokenize", {"values": values}, owner)
    assert set(document) == {"epoch", "tokens"}
    tokens: list[Any] = document["tokens"]
    return tokens


def exactly(document: object) -> str:
    """Text that is the same for the same JSON only: 1, 1.0 and true differ."""
    return json.dumps(document, sort_keys=True)


def test_values_become_tokens_in_order_and_null_stays(front: Front) -> None:
    tokens = tokens_of(front, ["b", None, "a", "b"])

    assert tokens[1] is None
    assert tokens[0] == tokens[3] != tokens[2]
    assert all(TOKEN.fullmatch(tokens[at]) for at in (0, 2, 3))


def test_a_value_comes_back_exactly_as_it_went_in_and_no_two_share_a_token(front: Front) -> None:
    tokens = tokens_of(front, VALUES)

    assert len(set(tokens)) == len(VALUES)
    document = told(front, "POST", "/detokenize", {"tokens": tokens})
    assert exactly(document) == exactly({"values": VALUES, "not_found": []})
    for value, token in zip(VALUES, tokens, strict=True):
        alone = told(front, "POST", "/detokenize", {"token": token})
        assert exactly(alone) == exactly({"value": value})


def test_configured_fields_of_records_become_tokens_and_all_else_stays(front: Front) -> None:
    records: list[dict[str, Any]] = [
        {"ssn": "s", "note": {"ssn": "s"}, "list": [1.5, None]},
        {},
        {"ssn": None, "patient": {"mrn": 7}, "contacts": [{"phone": "p"}, {}, {"phone": None}]},
    ]
    ssn, mrn, phone = tokens_of(front, ["s", 7, "p"])

    done = told(front, "POST", "/tokenize", {"records": records})

    tokenized = [
        {"ssn": ssn, "note": {"ssn": "s"}, "list": [1.5, None]},
        {},
        {"ssn": None, "patient": {"mrn": mrn}, "contacts": [{"phone": phone}, {}, {"phone": None}]},
    ]
    assert exactly(done) == exactly({"epoch": 1, "records": tokenized})
    back = told(front, "POST", "/detokenize", {"records": tokenized})
    assert exactly(back) == exactly({"records": records, "not_found": []})


def test_one_token_gives_its_value_or_not_found(front: Front) -> None:
    (token,) = tokens_of(front, ["one"])

    assert told(front, "POST", "/detokenize", {"token": token}) == {"value": "one"}
    assert front.ask("POST", "/detokenize", {"token": UNKNOWN}).refusal == (404, "not_found")


def test_what_is_not_found_of_several_tokens_is_null_and_listed(front: Front) -> None:
    (token,) = tokens_of(front, ["known"])

    document = told(front, "POST", "/detokenize", {"tokens": [UNKNOWN, token, None, "x"]})

    assert document == {"values": [None, "known", None, None], "not_found": [0, 3]}


def test_what_is_not_found_in_records_stays_and_is_listed_by_record_and_field(front: Front) -> None:
    (token,) = tokens_of(front, ["known"])
    records = [
        {"ssn": UNKNOWN, "patient": {"mrn": token}},
        {"ssn": 7, "contacts": [{"phone": token}, {"phone": "x"}]},
    ]

    document = told(front, "POST", "/detokenize", {"records": records})

    assert document == {
        "records": [
            {"ssn": UNKNOWN, "patient": {"mrn": "known"}},
            {"ssn": 7, "contacts": [{"phone": "known"}, {"phone": "x"}]},
        ],
        "not_found": [
            {"record": 0, "field": "ssn"},
            {"record": 1, "field": "ssn"},
            {"record": 1, "field": "contacts[1].phone"},
        ],
    }


def test_unknown_foreign_malformed_and_other_epochs_tokens_get_one_answer(front: Front) -> None:
    (foreign,) = tokens_of(front, ["theirs"], "A")
    (own,) = tokens_of(front, ["ours"])
    strange = [UNKNOWN, foreign, "", "x", own.upper(), own + " ", own.replace("_1_", "_01_"), "\ud800"]
    strange += [own.replace("_1_", "_99_"), "tv1_" + "9" * 30 + own[5:], own[:-1], "\u0000", "null"]
    answers = {
        front.ask("POST", "/detokenize", {"token": token}, Request_Id="same").without_date()
        for token in strange
    }
    assert len(answers) == 1

    batch = told(front, "POST", "/detokenize", {"tokens": strange})
    assert batch == {"values": [None] * len(strange), "not_found": list(range(len(strange)))}
    again = told(front, "POST", "/retokenize", {"tokens": strange})
    assert again["tokens"] == batch["values"]
    assert again["not_found"] == batch["not_found"]


@pytest.mark.parametrize("kind", FRONTS)
def test_epochs_lookup_and_retokenize_go_together(kind: str, tmp_path: Path) -> None:
    """One after the other, on a vault of which the epoch is known."""
    with serving(kind, tmp_path / "vault") as fresh:
        follow_the_epochs(fresh)


def follow_the_epochs(fresh: Front) -> None:
    for owner in ("A", "B"):  # the other owner's epoch is no concern of theirs
        assert told(fresh, "GET", "/epoch", owner=owner) == {"epoch": 1}
        first, other = tokens_of(fresh, ["v", 1], owner)
        assert told(fresh, "POST", "/lookup", {"values": ["v", "unseen", None, 1.0]}, owner) == {
            "tokens": [{"1": first}, {}, {}, {}]
        }
        assert told(fresh, "POST", "/rotate-epoch", {"to": 2}, owner) == {"epoch": 2, "rotated": True}
        assert told(fresh, "POST", "/rotate-epoch", {"to": 2}, owner) == {"epoch": 2, "rotated": False}
        assert told(fresh, "GET", "/epoch", owner=owner) == {"epoch": 2}

        done = told(fresh, "POST", "/retokenize", {"tokens": [first, None, UNKNOWN]}, owner)
        assert done == {
            "epoch": 2,
            "tokens": [*tokens_of(fresh, ["v"], owner), None, None],
            "not_found": [2],
        }
        (second, _, _) = done["tokens"]
        assert second.startswith("tv1_2_")
        assert told(fresh, "POST", "/retokenize", {"tokens": [second]}, owner) == {
            "epoch": 2,
            "tokens": [second],
            "not_found": [],
        }
        assert told(fresh, "POST", "/lookup", {"values": ["v", 1, "unseen"]}, owner) == {
            "tokens": [{"1": first, "2": second}, {"1": other}, {}]
        }
        found = told(fresh, "POST", "/detokenize", {"tokens": [first, second]}, owner)
        assert found == {"values": ["v", "v"], "not_found": []}
        for to in (1, 4, 2**53):
            conflict = fresh.ask("POST", "/rotate-epoch", {"to": to}, owner)
            assert conflict.refusal == (409, "epoch_conflict")
            assert conflict.document["epoch"] == 2


def test_a_lookup_issues_nothing(front: Front) -> None:
    assert told(front, "POST", "/lookup", {"values": ["never", "never"]}) == {"tokens": [{}, {}]}
    assert told(front, "POST", "/lookup", {"values": ["never"]}) == {"tokens": [{}]}


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/tokenize", {"values": []}, {"epoch": 1, "tokens": []}),
        ("/tokenize", {"records": []}, {"epoch": 1, "records": []}),
        ("/detokenize", {"tokens": []}, {"values": [], "not_found": []}),
        ("/detokenize", {"records": []}, {"records": [], "not_found": []}),
        ("/lookup", {"values": []}, {"tokens": []}),
        ("/retokenize", {"tokens": []}, {"epoch": 1, "tokens": [], "not_found": []}),
    ],
)
def test_nothing_asked_is_nothing_answered_and_an_owner_id_is_ignored(
    front: Front, path: str, body: dict[str, Any], answer: object
) -> None:
    assert told(front, "POST", path, body) == answer
    for owner_id in ("A", None, 7, {"a": ["b"]}):
        assert told(front, "POST", path, {**body, "owner_id": owner_id}) == answer
    assert told(front, "POST", f"{path}?owner_id=A&x=y", body) == answer


def test_the_key_alone_says_who_asks(front: Front) -> None:
    mine, theirs = (tokens_of(front, ["shared"], owner)[0] for owner in ("A", "B"))

    assert mine != theirs
    claimed = front.ask("POST", "/detokenize?owner_id=A", {"token": mine, "owner_id": "A"}, "B")
    assert claimed.refusal == (404, "not_found")


def test_health_needs_no_key(front: Front) -> None:
    reply = front.ask("GET", "/health", owner=None)

    assert (reply.status, reply.document) == (200, {"status": "ok"})
    reply.check_common()


def test_status_tells_of_the_node_and_of_no_owner(front: Front) -> None:
    document = told(front, "GET", "/status")

    assert set(document) == {"node", "role", "view", "chain", "ensemble", "journal"}
    assert set(document["journal"]) == {"last", "committed", "digest"}
    assert document["role"] in {"head", "middle", "tail", "single", "outside"}
    assert document["ensemble"] == ["n1"]
    assert re.fullmatch(r"[0-9a-f]{64}", document["journal"]["digest"])
