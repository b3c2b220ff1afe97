"""Another owner finds nothing; a new epoch makes other tokens, and the old ones still resolve."""

from __future__ import annotations

import json
import re

from tvault.cli.demo.show import Show
from tvault.cli.demo.temporary import OTHER_OWNER
from tvault.client.sessions import open_session

SECONDS = 30.0
NOT_FOUND = 404
EXIT_NOT_FOUND = 3

TOKEN = re.compile(rb"tv1_[0-9]+_[0-9a-f]{32}")


def isolation(show: Show) -> None:
    """The lab's key on the clinic's tokens."""
    stage, cluster = show.stage, show.cluster
    stage.step("Another owner finds nothing, and does not learn that it is there")
    show.run("head -n 1 tokens.jsonl | tvault detokenize - --api-key-file lab.key", EXIT_NOT_FOUND)
    record = json.loads(show.content("tokens.jsonl").splitlines()[0])
    stage.tell("The clinic's token and one that nobody has, both asked of a node with the lab's key:")
    answers = [_detokenize(show, token) for token in (record["ssn"], f"tv1_1_{0:032x}")]
    status, body = answers[0]
    stage.claim("the lab's answer for the clinic's token is: not found", status == NOT_FOUND)
    stage.claim("the answers are equal, byte for byte", answers[0] == answers[1] and bool(body))
    ssn = show.people[0].ssn
    with cluster.vault(owner=OTHER_OWNER) as lab, cluster.vault() as clinic:
        (theirs,), (ours,) = lab.tokenize([ssn]).tokens, clinic.tokenize([ssn]).tokens
        back = lab.detokenize(str(theirs))
    stage.output(f"{ssn}  clinic  {ours}\n{ssn}  lab     {theirs}")
    stage.claim(
        "the same value has another token for the lab, and both are right",
        theirs != ours and back == ssn,
    )


def _detokenize(show: Show, token: str) -> tuple[int, bytes]:
    """The status and the body of a node's answer to the lab."""
    node = next(each for each in show.cluster.config.nodes if each.id != show.killed)
    headers = {"Authorization": f"Bearer {show.cluster.keys[OTHER_OWNER]}"}
    url, asked = f"{node.api.url}/detokenize", {"token": token}
    with open_session([node.api.url], 1, None) as session:
        answer = session.post(url, json=asked, headers=headers, timeout=SECONDS)
    show.stage.command(f'POST /detokenize {{"token":"{token}"}}')
    show.stage.output(f"{answer.status_code} {answer.text}", is_whole=True)
    return answer.status_code, answer.content


def rotation(show: Show) -> None:
    """A new epoch, with a node still down."""
    stage = show.stage
    stage.step("Rotation: other tokens from now on; the old ones still resolve")
    old = json.loads(show.content("tokens.jsonl").splitlines()[0])["ssn"]
    show.run("tvault rotate-epoch --to 2")
    new = json.loads(show.run("tvault tokenize one.jsonl"))["ssn"]
    stage.claim("the same value gets another token now", new != old and new.startswith("tv1_2_"))
    show.check(
        "tvault detokenize tokens.jsonl | cmp - patients.jsonl",
        "every token of the old epoch still turns back into its value: all bytes are equal",
    )
    stage.tell("The file is brought along, without a value leaving the vault:")
    show.run("tvault retokenize tokens.jsonl --map -o moved.jsonl")
    show.run("head -n 2 moved.jsonl.map.csv")
    moved = show.content("moved.jsonl")
    with (show.cluster.place / "moved.jsonl.map.csv").open("rb") as opened:
        led = dict(line.rstrip(b"\r\n").split(b",") for line in opened.readlines()[1:])
    brought = TOKEN.sub(lambda found: led.get(found[0], b""), show.content("tokens.jsonl"))
    stage.claim(
        f"no old token is left in the file, and the map of {len(led):,} tokens leads on from each",
        b"tv1_1_" not in moved and moved == brought and led[old.encode()] == new.encode(),
    )
    show.check(
        "tvault detokenize moved.jsonl | cmp - patients.jsonl",
        "the new file turns back into the same bytes",
    )
